//! Which of several replicas of a Prometheus to query: the first that answers, as long as it does.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use crate::sync::Mutex;

/// How long a replica must have answered its probes before it is preferred again to a later one.
const PROVEN: Duration = Duration::from_secs(60);

/// After this many probes in a row without a response, the current replica counts as failed.
const MAX_FAILED_PROBES: u32 = 2;

/// How long after its last query the current replica is still probed.
const IN_USE: Duration = Duration::from_secs(30);

/// The replicas of an upstream. An index is a place in the order of preference.
pub(super) struct Replicas(Mutex<ReplicasState>);

struct ReplicasState {
    current: usize,
    replicas: Vec<Replica>,
    /// How many probes in a row the current replica has left without a response.
    failed_probes: u32,
    last_query_at: Option<Instant>,
}

#[derive(Clone, Default)]
struct Replica {
    /// Whether it has failed and has not answered a probe since.
    is_failing: bool,
    /// Whether its failure was not a timeout: it cannot be connected to, or says that it cannot answer.
    is_down: bool,
    /// Since when it has answered all probes.
    answering_since: Option<Instant>,
}

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probed {
    /// The replica answers.
    Answering,
    /// No response in time: it may only be slow.
    Silent,
    /// It cannot be connected to, or says that it cannot answer.
    Down,
}

/// A switch to another replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Replicas {
    /// Starts with the first of `count` replicas; `count` is at least 1.
    pub(super) fn new(count: usize) -> Replicas {
        let replicas = vec![Replica::default(); count];
        Replicas(Mutex::new(ReplicasState { current: 0, replicas, failed_probes: 0, last_query_at: None }))
    }

    /// The replica to query. A query makes sure that it is probed for some time.
    pub(super) fn current(&self, now: Instant) -> usize {
        let mut state = self.0.lock();
        state.last_query_at = Some(now);
        state.current
    }

    /// Notes that a replica has failed by its own fault. If it is the current one, the next one that does not fail takes its place.
    pub(super) fn failed(&self, replica: usize) -> Option<Change> {
        let mut state = self.0.lock();
        state.replicas.get_mut(replica)?.is_down = true;
        state.fail(replica)
    }

    /// The replicas to probe: the current one if it was queried lately, those that are preferred to it, and those that fail. Once
    /// the current one has left a probe without a response, all of them, so that it is known which can take its place. The current
    /// one comes last.
    pub(super) fn to_probe(&self, now: Instant) -> Vec<usize> {
        let state = self.0.lock();
        let is_in_use = state.last_query_at.is_some_and(|last| now.saturating_duration_since(last) < IN_USE);
        let is_in_doubt = is_in_use && state.failed_probes > 0;
        let is_wanted = |nth: &usize| match nth.cmp(&state.current) {
            Ordering::Less => true,
            Ordering::Equal => is_in_use || state.replicas[*nth].is_failing,
            Ordering::Greater => is_in_doubt || state.replicas[*nth].is_failing,
        };
        let mut replicas: Vec<usize> = (0..state.replicas.len()).filter(is_wanted).collect();
        replicas.sort_by_key(|nth| *nth == state.current);
        replicas
    }

    /// Notes the result of a probe.
    pub(super) fn probed(&self, replica: usize, found: Probed, now: Instant) -> Option<Change> {
        let mut state = self.0.lock();
        let is_current = replica == state.current;
        let probed = state.replicas.get_mut(replica)?;
        if found != Probed::Answering {
            probed.answering_since = None;
            probed.is_down = found == Probed::Down;
            if !is_current {
                probed.is_failing = true;
                return None;
            }
            let was_failing = probed.is_failing;
            state.failed_probes += 1;
            if state.failed_probes < MAX_FAILED_PROBES {
                return None;
            }
            // If no other replica answers probes, the next one that may only be slow gets one try, because this one may be down.
            let count = state.replicas.len();
            let next = (1..count).map(|nth| (replica + nth) % count).find(|&next| !state.replicas[next].is_down);
            return state.fail(replica).or_else(|| next.filter(|_| !was_failing).map(|next| state.change(next)));
        }
        (probed.is_failing, probed.is_down) = (false, false);
        let since = *probed.answering_since.get_or_insert(now);
        if is_current {
            state.failed_probes = 0;
            return None;
        }
        let is_proven = replica < state.current && now.saturating_duration_since(since) >= PROVEN;
        (is_proven || state.replicas[state.current].is_failing).then(|| state.change(replica))
    }
}

impl ReplicasState {
    /// If all replicas fail, none is better, and nothing changes.
    fn fail(&mut self, replica: usize) -> Option<Change> {
        let count = self.replicas.len();
        let failed = self.replicas.get_mut(replica)?;
        (failed.is_failing, failed.answering_since) = (true, None);
        let next = (1..count).map(|nth| (replica + nth) % count).find(|&next| !self.replicas[next].is_failing);
        next.filter(|_| replica == self.current).map(|next| self.change(next))
    }

    fn change(&mut self, to: usize) -> Change {
        let from = self.current;
        (self.current, self.failed_probes) = (to, 0);
        Change { from, to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use Probed::{Answering, Down, Silent};

    fn after(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn after_a_failure_the_next_replica_is_queried_until_it_fails() {
        let (replicas, now) = (Replicas::new(3), Instant::now());
        assert_eq!(replicas.current(now), 0);
        assert_eq!(replicas.failed(0), Some(Change { from: 0, to: 1 }));
        // Another query was already on its way to it.
        assert_eq!(replicas.failed(0), None);
        assert_eq!(replicas.current(now + after(3_600)), 1);
        assert_eq!(replicas.failed(1), Some(Change { from: 1, to: 2 }));
        assert_eq!(Replicas::new(1).failed(0), None);
    }

    #[test]
    fn when_all_replicas_fail_nothing_changes_until_one_answers() {
        let (replicas, now) = (Replicas::new(3), Instant::now());
        for nth in 0..3 {
            assert_eq!(replicas.failed(nth), if nth < 2 { Some(Change { from: nth, to: nth + 1 }) } else { None });
        }
        for _ in 0..3 {
            assert_eq!(replicas.failed(2), None);
            assert_eq!(replicas.to_probe(now + after(3_600)), [0, 1, 2]);
            (0..3).for_each(|nth| assert_eq!(replicas.probed(nth, Silent, now), None));
        }
        assert_eq!(replicas.probed(1, Answering, now), Some(Change { from: 2, to: 1 }));
        // A replica that answers is preferred at once to one that fails, and otherwise only after a minute.
        assert_eq!(replicas.probed(0, Answering, now), None);
        assert_eq!(replicas.probed(2, Answering, now), None);
    }

    #[test]
    fn a_preferred_replica_is_queried_again_after_it_has_answered_for_a_minute() {
        let (replicas, now) = (Replicas::new(3), Instant::now());
        replicas.failed(0);
        replicas.failed(1);
        assert_eq!(replicas.to_probe(now), [0, 1]);
        for second in [0, 30, 59] {
            assert_eq!(replicas.probed(1, Answering, now + after(second)), None);
        }
        // A failure restarts the minute.
        assert_eq!(replicas.probed(1, Silent, now + after(60)), None);
        assert_eq!(replicas.probed(1, Answering, now + after(61)), None);
        assert_eq!(replicas.probed(1, Answering, now + after(120)), None);
        assert_eq!(replicas.probed(1, Answering, now + after(121)), Some(Change { from: 2, to: 1 }));
        assert_eq!(replicas.to_probe(now + after(121)), [0]);
    }

    #[test]
    fn the_current_replica_fails_after_two_probes_without_a_response() {
        let (replicas, now) = (Replicas::new(2), Instant::now());
        assert_eq!(replicas.to_probe(now), Vec::<usize>::new(), "no query so far");
        replicas.current(now);
        assert_eq!(replicas.to_probe(now + after(29)), [0]);
        assert_eq!(replicas.to_probe(now + after(30)), Vec::<usize>::new());
        for (found, expected) in
            [(Silent, None), (Answering, None), (Silent, None), (Silent, Some(Change { from: 0, to: 1 }))]
        {
            assert_eq!(replicas.probed(0, found, now), expected);
        }
    }

    #[test]
    fn a_replica_that_answers_probes_replaces_one_that_does_not() {
        let (replicas, now) = (Replicas::new(4), Instant::now());
        replicas.current(now);
        assert_eq!(replicas.probed(0, Silent, now), None);
        assert_eq!(replicas.to_probe(now), [1, 2, 3, 0]);
        for (nth, found) in [(1, Silent), (2, Answering), (3, Answering)] {
            assert_eq!(replicas.probed(nth, found, now), None);
        }
        assert_eq!(replicas.probed(0, Silent, now), Some(Change { from: 0, to: 2 }));
        assert_eq!(replicas.to_probe(now), [0, 1, 2]);
    }

    #[test]
    fn a_slow_replica_is_kept_when_the_others_are_down() {
        let (replicas, now) = (Replicas::new(2), Instant::now());
        replicas.current(now);
        assert_eq!(replicas.failed(0), Some(Change { from: 0, to: 1 }));
        for _ in 0..20 {
            assert_eq!((replicas.probed(0, Down, now), replicas.probed(1, Silent, now)), (None, None));
        }
        // Even if it is known to be only slow, it is as good as this one, and nothing changes.
        assert_eq!((replicas.probed(0, Silent, now), replicas.probed(1, Silent, now)), (None, None));
        assert_eq!(replicas.probed(0, Answering, now), Some(Change { from: 1, to: 0 }));
    }

    #[test]
    fn when_no_replica_answers_probes_another_one_is_tried_once() {
        let (replicas, now) = (Replicas::new(3), Instant::now());
        replicas.current(now);
        let mut changes = Vec::new();
        for _ in 0..20 {
            changes.extend(replicas.to_probe(now).into_iter().filter_map(|nth| replicas.probed(nth, Silent, now)));
        }
        assert_eq!(changes, [Change { from: 0, to: 1 }]);
        let alone = Replicas::new(1);
        alone.current(now);
        assert!((0..20).all(|_| alone.probed(0, Silent, now).is_none()));
    }
}
