//! TLS to a named upstream: CA certificates, client certificates, versions and names, with a real nginx.

use super::{Files, named, one, until_verdict, verdict};
use crate::support::certificates::Certificates;
use crate::support::process::{Server, wait_until};
use crate::support::tinyproxy::{self, Tinyproxy};
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
    check("ca_file: ca.pem", "its certificate is not for this host; use a host in url");
    check(
        "ca_file: ca.pem",
        "or set tls_config.server_name of upstream a in the upstreams file to a name that it is for",
    );
    check(
        "ca_file: ca.pem, server_name: other.internal",
        "is not for the name in tls_config.server_name; correct tls_config.server_name of upstream a in the upstreams file",
    );
    check("server_name: prometheus.internal", "does not trust (it trusts the public ones, or those in --ca-path)");
    check(
        "server_name: prometheus.internal",
        "added to tls_config.ca_file of upstream a in the upstreams file, or the",
    );
    // A CA with the same name and another key.
    files.copy(&Certificates::of("prometheus.internal").authority, "other.pem");
    check(
        "ca_file: other.pem, server_name: prometheus.internal",
        "by the authority in tls_config.ca_file that has the name of its issuer; replace the authority in tls_config.ca_file of \
         upstream a in the upstreams file by",
    );
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

#[test]
fn tls_config_holds_for_a_proxy_of_the_upstreams_own_too() {
    let (of_server, of_proxy) = (Certificates::of("prometheus.internal"), Certificates::of("localhost"));
    let (server, proxy) = (secured(&of_server, ""), Tinyproxy::start(""));
    // nginx adds TLS to the proxy, and forwards all bytes.
    let tls = Server::start("socat", "socat", |_, port| {
        let Certificates { certificate, key, .. } = &of_proxy;
        let files = format!("cert={},key={},verify=0", certificate.display(), key.display());
        vec![format!("OPENSSL-LISTEN:{port},bind=127.0.0.1,{files},fork"), format!("TCP:{}", proxy.address())]
    });
    let authority = |of: &Certificates| std::fs::read_to_string(&of.authority).unwrap();
    let files = Files::new();
    let proxy_url = format!("https://{}:{}@localhost:{}", tinyproxy::USER, tinyproxy::PASSWORD, tls.port());
    files.upstreams(&one(
        &https(&server, "127.0.0.1"),
        &format!("  proxy_url: {proxy_url}\n  tls_config: {{ca_file: ca.pem, server_name: prometheus.internal}}"),
    ));
    files.write("ca.pem", &authority(&of_server));
    let mirror = files.mirror();
    let says = |words: &[&str]| {
        let verdict = verdict(&mirror, &named("a"));
        words.iter().all(|part| verdict.contains(part))
    };
    let refused =
        ["through the proxy localhost:", "no TLS connection", "tls_config.ca_file of upstream a in the upstreams file"];
    wait_until(|| format!("its certificate is refused: {}", verdict(&mirror, &named("a"))), || says(&refused));
    // A changed file also holds for the proxy. The name of the server is not that of the proxy.
    files.write("ca.pem", &format!("{}{}", authority(&of_server), authority(&of_proxy)));
    until_verdict(&mirror, "OK");
}
