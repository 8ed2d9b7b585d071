//! What a connection may cost before it has brought a request, and what is wrong with a head that is no request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a connection may cost before it has brought a request.
///
/// Times are looked at when something arrives, and when the read timeout of the socket expires, which the listening socket
/// has to have: without one, a silent client is waited for without end.
#[derive(Clone)]
pub struct Limits {
    /// The most bytes of a head: the request line, the headers, and the empty line.
    pub head_bytes: usize,
    /// The most headers.
    pub headers: usize,
    /// How long a head, and a body of at most 1,024 bytes, may take from its first byte to its last.
    pub head_time: Duration,
    /// How long a connection that has brought a request is kept without a further one while none is being answered. It is
    /// asked for each time that the read timeout expires. A connection without any request ends with its first read timeout.
    pub idle_time: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// The most bytes of a body that are read only to be discarded. Where more are left, the connection ends.
    pub discarded_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head_bytes: 64 << 10,
            headers: 100,
            head_time: Duration::from_secs(10),
            idle_time: Arc::new(|| Duration::from_secs(60)),
            discarded_bytes: 64 << 20,
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

/// Why a head is no request. Nothing that follows it on its connection is read as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It has more bytes or headers than [`Limits`] allow.
    TooLong,
    /// It, or a short body, did not arrive in time.
    TooSlow,
    /// It has a byte above 127.
    NotAscii,
    /// Its first line is none of HTTP/1.
    RequestLine,
    /// It is of HTTP/2 or HTTP/3.
    Version,
    /// One of its lines is no header, or continues the line before it.
    HeaderLine,
    /// It expects something else than `100-continue`.
    Expectation,
}
