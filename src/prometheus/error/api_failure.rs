//! Errors by which an upstream says that it understood a call but does not answer it: `errorType` of the envelope ("HTTP API" in
//! Prometheus's documentation, `web/api/v1/errors.go` in its code). Its English message is repeated, but never decides anything.

use super::circumstances::{CallKind, Circumstances};
use super::vocabulary::Vocabulary;

/// A call that an upstream understood but does not answer.
#[derive(Debug, PartialEq, Eq)]
pub struct ApiFailure {
    /// The cause of the failure.
    pub cause: ApiCause,
    /// The HTTP status.
    pub status: u16,
    /// `errorType` of the envelope.
    pub error_type: String,
    /// `error` of the envelope, shortened.
    pub message: String,
}

/// Why an upstream does not answer a call. For all causes but the first, the query may be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiCause {
    /// It refuses the query.
    Refused,
    /// The evaluation took longer than it may.
    Timeout,
    /// The evaluation was canceled.
    Canceled,
    /// The upstream is reachable, but cannot answer now.
    Unavailable,
    /// An internal error of the upstream.
    Internal,
    /// It cannot send a response in a format that the mirror accepts.
    NotAcceptable,
}

impl ApiCause {
    /// The cause that an error type and a status mean.
    pub(in crate::prometheus) fn of(error_type: &str, status: u16) -> ApiCause {
        match (error_type, status) {
            ("timeout", _) => ApiCause::Timeout,
            ("canceled", _) => ApiCause::Canceled,
            ("unavailable", _) => ApiCause::Unavailable,
            ("internal", _) => ApiCause::Internal,
            ("not_acceptable", _) => ApiCause::NotAcceptable,
            // VictoriaMetrics sends the status instead of an error type.
            (_, 503 | 504) => ApiCause::Unavailable,
            _ => ApiCause::Refused,
        }
    }

    /// Its stable code.
    pub(in crate::prometheus) fn code(self) -> &'static str {
        match self {
            ApiCause::Refused => "api_error",
            ApiCause::Timeout => "evaluation_timeout",
            ApiCause::Canceled => "evaluation_canceled",
            ApiCause::Unavailable => "unavailable",
            ApiCause::Internal => "upstream_internal",
            ApiCause::NotAcceptable => "not_acceptable",
        }
    }
}

impl ApiFailure {
    /// The predicate of a sentence whose subject is the upstream.
    pub(super) fn predicate(&self, circumstances: &Circumstances, words: Vocabulary<'_>) -> String {
        let ApiFailure { cause, status, error_type, message } = self;
        let against_timeout = match circumstances.call_kind {
            CallKind::Trivial => "this query takes almost no time, so check the load of Prometheus".to_owned(),
            CallKind::Evaluation | CallKind::Names => {
                let own_limit = "raise the limit of Prometheus (--query.timeout, two minutes by default)";
                circumstances.against_timeout(&[own_limit], words)
            }
        };
        let (what, remedy) = match cause {
            ApiCause::Refused => {
                let remedy = match circumstances.call_kind {
                    CallKind::Names => "depending on this message, choose a shorter time range, or add a condition",
                    CallKind::Evaluation | CallKind::Trivial => {
                        "depending on this message, correct the expression, or choose a shorter time range or longer buckets"
                    }
                };
                ("refuses the query", remedy)
            }
            ApiCause::Timeout => {
                ("gave up on the query because it took longer than its timeout", against_timeout.as_str())
            }
            ApiCause::Canceled => (
                "canceled the query",
                "it may be shutting down, or the proxy in front of it has ended the query: try again; if the error persists, \
                 look at the logs of both",
            ),
            ApiCause::Unavailable => (
                "is reachable, but unavailable",
                "it may be starting or overloaded: try again in some minutes; if the error persists, look at the log of \
                 Prometheus",
            ),
            ApiCause::Internal => ("failed to answer because of an internal error", "look at the log of Prometheus"),
            ApiCause::NotAcceptable => (
                "cannot send a response in any format that the mirror accepts",
                "check whether a proxy between this mirror and it changes the header Accept",
            ),
        };
        let said = if message.is_empty() { String::new() } else { format!(": {message}") };
        format!("{what} ({error_type}, HTTP status {status}){said}; {remedy}")
    }
}
