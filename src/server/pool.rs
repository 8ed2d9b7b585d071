//! The workers: a fixed number of threads, and a bounded queue before them.

use threadpool::ThreadPool;

/// How many jobs may wait for each worker.
const QUEUED_PER_WORKER: usize = 10;

/// A fixed number of workers and the jobs that wait for them.
pub(super) struct Pool {
    threads: ThreadPool,
}

impl Pool {
    pub(super) fn new(workers: usize) -> Pool {
        Pool { threads: ThreadPool::with_name("worker".to_owned(), workers) }
    }

    /// Whether one more job may wait. Threads that ask at the same moment may exceed the bound by their number.
    pub(super) fn has_room(&self) -> bool {
        self.threads.queued_count() < self.threads.max_count() * QUEUED_PER_WORKER
    }

    pub(super) fn execute(&self, job: impl FnOnce() + Send + 'static) {
        self.threads.execute(job);
    }
}
