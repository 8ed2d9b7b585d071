//! TLS that fails: real servers with bad certificates, or that require a client certificate.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use serde_json::json;
use tempfile::TempDir;

use super::check_fails;
use crate::support::certificates::Certificates;
use crate::support::mirror::Mirror;
use crate::support::process::{Server, free_port, require, wait_until};
use crate::support::prometheus;

const SECOND: Duration = Duration::from_secs(1);

/// A CA, and the files of what it issues.
struct Workshop {
    issuer: Issuer<'static, KeyPair>,
    directory: TempDir,
}

impl Workshop {
    fn open() -> Workshop {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Workshop");
        let key = KeyPair::generate().unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("authority.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(directory.path().join("authority.key"), key.serialize_pem()).unwrap();
        Workshop { issuer: Issuer::new(params, key), directory }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// Issues a certificate for localhost with some changes. It is self-signed if required.
    fn issue(&self, name: &str, is_self_signed: bool, change: impl FnOnce(&mut CertificateParams)) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = if is_self_signed { params.self_signed(&key) } else { params.signed_by(&key, &self.issuer) };
        std::fs::write(self.path(&format!("{name}.pem")), certificate.unwrap().pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// Issues a certificate of X.509 version 1, as old scripts do.
    fn issue_version_1(&self) {
        require("openssl", "openssl");
        let script = "openssl req -new -newkey rsa:2048 -nodes -subj /CN=localhost -keyout version1.key -out version1.csr \
             && openssl x509 -req -in version1.csr -CA authority.pem -CAkey authority.key -CAcreateserial -out version1.pem \
             && openssl x509 -in version1.pem -noout -text";
        let output = Command::new("sh").args(["-c", script]).current_dir(self.directory.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("Version: 1"), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }

    /// An nginx that presents each of these certificates on a separate port.
    fn nginx(&self, names: &[&str]) -> (Server, Vec<u16>) {
        let ports: Vec<u16> = names.iter().map(|_| free_port()).collect();
        let server = |(name, port): (&&str, &u16)| {
            let directory = self.directory.path().display();
            format!(
                "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {directory}/{name}.pem; \
                 ssl_certificate_key {directory}/{name}.key; return 404; }}\n"
            )
        };
        let servers: String = names.iter().zip(&ports).map(server).collect();
        let config = self.path("nginx.conf");
        let start = |place: &Path, _: u16| {
            let of_nginx = place.display();
            let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .iter()
                .map(|kind| format!("{kind}_temp_path {of_nginx}/{kind};\n"))
                .collect();
            let main = format!("daemon off; master_process off; pid {of_nginx}/pid; error_log stderr;\nevents {{}}\n");
            std::fs::write(&config, format!("{main}http {{ access_log off;\n{paths}{servers}}}\n")).unwrap();
            vec!["-c".to_owned(), config.display().to_string(), "-p".to_owned(), of_nginx.to_string()]
        };
        let server = Server::start("nginx", "nginx-light", start);
        let last = *ports.last().expect("a port");
        let listens = || std::net::TcpStream::connect(("127.0.0.1", last)).is_ok();
        wait_until(|| format!("nginx listens; its log:\n{}", server.log()), listens);
        (server, ports)
    }
}

#[test]
fn each_bad_certificate_is_called_by_its_name() {
    let workshop = Workshop::open();
    workshop.issue("expired", false, |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    });
    workshop.issue("early", false, |params| params.not_before = date_time_ymd(2090, 1, 1));
    workshop.issue("client", false, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    workshop.issue("other", false, |params| {
        *params = CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
    });
    // As `openssl req -x509` makes it: a CA certificate as a server's certificate.
    workshop.issue("selfsigned", true, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    workshop.issue("foreign", true, |params| params.distinguished_name.push(DnType::CommonName, "Foreign"));
    workshop.issue("good", false, |_| {});
    workshop.issue_version_1();
    let cases = [
        ("expired", "its certificate has expired", "renew"),
        ("early", "its certificate is not valid yet", "clocks"),
        ("client", "its certificate is not meant for servers", "serverAuth"),
        ("other", "its certificate is not for this host", "subjectAltName"),
        ("selfsigned", "the certificate of an authority (CA:TRUE) as its own", "CA:FALSE"),
        ("foreign", "issued by an authority that this mirror does not trust", "--ca-path"),
        ("version1", "its certificate is of X.509 version 1", "version 3"),
    ];
    let names: Vec<&str> = cases.iter().map(|(name, ..)| *name).chain(["good"]).collect();
    let (_nginx, ports) = workshop.nginx(&names);
    // The self-signed certificate is in the file of CA certificates, which does not help.
    let both =
        ["authority", "selfsigned"].map(|name| std::fs::read_to_string(workshop.path(&format!("{name}.pem"))).unwrap());
    std::fs::write(workshop.path("trusted.pem"), both.concat()).unwrap();
    let mirror = Mirror::start_with(&["--ca-path", workshop.path("trusted.pem").to_str().unwrap()]);
    let url = |port: &u16| json!({"url": format!("https://localhost:{port}/")});
    for ((_, says, remedy), port) in cases.iter().zip(&ports) {
        check_fails(&mirror, &url(port), SECOND, &["cannot be reached: no TLS connection: ", says, remedy]);
    }
    // The good certificate is accepted, but there is no Prometheus.
    check_fails(&mirror, &url(ports.last().unwrap()), SECOND, &["HTTP status 404"]);
    // A CA with the same name and another key.
    let other = Workshop::open();
    let mirror = Mirror::start_with(&["--ca-path", other.path("authority.pem").to_str().unwrap()]);
    let says = ["not signed by the authority in --ca-path that has the name of its issuer", "replace the authority"];
    check_fails(&mirror, &url(ports.last().unwrap()), SECOND, &says);
    // A server without TLS.
    let port = prometheus::shared().details()["port"].clone();
    let details = json!({"url": format!("https://localhost:{port}/")});
    check_fails(&mirror, &details, SECOND, &["cannot be reached: it does not speak TLS on this port", "http://"]);
}

#[test]
fn a_client_certificate_that_is_demanded_is_said() {
    let certificates = Certificates::of("localhost");
    let Certificates { authority, certificate, key, .. } = &certificates;
    for version in ["TLS12", "TLS13"] {
        let server = Server::start("prometheus", "prometheus", |directory, port| {
            let tls = format!(
                "tls_server_config: {{cert_file: {}, key_file: {}, client_ca_file: {}, min_version: {version}, \
                 max_version: {version}, client_auth_type: RequireAndVerifyClientCert}}",
                certificate.display(),
                key.display(),
                authority.display()
            );
            std::fs::write(directory.join("web.yml"), tls).unwrap();
            std::fs::write(directory.join("prometheus.yml"), "").unwrap();
            vec![
                format!("--config.file={}", directory.join("prometheus.yml").display()),
                format!("--storage.tsdb.path={}", directory.join("data").display()),
                format!("--web.config.file={}", directory.join("web.yml").display()),
                format!("--web.listen-address=127.0.0.1:{port}"),
            ]
        });
        let listens = || std::net::TcpStream::connect(("127.0.0.1", server.port())).is_ok();
        wait_until(|| format!("Prometheus listens; its log:\n{}", server.log()), listens);
        let mirror = Mirror::start_with(&["--ca-path", authority.to_str().unwrap()]);
        let details = json!({"url": format!("https://localhost:{}/", server.port())});
        for _ in 0..3 {
            check_fails(&mirror, &details, SECOND * 2, &["it requires a client certificate", "--upstreams-file"]);
        }
    }
}

/// Without TLS 1.3, OpenSSL says only that the handshake failed.
#[test]
fn a_handshake_that_is_refused_without_a_reason_names_the_usual_ones() {
    require("openssl", "openssl");
    let certificates = Certificates::of("localhost");
    let Certificates { authority, certificate, key, .. } = &certificates;
    for demand in ["-Verify 1 -verify_return_error", "-cipher AES128-SHA"] {
        let server = Server::start("openssl", "openssl", |_, port| {
            let files = format!("-cert {} -key {}", certificate.display(), key.display());
            let args = format!("s_server -accept {port} -tls1_2 -quiet {files} {demand}");
            args.split(' ').map(str::to_owned).collect()
        });
        let listens = || std::net::TcpStream::connect(("127.0.0.1", server.port())).is_ok();
        wait_until(|| format!("openssl listens; its log:\n{}", server.log()), listens);
        let mirror = Mirror::start_with(&["--ca-path", authority.to_str().unwrap()]);
        let details = json!({"url": format!("https://localhost:{}/", server.port())});
        let says = [
            "it refuses the handshake: it has no cipher suite in common with its client, or requires a client certificate",
            "enable a cipher suite with ECDHE there; if it requires a client certificate, list the upstream in the --upstreams-file",
        ];
        check_fails(&mirror, &details, SECOND * 2, &says);
    }
}
