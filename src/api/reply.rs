//! A reply on its way out, and what is said of it in the log.

use std::time::Duration;

use crate::error::{Error, KEY_HEADER};
use crate::key::ApiKey;
use crate::log;
use crate::memory::AnswerMemory;

/// A reply, ready to be signed.
#[derive(Debug)]
pub struct Reply {
    /// Which method or page was asked for, as the metrics call it.
    pub method: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The headers, without those of the body's length and without the key.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// What the log says of it besides verb, path, status and duration.
    pub note: Note,
    /// The memory that its body has while it is written; none for a body that is always short.
    pub memory: Option<AnswerMemory>,
}

/// A reply, ready to be written: the only kind there is that can be.
#[derive(Debug)]
pub struct KeyedReply(Reply);

impl Reply {
    pub(super) fn new(method: &'static str, status: u16, content_type: &str, body: Vec<u8>, note: Note) -> Reply {
        Reply { method, status, headers: vec![("Content-Type", content_type.to_owned())], body, note, memory: None }
    }

    /// Signs it with a key, or, if it is not to be known, with none.
    pub(super) fn signed(mut self, key: Option<&ApiKey>) -> KeyedReply {
        self.headers.extend(key.map(|key| (KEY_HEADER, key.reveal().to_owned())));
        KeyedReply(self)
    }
}

impl KeyedReply {
    /// The reply with what it was signed with in its headers.
    pub fn into_reply(self) -> Reply {
        self.0
    }
}

/// What the log says of a reply.
#[derive(Debug, Default)]
pub struct Note {
    pub(super) asked: Option<Box<CallSummary>>,
    /// Why there is no answer.
    pub(super) failure: Option<Failure>,
    /// Why it was turned away before it was looked into.
    pub(super) rejection: Option<&'static str>,
}

/// Why there is no answer, for the log and the metrics.
#[derive(Debug)]
pub(super) struct Failure {
    /// One of [`ERROR_CODES`](crate::metrics::ERROR_CODES).
    pub(super) code: &'static str,
    text: String,
    is_warning: bool,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Failure {
        Failure { code: error.code(), text: error.to_string(), is_warning: error.is_failure() }
    }
}

/// What was asked of an upstream.
#[derive(Debug)]
pub(super) struct CallSummary {
    /// The name of a named upstream, or the address that was given.
    pub(super) upstream: String,
    /// Which of several replicas was asked last, or nothing.
    pub(super) replica: String,
    /// Which of them have failed before, or at last, separated by commas.
    pub(super) failed_replicas: String,
    pub(super) calls: u32,
    pub(super) spent: Duration,
    pub(super) promql: String,
}

impl Note {
    /// Logs a line with the note: as a warning when something failed that an operator can mend, not whoever asked.
    pub fn log(&self, line: impl FnOnce() -> log::Line) {
        let line = || self.add_to(line());
        match &self.failure {
            Some(Failure { is_warning: true, .. }) => log::warn(line),
            _ => log::info(line),
        }
    }

    fn add_to(&self, mut line: log::Line) -> log::Line {
        if let Some(asked) = &self.asked {
            let CallSummary { upstream, replica, failed_replicas, calls, spent, promql } = &**asked;
            line = line.text("upstream", upstream).text("replica", replica);
            line = line.text("failed_replicas", failed_replicas);
            line = line.number("upstream_calls", *calls).millis("upstream_ms", *spent);
            line = line.text("promql", promql);
        }
        match &self.failure {
            Some(Failure { code, text, .. }) => line.text("error_code", code).text("error", text),
            None => line,
        }
    }
}
