//! Why a TLS handshake failed, and what the operator of the mirror can change.

use super::vocabulary::Vocabulary;

/// Why a TLS handshake failed.
#[derive(Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// The certificate is for other names.
    OtherName,
    /// The certificate is issued by an authority that is not trusted.
    UnknownIssuer,
    /// The certificate is not signed by the trusted authority that has the name of its issuer.
    OtherKey,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The server sends the certificate of an authority as its own.
    Authority,
    /// The certificate is of X.509 version 1.
    Version1,
    /// The certificate is not meant for servers.
    OtherPurpose,
    /// The server requires a client certificate, or refuses the one that the mirror sent: its alert, if it sent one.
    ClientCertificate(Option<&'static str>),
    /// No TLS version or cipher suite in common.
    Incompatible,
    /// The server refuses the handshake without a reason.
    Refused,
    /// Anything else, in the words of the TLS library.
    Other(String),
}

impl TlsFailure {
    /// What is wrong, as a clause.
    pub(super) fn cause(&self, words: Vocabulary<'_>) -> String {
        let cause = match self {
            TlsFailure::OtherName => return format!("its certificate is not for {}", words.expected_name()),
            TlsFailure::UnknownIssuer => {
                return format!(
                    "its certificate is issued by an authority that {} does not trust ({})",
                    words.program(),
                    words.trusted_authorities()
                );
            }
            TlsFailure::OtherKey => {
                return format!(
                    "its certificate is not signed by the authority in {} that has the name of its issuer",
                    words.authorities()
                );
            }
            TlsFailure::Expired => "its certificate has expired",
            TlsFailure::NotYetValid => "its certificate is not valid yet",
            TlsFailure::Authority => {
                "it shows the certificate of an authority (CA:TRUE) as its own, as self-signed ones often are"
            }
            TlsFailure::Version1 => "its certificate is of X.509 version 1, which is not accepted",
            TlsFailure::OtherPurpose => "its certificate is not meant for servers (extended key usage)",
            TlsFailure::ClientCertificate(None) => "it requires a client certificate, but got none",
            TlsFailure::ClientCertificate(Some(why)) => {
                return format!("it requires a client certificate, or refuses the one that it got ({why})");
            }
            TlsFailure::Incompatible => "it has no TLS version or cipher suite in common with its client",
            TlsFailure::Refused => {
                "it refuses the handshake: it has no cipher suite in common with its client, or requires a client certificate"
            }
            TlsFailure::Other(reason) => reason,
        };
        cause.to_owned()
    }

    /// What to change.
    pub(super) fn remedy(&self, words: Vocabulary<'_>) -> String {
        let remedy = match self {
            TlsFailure::OtherName => return words.other_name_remedy(),
            TlsFailure::UnknownIssuer => {
                return format!(
                    "have the certificate of the authority that issued it added to {}; adding the server's own certificate \
                     helps only if it is self-signed",
                    words.ca_file()
                );
            }
            TlsFailure::OtherKey => {
                return format!("replace the authority in {} by the one that issued the certificate", words.ca_file());
            }
            TlsFailure::Expired => "renew the certificate, or check the clocks of both machines",
            TlsFailure::NotYetValid => "check the clocks of both machines",
            TlsFailure::Authority => {
                return format!(
                    "give the server a certificate with basicConstraints CA:FALSE (openssl req -x509 makes CA:TRUE by default), \
                     and have the one of its issuer added to {}",
                    words.ca_file()
                );
            }
            TlsFailure::Version1 => "issue the certificate anew as X.509 version 3, with the host as subjectAltName",
            TlsFailure::OtherPurpose => "issue the certificate with the extended key usage serverAuth",
            TlsFailure::ClientCertificate(_) => return words.client_certificate_remedy(),
            TlsFailure::Incompatible => "enable TLS 1.2 or 1.3 there, with an ECDHE cipher suite",
            TlsFailure::Refused => {
                return format!(
                    "enable a cipher suite with ECDHE there; if it requires a client certificate, {}",
                    words.client_certificate_remedy()
                );
            }
            TlsFailure::Other(_) => "check that the port uses https, and its certificate",
        };
        remedy.to_owned()
    }
}
