//! Why there are no credentials for an upstream: their issuer does not provide them.

use std::sync::Arc;
use std::time::Duration;

use super::ErrorKind;
use super::circumstances::Circumstances;
use super::connect_failure::{ConnectFailure, LookupFailure};
use super::issuer::Issuer;
use super::predicate::predicate_in;
use super::vocabulary::Vocabulary;

/// The longest pause after a refusal that lasts until somebody changes something.
const FINAL_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause after a failure that may be temporary.
const PASSING_PAUSE: Duration = Duration::from_secs(5);

const NO_KEYS: &str = "there is no access key in the environment (AWS_ACCESS_KEY_ID), none of a service account or a pod \
                       (AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_CREDENTIALS_FULL_URI), none in a shared credentials file, and none \
                       of this machine";

/// Why an issuer does not provide credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsFailure(Problem);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    /// The issuer at this host, port and path fails.
    At(Issuer, String, AtIssuer),
    /// There is no issuer to call: why, and what to do.
    Nowhere(String, String),
    /// There are no Amazon keys anywhere. The last server that could have some does not answer, if there was one: which, and why.
    NoKeys(Option<(Issuer, String, Arc<ErrorKind>)>),
    /// Another request is fetching them and takes longer than this request's timeout in milliseconds.
    Awaited(u128),
}

/// How an issuer fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prometheus) enum AtIssuer {
    /// No response, and why.
    Unreachable(Arc<ErrorKind>),
    /// A refusal: its status, and the server's words, which must not contain a secret.
    Refusal(u16, Option<String>),
    /// A response without credentials, and what is wrong with it.
    Foreign(&'static str),
    /// The machine has no role with keys.
    NoRole,
}

impl CredentialsFailure {
    /// The server at this host, port and path fails.
    pub(in crate::prometheus) fn at(issuer: Issuer, server: &str, what: AtIssuer) -> CredentialsFailure {
        CredentialsFailure(Problem::At(issuer, server.to_owned(), what))
    }

    /// There is no server to call: why, and what to do.
    pub(in crate::prometheus) fn none(why: impl Into<String>, remedy: impl Into<String>) -> CredentialsFailure {
        CredentialsFailure(Problem::Nowhere(why.into(), remedy.into()))
    }

    /// There are no Amazon keys where the mirror runs.
    pub(in crate::prometheus) const NO_KEYS: CredentialsFailure = CredentialsFailure(Problem::NoKeys(None));

    /// Turns a missing response of the last server that could have keys into "no keys". Most mirrors do not run at Amazon, and then
    /// the server is not what is missing.
    pub(in crate::prometheus) fn or_no_keys(self) -> CredentialsFailure {
        match self.0 {
            Problem::At(issuer, server, AtIssuer::Unreachable(kind)) => {
                CredentialsFailure(Problem::NoKeys(Some((issuer, server, kind))))
            }
            other => CredentialsFailure(other),
        }
    }

    /// Another request has not fetched them within this request's timeout in milliseconds.
    pub(in crate::prometheus) fn awaited(timeout_ms: u128) -> CredentialsFailure {
        CredentialsFailure(Problem::Awaited(timeout_ms))
    }

    /// Whether the server responded, or was not called at all. Then the same call again would not help at once.
    pub(in crate::prometheus) fn has_response(&self) -> bool {
        !matches!(self.0, Problem::At(_, _, AtIssuer::Unreachable(..)))
    }

    /// The longest pause before the next call to the server, however often it fails.
    pub(in crate::prometheus) fn longest_pause(&self) -> Duration {
        if self.is_final() { FINAL_PAUSE } else { PASSING_PAUSE }
    }

    /// Whether the server refuses until somebody changes something.
    fn is_final(&self) -> bool {
        matches!(self.0, Problem::At(_, _, AtIssuer::Refusal(400..=407 | 409..=499, _)))
    }

    /// The predicate of a sentence whose subject is the upstream.
    pub(super) fn predicate(&self, words: Vocabulary<'_>) -> String {
        let why = match &self.0 {
            Problem::At(issuer, server, problem) => {
                format!("the {} {server} {}", issuer.name(), problem.predicate(*issuer, words))
            }
            Problem::Nowhere(why, remedy) => format!("{why}; {remedy}"),
            Problem::NoKeys(silent) => {
                let silent = silent.as_ref().map_or(String::new(), |(issuer, server, kind)| {
                    format!(": the {} {server} {}", issuer.name(), unanswered(*issuer, kind, words).0)
                });
                format!("{NO_KEYS}{silent}; give one in the upstreams file, or where this mirror runs")
            }
            Problem::Awaited(timeout_ms) => format!(
                "another request fetches them, which takes longer than the {timeout_ms} ms of this one; look at the server \
                 that issues them, or raise {}",
                words.request_timeout()
            ),
        };
        let again = if self.is_final() {
            format!("; the mirror tries again within {} s, or when a file changes", FINAL_PAUSE.as_secs())
        } else {
            String::new()
        };
        format!("was not queried: the mirror has no credentials for it: {why}{again}")
    }
}

impl AtIssuer {
    fn predicate(&self, issuer: Issuer, words: Vocabulary<'_>) -> String {
        match self {
            AtIssuer::Unreachable(kind) => {
                let (what, remedy) = unanswered(issuer, kind, words);
                format!("{what}; {remedy}")
            }
            AtIssuer::Refusal(status, said) => {
                let said = said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
                match status {
                    300..=399 | 404 | 405 => {
                        format!("refuses (HTTP status {status}{said}); check {}", issuer.address())
                    }
                    408 | 429 | 500.. => {
                        format!("is unavailable (HTTP status {status}{said}); look at its load and its log")
                    }
                    _ => format!("refuses (HTTP status {status}{said}); check {}", issuer.shown()),
                }
            }
            AtIssuer::Foreign(why) => format!("{why}; check {}", issuer.address()),
            AtIssuer::NoRole => {
                "has no role; attach one to this machine (an instance profile), or give an access key in the upstreams file"
                    .to_owned()
            }
        }
    }
}

/// Why a server did not respond, as the predicate of a sentence about it, and what to do.
fn unanswered(issuer: Issuer, kind: &ErrorKind, words: Vocabulary<'_>) -> (String, String) {
    let address = issuer.address();
    let slow = "look at its load, and at the network between this mirror and it; if the timeout of the request is short, raise it";
    let reach = || {
        format!(
            "check {address}, that it is running, and that a firewall or NetworkPolicy lets this mirror connect to it"
        )
    };
    match kind {
        ErrorKind::Timeout { waited_ms, .. } => (format!("did not answer within {waited_ms} ms"), slow.to_owned()),
        ErrorKind::Stalled(ms) => (format!("sent only part of the response within {ms} ms"), slow.to_owned()),
        ErrorKind::NoTimeLeft(ms) => (
            format!("was not queried: the timeout of {ms} ms expired before this call"),
            format!("raise {}", words.request_timeout()),
        ),
        ErrorKind::TooLarge(most) => (
            format!("answered with more than {most} bytes, which is far more than credentials take"),
            format!("check {address}"),
        ),
        ErrorKind::Closed => ("closed the connection before the response was complete".to_owned(), reach()),
        ErrorKind::NotPrometheus { found, .. } => {
            (format!("cannot be understood: {found}"), format!("check {address}, its port and http or https included"))
        }
        ErrorKind::Unconnected(failure) => {
            let remedy = match failure {
                ConnectFailure::NoAddress { why: LookupFailure::NotFound, .. } => reach(),
                ConnectFailure::NoAddress { .. } | ConnectFailure::Tls(_) => failure.remedy(words),
                _ => reach(),
            };
            (format!("cannot be reached: {}", failure.cause(words)), remedy)
        }
        ErrorKind::AtProxy { proxy, failure } if matches!(**failure, ErrorKind::ProxyStatus(500..)) => (
            format!("cannot be reached through the proxy {proxy}, which does not connect to it ({})", failure.code()),
            format!("check {address}, as it is named where the proxy runs"),
        ),
        kind => (predicate_in(words, kind, &Circumstances::default()), format!("check {address}")),
    }
}
