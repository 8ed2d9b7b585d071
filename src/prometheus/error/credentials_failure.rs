//! Why there are no credentials for an upstream: what hands them out does not.

use std::fmt;
use std::time::Duration;

use super::circumstances::Circumstances;
use super::connect_failure::ConnectFailure;
use super::{ErrorKind, Predicate};

/// The longest pause after a refusal that is final until something changes.
const FINAL_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause after a failure that may pass by itself.
const PASSING_PAUSE: Duration = Duration::from_secs(5);

/// What hands out credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::prometheus) enum Issuer {
    /// The token server of `oauth2`.
    TokenServer,
    /// Amazon's Security Token Service.
    SecurityTokenService,
    /// What hands keys to a container or a pod at Amazon.
    Container,
    /// The metadata service of a machine at Amazon.
    Machine,
}

impl Issuer {
    pub(in crate::prometheus) fn name(self) -> &'static str {
        match self {
            Issuer::TokenServer => "token server",
            Issuer::SecurityTokenService => "Security Token Service",
            Issuer::Container => "credentials service of this container",
            Issuer::Machine => "instance metadata service",
        }
    }

    /// Where its address is written.
    pub(in crate::prometheus) fn address(self) -> &'static str {
        match self {
            Issuer::TokenServer => "token_url in the upstreams file",
            Issuer::SecurityTokenService => "region in the upstreams file, or AWS_ENDPOINT_URL_STS",
            Issuer::Container => "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            Issuer::Machine => "AWS_EC2_METADATA_SERVICE_ENDPOINT, if it is set",
        }
    }

    /// What it may refuse.
    fn shown(self) -> &'static str {
        match self {
            Issuer::TokenServer => "client_id, client_secret, scopes and endpoint_params in the upstreams file",
            Issuer::SecurityTokenService => {
                "the role (role_arn in the upstreams file, or AWS_ROLE_ARN), its trust policy, the keys or the token that this \
                 mirror shows, and the clock of its machine"
            }
            Issuer::Container => {
                "AWS_CONTAINER_AUTHORIZATION_TOKEN or its file, and that a role is associated with this pod or task"
            }
            Issuer::Machine => "that a role is attached to this machine, and that IMDSv2 is enabled",
        }
    }
}

/// What went wrong where credentials are handed out. `Display` gives the predicate of a sentence whose subject is the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsFailure(Problem);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    /// Something is wrong with what hands them out, at this host, port and path.
    At(Issuer, String, AtIssuer),
    /// Nothing that could be asked for them: why, and what to do.
    Nowhere(String, String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum AtIssuer {
    /// No answer: the predicate of a sentence about the server, and what to do.
    Unreachable(String, String),
    /// A status of refusal, and its words.
    Refused(u16, Option<String>),
    /// An answer that holds no credentials: in which way.
    Foreign(&'static str),
    /// A machine that has no role.
    NoRole,
}

impl CredentialsFailure {
    /// There is no answer of a server.
    pub(in crate::prometheus) fn unreachable(issuer: Issuer, server: &str, kind: &ErrorKind) -> CredentialsFailure {
        let (what, remedy) = unanswered(issuer, kind);
        CredentialsFailure(Problem::At(issuer, server.to_owned(), AtIssuer::Unreachable(what, remedy)))
    }

    /// A server refuses. Its words must hold no secret.
    pub(in crate::prometheus) fn refused(
        issuer: Issuer,
        server: &str,
        status: u16,
        words: Option<String>,
    ) -> CredentialsFailure {
        CredentialsFailure(Problem::At(issuer, server.to_owned(), AtIssuer::Refused(status, words)))
    }

    /// A server answers without credentials.
    pub(in crate::prometheus) fn foreign(issuer: Issuer, server: &str, why: &'static str) -> CredentialsFailure {
        CredentialsFailure(Problem::At(issuer, server.to_owned(), AtIssuer::Foreign(why)))
    }

    /// There is nothing to ask for them, for this reason; and what to do.
    pub(in crate::prometheus) fn none(why: impl Into<String>, remedy: impl Into<String>) -> CredentialsFailure {
        CredentialsFailure(Problem::Nowhere(why.into(), remedy.into()))
    }

    /// The machine has no role whose keys could be had.
    pub(in crate::prometheus) fn no_role(server: &str) -> CredentialsFailure {
        CredentialsFailure(Problem::At(Issuer::Machine, server.to_owned(), AtIssuer::NoRole))
    }

    /// Which server did not answer, and why, where that is what is wrong: a sentence without what to do about it.
    pub(in crate::prometheus) fn of_silent_server(&self) -> Option<String> {
        match &self.0 {
            Problem::At(issuer, server, AtIssuer::Unreachable(what, _)) => {
                Some(format!("the {} {server} {what}", issuer.name()))
            }
            _ => None,
        }
    }

    /// Whether the server answered, so that asking it again at once makes no sense.
    pub(in crate::prometheus) fn is_refusal(&self) -> bool {
        !matches!(self.0, Problem::At(_, _, AtIssuer::Unreachable(..)))
    }

    /// How long the server is left alone at most when it goes on like this.
    pub(in crate::prometheus) fn longest_pause(&self) -> Duration {
        if self.is_final() { FINAL_PAUSE } else { PASSING_PAUSE }
    }

    /// Whether it takes a change here or there to get another answer.
    fn is_final(&self) -> bool {
        matches!(self.0, Problem::At(_, _, AtIssuer::Refused(400..=407 | 409..=499, _)))
    }
}

/// Why a server did not answer, as the predicate of a sentence about it; and what to do about it.
fn unanswered(issuer: Issuer, kind: &ErrorKind) -> (String, String) {
    let address = issuer.address();
    let slow = "look at its load, and at the network between this mirror and it; if the timeout of the request is short, raise it";
    let reach = || {
        format!(
            "check {address}, that it is running, and that a firewall or NetworkPolicy lets this mirror connect to it"
        )
    };
    match kind {
        ErrorKind::Timeout { waited_ms, .. } => (format!("did not answer within {waited_ms} ms"), slow.to_owned()),
        ErrorKind::Stalled(ms) => {
            (format!("began to answer, but did not send its whole answer within {ms} ms"), slow.to_owned())
        }
        ErrorKind::NoTimeLeft(ms) => (
            format!("was not asked, because nothing was left of the {ms} ms for it"),
            "raise requestTimeout in the connection details".to_owned(),
        ),
        ErrorKind::TooLarge(most) => (
            format!("answered with more than {most} bytes, which is far more than credentials take"),
            format!("check {address}"),
        ),
        ErrorKind::Closed => ("closed the connection before its answer was whole".to_owned(), reach()),
        ErrorKind::NotPrometheus { found, .. } => {
            (format!("cannot be understood: {found}"), format!("check {address}, its port and http or https included"))
        }
        ErrorKind::Unconnected(failure) => (
            format!("cannot be reached: {failure}"),
            match failure {
                ConnectFailure::Tls(_) => failure.remedy().to_owned(),
                ConnectFailure::NameServerFails(_)
                | ConnectFailure::NameServerSilent { .. }
                | ConnectFailure::LookupsBusy { .. }
                | ConnectFailure::LookupFailed { .. } => failure.remedy().to_owned(),
                _ => reach(),
            },
        ),
        ErrorKind::AtProxy { proxy, failure } if matches!(**failure, ErrorKind::Refused(500..)) => (
            format!("cannot be reached through the proxy {proxy}, which does not connect to it ({})", failure.name()),
            format!("check {address}, as it is named where the proxy runs"),
        ),
        other => (Predicate(other, &Circumstances::NONE).to_string(), format!("check {address}")),
    }
}

impl fmt::Display for CredentialsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("was not queried, because there are no credentials for it: ")?;
        let (issuer, server, problem) = match &self.0 {
            Problem::At(issuer, server, problem) => (issuer, server, problem),
            Problem::Nowhere(why, remedy) => return write!(f, "{why}; {remedy}"),
        };
        write!(f, "the {} {server} ", issuer.name())?;
        match problem {
            AtIssuer::Unreachable(what, remedy) => write!(f, "{what}; {remedy}"),
            AtIssuer::Refused(status, words) => {
                let words = words.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
                match status {
                    300..=399 | 404 | 405 => {
                        write!(f, "refuses (HTTP status {status}{words}); check {}", issuer.address())?
                    }
                    408 | 429 | 500.. => {
                        write!(f, "cannot answer now (HTTP status {status}{words}); look at its load and its log")?;
                    }
                    _ => write!(f, "refuses (HTTP status {status}{words}); check {}", issuer.shown())?,
                }
                if self.is_final() {
                    write!(
                        f,
                        "; this mirror asks it again in at most {} s, or when one of their files changes",
                        FINAL_PAUSE.as_secs()
                    )?;
                }
                Ok(())
            }
            AtIssuer::Foreign(why) => write!(f, "{why}; check {}", issuer.address()),
            AtIssuer::NoRole => f.write_str(
                "names no role; attach one to this machine (an instance profile), or give keys in the upstreams file",
            ),
        }
    }
}
