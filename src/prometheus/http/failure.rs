//! What a failure of ureq's means here.

use std::error::Error;
use std::fmt;
use std::io::ErrorKind as Io;

use crate::prometheus::deadline::Deadline;
use crate::prometheus::error::ErrorKind;

/// What the mirror's own resolver and connector fail with; ureq carries it through.
#[derive(Debug)]
pub(super) enum Stop {
    /// The upstream may not be asked.
    NotAllowed,
    /// Only its addresses could allow it, which this proxy alone will know.
    AddressUnknown(String),
    /// This proxy does not lead to it.
    AtProxy(String, ureq::Error),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::NotAllowed => f.write_str("not allowed"),
            Stop::AddressUnknown(proxy) => write!(f, "not allowed without the address that only {proxy} knows"),
            Stop::AtProxy(proxy, error) => write!(f, "at the proxy {proxy}: {error}"),
        }
    }
}

impl Error for Stop {}

impl From<Stop> for ureq::Error {
    fn from(stop: Stop) -> ureq::Error {
        ureq::Error::Other(Box::new(stop))
    }
}

/// What a failure of ureq's means. None of its texts is passed on that could hold a URL, and so a password.
pub(super) fn failure(error: ureq::Error, deadline: Deadline) -> ErrorKind {
    let no_http = |why: &str| ErrorKind::NotPrometheus { status: None, why: why.to_owned() };
    match error {
        ureq::Error::Timeout(_) => ErrorKind::Timeout(deadline.whole_ms()),
        ureq::Error::HostNotFound => ErrorKind::NameNotFound,
        ureq::Error::Other(error) => stopped(error, deadline),
        ureq::Error::BodyExceedsLimit(limit) => ErrorKind::TooLarge(limit),
        // Only a proxy's: that of an answer is not taken for a failure.
        ureq::Error::StatusCode(status) => ErrorKind::Refused(status),
        ureq::Error::Tls(reason) => ErrorKind::Tls(reason.to_owned()),
        ureq::Error::Rustls(reason) => ErrorKind::Tls(reason.to_string()),
        ureq::Error::Protocol(_) | ureq::Error::ConnectProxyFailed(_) => no_http("its answer is not HTTP"),
        ureq::Error::LargeResponseHeader(..) => no_http("the header of its answer is too large"),
        ureq::Error::Io(error) => match error.kind() {
            Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe | Io::UnexpectedEof => ErrorKind::Closed,
            // rustls wraps what it cannot understand of the other side in this kind.
            Io::InvalidData => ErrorKind::Tls(error.to_string()),
            // The resolver's failures have no kind of their own in the standard library.
            _ if error.to_string().starts_with("failed to lookup address information") => ErrorKind::NameNotFound,
            _ => ErrorKind::Unreachable(error.to_string()),
        },
        _ => unsent(),
    }
}

fn stopped(error: Box<dyn Error + Send + Sync>, deadline: Deadline) -> ErrorKind {
    match error.downcast::<Stop>().map(|stop| *stop) {
        Ok(Stop::NotAllowed) => ErrorKind::NotAllowed,
        Ok(Stop::AddressUnknown(proxy)) => ErrorKind::AddressUnknown(proxy),
        Ok(Stop::AtProxy(proxy, error)) => ErrorKind::AtProxy { proxy, failure: Box::new(failure(error, deadline)) },
        Err(_) => unsent(),
    }
}

fn unsent() -> ErrorKind {
    ErrorKind::Unreachable("the request cannot be sent, its URL may be too long".to_owned())
}
