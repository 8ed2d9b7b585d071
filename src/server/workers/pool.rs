//! The workers: a fixed number of threads, and the requests that wait for them in a bounded queue.
//!
//! `shares` bounds how many workers and places one upstream may hold. A request that waits until its deadline fails then.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::Instant;

use threadpool::ThreadPool;

use crate::api::Lane;
use crate::error::{Full, Places};
use crate::metrics::{Held, Metrics};
use crate::server::workers::shares::Shares;
use crate::sync::{Condvar, Mutex};

/// A task. The pool calls it once, with its outcome. A panic in it has no effect on others.
pub(in crate::server) type PoolTask = Box<dyn FnOnce(TaskOutcome) + Send>;

/// The outcome of a task's wait for a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum TaskOutcome {
    /// It runs on a worker.
    Worker {
        /// Whether its upstream had as many tasks as it may have on workers ([`Lane::max_in_flight`]) when the task arrived.
        found_max_in_flight: bool,
    },
    /// Its deadline passed while it waited for a worker.
    Expired {
        /// How many workers its upstream holds.
        held_by_upstream: usize,
    },
    /// There is no worker and no place in the queue for it.
    NoRoom {
        /// What is full.
        full: Full,
        /// How many workers and places in the queue there are.
        places: Places,
    },
}

/// A fixed number of workers, and the tasks that wait for them.
pub(in crate::server) struct Pool(Arc<PoolCore>);

struct PoolCore {
    state: Mutex<PoolState>,
    /// Wakes the thread that watches deadlines when there is an earlier one.
    earlier: Condvar,
    metrics: Arc<Metrics>,
}

struct PoolState {
    waiting: VecDeque<WaitingTask>,
    idle: Vec<Thread>,
    shares: Shares,
    /// The deadline that the watching thread waits for.
    watched: Option<Instant>,
}

impl PoolState {
    /// Whether a deadline is earlier than the watched one.
    fn is_unwatched(&self, deadline: Instant) -> bool {
        self.watched.is_none_or(|watched| deadline < watched)
    }
}

/// A task that waits for a worker.
struct WaitingTask {
    lane: Lane,
    deadline: Instant,
    task: PoolTask,
    found_max_in_flight: bool,
    /// Counts it in the metrics.
    queued: Held,
}

impl Pool {
    /// Starts the workers. `queue` is the maximum number of waiting tasks.
    ///
    /// # Errors
    /// If not all threads can be started.
    pub(in crate::server) fn new(workers: usize, queue: usize, metrics: Arc<Metrics>) -> io::Result<Pool> {
        let threads = catch_unwind(|| ThreadPool::with_name("worker".to_owned(), workers));
        let threads = threads.map_err(|_| io::Error::other(format!("there are not {workers} for the workers")))?;
        let shares = Shares::new(workers, queue);
        let state = PoolState { waiting: VecDeque::new(), idle: Vec::new(), shares, watched: None };
        let core = Arc::new(PoolCore { state: Mutex::new(state), earlier: Condvar::new(), metrics });
        for _ in 0..workers {
            let core = Arc::clone(&core);
            threads.execute(move || core.work_for_ever());
        }
        let watch = Arc::clone(&core);
        thread::Builder::new().name("queue".to_owned()).spawn(move || watch.expire_for_ever())?;
        Ok(Pool(core))
    }

    /// Runs a task on a worker as soon as one is free and the upstream's share allows it.
    pub(in crate::server) fn run(&self, lane: Lane, deadline: Instant, task: PoolTask) {
        let Pool(core) = self;
        let queued = Held::new(&core.metrics.queue_length);
        let mut state = core.state.lock();
        if let Some(full) = state.shares.full(lane) {
            let places = state.shares.places();
            drop((state, queued));
            return task(TaskOutcome::NoRoom { full, places });
        }
        let found_max_in_flight = state.shares.has_reached_max(lane);
        state.shares.tasks.add(lane);
        state.waiting.push_back(WaitingTask { lane, deadline, task, found_max_in_flight, queued });
        // Wake the worker that had a task last: the fewer workers are used, the less memory they keep.
        let woken = if state.shares.may_run(lane) { state.idle.pop() } else { None };
        let has_to_be_watched = woken.is_none() && state.is_unwatched(deadline);
        drop(state);
        woken.iter().for_each(Thread::unpark);
        if has_to_be_watched {
            core.earlier.notify_one();
        }
    }
}

impl PoolCore {
    /// The loop of a worker.
    fn work_for_ever(self: &Arc<PoolCore>) -> ! {
        loop {
            let WaitingTask { lane, task, found_max_in_flight, queued, .. } = self.next();
            let _running = Running { core: self, lane };
            let _busy = Held::new(&self.metrics.busy_workers);
            drop(queued);
            let _ = catch_unwind(AssertUnwindSafe(|| task(TaskOutcome::Worker { found_max_in_flight })));
        }
    }

    /// Waits for the next task that may run, and counts it as running.
    fn next(&self) -> WaitingTask {
        let this = thread::current();
        let mut state = self.state.lock();
        loop {
            // Parking may end spuriously, and then the worker is still in the list of idle ones.
            let place = state.idle.iter().position(|idle| idle.id() == this.id());
            if let Some(waiting) = PoolCore::take(&mut state) {
                place.map(|place| state.idle.remove(place));
                // The shares have changed, so another task may run now.
                let another = state.waiting.iter().any(|waiting| state.shares.may_run(waiting.lane));
                let woken = if another { state.idle.pop() } else { None };
                drop(state);
                woken.iter().for_each(Thread::unpark);
                return waiting;
            }
            if place.is_none() {
                state.idle.push(this.clone());
            }
            let has_to_be_watched = state.waiting.iter().any(|waiting| state.is_unwatched(waiting.deadline));
            drop(state);
            if has_to_be_watched {
                self.earlier.notify_one();
            }
            thread::park();
            state = self.state.lock();
        }
    }

    /// Takes the task to run next: among those that may run, one whose upstream holds the fewest workers; among these, the oldest.
    fn take(state: &mut PoolState) -> Option<WaitingTask> {
        let runnable = state.waiting.iter().enumerate().filter(|(_, waiting)| state.shares.may_run(waiting.lane));
        let (index, _) = runnable.min_by_key(|(_, waiting)| state.shares.running.of(waiting.lane))?;
        let waiting = state.waiting.remove(index)?;
        state.shares.running.add(waiting.lane);
        Some(waiting)
    }

    /// Calls each task whose deadline passes while it waits.
    fn expire_for_ever(&self) -> ! {
        let mut state = self.state.lock();
        loop {
            let now = Instant::now();
            let late = state.waiting.iter().position(|waiting| waiting.deadline <= now);
            if let Some(WaitingTask { lane, task, queued, .. }) = late.and_then(|index| state.waiting.remove(index)) {
                state.shares.tasks.remove(lane);
                let outcome = TaskOutcome::Expired { held_by_upstream: state.shares.running.of(lane) };
                drop(state);
                drop(queued);
                let _ = catch_unwind(AssertUnwindSafe(|| task(outcome)));
                state = self.state.lock();
                continue;
            }
            state.watched = state.waiting.iter().map(|waiting| waiting.deadline).min();
            state = match state.watched {
                Some(deadline) => self.earlier.wait_timeout(state, deadline - now).0,
                None => self.earlier.wait(state),
            };
        }
    }
}

/// Counts a task as running until it is dropped, even if the task panics.
struct Running<'s> {
    core: &'s PoolCore,
    lane: Lane,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.core.state.lock().shares.end(self.lane);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    const WORKER: TaskOutcome = TaskOutcome::Worker { found_max_in_flight: false };

    fn lane(id: u64) -> Lane {
        Lane { id, responded_lately: true, max_in_flight: None }
    }

    fn unknown(id: u64) -> Lane {
        Lane { id, responded_lately: false, max_in_flight: None }
    }

    /// The upstream of a task, and its outcome.
    type Begun = (u64, TaskOutcome);

    /// A pool whose tasks report that they begin, and wait until they may end.
    struct Workshop {
        pool: Pool,
        metrics: Arc<Metrics>,
        begun: Receiver<Begun>,
        begin: Sender<Begun>,
        gates: HashMap<u64, Vec<Sender<()>>>,
    }

    impl Workshop {
        fn new(workers: usize, queue: usize) -> Workshop {
            let metrics = Arc::new(Metrics::new(workers, queue));
            let pool = Pool::new(workers, queue, Arc::clone(&metrics)).unwrap();
            let (begin, begun) = mpsc::channel();
            Workshop { pool, metrics, begun, begin, gates: HashMap::new() }
        }

        /// Whether there was room for a task.
        fn run(&mut self, lane: Lane, within: Duration) -> bool {
            let (gate, opened) = mpsc::channel();
            let begun = self.begin.clone();
            let (refusal, refused) = mpsc::channel();
            let task = move |outcome| match outcome {
                TaskOutcome::NoRoom { .. } => refusal.send(()).unwrap(),
                TaskOutcome::Expired { .. } => begun.send((lane.id, outcome)).unwrap(),
                TaskOutcome::Worker { .. } => {
                    begun.send((lane.id, outcome)).unwrap();
                    let _ = opened.recv();
                }
            };
            self.pool.run(lane, Instant::now() + within, Box::new(task));
            let has_room = refused.try_recv().is_err();
            if has_room {
                self.gates.entry(lane.id).or_default().push(gate);
            }
            has_room
        }

        /// The next task that begins.
        fn next(&self) -> Begun {
            self.begun.recv_timeout(LONG).unwrap()
        }

        fn next_upstreams(&self, count: usize) -> Vec<u64> {
            let begun = (0..count).map(|_| match self.next() {
                (upstream, TaskOutcome::Worker { .. }) => upstream,
                other => panic!("not begun: {other:?}"),
            });
            let mut upstreams: Vec<u64> = begun.collect();
            upstreams.sort_unstable();
            upstreams
        }

        fn nothing_begins(&self) -> bool {
            self.begun.recv_timeout(Duration::from_millis(30)).is_err()
        }

        /// Ends the oldest task of an upstream.
        fn end_one(&mut self, upstream: u64) {
            drop(self.gates.get_mut(&upstream).unwrap().remove(0));
        }

        fn end_all(&mut self) {
            self.gates.clear();
            let deadline = Instant::now() + LONG;
            while self.pool.0.state.lock().shares.tasks() > 0 {
                assert!(Instant::now() < deadline, "the tasks are not done");
                thread::sleep(Duration::from_millis(1));
            }
            assert!(self.pool.0.state.lock().shares.are_idle());
        }
    }

    #[test]
    fn there_is_room_for_as_many_tasks_as_workers_and_the_queue_have() {
        let mut shop = Workshop::new(2, 3);
        let runs: Vec<bool> = (0..6).map(|nth| shop.run(lane(nth), LONG)).collect();
        assert_eq!(runs, [true, true, true, true, true, false]);
        assert_eq!(shop.next_upstreams(2), [0, 1]);
        assert_eq!((shop.metrics.busy_workers.get(), shop.metrics.queue_length.get()), (2, 3));
        shop.end_all();
        assert_eq!((shop.metrics.busy_workers.get(), shop.metrics.queue_length.get()), (0, 0));
        assert!(shop.run(lane(9), LONG));
    }

    #[test]
    fn one_upstream_has_three_quarters_of_the_workers_and_of_the_queue() {
        for (workers, share_of_workers) in [(1, 1), (3, 3), (4, 3), (8, 6), (20, 15)] {
            let mut shop = Workshop::new(workers, 3 * workers);
            let accepted = (0..5 * workers).filter(|_| shop.run(lane(1), LONG)).count();
            assert_eq!(accepted, if workers < 4 { 4 * workers } else { 3 * workers }, "{workers}");
            assert_eq!(shop.next_upstreams(share_of_workers), vec![1; share_of_workers]);
            assert!(shop.nothing_begins(), "{workers}");
            // The others begin at once.
            for other in 0..workers - share_of_workers {
                assert!(shop.run(lane(100 + other as u64), LONG));
                assert_eq!(shop.next(), (100 + other as u64, WORKER));
            }
            (share_of_workers..workers).for_each(|nth| shop.end_one(100 + (nth - share_of_workers) as u64));
            assert!(shop.nothing_begins(), "{workers}");
            shop.end_one(1);
            assert_eq!(shop.next(), (1, WORKER));
            shop.end_all();
        }
    }

    #[test]
    fn a_second_upstream_may_hold_three_quarters_of_the_rest() {
        // Three quarters of all, then three quarters of the rest, rounded up.
        for (workers, first, second) in [(8, 6, 2), (9, 7, 2), (12, 9, 3), (16, 12, 3), (20, 15, 4), (100, 75, 19)] {
            let mut shop = Workshop::new(workers, 10 * workers);
            for (upstream, share) in [(1, first), (2, second)] {
                (0..workers).for_each(|_| assert!(shop.run(lane(upstream), LONG)));
                assert_eq!(shop.next_upstreams(share), vec![upstream; share], "{workers}");
                assert!(shop.nothing_begins(), "{workers}");
            }
            if first + second < workers {
                assert!(shop.run(lane(3), LONG));
                assert_eq!(shop.next(), (3, WORKER));
            }
            shop.end_all();
        }
    }

    #[test]
    fn all_unknown_upstreams_together_have_seven_eighths() {
        let mut shop = Workshop::new(8, 24);
        let accepted = (0..40).filter(|&nth| shop.run(unknown(nth), LONG)).count();
        assert_eq!(accepted, 28);
        shop.next_upstreams(7);
        assert!(shop.nothing_begins());
        assert!(shop.run(lane(100), LONG));
        assert_eq!(shop.next(), (100, WORKER));
        shop.end_all();
    }

    #[test]
    fn the_upstream_that_holds_the_fewest_workers_comes_first() {
        let mut shop = Workshop::new(2, 10);
        let run_all = |shop: &mut Workshop, upstreams: &[u64]| {
            upstreams.iter().for_each(|&upstream| assert!(shop.run(lane(upstream), LONG)));
        };
        run_all(&mut shop, &[1, 1]);
        assert_eq!(shop.next_upstreams(2), [1, 1]);
        run_all(&mut shop, &[1, 1, 2, 3, 2]);
        shop.end_one(1);
        // Upstream 1 still holds the other worker.
        assert_eq!(shop.next(), (2, WORKER));
        shop.end_one(1);
        assert_eq!(shop.next(), (1, WORKER));
        shop.end_one(2);
        assert_eq!(shop.next(), (3, WORKER));
        shop.end_all();
    }

    #[test]
    fn one_task_that_ends_may_let_two_begin() {
        let mut shop = Workshop::new(8, 24);
        (0..4).for_each(|_| assert!(shop.run(unknown(1), LONG)));
        (0..3).for_each(|_| assert!(shop.run(unknown(2), LONG)));
        assert_eq!(shop.next_upstreams(7), [1, 1, 1, 1, 2, 2, 2]);
        // One worker is free: upstream 2 has its share of the workers, and the unknown upstreams have theirs.
        assert!(shop.run(lane(2), LONG) && shop.run(unknown(3), LONG));
        assert!(shop.nothing_begins());
        shop.end_one(2);
        assert_eq!(shop.next_upstreams(2), [2, 3]);
        shop.end_all();
    }

    #[test]
    fn a_task_that_waits_beyond_its_deadline_is_told_so_then() {
        let mut shop = Workshop::new(4, 40);
        for _ in 0..3 {
            shop.run(lane(1), LONG);
        }
        shop.next_upstreams(3);
        let began = Instant::now();
        assert!(shop.run(lane(1), Duration::from_millis(300)));
        assert!(shop.run(lane(1), Duration::from_millis(50)));
        assert_eq!(shop.next(), (1, TaskOutcome::Expired { held_by_upstream: 3 }));
        let took = began.elapsed();
        assert!((50..250).contains(&took.as_millis()), "{took:?}");
        assert_eq!(shop.next(), (1, TaskOutcome::Expired { held_by_upstream: 3 }));
        assert!((300..2_000).contains(&began.elapsed().as_millis()));
        assert_eq!(shop.metrics.queue_length.get(), 0);
        shop.end_all();
    }

    #[test]
    fn a_task_that_panics_costs_nothing_else() {
        let metrics = Arc::new(Metrics::new(1, 0));
        let pool = Pool::new(1, 0, Arc::clone(&metrics)).unwrap();
        let (sender, receiver) = mpsc::channel();
        for _ in 0..3 {
            pool.run(lane(1), Instant::now() + LONG, Box::new(|_| panic!("on purpose")));
            while pool.0.state.lock().shares.tasks() > 0 {
                thread::yield_now();
            }
        }
        pool.run(lane(1), Instant::now() + LONG, Box::new(move |outcome| sender.send(outcome).unwrap()));
        assert_eq!(receiver.recv_timeout(LONG), Ok(WORKER));
    }
}
