//! What a request can end with instead of an answer, and how StackState is told.

mod overload;
mod upstream_data;

use std::fmt;

use crate::model::invalid_query::InvalidQuery;
use crate::prometheus::{self, ErrorKind, cut};
use crate::wire::response::ErrorBody;

use upstream_data::{SEVERAL_ENGINES, TIMES_MOVED};

pub use overload::{Full, Overload, Places};

/// Why a request has no answer. The texts are written for the StackState admin who reads them.
#[derive(Debug)]
pub enum Error {
    /// A call to Prometheus failed.
    Upstream(prometheus::Error),
    /// Connection Details that are not valid: which field, and what it must be.
    ConnectionDetails(String),
    /// No such metric, or the query names none.
    MetricNotFound {
        /// Its stable code, one of [`ERROR_CODES`](crate::metrics::ERROR_CODES).
        code: &'static str,
        /// The metric's name; empty when none is named.
        metric: String,
        /// What to do about it.
        details: String,
    },
    /// A type that Prometheus labels, or one list of points, cannot hold.
    UnsupportedFieldType {
        /// Its stable code, one of [`ERROR_CODES`](crate::metrics::ERROR_CODES).
        code: &'static str,
        /// The type as StackState, or Prometheus, calls it.
        mirror_type: String,
    },
    /// Anything else within the contract.
    Remote {
        /// Its stable code, one of [`ERROR_CODES`](crate::metrics::ERROR_CODES).
        code: &'static str,
        /// A few words.
        summary: &'static str,
        /// What failed and what to change.
        details: String,
    },
    /// A body that is not this request.
    BadRequest(String),
    /// A request whose end is not certain, and why.
    BadFraming(&'static str),
    /// Another path.
    NoSuchPath(String),
    /// Another verb; those that the path takes.
    VerbNotAllowed(&'static str),
    /// A head with too many bytes or headers.
    HeadTooLarge,
    /// A body over this many bytes.
    BodyTooLarge(usize),
    /// A head or a body that does not arrive.
    BodyNotReceived,
    /// No worker will be free soon.
    Overloaded(Overload),
    /// The bodies of all requests together take too much memory.
    TooManyBodies,
    /// Its connection was closed for others before the request had arrived.
    NoRoom,
    /// The mirror is about to end.
    ShuttingDown,
    /// A request without the key, where it has to have it.
    Unauthorized,
    /// A request that a web page of another origin made.
    CrossOrigin,
    /// A fault of the mirror's own.
    Internal,
}

/// The header that carries the key: in every reply, by which StackState knows its mirror, and in requests where it has to.
pub const KEY_HEADER: &str = "X-MIRROR-API-KEY";

/// The header by which a request asks for an explanation of its answer: with the value `true`.
pub const EXPLAIN_HEADER: &str = "X-MIRROR-EXPLAIN";

/// The seconds after which an overloaded mirror may be asked again.
pub const RETRY_AFTER_S: u32 = 1;

impl Error {
    /// What is told of a request that is refused before it is looked into: the HTTP status, its code, and a few words.
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
            Error::Upstream(_)
            | Error::ConnectionDetails(_)
            | Error::MetricNotFound { .. }
            | Error::UnsupportedFieldType { .. }
            | Error::Remote { .. }
            | Error::Internal => return None,
        })
    }

    /// The HTTP status: 500 within the contract, as mirrors in production answer, else what HTTP says.
    pub fn status(&self) -> u16 {
        self.refusal().map_or(500, |(status, ..)| status)
    }

    /// Why the request was refused before it was looked into, if so: one of [`REJECTIONS`](crate::metrics::REJECTIONS).
    pub fn rejection(&self) -> Option<&'static str> {
        self.refusal().map(|(_, code, _)| code)
    }

    /// Its stable code, one of [`ERROR_CODES`](crate::metrics::ERROR_CODES), by which the log, the metrics and
    /// docs/troubleshooting.md call it.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Upstream(error) => error.kind.code(),
            Error::ConnectionDetails(_) => "invalid_connection_details",
            Error::MetricNotFound { code, .. }
            | Error::UnsupportedFieldType { code, .. }
            | Error::Remote { code, .. } => code,
            refused => refused.rejection().unwrap_or("internal"),
        }
    }

    /// Whether it is for an operator: a failure of an upstream or of the mirror's own, not a mistake of the caller.
    pub fn is_failure(&self) -> bool {
        match self {
            Error::Upstream(error) => !error.is_callers(),
            Error::Remote { code, .. } => matches!(*code, SEVERAL_ENGINES | TIMES_MOVED),
            Error::Overloaded(_) | Error::TooManyBodies | Error::NoRoom | Error::Internal => true,
            _ => false,
        }
    }

    /// What StackState is sent.
    pub fn body(&self) -> ErrorBody {
        let remote =
            |summary: &str, details: String| ErrorBody::RemoteMirrorError { summary: summary.to_owned(), details };
        match self {
            Error::Upstream(error) if matches!(error.kind, ErrorKind::NoMemory(_)) => {
                remote("Not enough memory.", error.to_string())
            }
            Error::Upstream(error) if error.is_refused_query() => {
                remote("Prometheus refused the query.", error.to_string())
            }
            Error::Upstream(error) => ErrorBody::MetricStoreConnectionError { details: error.to_string() },
            Error::ConnectionDetails(details) => ErrorBody::MetricStoreConnectionError { details: details.clone() },
            Error::MetricNotFound { metric, details, .. } => {
                ErrorBody::MetricNotFoundError { metric: metric.clone(), details: details.clone() }
            }
            Error::UnsupportedFieldType { mirror_type, .. } => {
                ErrorBody::UnsupportedFieldTypeError { mirror_type: mirror_type.clone() }
            }
            Error::Remote { summary, details, .. } => remote(summary, details.clone()),
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
            Error::ConnectionDetails(details)
            | Error::MetricNotFound { details, .. }
            | Error::Remote { details, .. } => f.write_str(details),
            Error::UnsupportedFieldType { mirror_type, .. } => write!(f, "values of type {mirror_type} are not supported"),
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
                "requests to this mirror must carry its key in the header {KEY_HEADER}, as its setting --require-api-key \
                 demands; switch that off if StackState does not send the key"
            ),
            Error::CrossOrigin => f.write_str(
                "a web page of another origin made this request in a browser; open the mirror's own address, or ask without the \
                 headers Origin and Sec-Fetch-Site from a program",
            ),
            Error::Internal => f.write_str("internal error; see the log of the mirror"),
        }
    }
}

impl std::error::Error for Error {}

/// The most characters of a path that an error shows.
const MAX_SHOWN_PATH_CHARS: usize = 200;

impl From<InvalidQuery> for Error {
    fn from(invalid: InvalidQuery) -> Error {
        let details = invalid.to_string();
        let code = match &invalid {
            InvalidQuery::Sources { .. } | InvalidQuery::SourceValue { .. } => "no_metric_named",
            InvalidQuery::ValueType { .. } => "unsupported_value_type",
            InvalidQuery::ConditionType { .. } => "unsupported_condition_type",
            InvalidQuery::LabelsBesideExpression(_) => "conditions_beside_expression",
            InvalidQuery::TooLarge(_) => "query_too_large",
            InvalidQuery::Range(_) => "invalid_time_range",
            InvalidQuery::Aggregation(_) => "invalid_aggregation",
            InvalidQuery::NoField | InvalidQuery::EmptySet { .. } | InvalidQuery::Negative { .. } => "invalid_query",
        };
        match invalid {
            InvalidQuery::Sources { .. } | InvalidQuery::SourceValue { .. } => {
                Error::MetricNotFound { code, metric: String::new(), details }
            }
            InvalidQuery::ValueType { mirror_type } => Error::UnsupportedFieldType { code, mirror_type },
            _ => Error::Remote { code, summary: "Invalid query.", details },
        }
    }
}

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
        assert_eq!(rejections.map(|error| error.rejection()), crate::metrics::REJECTIONS.map(Some));
    }
}
