//! The host of the copy of tiny_http: gives it threads, and decides how long it keeps connections.
//!
//! - Defect: tiny_http 0.12 never accepts a connection again after one could not be accepted, for example because no descriptor was
//!   free. It panics when it cannot start a thread. It gives connections that arrive together to as many threads as looked
//!   idle a moment before, so that some wait behind connections that may stay open.
//! - Seen: with `ulimit -n 60`, and under a limit of 40 processes, the mirror never answered again; 52 of 300 requests stuck
//!   after a pause of the process.
//! - Here: `ConnectionHost` gives the copy a thread for each connection. If no thread can be started, the connection waits until
//!   one is free. If threads, descriptors or places are missing, the copy closes the connection that has been idle for the longest
//!   time.
//! - Tests: `tests/it/operation/{bursts,descriptors,threads,connections}.rs`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tiny_http::Host;

use crate::log;
use crate::metrics::Metrics;
use crate::server::os::socket::CONNECTION_TIMEOUT;
use crate::server::os::threads::Threads;
use crate::server::tiny_http::limits::KEPT;
use crate::server::workers::blocking_threads::BlockingThreads;

/// At most this often, the log says that connections cannot be accepted.
static ACCEPT_LOG_LIMIT: log::Limit = log::Limit::new(1, Duration::from_secs(10));

/// Gives tiny_http threads for connections, and counts failures.
pub(in crate::server) struct ConnectionHost {
    pub(in crate::server) threads: Arc<Threads>,
    /// Serve the connections, and nothing else.
    pub(in crate::server) connection_threads: Arc<BlockingThreads>,
    pub(in crate::server) metrics: Arc<Metrics>,
}

impl Host for ConnectionHost {
    fn run(&self, task: Box<dyn FnOnce() + Send>) {
        self.connection_threads.run(task);
    }

    fn has_waiting(&self) -> bool {
        self.connection_threads.has_waiting()
    }

    /// While threads are missing, an idle connection is kept only as long as one that is silent within a request.
    fn idle_time(&self) -> Duration {
        // tiny_http checks once in each read timeout, and the response before may have ended just after a check.
        if self.threads.are_short() { CONNECTION_TIMEOUT } else { KEPT + CONNECTION_TIMEOUT }
    }

    fn closed_for_room(&self) {
        self.metrics.evicted_connections.inc();
    }

    fn cannot_accept(&self, error: &io::Error) {
        self.metrics.accept_failures.inc();
        self.threads.note_shortage();
        if let Some(left_out) = ACCEPT_LOG_LIMIT.admit() {
            log::warn(|| {
                log::Line::new("cannot accept a connection")
                    .text("error", error)
                    .text("remedy", "raise the limits of the mirror: open files (ulimit -n), memory")
                    .number("left_out", left_out)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connections_make_room_while_threads_are_missing() {
        let metrics = Arc::new(Metrics::new(1, 0));
        let threads = Threads::new(Arc::clone(&metrics));
        let connection_threads = BlockingThreads::start("connection", Arc::clone(&threads)).unwrap();
        let host = ConnectionHost { threads: Arc::clone(&threads), connection_threads, metrics };
        assert!(host.idle_time() >= KEPT + CONNECTION_TIMEOUT);
        threads.missing("none");
        assert_eq!(host.idle_time(), CONNECTION_TIMEOUT);
    }
}
