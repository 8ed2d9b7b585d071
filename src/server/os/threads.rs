//! Threads: whether there are enough of them, and what is told while there are not.

use std::fmt::Display;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::log;
use crate::metrics::Metrics;
use crate::sync::Mutex;

/// So many threads are needed beside the workers: 7 that are always there (they accept connections, take requests in, watch the
/// queue, re-read files, probe replicas, serve one connection and wait for one client), and some for connections, of which each
/// has one.
pub(in crate::server) const BESIDE_WORKERS: usize = 7 + 16;

/// For so long after a thread was missing, threads are taken to be short.
const MEMORY: Duration = Duration::from_secs(10);

/// The stack of a thread that is only started to see whether there is one: 64 KiB.
const TRIAL_STACK_BYTES: usize = 64 << 10;

/// How many threads can be started now, of so many.
pub(in crate::server) fn available(most: usize) -> usize {
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock();
    let start = |_| {
        let gate = Arc::clone(&gate);
        let wait = move || drop(gate.lock());
        thread::Builder::new().name("trial".to_owned()).stack_size(TRIAL_STACK_BYTES).spawn(wait).ok()
    };
    let started: Vec<_> = (0..most).map_while(start).collect();
    drop(closed);
    let count = started.len();
    for thread in started {
        let _ = thread.join();
    }
    count
}

/// What is known of threads that could not be started.
#[derive(Debug)]
pub(in crate::server) struct Threads {
    metrics: Arc<Metrics>,
    last_missing: Mutex<Option<Instant>>,
    limit: log::Limit,
}

impl Threads {
    pub(in crate::server) fn new(metrics: Arc<Metrics>) -> Arc<Threads> {
        Arc::new(Threads { metrics, last_missing: Mutex::new(None), limit: log::Limit::new(1, MEMORY) })
    }

    /// A thread could not be started: it is counted, and logged once in a while.
    pub(in crate::server) fn missing(&self, error: impl Display) {
        self.metrics.thread_shortages.inc();
        self.note_shortage();
        if let Some(left_out) = self.limit.admit() {
            let line = || log::Line::new("few threads").text("error", error);
            log::warn(|| {
                line()
                    .text("remedy", "allow the mirror more processes, or lower --workers")
                    .number("left_out", left_out)
            });
        }
    }

    /// Threads, or other things that each connection takes, are missing.
    pub(in crate::server) fn note_shortage(&self) {
        *self.last_missing.lock() = Some(Instant::now());
    }

    /// Whether one was missing a short time ago.
    pub(in crate::server) fn are_short(&self) -> bool {
        let last = *self.last_missing.lock();
        last.is_some_and(|last| last.elapsed() < MEMORY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_threads_as_are_asked_for_are_tried_at_most() {
        for most in [0, 1, 20] {
            assert_eq!(available(most), most);
        }
    }

    #[test]
    fn threads_are_short_for_a_while_after_one_was_missing() {
        let threads = Threads::new(Arc::new(Metrics::new(1, 0)));
        assert!(!threads.are_short());
        threads.missing("none");
        assert!(threads.are_short());
        *threads.last_missing.lock() = Some(Instant::now() - MEMORY);
        assert!(!threads.are_short());
    }
}
