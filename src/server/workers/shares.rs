//! Counts tasks, and bounds how many of them one upstream may have. Here, an upstream is what a lane identifies: a named upstream
//! with all its replicas, or a server.
//!
//! The requests to one upstream may hold at most three quarters of the workers and of the queue, so that an upstream that does
//! not answer leaves some to the others. Of the workers, an upstream may hold three quarters of those that the other upstreams do
//! not hold, so that, with 16 workers or more, two upstreams that do not answer leave one to the others. The requests to all
//! upstreams that have not answered lately may hold seven eighths, so that many such upstreams leave some to those that answer.

use std::collections::HashMap;

use crate::api::Lane;
use crate::error::{Full, Places};

/// An upstream gets a further worker only while it holds fewer than this multiple of the free ones. So it may hold three quarters
/// of the workers that the other upstreams do not hold, rounded up; of fewer than four, all.
const TIMES_FREE: usize = 3;

/// The counts of tasks, and their bounds.
#[derive(Default)]
pub(super) struct Shares {
    /// The number of workers.
    workers: usize,
    /// How many workers may run tasks of upstreams that have not answered lately, the *unknown* ones: seven eighths, rounded up.
    max_unknown_workers: usize,
    /// How many tasks may run or wait: in total, for one upstream, and for all upstreams that have not answered lately.
    max_tasks: usize,
    max_tasks_of_one: usize,
    max_unknown_tasks: usize,
    /// The tasks on workers.
    pub(super) running: TaskCounts,
    /// Running and waiting tasks.
    pub(super) tasks: TaskCounts,
}

impl Shares {
    /// No tasks. `queue` is the maximum number of waiting tasks.
    pub(super) fn new(workers: usize, queue: usize) -> Shares {
        let max_tasks = workers + queue;
        // If one upstream may hold all workers, a place in the queue does not help the others.
        let (kept_for_others, kept_for_known) = if workers < 4 { (0, 0) } else { (max_tasks / 4, max_tasks / 8) };
        Shares {
            workers,
            max_unknown_workers: workers - workers / 8,
            max_tasks,
            max_tasks_of_one: max_tasks - kept_for_others,
            max_unknown_tasks: max_tasks - kept_for_known,
            ..Shares::default()
        }
    }

    pub(super) fn places(&self) -> Places {
        Places { workers: self.workers, queue: self.max_tasks - self.workers }
    }

    /// What is full, if there is no room for one more task.
    pub(super) fn full(&self, lane: Lane) -> Option<Full> {
        let (held, unknown) = (self.tasks.of(lane), self.tasks.unknown);
        if self.tasks.all >= self.max_tasks {
            Some(Full::Everything)
        } else if held >= self.max_tasks_of_one {
            Some(Full::Upstream { held })
        } else if !lane.responded_lately && unknown >= self.max_unknown_tasks {
            Some(Full::UnknownUpstreams { held: unknown })
        } else {
            None
        }
    }

    /// Whether one more worker may take a task of a lane.
    pub(super) fn may_run(&self, lane: Lane) -> bool {
        let free = self.workers - self.running.all;
        let max = lane.max_in_flight.unwrap_or(usize::MAX).min(TIMES_FREE * free);
        let is_in_share = self.running.of(lane) < max;
        is_in_share && (lane.responded_lately || self.running.unknown < self.max_unknown_workers)
    }

    /// Whether an upstream has as many tasks, running or waiting, as it may have on workers ([`Lane::max_in_flight`]).
    pub(super) fn has_reached_max(&self, lane: Lane) -> bool {
        lane.max_in_flight.is_some_and(|max| self.tasks.of(lane) >= max)
    }

    /// A running task ends.
    pub(super) fn end(&mut self, lane: Lane) {
        self.running.remove(lane);
        self.tasks.remove(lane);
    }
}

/// Numbers of tasks: all, those of upstreams that have not answered lately, and by upstream.
#[derive(Default)]
pub(super) struct TaskCounts {
    all: usize,
    unknown: usize,
    by_lane: HashMap<u64, usize>,
}

impl TaskCounts {
    /// Counts a task of this lane.
    pub(super) fn add(&mut self, lane: Lane) {
        self.all += 1;
        self.unknown += usize::from(!lane.responded_lately);
        *self.by_lane.entry(lane.id).or_default() += 1;
    }

    /// Counts a task of this lane no more.
    pub(super) fn remove(&mut self, lane: Lane) {
        self.all -= 1;
        self.unknown -= usize::from(!lane.responded_lately);
        let left = self.of(lane) - 1;
        match left {
            0 => self.by_lane.remove(&lane.id),
            _ => self.by_lane.insert(lane.id, left),
        };
    }

    /// How many tasks of the upstream of this lane are counted.
    pub(super) fn of(&self, lane: Lane) -> usize {
        self.by_lane.get(&lane.id).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Shares {
        /// The number of running and waiting tasks.
        pub(in crate::server::workers) fn tasks(&self) -> usize {
            self.tasks.all
        }

        /// Whether no task runs and no upstream has a count.
        pub(in crate::server::workers) fn are_idle(&self) -> bool {
            self.running.by_lane.is_empty() && self.running.unknown == 0
        }
    }

    fn lane(id: u64) -> Lane {
        Lane { id, responded_lately: true, max_in_flight: None }
    }

    fn unknown(id: u64) -> Lane {
        Lane { id, responded_lately: false, max_in_flight: None }
    }

    #[test]
    fn what_has_no_more_room_is_told_apart() {
        let check = |workers: usize, queue: usize, held: &[(Lane, usize)], expected: Full| {
            let mut shares = Shares::new(workers, queue);
            let new = held[0].0;
            for &(lane, count) in held {
                for _ in 0..count {
                    assert_eq!(shares.full(lane), None, "{held:?}");
                    shares.tasks.add(lane);
                }
            }
            assert_eq!(shares.full(new), Some(expected), "{held:?}");
        };
        // With the defaults, one upstream has 165 of 220 places.
        check(20, 200, &[(lane(1), 165)], Full::Upstream { held: 165 });
        check(20, 250, &[(lane(1), 203)], Full::Upstream { held: 203 });
        check(40, 400, &[(lane(1), 330)], Full::Upstream { held: 330 });
        check(20, 200, &[(lane(1), 110), (lane(2), 110)], Full::Everything);
        check(20, 200, &[(unknown(1), 100), (unknown(2), 93)], Full::UnknownUpstreams { held: 193 });
        // Without a reserve, no single upstream is to blame.
        check(3, 5, &[(lane(1), 8)], Full::Everything);
    }
}
