//! The workers: a fixed number of threads, and a bounded queue before them.

use std::io;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use threadpool::ThreadPool;

use crate::metrics::{Held, Metrics};

/// A fixed number of workers and the jobs that wait for them.
pub(super) struct Pool {
    threads: ThreadPool,
    /// How many jobs there are, running or waiting, and how many there may be.
    jobs: Arc<AtomicUsize>,
    most: usize,
    metrics: Arc<Metrics>,
}

impl Pool {
    /// # Errors
    /// When there are not so many threads to be had.
    pub(super) fn new(workers: usize, queue: usize, metrics: Arc<Metrics>) -> io::Result<Pool> {
        let threads = catch_unwind(|| ThreadPool::with_name("worker".to_owned(), workers));
        let threads = threads.map_err(|_| io::Error::other(format!("there are not {workers} for the workers")))?;
        Ok(Pool { threads, jobs: Arc::default(), most: workers + queue, metrics })
    }

    /// A place for one more job, if there is one.
    pub(super) fn place(&self) -> Option<Place<'_>> {
        let one_more = |jobs| (jobs < self.most).then_some(jobs + 1);
        self.jobs.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        Some(Place { pool: self, taken: Taken(Arc::clone(&self.jobs)) })
    }
}

/// A place for a job.
pub(super) struct Place<'p> {
    pool: &'p Pool,
    taken: Taken,
}

impl Place<'_> {
    /// Has a worker do a job as soon as one is free.
    pub(super) fn run(self, job: impl FnOnce() + Send + 'static) {
        let Place { pool, taken } = self;
        let metrics = Arc::clone(&pool.metrics);
        let waiting = Held::new(&metrics.queue_length);
        pool.threads.execute(move || {
            let _taken = taken;
            let _busy = Held::new(&metrics.busy_workers);
            drop(waiting);
            job();
        });
    }
}

/// Gives a place back when dropped, a panic included.
struct Taken(Arc<AtomicUsize>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn there_are_as_many_places_as_workers_and_waiting_jobs() {
        let metrics = Arc::new(Metrics::new(2, 3));
        let pool = Pool::new(2, 3, Arc::clone(&metrics)).unwrap();
        let (go, started) = (mpsc::channel::<()>(), mpsc::channel::<()>());
        let (go_on, wait) = (go.0, Arc::new(std::sync::Mutex::new(go.1)));
        for _ in 0..5 {
            let (wait, started) = (Arc::clone(&wait), started.0.clone());
            pool.place().unwrap().run(move || {
                started.send(()).unwrap();
                wait.lock().unwrap().recv().unwrap();
            });
        }
        assert!(pool.place().is_none());
        for _ in 0..2 {
            started.1.recv().unwrap();
        }
        assert_eq!((metrics.busy_workers.get(), metrics.queue_length.get()), (2, 3));
        for _ in 0..5 {
            go_on.send(()).unwrap();
        }
        pool.threads.join();
        assert_eq!((metrics.busy_workers.get(), metrics.queue_length.get()), (0, 0));
        let places: Vec<Place<'_>> = std::iter::from_fn(|| pool.place()).collect();
        assert_eq!(places.len(), 5);
    }

    #[test]
    fn a_job_that_panics_gives_its_place_back_and_costs_no_worker() {
        let metrics = Arc::new(Metrics::new(1, 0));
        let pool = Pool::new(1, 0, Arc::clone(&metrics)).unwrap();
        for _ in 0..3 {
            pool.place().unwrap().run(|| panic!("on purpose"));
            pool.threads.join();
        }
        assert_eq!((metrics.busy_workers.get(), pool.jobs.load(Ordering::SeqCst)), (0, 0));
        let (sender, receiver) = mpsc::channel();
        pool.place().unwrap().run(move || sender.send(()).unwrap());
        receiver.recv().unwrap();
    }
}
