//! How many workers may write their replies themselves.
//!
//! To hand a reply to another thread costs more than to write it, mostly. But a client may be slow to take it in, and then its
//! worker waits. So a quarter of the workers write at a time, which is more than ever do while clients are quick; the
//! others go on with the next request, and none of them waits for a client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The workers that write.
pub(super) struct Writers {
    writing: Arc<AtomicUsize>,
    most: usize,
}

/// One of them, until it is dropped.
pub(super) struct Writing(Arc<AtomicUsize>);

impl Writers {
    /// Those of so many workers. Fewer than four have to be there for the next request, all of them.
    pub(super) fn among(workers: usize) -> Writers {
        Writers { writing: Arc::default(), most: workers / 4 }
    }

    /// One more, if there may be.
    pub(super) fn begin(&self) -> Option<Writing> {
        let one_more = |writing| (writing < self.most).then_some(writing + 1);
        self.writing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Writing(Arc::clone(&self.writing)))
    }
}

impl Drop for Writing {
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
            let writers = Writers::among(workers);
            for _ in 0..2 {
                let writing: Vec<Writing> = std::iter::from_fn(|| writers.begin()).collect();
                assert_eq!(writing.len(), most, "{workers}");
            }
        }
    }
}
