//! TLS with a named upstream: authorities, client certificates, versions and names, with a real nginx.

use super::{Files, named, one, until_verdict, verdict};
use crate::support::certificates::Certificates;
use crate::support::process::Server;
use crate::support::{nginx, prometheus};

/// An nginx before the shared Prometheus that speaks TLS and has these further directives.
fn secured(of_server: &Certificates, directives: &str) -> Server {
    let server = format!(
        "ssl_certificate {}; ssl_certificate_key {}; {directives} location / {{ proxy_pass {}; }}",
        of_server.certificate.display(),
        of_server.key.display(),
        prometheus::shared().url("")
    );
    nginx::start(" ssl", "", &server)
}

fn https(server: &Server, host: &str) -> String {
    format!("https://{host}:{}", server.port())
}

#[test]
fn the_authority_and_the_name_of_a_server_can_be_given() {
    let certificates = Certificates::of("prometheus.internal");
    let server = secured(&certificates, "");
    let files = Files::new();
    files.copy(&certificates.authority, "ca.pem");
    let check = |tls: &str, says: &str| {
        files.upstreams(&one(&https(&server, "127.0.0.1"), &format!("  tls_config: {{{tls}}}")));
        let verdict = verdict(&files.mirror(), &named("a"));
        assert!(verdict.contains(says), "{tls}: {says}: {verdict}");
    };
    check("ca_file: ca.pem, server_name: prometheus.internal", "OK");
    check("ca_file: ca.pem", "its certificate is not for this host");
    check("ca_file: ca.pem, server_name: other.internal", "its certificate is not for this host");
    check("server_name: prometheus.internal", "does not trust");
    check("insecure_skip_verify: true", "OK");
    let pem = std::fs::read_to_string(&certificates.authority).unwrap();
    check(&format!("ca: {}, server_name: prometheus.internal", serde_json::to_string(&pem).unwrap()), "OK");
}

#[test]
fn versions_can_be_bounded() {
    let certificates = Certificates::of("localhost");
    let files = Files::new();
    files.copy(&certificates.authority, "ca.pem");
    let check = |protocol: &str, tls: &str, says: &str| {
        let server = secured(&certificates, &format!("ssl_protocols {protocol};"));
        files.upstreams(&one(&https(&server, "localhost"), &format!("  tls_config: {{ca_file: ca.pem, {tls}}}")));
        let verdict = verdict(&files.mirror(), &named("a"));
        assert!(verdict.contains(says), "{protocol} {tls}: {says}: {verdict}");
    };
    check("TLSv1.2", "min_version: TLS12", "OK");
    check("TLSv1.2", "min_version: TLS13", "no TLS version or cipher suite in common");
    check("TLSv1.3", "max_version: TLS13", "OK");
    check("TLSv1.3", "max_version: TLS12", "no TLS version or cipher suite in common");
}

#[test]
fn a_client_certificate_is_shown_and_rotates() {
    let (of_server, of_client, other) =
        (Certificates::of("localhost"), Certificates::of("mirror"), Certificates::of("mirror"));
    let server = secured(
        &of_server,
        &format!("ssl_client_certificate {}; ssl_verify_client on;", of_client.authority.display()),
    );
    let files = Files::new();
    files.copy(&of_server.authority, "ca.pem");
    let show = |certificates: &Certificates| {
        files.copy(&certificates.key, "key.pem");
        files.copy(&certificates.certificate, "cert.pem");
    };
    let check = |tls: &str, says: &str| {
        files.upstreams(&one(&https(&server, "localhost"), &format!("  tls_config: {{ca_file: ca.pem{tls}}}")));
        let mirror = files.mirror();
        let verdict = verdict(&mirror, &named("a"));
        assert!(verdict.contains(says), "{tls}: {says}: {verdict}");
        mirror
    };
    check("", "client certificate");
    show(&other);
    let mirror = check(", cert_file: cert.pem, key_file: key.pem", "client certificate");
    show(&of_client);
    until_verdict(&mirror, "OK");
    show(&other);
    until_verdict(&mirror, "client certificate");
}
