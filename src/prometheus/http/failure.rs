//! The meaning of ureq's errors.

use std::fmt;
use std::io::ErrorKind as Io;

use ureq::{Error, Timeout};

use super::deadline::Deadline;
use super::tls_failure::of_rustls;
use crate::prometheus::error::{ConnectFailure, ErrorKind, Foreign};

/// An error of the mirror's own resolver and connector, which ureq passes on.
#[derive(Debug)]
pub(super) struct ConnectError(pub(super) ErrorKind);

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code())
    }
}

impl std::error::Error for ConnectError {}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Error {
        Error::Other(Box::new(error))
    }
}

/// The timeout that means that a response has begun but does not continue.
pub(super) const IN_RESPONSE: Timeout = Timeout::RecvBody;

/// The meaning of an error of ureq after a wait of `waited_ms`. Texts that could contain a URL, and so a password, are not passed
/// on.
pub(super) fn failure(error: Error, waited_ms: u128, deadline: Deadline) -> ErrorKind {
    match error {
        Error::Timeout(IN_RESPONSE) => ErrorKind::Stalled(deadline.whole_ms()),
        Error::Timeout(_) => ErrorKind::Timeout { waited_ms, whole_ms: deadline.whole_ms() },
        other => in_whole(untimed(other), deadline.whole_ms()),
    }
}

/// Replaces a wait for almost the whole timeout, or for longer, by the whole timeout.
fn in_whole(kind: ErrorKind, whole_ms: u128) -> ErrorKind {
    match kind {
        ErrorKind::Unconnected(failure) => ErrorKind::Unconnected(failure.in_whole(whole_ms)),
        ErrorKind::AtProxy { proxy, failure } => {
            ErrorKind::AtProxy { proxy, failure: Box::new(in_whole(*failure, whole_ms)) }
        }
        other => other,
    }
}

/// The meaning of an error other than a timeout.
pub(super) fn untimed(error: Error) -> ErrorKind {
    match error {
        Error::Other(error) => match error.downcast::<ConnectError>() {
            Ok(error) => error.0,
            Err(_) => ErrorKind::Unsent,
        },
        Error::BodyExceedsLimit(limit) => ErrorKind::TooLarge(limit),
        Error::Protocol(_) => ErrorKind::not_prometheus(None, Foreign::NotHttp),
        // For example, a chunk whose head does not fit into the buffer.
        Error::BodyStalled => ErrorKind::not_prometheus(None, Foreign::BodyNotHttp),
        Error::LargeResponseHeader(..) => ErrorKind::not_prometheus(None, Foreign::LargeHeader),
        Error::Io(error) => match error.kind() {
            Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe | Io::UnexpectedEof => ErrorKind::Closed,
            _ => ErrorKind::Unconnected(of_rustls(&error).unwrap_or_else(|| ConnectFailure::System(error.to_string()))),
        },
        _ => ErrorKind::Unsent,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::prometheus::error::{Circumstances, predicate};

    #[test]
    fn a_failure_has_a_code_and_the_time_of_the_wait() {
        let deadline = Deadline::new(Instant::now(), Duration::from_secs(14));
        let check = |error: Error, code: &str, says: &str| {
            let kind = failure(error, 0, deadline);
            assert_eq!(kind.code(), code);
            let text = predicate(None, &kind, &Circumstances::default());
            assert!(text.contains(says), "{says}: {text}");
        };
        check(Error::BodyStalled, "not_prometheus", "not HTTP");
        check(Error::RequireHttpsOnly("hush".into()), "unsent", "was not queried");
        for (waited_ms, says) in [
            (14_009, "within 14000 ms;"),
            (13_990, "within 14000 ms;"),
            (12_599, "within 12599 ms;"),
            (3, "within 3 ms;"),
        ] {
            let unconnected = |failure: ConnectFailure| ErrorKind::Unconnected(failure);
            let silent = || unconnected(ConnectFailure::Silent { waited_ms });
            check(ConnectError(silent()).into(), "connect_timeout", says);
            check(ConnectError(unconnected(ConnectFailure::TlsSilent { waited_ms })).into(), "tls", says);
            let at_proxy = ErrorKind::AtProxy { proxy: "p:1".into(), failure: Box::new(silent()) };
            check(ConnectError(at_proxy).into(), "proxy", says);
        }
    }
}
