//! How many tasks there are, and how many of them one upstream may have.
//!
//! Requests to one upstream have three quarters of the workers and of the queue at most, so that an upstream that does not
//! answer leaves some to the others. Of the workers, an upstream has three quarters of those that the other upstreams leave, so
//! that two upstreams that do not answer leave one to the others. All requests to upstreams that have not answered lately
//! have seven eighths, so that many such upstreams leave some to those that answer.

use std::collections::HashMap;

use crate::api::Lane;
use crate::error::{Full, Places};

/// An upstream gets a further worker only while it holds fewer than so many times the free ones. This leaves it three quarters of the
/// workers that the other upstreams do not hold, rounded up; of fewer than four, all.
const TIMES_FREE: usize = 3;

/// The tasks there are, and the bounds on them.
#[derive(Default)]
pub(super) struct Shares {
    /// How many workers there are.
    workers: usize,
    /// The most workers with tasks of upstreams that have not answered lately: seven eighths, rounded up.
    unknown_workers: usize,
    /// The most tasks, on workers or waiting: in all, of one upstream, and of upstreams that have not answered lately.
    most: usize,
    most_of_one: usize,
    most_unknown: usize,
    running: TaskCounts,
    /// All tasks, running or waiting.
    tasks: TaskCounts,
}

impl Shares {
    /// No tasks yet, for so many workers and a queue of this length.
    pub(super) fn new(workers: usize, queue: usize) -> Shares {
        let most = workers + queue;
        // Where one upstream may hold all workers, nothing is gained by leaving others a place in the queue.
        let (kept_for_others, kept_for_known) = if workers < 4 { (0, 0) } else { (most / 4, most / 8) };
        Shares {
            workers,
            unknown_workers: workers - workers / 8,
            most,
            most_of_one: most - kept_for_others,
            most_unknown: most - kept_for_known,
            ..Shares::default()
        }
    }

    pub(super) fn places(&self) -> Places {
        Places { workers: self.workers, queue: self.most - self.workers }
    }

    /// What has no room for one more task, if something has none.
    pub(super) fn full(&self, lane: Lane) -> Option<Full> {
        let (held, unknown) = (self.tasks.of(lane), self.tasks.unknown);
        if self.tasks.all >= self.most {
            Some(Full::Everything)
        } else if held >= self.most_of_one {
            Some(Full::Upstream { held })
        } else if !lane.is_known && unknown >= self.most_unknown {
            Some(Full::UnknownUpstreams { held: unknown })
        } else {
            None
        }
    }

    /// Whether a worker may take one more task.
    pub(super) fn may_run(&self, lane: Lane) -> bool {
        let free = self.workers - self.running.all;
        let most = lane.most.unwrap_or(usize::MAX).min(TIMES_FREE * free);
        let is_in_share = self.running.of(lane) < most;
        is_in_share && (lane.is_known || self.running.unknown < self.unknown_workers)
    }

    /// Whether there are as many tasks of an upstream as it may have on workers ([`Lane::most`]).
    pub(super) fn are_at_most(&self, lane: Lane) -> bool {
        lane.most.is_some_and(|most| self.tasks.of(lane) >= most)
    }

    /// How many workers have tasks of an upstream.
    pub(super) fn workers_of(&self, lane: Lane) -> usize {
        self.running.of(lane)
    }

    /// A task comes, and waits.
    pub(super) fn add(&mut self, lane: Lane) {
        self.tasks.add(lane);
    }

    /// A task that waited is on a worker now.
    pub(super) fn begin(&mut self, lane: Lane) {
        self.running.add(lane);
    }

    /// A task on a worker is done.
    pub(super) fn end(&mut self, lane: Lane) {
        self.running.remove(lane);
        self.tasks.remove(lane);
    }

    /// A task that waited is gone.
    pub(super) fn remove(&mut self, lane: Lane) {
        self.tasks.remove(lane);
    }

    /// How many tasks there are, running or waiting.
    #[cfg(test)]
    pub(super) fn tasks(&self) -> usize {
        self.tasks.all
    }

    /// Whether no task runs, and no upstream is remembered.
    #[cfg(test)]
    pub(super) fn are_idle(&self) -> bool {
        self.running.by_upstream.is_empty() && self.running.unknown == 0
    }
}

/// How many tasks there are, by upstream.
#[derive(Default)]
struct TaskCounts {
    all: usize,
    unknown: usize,
    by_upstream: HashMap<u64, usize>,
}

impl TaskCounts {
    fn add(&mut self, lane: Lane) {
        self.all += 1;
        self.unknown += usize::from(!lane.is_known);
        *self.by_upstream.entry(lane.upstream).or_default() += 1;
    }

    fn remove(&mut self, lane: Lane) {
        self.all -= 1;
        self.unknown -= usize::from(!lane.is_known);
        let left = self.of(lane) - 1;
        match left {
            0 => self.by_upstream.remove(&lane.upstream),
            _ => self.by_upstream.insert(lane.upstream, left),
        };
    }

    fn of(&self, lane: Lane) -> usize {
        self.by_upstream.get(&lane.upstream).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(upstream: u64) -> Lane {
        Lane { upstream, is_known: true, most: None }
    }

    fn unknown(upstream: u64) -> Lane {
        Lane { upstream, is_known: false, most: None }
    }

    #[test]
    fn what_has_no_more_room_is_told_apart() {
        let check = |workers: usize, queue: usize, held: &[(Lane, usize)], expected: Full| {
            let mut shares = Shares::new(workers, queue);
            let new = held[0].0;
            for &(lane, count) in held {
                for _ in 0..count {
                    assert_eq!(shares.full(lane), None, "{held:?}");
                    shares.add(lane);
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
        // Without a reserve, it is not one upstream that is to blame.
        check(3, 5, &[(lane(1), 8)], Full::Everything);
    }
}
