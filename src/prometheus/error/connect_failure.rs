//! Why there is no connection, in words that tell whoever runs the mirror what to change.

use std::fmt;
use std::net::IpAddr;

use super::silence::WaitedFor;

/// Why there is no connection. `Display` gives the cause.
#[derive(Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The name server knows no address of this name.
    NameNotFound(String),
    /// The name server answers with a failure, or cannot be reached, when it is asked for this name.
    NameServerFails(String),
    /// The name server does not answer when it is asked for this name.
    NameServerSilent {
        /// The name.
        name: String,
        /// Which name servers answer for other names.
        servers: ServersSeen,
    },
    /// This name was not looked up: other look-ups wait for a silent name server, which did not answer for this name at once.
    LookupsBusy {
        /// The name.
        name: String,
        /// Which name servers answer for other names.
        servers: ServersSeen,
    },
    /// A look-up that the system could not make.
    LookupFailed {
        /// The name.
        name: String,
        /// The system's reason.
        reason: String,
    },
    /// No answer to the attempt to connect.
    Silent {
        /// How long it was waited for, in milliseconds.
        waited_ms: u128,
    },
    /// Nothing listens there, or something on the way refuses the connection.
    Refused,
    /// The system's reason.
    System(String),
    /// A TCP connection, but no answer to the TLS hello.
    TlsSilent {
        /// How long it was waited for, in milliseconds.
        waited_ms: u128,
    },
    /// A TCP connection, closed during the TLS handshake.
    TlsClosed,
    /// What answers the TLS hello is not TLS.
    NotTls,
    /// What answers a question over http is TLS.
    OnlyTls,
    /// The TLS handshake failed.
    Tls(TlsFailure),
}

/// Which of the name servers answer, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServersSeen {
    /// Those that have answered lately.
    pub answering: Vec<IpAddr>,
    /// The others.
    pub silent: Vec<IpAddr>,
}

/// Goes on from a sentence about a name that they do not answer for.
impl fmt::Display for ServersSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |ips: &[IpAddr]| ips.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
        let verb = |ips: &[IpAddr], one, several| if let [_] = ips { one } else { several };
        let ServersSeen { answering, silent } = self;
        match (answering.is_empty(), silent.is_empty()) {
            (true, _) => write!(f, " ({})", list(silent)),
            (false, true) => {
                write!(f, " ({}, which {} for other names)", list(answering), verb(answering, "answers", "answer"))
            }
            (false, false) => write!(
                f,
                " (the name server{} {} {} not answer; {} {}, but not for this name)",
                verb(silent, "", "s"),
                list(silent),
                verb(silent, "does", "do"),
                list(answering),
                verb(answering, "does", "do")
            ),
        }
    }
}

/// Of a certificate for other names. This and what follows has other words where a named upstream has settings of its own.
pub(in crate::prometheus) const OTHER_NAME: &str = "its certificate is not for this host";
/// What to change then.
pub(in crate::prometheus) const OTHER_NAME_REMEDY: &str = "use a host in url that the certificate is for, or have it issued for this host (subjectAltName); for an upstream of \
     the upstreams file, server_name in its tls_config says which name to expect instead";
/// Which authorities are trusted.
pub(in crate::prometheus) const TRUSTED_AUTHORITIES: &str = "it trusts the public ones, or those in --ca-file";
/// The one that did not sign a certificate which says so.
pub(in crate::prometheus) const AUTHORITY_THERE: &str = "the authority in --ca-file";
/// What to change where a client certificate is demanded.
pub(in crate::prometheus) const CLIENT_CERTIFICATE_REMEDY: &str = "list it in the --upstreams-file of this mirror with cert_file and key_file in its tls_config, issued by an \
     authority that it trusts";

/// Why a TLS handshake failed.
#[derive(Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// The certificate is for other names.
    OtherName,
    /// The certificate is of an authority that is not trusted.
    UnknownIssuer,
    /// The certificate is not signed by the trusted authority that has the name of its issuer.
    OtherKey,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The server shows the certificate of an authority as its own.
    Authority,
    /// The certificate is of X.509 version 1.
    Version1,
    /// The certificate is not meant for servers.
    OtherPurpose,
    /// The server demands a client certificate, or refuses the one it got: what it says of that one, if anything.
    ClientCertificate(Option<&'static str>),
    /// No TLS version or cipher suite in common.
    Incompatible,
    /// Anything else, as the TLS library calls it.
    Other(String),
}

impl ConnectFailure {
    /// What was waited for in vain, if a whole timeout was spent on that.
    pub(in crate::prometheus) fn waited_for(&self) -> Option<WaitedFor> {
        match self {
            ConnectFailure::NameServerSilent { .. } | ConnectFailure::LookupsBusy { .. } => Some(WaitedFor::NameServer),
            ConnectFailure::Silent { .. } => Some(WaitedFor::Connection),
            ConnectFailure::TlsSilent { .. } => Some(WaitedFor::Tls),
            _ => None,
        }
    }

    /// The same, but a wait for at least nine tenths of the whole timeout is said to be the whole of it, as the admin set it.
    pub(in crate::prometheus) fn in_whole(self, whole_ms: u128) -> ConnectFailure {
        let shown = |waited_ms: u128| if waited_ms * 10 < whole_ms * 9 { waited_ms } else { whole_ms };
        match self {
            ConnectFailure::Silent { waited_ms } => ConnectFailure::Silent { waited_ms: shown(waited_ms) },
            ConnectFailure::TlsSilent { waited_ms } => ConnectFailure::TlsSilent { waited_ms: shown(waited_ms) },
            other => other,
        }
    }

    /// What the metrics call it.
    pub(in crate::prometheus) fn name(&self) -> &'static str {
        match self {
            ConnectFailure::NameNotFound(_) => "name_not_found",
            ConnectFailure::NameServerFails(_) | ConnectFailure::LookupFailed { .. } => "name_server_failed",
            ConnectFailure::NameServerSilent { .. } | ConnectFailure::LookupsBusy { .. } => "name_server_silent",
            ConnectFailure::Silent { .. } => "connect_timeout",
            ConnectFailure::Refused | ConnectFailure::System(_) => "unreachable",
            ConnectFailure::TlsSilent { .. }
            | ConnectFailure::TlsClosed
            | ConnectFailure::NotTls
            | ConnectFailure::OnlyTls
            | ConnectFailure::Tls(_) => "tls",
        }
    }

    /// What to change when it is an upstream that is not connected to.
    pub(in crate::prometheus) fn remedy(&self) -> &'static str {
        match self {
            ConnectFailure::NameNotFound(_) => {
                "check the host in the connection details, as it is named where this mirror runs"
            }
            ConnectFailure::NameServerFails(_) => {
                "check the name server in this mirror's /etc/resolv.conf, and what it says of the name"
            }
            ConnectFailure::NameServerSilent { .. }
            | ConnectFailure::LookupsBusy { .. }
            | ConnectFailure::LookupFailed { .. } => {
                "check that a firewall or NetworkPolicy lets this mirror reach the name server in its /etc/resolv.conf \
                 (port 53, UDP and TCP), and that the name server is running"
            }
            ConnectFailure::Silent { .. } => {
                "check host and port in the connection details, and whether a firewall or NetworkPolicy drops this \
                 mirror's connections"
            }
            ConnectFailure::Refused => {
                "check the port in the connection details, that Prometheus is running, and that no firewall rejects this \
                 mirror's connections"
            }
            ConnectFailure::System(_) => {
                "check host and port in the connection details, and that this mirror may connect there"
            }
            ConnectFailure::TlsSilent { .. } => {
                "check that the port speaks https; if it speaks http, begin url in the connection details with http://"
            }
            ConnectFailure::TlsClosed => {
                "check that the port speaks https, and whether it demands another client certificate; if it speaks http, begin \
                 url in the connection details with http://"
            }
            ConnectFailure::NotTls => {
                "begin url in the connection details with http://, or give the port that speaks https"
            }
            ConnectFailure::OnlyTls => "give its address as url in the connection details, beginning with https://",
            ConnectFailure::Tls(failure) => failure.remedy(),
        }
    }

    /// What to change when it is the proxy that is not connected to.
    pub(in crate::prometheus) fn remedy_at_proxy(&self) -> &'static str {
        match self {
            ConnectFailure::NameNotFound(_) => "check --proxy of this mirror",
            ConnectFailure::NameServerFails(_)
            | ConnectFailure::NameServerSilent { .. }
            | ConnectFailure::LookupsBusy { .. }
            | ConnectFailure::LookupFailed { .. } => "check the name server of this mirror, and --proxy of this mirror",
            ConnectFailure::Silent { .. } | ConnectFailure::Refused | ConnectFailure::System(_) => {
                "check --proxy of this mirror, that the proxy is running, and that this mirror may connect to it"
            }
            ConnectFailure::TlsSilent { .. }
            | ConnectFailure::TlsClosed
            | ConnectFailure::NotTls
            | ConnectFailure::OnlyTls
            | ConnectFailure::Tls(_) => {
                "check that its port speaks https, as --proxy of this mirror says, and that its certificate is of \
                 a public authority or of one in the --ca-file of this mirror"
            }
        }
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectFailure::NameNotFound(name) => {
                write!(f, "the name {name} has no address, says the name server of this mirror (NXDOMAIN, or no data)")
            }
            ConnectFailure::NameServerFails(name) => write!(
                f,
                "the name server of this mirror answers with a failure (SERVFAIL), or is unreachable, when it is asked for \
                 the name {name}"
            ),
            ConnectFailure::NameServerSilent { name, servers } => {
                write!(
                    f,
                    "the name server of this mirror does not answer when it is asked for the name {name}{servers}"
                )
            }
            ConnectFailure::LookupsBusy { name, servers } => write!(
                f,
                "the name {name} was not looked up, since other look-ups of this mirror wait for a name server that does \
                 not answer, and it does not answer for this name at once either{servers}"
            ),
            ConnectFailure::LookupFailed { name, reason } => {
                write!(f, "this mirror cannot look up the name {name}: {reason}")
            }
            ConnectFailure::Silent { waited_ms } => {
                write!(f, "the attempt to connect was not answered within {waited_ms} ms")
            }
            ConnectFailure::Refused => f.write_str("Connection refused"),
            ConnectFailure::System(reason) => f.write_str(reason),
            ConnectFailure::TlsSilent { waited_ms } => {
                write!(f, "it accepted the connection, but did not answer the TLS hello within {waited_ms} ms")
            }
            ConnectFailure::TlsClosed => f.write_str("it closed the connection during the TLS handshake"),
            ConnectFailure::NotTls => f.write_str("it does not speak TLS on this port"),
            ConnectFailure::OnlyTls => f.write_str("it answers http with TLS, so its port speaks https"),
            ConnectFailure::Tls(failure) => write!(f, "no TLS connection: {failure}"),
        }
    }
}

impl TlsFailure {
    fn remedy(&self) -> &'static str {
        match self {
            TlsFailure::OtherName => OTHER_NAME_REMEDY,
            TlsFailure::UnknownIssuer => {
                "have the certificate of the authority that issued it added to the --ca-file of this mirror; the server's \
                 own certificate does not help there"
            }
            TlsFailure::OtherKey => {
                "replace the authority in the --ca-file of this mirror by the one that issued the certificate"
            }
            TlsFailure::Expired => "renew the certificate, or check the clock of this mirror's machine",
            TlsFailure::NotYetValid => "check the clocks of both machines",
            TlsFailure::Authority => {
                "issue a certificate for the server that is not an authority (basicConstraints CA:FALSE), and keep \
                 the authority for the --ca-file of this mirror"
            }
            TlsFailure::Version1 => "issue the certificate anew as X.509 version 3, with the host as subjectAltName",
            TlsFailure::OtherPurpose => "issue the certificate with the extended key usage serverAuth",
            TlsFailure::ClientCertificate(_) => CLIENT_CERTIFICATE_REMEDY,
            TlsFailure::Incompatible => "enable TLS 1.2 or 1.3 there, with an ECDHE cipher suite",
            TlsFailure::Other(_) => "check that the port speaks https, and its certificate",
        }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsFailure::ClientCertificate(Some(why)) => {
                return write!(f, "it demands a client certificate, or does not accept the one it got ({why})");
            }
            TlsFailure::OtherName => OTHER_NAME,
            TlsFailure::UnknownIssuer => {
                return write!(
                    f,
                    "its certificate is issued by an authority that this mirror does not trust ({TRUSTED_AUTHORITIES})"
                );
            }
            TlsFailure::OtherKey => {
                return write!(f, "its certificate is not signed by {AUTHORITY_THERE} that has the name of its issuer");
            }
            TlsFailure::Expired => "its certificate has expired",
            TlsFailure::NotYetValid => "its certificate is not valid yet",
            TlsFailure::Authority => {
                "it shows the certificate of an authority (CA:TRUE) as its own, as self-signed ones often are"
            }
            TlsFailure::Version1 => "its certificate is of X.509 version 1, which is not accepted",
            TlsFailure::OtherPurpose => "its certificate is not meant for servers (extended key usage)",
            TlsFailure::ClientCertificate(None) => "it demands a client certificate",
            TlsFailure::Incompatible => "it has no TLS version or cipher suite in common with this mirror",
            TlsFailure::Other(reason) => reason,
        })
    }
}
