//! The TLS settings of an upstream: trusted authorities, client certificate, versions.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};

use crate::secret::Secret;

use super::authorities::{Authorities, roots};
use super::secret_source::{FilePlace, SecretSource, Unusable};

/// `tls_config` of an upstream, as in Prometheus. By default, the authorities of `--ca-path` are trusted, and there is no client
/// certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::prometheus) struct TlsSettings {
    pub(in crate::prometheus) place: FilePlace,
    /// The trusted authorities as PEM certificates, instead of the mirror's own.
    pub(in crate::prometheus) ca: Option<SecretSource>,
    /// The client certificate as PEM, with the intermediate ones.
    pub(in crate::prometheus) certificate: Option<SecretSource>,
    /// The key of the client certificate.
    pub(in crate::prometheus) key: Option<SecretSource>,
    /// The name that the server's certificate must be for, instead of the host in the URL.
    pub(in crate::prometheus) server_name: Option<String>,
    pub(in crate::prometheus) min_version: Option<TlsVersion>,
    pub(in crate::prometheus) max_version: Option<TlsVersion>,
    /// Whether any certificate of a server is accepted.
    pub(in crate::prometheus) insecure_skip_verify: bool,
}

/// A version of TLS. Older ones are not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(in crate::prometheus) enum TlsVersion {
    Tls12,
    Tls13,
}

/// The contents of the files that the settings name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prometheus) struct TlsMaterial {
    ca: Option<Secret>,
    certificate: Option<Secret>,
    key: Option<Secret>,
}

impl TlsSettings {
    /// Whether a certificate can be for this name.
    pub(in crate::prometheus) fn is_server_name(text: &str) -> bool {
        ServerName::try_from(text).is_ok()
    }

    /// Reads all files.
    ///
    /// # Errors
    /// Fails if one cannot be read.
    pub(in crate::prometheus) fn material(&self) -> Result<TlsMaterial, Unusable> {
        Ok(TlsMaterial { ca: read(&self.ca)?, certificate: read(&self.certificate)?, key: read(&self.key)? })
    }

    /// Reads the file of the authorities again, and keeps the rest.
    ///
    /// # Errors
    /// Fails if it cannot be read.
    pub(in crate::prometheus) fn with_new_ca(&self, before: &TlsMaterial) -> Result<TlsMaterial, Unusable> {
        Ok(TlsMaterial { ca: read(&self.ca)?, ..before.clone() })
    }

    /// Reads the files of the client certificate and of its key again, which belong together, and keeps the rest.
    ///
    /// # Errors
    /// Fails if one cannot be read.
    pub(in crate::prometheus) fn with_new_pair(&self, before: &TlsMaterial) -> Result<TlsMaterial, Unusable> {
        Ok(TlsMaterial { certificate: read(&self.certificate)?, key: read(&self.key)?, ..before.clone() })
    }

    /// The configuration of the TLS library; `authorities` are trusted if the settings name none.
    ///
    /// # Errors
    /// Fails if the contents of the files cannot be used.
    pub(in crate::prometheus) fn client_config(
        &self,
        material: &TlsMaterial,
        authorities: &Authorities,
    ) -> Result<ClientConfig, Unusable> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(self.versions())
            .map_err(|error| Unusable::at(self.place.clone(), format!("cannot be used: {error}")))?;
        let builder = if self.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else {
            let trusted = match (&self.ca, &material.ca) {
                (Some(source), Some(ca)) => certificates(ca)
                    .map(roots)
                    .filter(|roots| !roots.is_empty())
                    .ok_or_else(|| source.faulty(CERTIFICATES))?,
                _ => authorities.roots(),
            };
            builder.with_root_certificates(trusted)
        };
        match (&self.certificate, &material.certificate, &self.key, &material.key) {
            (Some(of_certificate), Some(certificate), Some(of_key), Some(key)) => {
                let chain = certificates(certificate).ok_or_else(|| of_certificate.faulty(CERTIFICATES))?;
                let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes()).map_err(|_| of_key.faulty(KEY))?;
                let paired = builder.with_client_auth_cert(chain, key);
                paired.map_err(|error| match error {
                    rustls::Error::InconsistentKeys(_) => {
                        of_certificate.faulty("and the key do not go together; give the key of this certificate")
                    }
                    rustls::Error::InvalidCertificate(_) => of_certificate.faulty(UNUSABLE_CERTIFICATE),
                    _ => of_key.faulty(KEY),
                })
            }
            _ => Ok(builder.with_no_client_auth()),
        }
    }

    /// The configuration of the TLS library without settings.
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

fn read(source: &Option<SecretSource>) -> Result<Option<Secret>, Unusable> {
    source.as_ref().map(SecretSource::read).transpose()
}

const CERTIFICATES: &str =
    "must hold certificates in PEM, each from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----";
const UNUSABLE_CERTIFICATE: &str =
    "must hold a certificate that can be used, which one of X.509 version 1 cannot; issue it anew as version 3";
const KEY: &str = "must hold a private key in PEM (PKCS#8, PKCS#1 or SEC1) that is not encrypted";

/// All certificates in a PEM text; `None` if there is none.
pub(super) fn certificates(pem: &Secret) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.reveal().as_bytes()).collect();
    found.ok().filter(|certificates| !certificates.is_empty())
}

/// Accepts any certificate, but checks that the server has its key.
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

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::prometheus::access::secret_source::{SecretForm, SecretOrigin};

    use super::*;

    #[test]
    fn authorities_are_reloaded_separately_from_the_certificate_and_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let source = |name: &str| {
            write(name, "before");
            let origin = SecretOrigin::File(folder.path().join(name));
            Some(SecretSource { origin, form: SecretForm::Pem, place: FilePlace::default() })
        };
        let settings = TlsSettings {
            ca: source("ca"),
            certificate: source("certificate"),
            key: source("key"),
            ..TlsSettings::default()
        };
        let before = settings.material().unwrap();
        let now = |ca: &str, pair: &str| {
            let secret = |text| Some(Secret::new(text));
            TlsMaterial { ca: secret(ca), certificate: secret(pair), key: secret(pair) }
        };
        assert_eq!(before, now("before", "before"));
        write("ca", "now");
        write("certificate", "now");
        write("key", "");
        assert_eq!(settings.with_new_ca(&before).unwrap(), now("now", "before"));
        assert!(settings.with_new_pair(&before).is_err());
        write("key", "now");
        write("ca", "");
        assert_eq!(settings.with_new_pair(&before).unwrap(), now("before", "now"));
        assert!(settings.with_new_ca(&before).is_err());
    }
}
