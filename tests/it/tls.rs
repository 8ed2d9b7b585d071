//! A real Prometheus that speaks only https and asks for a password, with a certificate of an authority of our own.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::mirror::Mirror;
use crate::support::process::{Server, wait_until};

const PASSWORD: &str = "ever/so:hush";
/// The same, as it stands in a URL.
const ENCODED: &str = "ever%2Fso%3Ahush";
/// The same, as bcrypt keeps it.
const HASH: &str = "$2b$04$U8D66NyKaDD/cdGl8YejYeU6eMDFYJE1sVYUak3cYn1zqoMQXXRtC";

/// An authority, a certificate of its for `localhost`, and the key that belongs to that, as PEM files.
struct Certificates {
    _directory: TempDir,
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificates {
    fn make() -> Certificates {
        let mut authority = CertificateParams::new(vec![]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();

        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        Certificates {
            authority: file("authority.pem", authority_pem),
            certificate: file("certificate.pem", certificate.pem()),
            key: file("key.pem", key.serialize_pem()),
            _directory: directory,
        }
    }

    /// A mirror that trusts the authority.
    fn trusting_mirror(&self) -> Mirror {
        Mirror::start_with(&["--ca-file", self.authority.to_str().unwrap()])
    }

    /// A Prometheus that shows the certificate, and whose only user is `ever`.
    fn prometheus(&self) -> Server {
        let Certificates { certificate, key, .. } = self;
        Server::start("prometheus", "prometheus", |directory, port| {
            let web = directory.join("web.yml");
            let tls =
                format!("tls_server_config: {{cert_file: {}, key_file: {}}}", certificate.display(), key.display());
            std::fs::write(&web, format!("{tls}\nbasic_auth_users: {{ever: \"{HASH}\"}}\n")).unwrap();
            std::fs::write(directory.join("prometheus.yml"), "").unwrap();
            vec![
                format!("--config.file={}", directory.join("prometheus.yml").display()),
                format!("--storage.tsdb.path={}", directory.join("data").display()),
                format!("--web.config.file={}", web.display()),
                format!("--web.listen-address=127.0.0.1:{port}"),
            ]
        })
    }
}

fn url(server: &Server, host: &str, credentials: &str) -> Value {
    let port = &server.details()["port"];
    json!({"url": format!("https://{credentials}{host}:{port}/")})
}

/// The verdict of a connection test: its status, or what its error says.
fn verdict(mirror: &Mirror, details: &Value) -> String {
    let answer = mirror.post("/api/connection", &json!({"connectionDetails": details}));
    let error = &answer.json["error"];
    if error.is_null() { answer.json["status"].to_string() } else { error.to_string() }
}

#[test]
fn an_upstream_may_speak_https_and_ask_for_a_password() {
    let certificates = Certificates::make();
    let (mirror, prometheus) = (certificates.trusting_mirror(), certificates.prometheus());
    let with_password = url(&prometheus, "localhost", &format!("ever:{ENCODED}@"));
    wait_until(
        || format!("the connection is good: {}", verdict(&mirror, &with_password)),
        || verdict(&mirror, &with_password) == "\"OK\"",
    );

    let without = verdict(&mirror, &url(&prometheus, "localhost", ""));
    assert!(without.contains("MetricStoreConnectionError") && without.contains("401"), "{without}");
    let wrong = verdict(&mirror, &url(&prometheus, "localhost", "ever:wrong-secret@"));
    assert!(wrong.contains("401") && !wrong.contains("wrong-secret"), "{wrong}");

    // Another name than the certificate's, and a mirror that trusts public authorities only.
    let other_name = verdict(&mirror, &url(&prometheus, "127.0.0.1", &format!("ever:{ENCODED}@")));
    let distrusting = verdict(&Mirror::start(), &with_password);
    for refused in [other_name, distrusting] {
        assert!(refused.contains("MetricStoreConnectionError") && refused.contains("--ca-file"), "{refused}");
    }
    let log = mirror.log();
    for secret in [PASSWORD, ENCODED, "wrong-secret"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_file_of_authorities_that_is_none_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "no certificate").unwrap();
    for path in [empty, directory.path().join("missing.pem")] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_prometheusmirror"))
            .args(["--api-key", "k", "--port", "0", "--ca-file", path.to_str().unwrap()])
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(error.contains("--ca-file") && error.contains(path.to_str().unwrap()), "{error}");
    }
}
