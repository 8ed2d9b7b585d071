//! How TLS is spoken with an upstream: which authorities are trusted, which certificate is shown, which versions are allowed.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion};

use crate::secret::Secret;

use super::authorities::Authorities;
use super::secret_source::{BadSecretFile, SecretSource};

/// The most bytes of a file with certificates: 1 MiB, as much as a ConfigMap can hold.
const MAX_PEM_BYTES: u64 = 1 << 20;

/// What is set (`tls_config` of Prometheus). By default, the authorities that `--ca-file` gives are trusted and no certificate is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::prometheus) struct TlsSettings {
    /// PEM certificates of the authorities that are trusted, instead of the mirror's own.
    pub(in crate::prometheus) ca: Option<SecretSource>,
    /// The PEM certificate that is shown, with those between it and its authority.
    pub(in crate::prometheus) certificate: Option<SecretSource>,
    /// Its key.
    pub(in crate::prometheus) key: Option<SecretSource>,
    /// The name that the server's certificate must be for, instead of the host in the URL.
    pub(in crate::prometheus) server_name: Option<String>,
    pub(in crate::prometheus) min_version: Option<TlsVersion>,
    pub(in crate::prometheus) max_version: Option<TlsVersion>,
    /// Whether any certificate is taken, of anybody.
    pub(in crate::prometheus) insecure_skip_verify: bool,
}

/// A version of TLS. Those before it are not spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(in crate::prometheus) enum TlsVersion {
    Tls12,
    Tls13,
}

/// What stands in the files that the settings name.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::prometheus) struct TlsMaterial {
    ca: Option<Secret>,
    certificate: Option<Secret>,
    key: Option<Secret>,
}

/// Why TLS cannot be spoken as it is set.
#[derive(Debug)]
pub enum BadTls {
    /// A file is of no use.
    File(BadSecretFile),
    /// A text is no PEM, or holds nothing of the kind: which, and what it must be.
    Pem(&'static str, &'static str),
    /// The TLS library refuses certificate and key; its reason.
    Pair(String),
}

impl fmt::Display for BadTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadTls::File(bad) => bad.fmt(f),
            BadTls::Pem(what, expected) => write!(f, "{what} of tls_config must hold {expected}"),
            BadTls::Pair(reason) => write!(f, "certificate and key of tls_config do not go together: {reason}"),
        }
    }
}

impl std::error::Error for BadTls {}

impl TlsSettings {
    /// Whether a server's certificate can be for this name.
    pub(in crate::prometheus) fn is_server_name(text: &str) -> bool {
        ServerName::try_from(text).is_ok()
    }

    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(in crate::prometheus) fn material(&self) -> Result<TlsMaterial, BadTls> {
        let read = |source: &Option<SecretSource>| {
            source.as_ref().map(|source| source.read_up_to(MAX_PEM_BYTES)).transpose().map_err(BadTls::File)
        };
        Ok(TlsMaterial { ca: read(&self.ca)?, certificate: read(&self.certificate)?, key: read(&self.key)? })
    }

    /// What the TLS library takes; `authorities` are trusted where the settings name none.
    ///
    /// # Errors
    /// When the material is of no use.
    pub(in crate::prometheus) fn client_config(
        &self,
        material: &TlsMaterial,
        authorities: &Authorities,
    ) -> Result<ClientConfig, BadTls> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(self.versions())
            .map_err(|error| BadTls::Pair(error.to_string()))?;
        let builder = if self.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else {
            let roots = match &material.ca {
                Some(ca) => certificates(ca)
                    .map(roots)
                    .filter(|roots| !roots.is_empty())
                    .ok_or(BadTls::Pem("ca or ca_file", CERTIFICATES))?,
                None => authorities.roots(),
            };
            builder.with_root_certificates(roots)
        };
        match (&material.certificate, &material.key) {
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate).ok_or(BadTls::Pem("cert or cert_file", CERTIFICATES))?;
                let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes()).map_err(|_| {
                    BadTls::Pem(
                        "key or key_file",
                        "a private key in PEM (PKCS#8, PKCS#1 or SEC1) that is not encrypted",
                    )
                })?;
                builder.with_client_auth_cert(chain, key).map_err(|error| BadTls::Pair(error.to_string()))
            }
            _ => Ok(builder.with_no_client_auth()),
        }
    }

    /// What the TLS library takes where nothing is set.
    pub(in crate::prometheus) fn default_config(authorities: &Authorities) -> ClientConfig {
        let roots = authorities.roots();
        ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
    }

    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        static ALL: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match (self.min_version, self.max_version) {
            (Some(TlsVersion::Tls13), _) => &ALL[..1],
            (_, Some(TlsVersion::Tls12)) => &ALL[1..],
            _ => &ALL,
        }
    }
}

const CERTIFICATES: &str = "certificates in PEM";

/// All certificates in a PEM text, of which there is at least one.
pub(super) fn certificates(pem: &Secret) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.reveal().as_bytes()).collect();
    found.ok().filter(|certificates| !certificates.is_empty())
}

/// Those certificates that can be trusted as authorities. One that cannot is no reason to refuse the others: bundles hold such.
pub(super) fn roots(certificates: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    roots
}

/// Takes any certificate, but sees that the server has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
