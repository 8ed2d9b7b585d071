//! The workers: a fixed number of threads, and a bounded queue before them.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

use threadpool::ThreadPool;

use crate::metrics::{Held, Metrics};

/// A fixed number of workers and the jobs that wait for them.
pub(super) struct Pool {
    queue: Arc<Queue>,
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
        let most = workers + queue;
        let queue: Arc<Queue> = Arc::default();
        for _ in 0..workers {
            let queue = Arc::clone(&queue);
            threads.execute(move || queue.work_for_ever());
        }
        Ok(Pool { queue, jobs: Arc::default(), most, metrics })
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
        pool.queue.push(move || {
            let _taken = taken;
            let _busy = Held::new(&metrics.busy_workers);
            drop(waiting);
            job();
        });
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Jobs, and the workers that have none. The pool's own queue would have each job wake a second worker, which then waits in the
/// place of the first.
#[derive(Default)]
struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    idle: Vec<Thread>,
}

impl Queue {
    /// Adds a job, for which the worker that had one last is woken: the fewer of them are at work in turns, the less memory
    /// they keep.
    fn push(&self, job: impl FnOnce() + Send + 'static) {
        let mut waiting = self.waiting();
        waiting.jobs.push_back(Box::new(job));
        let woken = waiting.idle.pop();
        drop(waiting);
        if let Some(worker) = woken {
            worker.unpark();
        }
    }

    /// The work of a worker. A panic costs a job and nothing else.
    fn work_for_ever(&self) -> ! {
        loop {
            let _ = catch_unwind(AssertUnwindSafe(self.next()));
        }
    }

    /// The next job, as soon as there is one.
    fn next(&self) -> Job {
        let this = thread::current();
        let mut waiting = self.waiting();
        loop {
            // Parking may end for no reason, and then the worker is among the idle still.
            let place = waiting.idle.iter().position(|idle| idle.id() == this.id());
            if let Some(job) = waiting.jobs.pop_front() {
                place.map(|place| waiting.idle.remove(place));
                return job;
            }
            if place.is_none() {
                waiting.idle.push(this.clone());
            }
            drop(waiting);
            thread::park();
            waiting = self.waiting();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    use std::iter;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;

    fn all_done(pool: &Pool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while pool.jobs.load(Ordering::SeqCst) > 0 {
            assert!(Instant::now() < deadline, "the jobs are not done");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn there_are_as_many_places_as_workers_and_waiting_jobs() {
        let metrics = Arc::new(Metrics::new(2, 3));
        let pool = Pool::new(2, 3, Arc::clone(&metrics)).unwrap();
        let (go, started) = (mpsc::channel::<()>(), mpsc::channel::<()>());
        let (go_on, wait) = (go.0, Arc::new(Mutex::new(go.1)));
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
        all_done(&pool);
        assert_eq!((metrics.busy_workers.get(), metrics.queue_length.get()), (0, 0));
        let places: Vec<Place<'_>> = iter::from_fn(|| pool.place()).collect();
        assert_eq!(places.len(), 5);
    }

    #[test]
    fn a_job_that_panics_gives_its_place_back_and_costs_no_worker() {
        let metrics = Arc::new(Metrics::new(1, 0));
        let pool = Pool::new(1, 0, Arc::clone(&metrics)).unwrap();
        for _ in 0..3 {
            pool.place().unwrap().run(|| panic!("on purpose"));
            all_done(&pool);
        }
        assert_eq!((metrics.busy_workers.get(), pool.jobs.load(Ordering::SeqCst)), (0, 0));
        let (sender, receiver) = mpsc::channel();
        pool.place().unwrap().run(move || sender.send(()).unwrap());
        receiver.recv().unwrap();
    }
}
