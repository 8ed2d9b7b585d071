//! What can go wrong between the mirror and a Prometheus, and what the admin can do about it.
//!
//! Errors are plain data and know nothing of connections. Of the modules in `prometheus`, they import only `access` and
//! `upstreams_file`.

mod api_failure;
mod blame;
mod call_context;
mod challenges;
mod circumstances;
mod connect_failure;
mod credentials_failure;
mod foreign;
mod issuer;
mod kind;
mod predicate;
mod redirect;
mod retry_after;
mod shortened;
mod silence;
mod status_failure;
mod tls_failure;
mod vocabulary;

use std::fmt;
use std::sync::Arc;

use crate::prometheus::upstreams_file::definition::Definition;

pub(super) use call_context::CallContext;
pub(super) use credentials_failure::AtIssuer;
pub(super) use issuer::Issuer;
pub(super) use predicate::{predicate, predicate_of_mirror};
pub(super) use shortened::{logged, one_line};

pub use api_failure::{ApiCause, ApiFailure};
pub use blame::Blame;
pub use circumstances::{Before, CallKind, Circumstances, Queued};
pub use connect_failure::{ConnectFailure, LookupFailure, ServersSeen};
pub use credentials_failure::CredentialsFailure;
pub use foreign::Foreign;
pub use kind::ErrorKind;
pub use redirect::Redirect;
pub use shortened::{cut, shortened};
pub use silence::{Silence, WaitedFor};
pub use status_failure::{StatusFailure, StatusMeaning};
pub use tls_failure::TlsFailure;

/// A failed call: the upstream, the query, what went wrong, and under which circumstances.
///
/// `Display` writes one sentence for the admin: the upstream, what went wrong, what to change, and the query. It shows no secret.
/// [`ErrorKind::code`] is the stable code for metrics, the log and docs/troubleshooting.md.
///
/// ```text
/// Prometheus at p.example:443 requires credentials, but the mirror sent no header Authorization (HTTP status 401,
/// WWW-Authenticate: Basic); give them as https://user:password@host/ in the url of the Connection Details, or list it in the
/// --upstreams-file of this mirror; query: up
/// ```
#[derive(Debug)]
pub struct Error {
    /// The upstream. It shows no password.
    pub upstream: Box<ShownUpstream>,
    /// The PromQL or the selector, if the call had one.
    pub query: Option<Box<str>>,
    /// What went wrong.
    pub kind: ErrorKind,
    /// What the call was for and what came before it. The remedy depends on it.
    pub circumstances: Box<Circumstances>,
}

/// What an error shows of its upstream, as plain data.
#[derive(Debug)]
pub struct ShownUpstream {
    /// Its name, if it has one, host, port and path prefix, never credentials.
    pub(super) text: String,
    /// The index of the replica, in the order of the upstreams file.
    pub(super) replica: usize,
    /// Its definition, if it is defined in the upstreams file.
    pub(super) definition: Option<Arc<Definition>>,
}

impl Error {
    /// The failure of a request that has made no call.
    pub(super) fn uncalled(upstream: ShownUpstream, kind: ErrorKind) -> Error {
        Error { upstream: Box::new(upstream), query: None, kind, circumstances: Box::default() }
    }

    /// What went wrong, as the predicate of a sentence about the upstream.
    pub fn predicate(&self) -> String {
        predicate(self.upstream.definition.as_deref(), &self.kind, &self.circumstances)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prometheus at {} {}", self.upstream.text, self.predicate())?;
        if !self.circumstances.failed_replicas.is_empty() {
            write!(f, "; before it, the mirror tried {}", self.circumstances.failed_replicas.join(", "))?;
        }
        if let Some(query) = &self.query {
            write!(f, "; query: {}", shortened(query))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
