//! A tiny_http server on the listening socket, and another one when it stops accepting.
//!
//! - Defect: tiny_http stops accepting for good when it fails to accept a single connection, for want of a descriptor for
//!   example. When the next call fails (`try_clone`, with the last descriptor there was), its accepting thread panics and nobody
//!   is told.
//! - Seen: with `ulimit -n 60` and more clients than that; no connection was accepted afterwards.
//! - Here: another server takes over the same socket, while the old one serves the connections that it has. A panic shows by
//!   the server's descriptor of the socket, which is closed then.
//!
//! - Defect: tiny_http panics when it cannot start a thread for a connection, and all threads of that server end with their
//!   present connection.
//! - Seen: under a limit of 40 processes; the mirror said that it listens, never answered, and panicked ten times a second.
//! - Here: another server takes over once there are threads again, and as many as there are serve until then.
//! - Tests: `tests/it/operation/descriptors.rs`, `tests/it/operation/threads.rs`.

use std::io;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tiny_http::{Limits, Request, Server};

use crate::log;
use crate::server::os::descriptors::Descriptor;
use crate::server::os::threads::{self, Threads};
use crate::server::tiny_http::limits::limits;

/// How often to check whether connections are still accepted.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How long to wait before trying again to take over a socket, for want of descriptors for example.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// So many descriptors must be free before connections are accepted again. Where one is missing, the next connection would
/// take the last.
const SPARE_DESCRIPTORS: usize = 16;

/// So many threads must be free before connections are accepted again, for the first so long; then the fewest, which are
/// those that tiny_http starts with and one more.
const SPARE_THREADS: usize = 16;
const FEWEST_THREADS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is logged that connections cannot be accepted, or are again.
static LIMIT: log::Limit = log::Limit::new(2, Duration::from_secs(10));

/// How often to check whether a server that does not accept any more has open connections.
const RETIREMENT_INTERVAL: Duration = Duration::from_secs(1);

/// A server that accepts connections, or did.
pub(in crate::server) struct Accepting {
    server: Arc<Server>,
    /// The descriptor by which it accepts, if the system tells.
    acceptor: Option<Descriptor>,
}

impl Accepting {
    /// A server on a socket, as soon as there can be one.
    pub(in crate::server) fn on(socket: &TcpListener, threads: &Arc<Threads>) -> Accepting {
        let begun = Instant::now();
        let mut is_first = true;
        loop {
            let wanted = if begun.elapsed() < PATIENCE { SPARE_THREADS } else { FEWEST_THREADS };
            let found = threads::available(wanted);
            let spare: io::Result<Vec<TcpListener>> = (0..SPARE_DESCRIPTORS).map(|_| socket.try_clone()).collect();
            // The spare ones are closed before the server takes the first connection.
            let started = spare.map(drop).and_then(|()| match found < wanted {
                true => Err(io::Error::other(format!("{wanted} threads are needed, and {found} are free"))),
                false => Accepting::start(socket.try_clone()?, limits(threads)),
            });
            match started {
                Ok(accepting) => return accepting,
                Err(error) if is_first && LIMIT.admit().is_some() => {
                    log::error(|| log::Line::new("cannot accept").text("error", &error));
                }
                Err(_) => {}
            }
            threads.still_missing();
            is_first = false;
            thread::sleep(RETRY_INTERVAL);
        }
    }

    /// Whether it is to be logged that it has stopped accepting.
    pub(in crate::server) fn logs_its_end() -> bool {
        LIMIT.admit().is_some()
    }

    fn start(socket: TcpListener, limits: Limits) -> io::Result<Accepting> {
        let acceptor = Descriptor::of(&socket).ok();
        // It panics when there is no thread to be had.
        let server = catch_unwind(AssertUnwindSafe(|| Server::with_limits(socket, None, limits)));
        let server = server.map_err(|_| io::Error::other("it has panicked, perhaps for want of a thread"))?;
        Ok(Accepting { server: Arc::new(server.map_err(io::Error::other)?), acceptor })
    }

    /// Hands over requests until no more are accepted, and says why not.
    pub(in crate::server) fn serve(&self, hand_over: impl Fn(Request, &Arc<Server>)) -> io::Error {
        let mut looked = Instant::now();
        loop {
            match self.server.recv_timeout(LOOK_INTERVAL) {
                Ok(Some(request)) => hand_over(request, &self.server),
                Ok(None) => {}
                Err(stopped) => return stopped,
            }
            if looked.elapsed() >= LOOK_INTERVAL {
                if self.acceptor.as_ref().is_some_and(|acceptor| !acceptor.is_open()) {
                    return io::Error::other("the thread that accepts connections has ended");
                }
                looked = Instant::now();
            }
        }
    }

    /// Hands over what comes on the connections that were accepted before it stopped to, until all are closed and no request
    /// waits for an answer.
    pub(in crate::server) fn retire(self, hand_over: impl Fn(Request, &Arc<Server>)) {
        loop {
            match self.server.recv_timeout(RETIREMENT_INTERVAL) {
                Ok(Some(request)) => hand_over(request, &self.server),
                // It is held here, and by the requests it has brought.
                _ if self.server.num_connections() == 0 && Arc::strong_count(&self.server) == 1 => return,
                _ => {}
            }
        }
    }
}
