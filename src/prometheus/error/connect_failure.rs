//! Why there is no connection, and what the operator of the mirror can change.

use std::fmt;
use std::net::IpAddr;

use super::silence::WaitedFor;
use super::tls_failure::TlsFailure;
use super::vocabulary::{HOST, HOST_AND_PORT, PORT, URL, Vocabulary};

/// Why there is no connection.
#[derive(Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The address of the host is unknown.
    NoAddress {
        /// The name of the host.
        name: String,
        /// Why its look-up failed.
        why: LookupFailure,
        /// Which name servers answer for other names, if none answers for this one.
        servers: Box<ServersSeen>,
    },
    /// No response to the attempt to connect.
    Silent {
        /// How long the mirror waited, in milliseconds.
        waited_ms: u128,
    },
    /// Nothing listens on the port, or a firewall rejects the connection.
    ConnectionRefused,
    /// The system's reason.
    System(String),
    /// A TCP connection, but no response to the TLS hello.
    TlsSilent {
        /// How long the mirror waited, in milliseconds.
        waited_ms: u128,
    },
    /// A TCP connection, closed during the TLS handshake.
    TlsClosed,
    /// The response to the TLS hello is not TLS.
    NotTls,
    /// The response to a call over http is TLS.
    OnlyTls,
    /// The TLS handshake failed.
    Tls(TlsFailure),
}

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupFailure {
    /// The name server knows no such name, or no address of it.
    NotFound,
    /// The name server responds with a failure, or cannot be reached.
    ServerFails,
    /// The name server does not answer.
    ServerSilent,
    /// The name was not looked up: other look-ups are waiting for a silent name server, which did not answer for this name at once
    /// either.
    Busy,
    /// The system could not make the look-up, for this reason.
    System(String),
}

/// Which name servers answer, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServersSeen {
    /// Those that have answered lately.
    pub answering: Vec<IpAddr>,
    /// The others.
    pub silent: Vec<IpAddr>,
}

/// Continues a sentence about a name that the name servers do not answer for.
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

impl ConnectFailure {
    /// What the call waited for without success, if it waited for its whole timeout.
    pub(in crate::prometheus) fn waited_for(&self) -> Option<WaitedFor> {
        match self {
            ConnectFailure::NoAddress { why, .. } => match why {
                LookupFailure::ServerSilent | LookupFailure::Busy => Some(WaitedFor::NameServer),
                LookupFailure::NotFound | LookupFailure::ServerFails | LookupFailure::System(_) => None,
            },
            ConnectFailure::Silent { .. } => Some(WaitedFor::Connection),
            ConnectFailure::TlsSilent { .. } => Some(WaitedFor::Tls),
            ConnectFailure::ConnectionRefused | ConnectFailure::System(_) => None,
            ConnectFailure::TlsClosed | ConnectFailure::NotTls | ConnectFailure::OnlyTls | ConnectFailure::Tls(_) => {
                None
            }
        }
    }

    /// Replaces a wait of at least nine tenths of the timeout by the whole timeout, which is the number that the admin has set.
    pub(in crate::prometheus) fn in_whole(self, whole_ms: u128) -> ConnectFailure {
        let shown = |waited_ms: u128| if waited_ms * 10 < whole_ms * 9 { waited_ms } else { whole_ms };
        match self {
            ConnectFailure::Silent { waited_ms } => ConnectFailure::Silent { waited_ms: shown(waited_ms) },
            ConnectFailure::TlsSilent { waited_ms } => ConnectFailure::TlsSilent { waited_ms: shown(waited_ms) },
            other => other,
        }
    }

    /// Its stable code.
    pub(in crate::prometheus) fn code(&self) -> &'static str {
        match self {
            ConnectFailure::NoAddress { why, .. } => match why {
                LookupFailure::NotFound => "name_not_found",
                LookupFailure::ServerFails | LookupFailure::System(_) => "name_server_failed",
                LookupFailure::ServerSilent | LookupFailure::Busy => "name_server_silent",
            },
            ConnectFailure::Silent { .. } => "connect_timeout",
            ConnectFailure::ConnectionRefused | ConnectFailure::System(_) => "unreachable",
            ConnectFailure::TlsSilent { .. }
            | ConnectFailure::TlsClosed
            | ConnectFailure::NotTls
            | ConnectFailure::OnlyTls
            | ConnectFailure::Tls(_) => "tls",
        }
    }

    /// What to change if an upstream cannot be connected to.
    pub(super) fn remedy(&self, words: Vocabulary<'_>) -> String {
        match self {
            ConnectFailure::NoAddress { why: LookupFailure::NotFound, .. } => {
                format!("check {}, as it is named where this mirror runs", words.setting(HOST))
            }
            ConnectFailure::NoAddress { why: LookupFailure::ServerFails, .. } => {
                "check the name server in this mirror's /etc/resolv.conf, and what it says of the name".to_owned()
            }
            ConnectFailure::NoAddress { .. } => {
                "check that a firewall or NetworkPolicy lets this mirror reach the name server in its /etc/resolv.conf \
                 (port 53, UDP and TCP), and that the name server is running"
                    .to_owned()
            }
            ConnectFailure::Silent { .. } => format!(
                "check {}, and whether a firewall or NetworkPolicy drops this mirror's connections",
                words.setting(HOST_AND_PORT)
            ),
            ConnectFailure::ConnectionRefused => format!(
                "check {}, that Prometheus is running, and that no firewall rejects this mirror's connections",
                words.setting(PORT)
            ),
            ConnectFailure::System(_) => {
                format!("check {}, and that this mirror may connect there", words.setting(HOST_AND_PORT))
            }
            ConnectFailure::TlsSilent { .. } => {
                format!("check that the port uses https; if it uses http, begin {} with http://", words.setting(URL))
            }
            ConnectFailure::TlsClosed => format!(
                "check that the port uses https, and whether it requires another client certificate; if it uses http, begin {} \
                 with http://",
                words.setting(URL)
            ),
            ConnectFailure::NotTls => {
                format!("begin {} with http://, or give the port that uses https", words.setting(URL))
            }
            ConnectFailure::OnlyTls => format!("give its address as {}, beginning with https://", words.setting(URL)),
            ConnectFailure::Tls(failure) => failure.remedy(words),
        }
    }

    /// What to change if the proxy cannot be connected to.
    pub(super) fn remedy_at_proxy(&self, words: Vocabulary<'_>) -> String {
        let proxy = words.proxy();
        match self {
            ConnectFailure::NoAddress { why: LookupFailure::NotFound, .. } => format!("check {proxy}"),
            ConnectFailure::NoAddress { .. } => format!("check the name server of this mirror, and {proxy}"),
            ConnectFailure::Silent { .. } | ConnectFailure::ConnectionRefused | ConnectFailure::System(_) => {
                format!("check {proxy}, that the proxy is running, and that this mirror may connect to it")
            }
            ConnectFailure::TlsSilent { .. }
            | ConnectFailure::TlsClosed
            | ConnectFailure::NotTls
            | ConnectFailure::OnlyTls
            | ConnectFailure::Tls(_) => format!(
                "check that its port uses https, as {proxy} says, and that its certificate is of a public authority or of one \
                 in {}",
                words.ca_file()
            ),
        }
    }

    /// What is wrong, as a clause.
    pub(super) fn cause(&self, words: Vocabulary<'_>) -> String {
        match self {
            ConnectFailure::NoAddress { name, why, servers } => match why {
                LookupFailure::NotFound => {
                    format!("the name server of this mirror has no address for the name {name} (NXDOMAIN, or no data)")
                }
                LookupFailure::ServerFails => {
                    format!("the name server of this mirror failed (SERVFAIL) or is unreachable for the name {name}")
                }
                LookupFailure::ServerSilent => {
                    format!("the name server of this mirror does not answer for the name {name}{servers}")
                }
                LookupFailure::Busy => format!(
                    "the name {name} was not looked up: too many look-ups already wait for a name server that does not \
                     answer{servers}"
                ),
                LookupFailure::System(reason) => format!("this mirror cannot look up the name {name}: {reason}"),
            },
            ConnectFailure::Silent { waited_ms } => format!("no connection within {waited_ms} ms"),
            ConnectFailure::ConnectionRefused => "Connection refused".to_owned(),
            ConnectFailure::System(reason) => reason.clone(),
            ConnectFailure::TlsSilent { waited_ms } => {
                format!("it accepted the connection, but did not answer the TLS hello within {waited_ms} ms")
            }
            ConnectFailure::TlsClosed => "it closed the connection during the TLS handshake".to_owned(),
            ConnectFailure::NotTls => "it does not speak TLS on this port".to_owned(),
            ConnectFailure::OnlyTls => "it answers http with TLS, so its port uses https".to_owned(),
            ConnectFailure::Tls(failure) => format!("no TLS connection: {}", failure.cause(words)),
        }
    }
}
