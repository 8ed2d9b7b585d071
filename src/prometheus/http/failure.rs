//! What a failure of ureq's means here.

use std::fmt;
use std::io::ErrorKind as Io;

use ureq::{Error, Timeout};

use crate::prometheus::deadline::Deadline;
use crate::prometheus::error::ErrorKind;

use super::connect_failure::{ConnectFailure, of_rustls};

/// What the mirror's own resolver and connector fail with; ureq carries it through.
#[derive(Debug)]
pub(super) struct ConnectError(pub(super) ErrorKind);

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl std::error::Error for ConnectError {}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Error {
        Error::Other(Box::new(error))
    }
}

impl From<ConnectFailure> for ConnectError {
    fn from(failure: ConnectFailure) -> ConnectError {
        ConnectError(ErrorKind::Unconnected(failure))
    }
}

/// The timeout that stands for an answer which has begun, but does not go on.
pub(super) const IN_ANSWER: Timeout = Timeout::RecvBody;

/// What a failure of ureq's means, after so long a wait. None of its texts is passed on that could hold a URL, and so a password.
pub(super) fn failure(error: Error, waited_ms: u128, deadline: Deadline) -> ErrorKind {
    match error {
        Error::Timeout(IN_ANSWER) => ErrorKind::Stalled(deadline.whole_ms()),
        Error::Timeout(_) => ErrorKind::Timeout { waited_ms, whole_ms: deadline.whole_ms() },
        other => untimed(other),
    }
}

/// What a failure means that is no timeout.
pub(super) fn untimed(error: Error) -> ErrorKind {
    let no_http = |why: &str| ErrorKind::NotPrometheus { status: None, why: why.to_owned() };
    match error {
        Error::Other(error) => match error.downcast::<ConnectError>() {
            Ok(error) => error.0,
            Err(_) => ErrorKind::Unsent,
        },
        Error::BodyExceedsLimit(limit) => ErrorKind::TooLarge(limit),
        Error::Protocol(_) => no_http("its answer is not HTTP"),
        Error::LargeResponseHeader(..) => no_http("the header of its answer is too large"),
        Error::Io(error) => match error.kind() {
            Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe | Io::UnexpectedEof => ErrorKind::Closed,
            _ => ErrorKind::Unconnected(of_rustls(&error).unwrap_or_else(|| ConnectFailure::System(error.to_string()))),
        },
        _ => ErrorKind::Unsent,
    }
}
