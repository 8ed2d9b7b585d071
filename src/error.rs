//! The errors of requests: their texts, codes and statuses, and the bodies that StackState gets.

mod overload;
mod upstream_data;

use std::fmt;

use crate::prometheus::{self, Blame, ErrorKind, cut};
use crate::wire::response::ErrorBody;

use upstream_data::{SEVERAL_ENGINES, TIMES_MOVED};

pub use overload::{Full, Overload, Places};

/// Why a request fails. The texts are for the StackState admin who reads them.
#[derive(Debug)]
pub enum Error {
    /// A call to Prometheus failed.
    Upstream(prometheus::Error),
    /// Any other error that the Mirror API defines.
    Mirror {
        /// Its stable code, one of [`ERROR_CODES`](crate::metrics::ERROR_CODES).
        code: &'static str,
        /// What failed and what to change.
        body: ErrorBody,
    },
    /// A body that is not a request for its path, and why.
    BadRequest(String),
    /// A request whose end is not certain, and why.
    BadFraming(&'static str),
    /// An unknown path.
    NoSuchPath(String),
    /// A verb that the path does not accept; contains those that it accepts.
    VerbNotAllowed(&'static str),
    /// A head with too many bytes or headers.
    HeadTooLarge,
    /// A body of more than this many bytes.
    BodyTooLarge(usize),
    /// A head or a body that did not arrive in time.
    BodyNotReceived,
    /// The workers and the queue have no room for it.
    Overloaded(Overload),
    /// The bodies of all requests together take too much memory.
    TooManyBodies,
    /// The mirror closed its connection before the request had arrived, to make room for others.
    NoRoom,
    /// The mirror is shutting down.
    ShuttingDown,
    /// A request without the key that it must carry.
    Unauthorized,
    /// A request from a web page of another origin.
    CrossOrigin,
    /// A fault of the mirror's own.
    Internal,
}

/// The header that carries the key: in every reply, so that StackState recognises its mirror, and in requests if they must carry
/// it.
pub const KEY_HEADER: &str = "X-MIRROR-API-KEY";

/// A request with this header and the value `true` gets an explanation of its response.
pub const EXPLAIN_HEADER: &str = "X-MIRROR-EXPLAIN";

/// The `Retry-After` of an overloaded mirror, in seconds.
pub const RETRY_AFTER_S: u32 = 1;

impl Error {
    /// A query that is not valid. `details` says what is wrong with it, and what to change.
    pub fn invalid_query(code: &'static str, details: String) -> Error {
        Error::Mirror { code, body: ErrorBody::RemoteMirrorError { summary: "Invalid query.", details } }
    }

    /// The HTTP status, the code and the summary of a request that is refused as HTTP, because of its head, its body or the load.
    fn refusal(&self) -> Option<(u16, &'static str, &'static str)> {
        Some(match self {
            Error::BadRequest(_) | Error::BadFraming(_) => (400, "bad_request", "Bad request."),
            Error::Unauthorized => (401, "unauthorized", "Unauthorized."),
            Error::CrossOrigin => (403, "cross_origin", "Cross-origin request."),
            Error::NoSuchPath(_) => (404, "no_such_path", "No such path."),
            Error::VerbNotAllowed(_) => (405, "verb_not_allowed", "Method not allowed."),
            Error::BodyNotReceived => (408, "body_not_received", "Request not received."),
            Error::BodyTooLarge(_) => (413, "body_too_large", "Request too large."),
            Error::HeadTooLarge => (431, "head_too_large", "Request too large."),
            Error::Overloaded(_) | Error::TooManyBodies | Error::NoRoom => (503, "overloaded", "Overloaded."),
            Error::ShuttingDown => (503, "shutting_down", "Shutting down."),
            Error::Upstream(_) | Error::Mirror { .. } | Error::Internal => return None,
        })
    }

    /// The HTTP status: 500 for the Mirror API's own errors, as with other mirrors in production, else the status that HTTP
    /// defines.
    pub fn status(&self) -> u16 {
        self.refusal().map_or(500, |(status, ..)| status)
    }

    /// Its stable code in the log, the metrics and docs/troubleshooting.md, one of [`ERROR_CODES`](crate::metrics::ERROR_CODES).
    pub fn code(&self) -> &'static str {
        match self {
            Error::Upstream(error) => error.kind.code(),
            Error::Mirror { code, .. } => code,
            refused => refused.refusal().map_or("internal", |(_, code, _)| code),
        }
    }

    /// Whether an operator must act: a failure of an upstream or of the mirror, not a mistake of the caller.
    pub fn is_failure(&self) -> bool {
        match self {
            Error::Upstream(error) => !matches!(error.kind.blame(), Blame::Caller | Blame::Query),
            Error::Mirror { code, .. } => matches!(*code, SEVERAL_ENGINES | TIMES_MOVED),
            Error::Overloaded(_) | Error::TooManyBodies | Error::NoRoom | Error::Internal => true,
            Error::BadRequest(_) | Error::BadFraming(_) | Error::NoSuchPath(_) | Error::VerbNotAllowed(_) => false,
            Error::HeadTooLarge | Error::BodyTooLarge(_) | Error::BodyNotReceived => false,
            Error::ShuttingDown | Error::Unauthorized | Error::CrossOrigin => false,
        }
    }

    /// The body that StackState gets.
    pub fn body(&self) -> ErrorBody {
        let remote = |summary, details: String| ErrorBody::RemoteMirrorError { summary, details };
        match self {
            Error::Upstream(error) => match (&error.kind, error.kind.blame()) {
                (ErrorKind::NoMemory(_), _) => remote("Not enough memory.", error.to_string()),
                (ErrorKind::TooManyCalls(_), _) => remote("Too many calls.", error.to_string()),
                (_, Blame::Query | Blame::QueryOrUpstream) => remote("The query failed.", error.to_string()),
                _ => ErrorBody::MetricStoreConnectionError { details: error.to_string() },
            },
            Error::Mirror { body, .. } => body.clone(),
            other => {
                let summary = other.refusal().map_or("Internal error.", |(.., summary)| summary);
                remote(summary, other.to_string())
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Upstream(error) => error.fmt(f),
            Error::Mirror { body, .. } => match body {
                ErrorBody::MetricStoreConnectionError { details }
                | ErrorBody::MetricNotFoundError { details, .. }
                | ErrorBody::RemoteMirrorError { details, .. } => f.write_str(details),
                ErrorBody::UnsupportedFieldTypeError { mirror_type } => {
                    write!(f, "values of type {mirror_type} are not supported")
                }
            },
            Error::BadRequest(why) => write!(f, "the body is not a request for this path: {why}"),
            Error::BadFraming(why) => write!(f, "the end of the request is not certain: {why}"),
            Error::NoSuchPath(path) => write!(
                f,
                "there is no path {}; the paths are /api/connection, /api/field/name, /api/field/value and /api/metric: check \
                 the DataSourceUrl",
                cut(path, MAX_SHOWN_PATH_CHARS)
            ),
            Error::VerbNotAllowed(allowed) => write!(f, "this path takes {allowed}"),
            Error::BodyNotReceived => f.write_str("the request did not arrive completely in time"),
            Error::HeadTooLarge => f.write_str(
                "the head of the request has more than 64 KiB or more than 100 headers: send fewer or shorter headers, such as \
                 cookies",
            ),
            Error::BodyTooLarge(limit) => write!(
                f,
                "the body is longer than the {limit} bytes that are allowed; send fewer conditions, or raise \
                 --max-request-bytes of the mirror"
            ),
            Error::Overloaded(overload) => overload.fmt(f),
            Error::TooManyBodies => f.write_str(
                "the bodies of all requests together take as much memory as this mirror gives them, 64 times \
                 --max-request-bytes; try again later, or with fewer conditions",
            ),
            Error::NoRoom => f.write_str(
                "the mirror closed the connection before the request had arrived whole, to make room for others; try again, and \
                 find out which clients open so many connections or send such long heads",
            ),
            Error::ShuttingDown => f.write_str("the mirror is shutting down; try again"),
            Error::Unauthorized => write!(
                f,
                "the request carries no key, or another key than this mirror's, in the header {KEY_HEADER}, which the setting \
                 --require-api-key demands; send the right key, or switch the setting off if StackState does not send it"
            ),
            Error::CrossOrigin => f.write_str(
                "a web page of another origin made this request in a browser; open the mirror's own address, or send the \
                 request from a program, without the headers Origin and Sec-Fetch-Site",
            ),
            Error::Internal => f.write_str("internal error; see the log of the mirror"),
        }
    }
}

impl std::error::Error for Error {}

/// The most characters of a path that an error shows.
const MAX_SHOWN_PATH_CHARS: usize = 200;

impl From<prometheus::Error> for Error {
    fn from(error: prometheus::Error) -> Error {
        Error::Upstream(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_repeated_as_far_as_it_can_be_read() {
        let check = |path: String, shown: &str| {
            let text = Error::NoSuchPath(path).to_string();
            assert!(text.starts_with(&format!("there is no path {shown}; ")), "{text:.300}");
        };
        check("/x".to_owned(), "/x");
        check(format!("/{}", "\u{e9}".repeat(199)), &format!("/{}", "\u{e9}".repeat(199)));
        check(format!("/{}", "\u{e9}".repeat(1_000_000)), &format!("/{}...", "\u{e9}".repeat(199)));
    }

    #[test]
    fn every_rejection_has_a_name_that_the_metrics_know() {
        let rejections = [
            Error::BadRequest(String::new()),
            Error::NoSuchPath(String::new()),
            Error::VerbNotAllowed(""),
            Error::HeadTooLarge,
            Error::BodyTooLarge(0),
            Error::BodyNotReceived,
            Error::TooManyBodies,
            Error::ShuttingDown,
            Error::Unauthorized,
            Error::CrossOrigin,
        ];
        assert_eq!(rejections.map(|error| error.code()), crate::metrics::REJECTIONS);
    }
}
