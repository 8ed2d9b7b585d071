//! Replies, and what the log and the metrics say about them.

use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, KEY_HEADER, RETRY_AFTER_S};
use crate::log;
use crate::memory::ResponseMemory;
use crate::prometheus::{Session, Upstream};

/// The `Content-Type` of JSON.
pub(super) const JSON: &str = "application/json";

/// The name in the metrics of unknown paths, and of requests that are refused before their path is looked up.
pub(super) const OTHER: &str = "other";

/// A reply, to which [`Gateway::add_key`](crate::api::Gateway::add_key) adds the key before it is written.
#[derive(Debug)]
pub struct Reply {
    /// The name of the route in the metrics.
    pub route_name: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The headers, without the length of the body and the key.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// What the log says besides verb, path, status and duration.
    pub note: Note,
    /// The memory of its body while it is written; absent for bodies that are always short.
    pub memory: Option<ResponseMemory>,
}

impl Reply {
    pub(super) fn new(route_name: &'static str, status: u16, content_type: &str, body: Vec<u8>) -> Reply {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Reply { route_name, status, headers, body, note: Note::default(), memory: None }
    }

    /// The reply to a request that succeeds.
    pub(super) fn ok(route_name: &'static str, body: Vec<u8>) -> Reply {
        Reply::new(route_name, 200, JSON, body)
    }

    /// A reply whose body reports an error.
    pub(super) fn failure(route_name: &'static str, status: u16, body: Vec<u8>, error: &Error) -> Reply {
        let mut reply = Reply::new(route_name, status, JSON, body);
        reply.note.failure =
            Some(Failure { code: error.code(), text: error.to_string(), is_warning: error.is_failure() });
        reply
    }

    /// A reply whose status and body report an error.
    pub(super) fn of_error(route_name: &'static str, error: &Error) -> Reply {
        let mut reply = Reply::failure(route_name, error.status(), json(&error.body()), error);
        match error {
            Error::VerbNotAllowed(allow) => reply.headers.push(("Allow", (*allow).to_owned())),
            Error::Overloaded(_) | Error::TooManyBodies | Error::NoRoom | Error::ShuttingDown => {
                reply.headers.push(("Retry-After", RETRY_AFTER_S.to_string()));
            }
            Error::Unauthorized => reply.headers.push(("WWW-Authenticate", format!("{KEY_HEADER} realm=\"mirror\""))),
            _ => {}
        }
        reply
    }

    /// The reply to a request whose head is refused, whatever its path.
    pub fn of_bad_head(error: &Error) -> Reply {
        Reply::of_error(OTHER, error)
    }
}

/// A response as JSON.
pub(super) fn json(response: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(response).expect("responses have nothing that JSON cannot express")
}

/// What the log says about a reply.
#[derive(Debug, Default)]
pub struct Note {
    /// The calls to an upstream, if the request got that far.
    pub(super) calls: Option<Box<CallSummary>>,
    /// The error that the reply reports.
    pub(super) failure: Option<Failure>,
}

/// The error that a reply reports, for the log and the metrics.
#[derive(Debug)]
pub(super) struct Failure {
    /// One of [`ERROR_CODES`](crate::metrics::ERROR_CODES).
    pub(super) code: &'static str,
    text: String,
    is_warning: bool,
}

/// The calls of a request to its upstream.
#[derive(Debug)]
pub(super) struct CallSummary {
    /// The upstream, at the replica that was called last.
    upstream: Upstream,
    /// The replicas that failed, separated by commas.
    failed_replicas: String,
    count: u32,
    spent: Duration,
    /// The last query.
    promql: String,
}

impl From<&Session<'_>> for CallSummary {
    fn from(session: &Session<'_>) -> CallSummary {
        CallSummary {
            upstream: session.upstream().clone(),
            failed_replicas: session.failed_replicas(),
            count: session.calls(),
            spent: session.spent(),
            promql: session.last_query().unwrap_or_default().to_owned(),
        }
    }
}

impl Note {
    /// Logs a line with the note: as a warning if an operator, not the caller, has to act.
    pub fn log(&self, line: impl FnOnce() -> log::Line) {
        let line = || self.add_to(line());
        match &self.failure {
            Some(Failure { is_warning: true, .. }) => log::warn(line),
            _ => log::info(line),
        }
    }

    fn add_to(&self, mut line: log::Line) -> log::Line {
        if let Some(calls) = &self.calls {
            let CallSummary { upstream, failed_replicas, count, spent, promql } = &**calls;
            line = line.text("upstream", upstream.name()).text("replica", upstream.replica().unwrap_or_default());
            line = line.text("failed_replicas", failed_replicas);
            line = line.number("upstream_calls", *count).millis("upstream_ms", *spent);
            line = line.text("promql", promql);
        }
        match &self.failure {
            Some(Failure { code, text, .. }) => line.text("error_code", code).text("error", text),
            None => line,
        }
    }
}
