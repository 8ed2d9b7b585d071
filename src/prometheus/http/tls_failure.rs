//! The meaning of the TLS library's errors.

use std::io;

use ureq::Error;

use crate::prometheus::error::{ConnectFailure, TlsFailure, predicate_of_mirror};

/// The meaning of a failed handshake, after a wait of `waited_ms`.
pub(super) fn of_handshake(error: Error, waited_ms: u128) -> ConnectFailure {
    match error {
        Error::Timeout(_) => ConnectFailure::TlsSilent { waited_ms },
        Error::Io(error) => match of_rustls(&error) {
            Some(failure) => failure,
            None if error.kind() == io::ErrorKind::InvalidData => {
                ConnectFailure::Tls(TlsFailure::Other(error.to_string()))
            }
            None => ConnectFailure::TlsClosed,
        },
        Error::Rustls(error) => of_tls(&error),
        other => ConnectFailure::Tls(TlsFailure::Other(other.to_string())),
    }
}

/// The meaning of an error of a TLS stream, if the TLS library raised it.
pub(super) fn of_rustls(error: &io::Error) -> Option<ConnectFailure> {
    error.get_ref()?.downcast_ref::<rustls::Error>().map(of_tls)
}

/// Why there is no TLS connection to a mirror, and what to change, as a predicate. `None` if the TLS library did not raise the error.
pub fn mirror_without_tls(error: &Error) -> Option<String> {
    let Error::Io(error) = error else { return None };
    of_rustls(error).map(predicate_of_mirror)
}

fn of_tls(error: &rustls::Error) -> ConnectFailure {
    ConnectFailure::Tls(match error {
        rustls::Error::InvalidMessage(_) => return ConnectFailure::NotTls,
        rustls::Error::InvalidCertificate(error) => of_certificate(error),
        rustls::Error::AlertReceived(alert) => of_alert(*alert),
        rustls::Error::PeerIncompatible(_) => TlsFailure::Incompatible,
        other => TlsFailure::Other(other.to_string()),
    })
}

fn of_alert(alert: rustls::AlertDescription) -> TlsFailure {
    use rustls::AlertDescription as Alert;
    TlsFailure::ClientCertificate(match alert {
        Alert::CertificateRequired => None,
        Alert::BadCertificate => Some("bad certificate"),
        Alert::UnsupportedCertificate => Some("unsupported certificate"),
        Alert::CertificateRevoked => Some("certificate revoked"),
        Alert::CertificateExpired => Some("certificate expired"),
        Alert::CertificateUnknown => Some("certificate unknown"),
        Alert::UnknownCA => Some("unknown authority"),
        Alert::AccessDenied => Some("access denied"),
        // Without TLS 1.3, a server that gets no client certificate says no more than this.
        Alert::HandshakeFailure => return TlsFailure::Refused,
        Alert::ProtocolVersion | Alert::InsufficientSecurity => return TlsFailure::Incompatible,
        other => return TlsFailure::Other(rustls::Error::AlertReceived(other).to_string()),
    })
}

fn of_certificate(error: &rustls::CertificateError) -> TlsFailure {
    use rustls::CertificateError as Bad;
    match error {
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => TlsFailure::OtherName,
        Bad::UnknownIssuer => TlsFailure::UnknownIssuer,
        Bad::BadSignature => TlsFailure::OtherKey,
        Bad::Expired | Bad::ExpiredContext { .. } => TlsFailure::Expired,
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => TlsFailure::NotYetValid,
        Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => TlsFailure::OtherPurpose,
        Bad::Other(other) => match other.0.downcast_ref::<webpki::Error>() {
            Some(webpki::Error::CaUsedAsEndEntity) => TlsFailure::Authority,
            Some(webpki::Error::UnsupportedCertVersion) => TlsFailure::Version1,
            _ => TlsFailure::Other(error.to_string()),
        },
        _ => TlsFailure::Other(error.to_string()),
    }
}
