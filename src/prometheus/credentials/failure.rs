//! Why there are no credentials for an upstream: what hands them out does not.

use std::fmt;

/// What went wrong where credentials are handed out. `Display` gives the predicate of a sentence whose subject is the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsFailure {
    /// Host, port and path of what hands them out, or nothing.
    server: String,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    /// No answer, and why.
    Unreachable(String),
    /// A status of refusal, and its words.
    Refused(u16, Option<String>),
    /// An answer that holds no credentials: in which way.
    Foreign(&'static str),
    /// Nothing that could be asked for them, and why.
    Nowhere(String),
}

impl CredentialsFailure {
    /// There is no answer of a server, for a reason that is the predicate of a sentence about it.
    pub(super) fn unreachable(server: &str, reason: &impl fmt::Display) -> CredentialsFailure {
        CredentialsFailure { server: server.to_owned(), problem: Problem::Unreachable(reason.to_string()) }
    }

    /// A server refuses. Its words must hold no secret.
    pub(super) fn refused(server: &str, status: u16, words: Option<String>) -> CredentialsFailure {
        CredentialsFailure { server: server.to_owned(), problem: Problem::Refused(status, words) }
    }

    /// A server answers without credentials.
    pub(super) fn foreign(server: &str, why: &'static str) -> CredentialsFailure {
        CredentialsFailure { server: server.to_owned(), problem: Problem::Foreign(why) }
    }

    /// There is nothing to ask for them.
    pub(super) fn none(why: &str) -> CredentialsFailure {
        CredentialsFailure { server: String::new(), problem: Problem::Nowhere(why.to_owned()) }
    }

    /// Whether the server answered, so that asking it again at once makes no sense.
    pub(super) fn is_refusal(&self) -> bool {
        !matches!(self.problem, Problem::Unreachable(_))
    }
}

impl fmt::Display for CredentialsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CredentialsFailure { server, problem } = self;
        match problem {
            Problem::Unreachable(reason) => {
                write!(
                    f,
                    "was not queried, because there are no credentials for it: the server {server}, which hands them out, {reason}"
                )
            }
            Problem::Refused(status, words) => {
                let words = words.as_ref().map(|words| format!(": {words}")).unwrap_or_default();
                write!(
                    f,
                    "was not queried, because there are no credentials for it: the server {server}, which hands them out, refuses \
                     (HTTP status {status}{words}); check what the upstreams file gives to it"
                )
            }
            Problem::Nowhere(why) => write!(
                f,
                "was not queried, because there are no credentials for it: {why}; give them in the upstreams file, or where this mirror \
                 runs"
            ),
            Problem::Foreign(why) => write!(
                f,
                "was not queried, because there are no credentials for it: the server {server}, which is to hand them out, {why}; \
                 check its address in the upstreams file"
            ),
        }
    }
}
