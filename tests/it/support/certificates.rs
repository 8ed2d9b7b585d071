//! Certificates of a CA of the tests, and a real Prometheus that presents one.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::process::Server;

/// The password of the only user of [`Certificates::prometheus`].
pub const PASSWORD: &str = "ever/so:hush";
/// The same, as it is written in a URL.
pub const ENCODED: &str = "ever%2Fso%3Ahush";
/// The same, as a bcrypt hash.
const HASH: &str = "$2b$04$U8D66NyKaDD/cdGl8YejYeU6eMDFYJE1sVYUak3cYn1zqoMQXXRtC";

/// A CA, a certificate of it, and the key of that certificate, as PEM files.
pub struct Certificates {
    _directory: TempDir,
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificates {
    /// A certificate for this name or address.
    pub fn of(name: &str) -> Certificates {
        let mut authority = CertificateParams::new(vec![]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().unwrap();
        let mut certificate = CertificateParams::new(vec![name.to_owned()]).unwrap();
        // The name must differ from that of the CA, or OpenSSL considers the certificate self-signed.
        certificate.distinguished_name.push(DnType::CommonName, name);
        let certificate = certificate.signed_by(&key, &issuer).unwrap();

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

    /// A Prometheus that accepts only https, presents the certificate, and whose only user is `ever`.
    pub fn prometheus(&self) -> Server {
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
