//! Steps: the instants at which Prometheus evaluates a range query, and how several range queries share them.

use crate::model::query::Order;
use crate::model::time::TimeRange;

/// The most steps Prometheus computes in one range query ("exceeded maximum resolution of 11,000 points").
pub const MAX_STEPS: i64 = 11_000;

/// The most steps that the mirror puts into one range query: a few less than [`MAX_STEPS`], so that [`Steps::reaching`] can add
/// some.
pub const CHUNK_STEPS: i64 = 10_900;

/// The longest time that one range query spans, in milliseconds: a century. Prometheus counts durations in nanoseconds, of which
/// 64 bits hold 292 years; a longer range query silently finds nothing.
const MAX_SPAN_MS: i64 = 100 * 365 * 86_400_000;

/// Evenly spaced instants in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// The first instant.
    pub first: i64,
    /// The time between two neighbouring instants, at least 1.
    pub step: i64,
    /// How many there are.
    pub count: i64,
}

impl Steps {
    /// The instants at which the buckets of a range are evaluated: the last millisecond of every whole bucket.
    pub fn of_buckets(range: TimeRange, bucket_ms: i64) -> Steps {
        Steps { first: range.start + bucket_ms - 1, step: bucket_ms, count: range.length() / bucket_ms }
    }

    /// The instants of a range from its start on; its end is one of them if it is a whole number of steps away.
    pub fn of_range(range: TimeRange, step_ms: i64) -> Steps {
        Steps { first: range.start, step: step_ms, count: range.length() / step_ms + 1 }
    }

    /// The first instants in an order, at most `max_steps` of them.
    pub fn limited_to(self, max_steps: usize, order: Order) -> Steps {
        let count = self.count.min(i64::try_from(max_steps).unwrap_or(i64::MAX));
        match order {
            Order::OldestFirst => Steps { count, ..self },
            Order::NewestFirst => Steps { first: self.at(self.count - count), count, ..self },
        }
    }

    /// The same instants, each `ms` milliseconds later.
    pub fn later_by(self, ms: i64) -> Steps {
        Steps { first: self.first + ms, ..self }
    }

    /// The last instant; `first` if there are no instants.
    pub fn last(self) -> i64 {
        self.at((self.count - 1).max(0))
    }

    /// Whether an instant is one of the steps.
    pub fn contains(self, at: i64) -> bool {
        self.count > 0 && (self.first..=self.last()).contains(&at) && (at - self.first) % self.step == 0
    }

    /// The instants in an order.
    pub fn instants(self, order: Order) -> impl Iterator<Item = i64> {
        order.indices(self.count).map(move |index| self.at(index))
    }

    /// How many range queries of at most `most` steps the steps need.
    pub fn chunk_count(self, most: i64) -> i64 {
        let size = self.chunk_size(most);
        self.count / size + i64::from(self.count % size > 0)
    }

    /// The same instants, cut into steps that each fit into one range query of at most `most` steps, in an order.
    pub fn chunks(self, order: Order, most: i64) -> impl Iterator<Item = Steps> {
        let size = self.chunk_size(most);
        order.indices(self.chunk_count(most)).map(move |chunk| {
            let before = chunk * size;
            Steps { first: self.at(before), count: size.min(self.count - before), ..self }
        })
    }

    fn chunk_size(self, most: i64) -> i64 {
        (MAX_SPAN_MS / self.step).clamp(1, most)
    }

    /// The same steps, continued until one lies after `at`, or until there are [`MAX_STEPS`].
    pub fn reaching(self, at: i64) -> Steps {
        let missing = (at - self.last()).max(0) / self.step + 1;
        Steps { count: (self.count + missing).min(MAX_STEPS), ..self }
    }

    fn at(self, index: i64) -> i64 {
        self.first + index * self.step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: i64, end: i64) -> TimeRange {
        TimeRange::new(start, end).unwrap()
    }

    #[test]
    fn only_whole_buckets_are_evaluated_each_at_its_last_millisecond() {
        let check = |start, end, bucket, expected: &[i64]| {
            let steps = Steps::of_buckets(range(start, end), bucket);
            assert_eq!(steps.instants(Order::OldestFirst).collect::<Vec<_>>(), expected);
        };
        check(1_000, 1_000, 10, &[]);
        check(1_000, 1_009, 10, &[]);
        check(1_000, 1_010, 10, &[1_009]);
        check(1_000, 1_029, 10, &[1_009, 1_019]);
        check(1_000, 1_003, 1, &[1_000, 1_001, 1_002]);
    }

    #[test]
    fn chunks_have_the_same_instants_in_either_order() {
        const DAY_MS: i64 = 86_400_000;
        for (step, count, expected) in [
            (3, 2 * CHUNK_STEPS + 5, 3),
            (3, CHUNK_STEPS, 1),
            (3, CHUNK_STEPS + 1, 2),
            (3, 0, 0),
            // A century of 36,500 days.
            (10 * DAY_MS, 3_650, 1),
            (10 * DAY_MS, 3_651, 2),
            (40_000 * DAY_MS, 5, 5),
        ] {
            let steps = Steps { first: 7, step, count };
            for (order, most, expected) in [
                (Order::OldestFirst, CHUNK_STEPS, expected),
                (Order::NewestFirst, CHUNK_STEPS, expected),
                (Order::NewestFirst, 1, count as usize),
            ] {
                let chunks: Vec<Steps> = steps.chunks(order, most).collect();
                assert_eq!((chunks.len(), steps.chunk_count(most)), (expected, expected as i64), "{steps:?}");
                assert!(chunks.iter().all(|chunk| chunk.count <= most && chunk.count > 0));
                assert!(chunks.iter().all(|chunk| chunk.last() - chunk.first < MAX_SPAN_MS));
                let joined = chunks.iter().flat_map(|chunk| chunk.instants(order));
                assert!(joined.eq(steps.instants(order)));
            }
        }
    }

    #[test]
    fn steps_go_on_until_one_is_past_an_instant() {
        let steps = Steps { first: 0, step: 10, count: 3 };
        for (at, last) in [(19, 30), (20, 30), (21, 30), (29, 30), (30, 40), (31, 40)] {
            assert_eq!(steps.reaching(at).last(), last, "{at}");
        }
        assert_eq!(steps.reaching(i64::MAX / 2).count, MAX_STEPS);
    }
}
