//! Bounds how many workers write their replies themselves.
//!
//! Handing a reply to another thread usually costs more than writing it. But a client may be slow, and then its worker waits.
//! So at most a quarter of the workers write at a time, which is enough while clients are fast. The other workers hand their
//! replies over, and never wait for a client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many workers are writing, and how many may.
pub(in crate::server) struct WritePermits {
    writing: Arc<AtomicUsize>,
    max: usize,
}

/// Permits a worker to write, until it is dropped.
pub(in crate::server) struct WritePermit(Arc<AtomicUsize>);

impl WritePermits {
    /// Permits for a quarter of the workers. With fewer than four workers, none writes.
    pub(in crate::server) fn among(workers: usize) -> WritePermits {
        WritePermits { writing: Arc::default(), max: workers / 4 }
    }

    /// A permit, if fewer workers than allowed are writing.
    pub(in crate::server) fn begin(&self) -> Option<WritePermit> {
        let one_more = |writing| (writing < self.max).then_some(writing + 1);
        self.writing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(WritePermit(Arc::clone(&self.writing)))
    }
}

impl Drop for WritePermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_a_quarter_of_the_workers_write() {
        for (workers, most) in [(1, 0), (3, 0), (4, 1), (7, 1), (20, 5)] {
            let writers = WritePermits::among(workers);
            for _ in 0..2 {
                let writing: Vec<WritePermit> = std::iter::from_fn(|| writers.begin()).collect();
                assert_eq!(writing.len(), most, "{workers}");
            }
        }
    }
}
