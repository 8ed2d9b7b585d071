//! Threads: whether the system allows enough of them, and what the mirror logs and counts if not.

use std::fmt::Display;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::log;
use crate::metrics::Metrics;
use crate::sync::Mutex;

/// The threads that the mirror needs at its start beside the workers: 7 permanent ones (they accept connections, receive requests,
/// watch the queue, re-read files, probe replicas, serve one connection and wait for one client), and some for connections, which
/// have one thread each. Threads that are needed only now and then are not counted, such as those that look up names.
pub(in crate::server) const BESIDE_WORKERS: usize = 7 + 16;

/// Threads count as short for this long after one was missing.
const SHORT_FOR: Duration = Duration::from_secs(10);

/// The stack of a thread that is started only as a trial: 64 KiB.
const TRIAL_STACK_BYTES: usize = 64 << 10;

/// How many threads can be started now, at most `most`.
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

/// When a thread was last missing, and how that is counted and logged.
#[derive(Debug)]
pub(in crate::server) struct Threads {
    metrics: Arc<Metrics>,
    last_missing: Mutex<Option<Instant>>,
    limit: log::Limit,
}

impl Threads {
    pub(in crate::server) fn new(metrics: Arc<Metrics>) -> Arc<Threads> {
        Arc::new(Threads { metrics, last_missing: Mutex::new(None), limit: log::Limit::new(1, SHORT_FOR) })
    }

    /// Counts that a thread could not be started, and logs it at most once in a while.
    pub(in crate::server) fn missing(&self, error: impl Display) {
        self.metrics.thread_shortages.inc();
        self.note_shortage();
        if let Some(left_out) = self.limit.admit() {
            log::warn(|| {
                log::Line::new("few threads")
                    .text("error", error)
                    .text("remedy", "allow the mirror more processes, or lower --workers")
                    .number("left_out", left_out)
            });
        }
    }

    /// Notes that a thread, or something else that each connection needs, is missing.
    pub(in crate::server) fn note_shortage(&self) {
        *self.last_missing.lock() = Some(Instant::now());
    }

    /// Whether one was missing within the last ten seconds.
    pub(in crate::server) fn are_short(&self) -> bool {
        let last = *self.last_missing.lock();
        last.is_some_and(|last| last.elapsed() < SHORT_FOR)
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
        *threads.last_missing.lock() = Some(Instant::now() - SHORT_FOR);
        assert!(!threads.are_short());
    }
}
