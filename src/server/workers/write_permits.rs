//! How many workers may write their replies themselves.
//!
//! To hand a reply to another thread costs more than to write it, mostly. But a client may be slow to take it in, and then its
//! worker waits. So a quarter of the workers write at a time, which is more than ever do while clients are quick; the
//! others go on with the next request, and none of them waits for a client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many workers write, and how many may.
pub(in crate::server) struct WritePermits {
    writing: Arc<AtomicUsize>,
    most: usize,
}

/// A worker that writes, until it is dropped.
pub(in crate::server) struct WritePermit(Arc<AtomicUsize>);

impl WritePermits {
    /// A quarter of so many workers. Fewer than four all have to be there for the next request.
    pub(in crate::server) fn among(workers: usize) -> WritePermits {
        WritePermits { writing: Arc::default(), most: workers / 4 }
    }

    /// Lets one more worker write, if there may be one more.
    pub(in crate::server) fn begin(&self) -> Option<WritePermit> {
        let one_more = |writing| (writing < self.most).then_some(writing + 1);
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
