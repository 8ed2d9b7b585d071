//! What connections may cost before they have brought a request, what a server asks of its program, and what is wrong with a
//! head that is no request.

use std::io;
use std::thread;
use std::time::Duration;

/// What connections may cost before they have brought a request.
///
/// Times are looked at when something arrives, and when the read timeout of the socket expires, which the listening socket
/// has to have: without one, a silent client is waited for without end.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most connections. A further one has that closed which has waited longest for a request, or is closed itself.
    pub connections: usize,
    /// The most bytes of all heads that are arriving. Beyond it, the connection is closed whose head has taken longest.
    pub heads_bytes: usize,
    /// The most bytes of a head: the request line, the headers, and the empty line.
    pub head_bytes: usize,
    /// The most headers.
    pub headers: usize,
    /// How long a head, and a body of at most 1,024 bytes, may take from its first byte to its last.
    pub head_time: Duration,
    /// The most bytes of a body that are read only to be discarded. Where more are left, the connection ends.
    pub discarded_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 10_000,
            heads_bytes: 64 << 20,
            head_bytes: 64 << 10,
            headers: 100,
            head_time: Duration::from_secs(10),
            discarded_bytes: 64 << 20,
        }
    }
}

/// What a server asks of the program that it is part of.
pub trait Host: Send + Sync {
    /// Has a thread serve a connection until its end. Where there is none, the task waits for one.
    fn run(&self, task: Box<dyn FnOnce() + Send>);

    /// How long a connection that has brought a request is kept without a further one while none is being answered. It is
    /// asked for each time that the read timeout expires. A connection without any request ends with its first read timeout.
    fn idle_time(&self) -> Duration;

    /// Whether a task that was to be run still waits for a thread. Until then no further connection is accepted.
    fn has_waiting(&self) -> bool {
        false
    }

    /// A connection was closed to make room for another one, or was refused since there is no room for it.
    fn closed_for_room(&self) {}

    /// A connection could not be accepted, for want of descriptors for example. It is tried again soon.
    fn cannot_accept(&self, _error: &io::Error) {}
}

/// A host that starts a thread for each connection.
pub(crate) struct DefaultHost;

impl Host for DefaultHost {
    fn run(&self, task: Box<dyn FnOnce() + Send>) {
        // without a thread, the connection is closed
        let _ = thread::Builder::new().spawn(task);
    }

    fn idle_time(&self) -> Duration {
        Duration::from_secs(60)
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
    /// There is no room for it: its connection was closed for others.
    NoRoom,
}
