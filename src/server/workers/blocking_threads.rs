//! Threads for tasks that may wait for a client, so that the listener never does, and workers rarely do (see `listener`).

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::server::os::threads::Threads;
use crate::sync::{Condvar, Mutex};

/// How long a thread waits for a task before it ends.
const IDLE: Duration = Duration::from_secs(5);

/// The maximum number of threads that wait for a task; others end when their task is done. Waiting threads are woken one after
/// another, so without this bound, a few tasks a second would keep all threads of a burst: none would be idle for [`IDLE`].
const MAX_IDLE_THREADS: usize = 32;

type BlockingTask = Box<dyn FnOnce() + Send>;

/// One thread for each task. There is at most one task for each open connection.
pub(in crate::server) struct BlockingThreads {
    name: &'static str,
    state: Mutex<BlockingState>,
    changed: Condvar,
    threads: Arc<Threads>,
}

#[derive(Default)]
struct BlockingState {
    tasks: VecDeque<BlockingTask>,
    /// How many threads wait for a task. A thread that was notified and has not woken yet still counts, and so does its task.
    idle: usize,
    /// How many threads have started and have not taken their first task yet.
    starting: usize,
}

impl BlockingThreads {
    /// Starts one thread, which never ends: if no further thread can be started, tasks wait for it.
    ///
    /// # Errors
    /// If that thread cannot be started.
    pub(in crate::server) fn start(name: &'static str, threads: Arc<Threads>) -> io::Result<Arc<BlockingThreads>> {
        let state = Mutex::new(BlockingState { starting: 1, ..BlockingState::default() });
        let blocking = Arc::new(BlockingThreads { name, state, changed: Condvar::new(), threads });
        blocking.start_thread(true)?;
        Ok(blocking)
    }

    /// Runs a task on an idle thread, or on a new one if all are busy. A panic in it has no effect on others.
    pub(in crate::server) fn run(self: &Arc<BlockingThreads>, task: impl FnOnce() + Send + 'static) {
        let mut state = self.state.lock();
        state.tasks.push_back(Box::new(task));
        let has_thread = state.tasks.len() <= state.idle + state.starting;
        if has_thread {
            drop(state);
            return self.changed.notify_one();
        }
        state.starting += 1;
        drop(state);
        if let Err(error) = self.start_thread(false) {
            self.state.lock().starting -= 1;
            self.threads.missing(error);
        }
    }

    /// Whether a task waits for a thread that is busy with another one.
    pub(in crate::server) fn has_waiting(&self) -> bool {
        let state = self.state.lock();
        state.tasks.len() > state.idle + state.starting
    }

    fn start_thread(self: &Arc<BlockingThreads>, stays: bool) -> io::Result<()> {
        let blocking = Arc::clone(self);
        let work = move || {
            let mut next = blocking.next(stays, true);
            while let Some(task) = next {
                let _ = catch_unwind(AssertUnwindSafe(task));
                next = blocking.next(stays, false);
            }
        };
        thread::Builder::new().name(self.name.to_owned()).spawn(work).map(drop)
    }

    /// The next task. `None`, so that the thread ends, if enough threads wait already or none has come for [`IDLE`]. The thread
    /// that stays never gets `None`.
    fn next(&self, stays: bool, is_first: bool) -> Option<BlockingTask> {
        let mut state = self.state.lock();
        state.starting -= usize::from(is_first);
        loop {
            if let Some(task) = state.tasks.pop_front() {
                return Some(task);
            }
            if state.idle >= MAX_IDLE_THREADS && !stays {
                return None;
            }
            state.idle += 1;
            let has_expired;
            (state, has_expired) = self.changed.wait_timeout(state, IDLE);
            state.idle -= 1;
            if has_expired && state.tasks.is_empty() && !stays {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;
    use crate::metrics::Metrics;

    fn start() -> Arc<BlockingThreads> {
        BlockingThreads::start("blocking", Threads::new(Arc::new(Metrics::new(1, 0)))).unwrap()
    }

    #[test]
    fn every_task_has_a_thread_at_once_though_others_wait() {
        let threads = start();
        let (done, all) = mpsc::channel();
        for _ in 0..3 {
            let gates: Vec<mpsc::Sender<()>> = (0..20)
                .map(|nth| {
                    let (gate, opened) = mpsc::channel();
                    let done = done.clone();
                    threads.run(move || {
                        opened.recv().unwrap();
                        done.send(nth).unwrap();
                    });
                    gate
                })
                .collect();
            // In reverse order: no task waits for one before it.
            for (nth, gate) in gates.iter().enumerate().rev() {
                gate.send(()).unwrap();
                assert_eq!(all.recv_timeout(Duration::from_secs(10)), Ok(nth));
            }
        }
    }

    #[test]
    fn a_burst_leaves_few_idle_threads_though_tasks_keep_coming() {
        let threads = start();
        let (done, all) = mpsc::channel();
        let gates: Vec<mpsc::Sender<()>> = (0..4 * MAX_IDLE_THREADS)
            .map(|_| {
                let (gate, opened) = mpsc::channel::<()>();
                let done = done.clone();
                threads.run(move || {
                    opened.recv().unwrap();
                    done.send(()).unwrap();
                });
                gate
            })
            .collect();
        for gate in &gates {
            gate.send(()).unwrap();
            all.recv_timeout(Duration::from_secs(10)).unwrap();
        }
        // Each thread and this test hold a reference. One thread may exceed the bound, because it stays.
        let deadline = Instant::now() + IDLE / 2;
        while Arc::strong_count(&threads) > MAX_IDLE_THREADS + 2 {
            assert!(Instant::now() < deadline, "{} threads stay", Arc::strong_count(&threads) - 1);
            let done = done.clone();
            threads.run(move || done.send(()).unwrap());
            all.recv_timeout(Duration::from_secs(10)).unwrap();
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_panic_costs_no_other_task() {
        let threads = start();
        let (done, all) = mpsc::channel();
        for _ in 0..5 {
            threads.run(|| panic!("on purpose"));
        }
        threads.run(move || done.send(()).unwrap());
        assert_eq!(all.recv_timeout(Duration::from_secs(10)), Ok(()));
    }
}
