//! From a validated query to the calls it needs: which instants, which windows, in which order.
//!
//! Pure arithmetic on checked bounds. `promql` writes the queries of these calls, `prometheus` sends them.

use crate::model::query::Order;
use crate::model::time::TimeRange;

/// The most steps Prometheus computes in one range query ("exceeded maximum resolution of 11,000 points").
pub const MAX_STEPS: i64 = 11_000;

/// The most steps that the mirror puts into one range query: a few less than [`MAX_STEPS`], so that [`Grid::reaching`] can add
/// some.
pub const CHUNK_STEPS: i64 = 10_900;

/// The longest time that one range query spans, in milliseconds: a century. Prometheus counts durations in nanoseconds, of which
/// 64 bits hold 292 years; a longer range query silently finds nothing.
const MAX_SPAN_MS: i64 = 100 * 365 * 86_400_000;

/// The scrape interval that the mirror assumes if it cannot measure one, in milliseconds: Prometheus's default. If it is too long,
/// rates are only smoother; if it is too short, a window has fewer than two samples, and there is no rate.
pub const UNKNOWN_SPACING_MS: i64 = 60_000;

/// A `rate` covers at least this many scrape intervals, so that jitter or a lost scrape does no harm.
pub const RATE_INTERVALS: i64 = 4;

/// The distance of two evaluations of an expression if the Connection Details give no scrape interval, in milliseconds.
pub const EXPRESSION_INTERVAL_MS: i64 = 15_000;

/// The most evaluations of a subquery in one bucket.
const MAX_EVALUATIONS: i64 = 120;

/// Whether a range selector includes the instant at its left end, on the engine that is queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeBounds {
    /// `[B]` at T covers `[T-B, T]`: Prometheus before 3.0.
    Closed,
    /// `[B]` at T covers `(T-B, T]`: Prometheus from 3.0 on, VictoriaMetrics.
    LeftOpen,
}

/// Evenly spaced instants in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// The first instant.
    pub first: i64,
    /// The distance of two neighbouring instants, at least 1.
    pub step: i64,
    /// How many there are.
    pub count: i64,
}

impl Grid {
    /// The instants at which the buckets of a range are evaluated: the last millisecond of every whole bucket.
    pub fn of_buckets(range: TimeRange, bucket_ms: i64) -> Grid {
        Grid { first: range.start + bucket_ms - 1, step: bucket_ms, count: range.length() / bucket_ms }
    }

    /// The instants of a range from its start on; its end is one of them if it is a whole number of steps away.
    pub fn of_steps(range: TimeRange, step_ms: i64) -> Grid {
        Grid { first: range.start, step: step_ms, count: range.length() / step_ms + 1 }
    }

    /// The first instants in an order, at most `most` of them.
    pub fn first(self, most: usize, order: Order) -> Grid {
        let count = self.count.min(i64::try_from(most).unwrap_or(i64::MAX));
        match order {
            Order::OldestFirst => Grid { count, ..self },
            Order::NewestFirst => Grid { first: self.at(self.count - count), count, ..self },
        }
    }

    /// The same instants, each `ms` milliseconds later.
    pub fn later_by(self, ms: i64) -> Grid {
        Grid { first: self.first + ms, ..self }
    }

    /// The last instant; `first` if there are no instants.
    pub fn last(self) -> i64 {
        self.at((self.count - 1).max(0))
    }

    /// Whether an instant is one of the grid's.
    pub fn contains(self, at: i64) -> bool {
        self.count > 0 && (self.first..=self.last()).contains(&at) && (at - self.first) % self.step == 0
    }

    /// The instants in an order.
    pub fn instants(self, order: Order) -> impl Iterator<Item = i64> {
        (0..self.count).map(move |nth| match order {
            Order::OldestFirst => self.at(nth),
            Order::NewestFirst => self.at(self.count - 1 - nth),
        })
    }

    /// The same instants, cut into grids that each fit into one range query, in an order.
    pub fn chunks(self, order: Order) -> impl Iterator<Item = Grid> {
        self.chunk_ends().instants(order).map(move |end| self.chunk_ending_at(end))
    }

    /// The last instant of each of [`Grid::chunks`]. The last chunk counts as a full one here, so its end may lie beyond the grid.
    pub fn chunk_ends(self) -> Grid {
        let steps = self.chunk_steps();
        Grid {
            first: self.at(steps - 1),
            step: self.step * steps,
            count: self.count / steps + i64::from(self.count % steps > 0),
        }
    }

    /// The chunk that ends at one of [`Grid::chunk_ends`], or at the end of the grid.
    pub fn chunk_ending_at(self, end: i64) -> Grid {
        let first = end - (self.chunk_steps() - 1) * self.step;
        Grid { first, step: self.step, count: (end.min(self.last()) - first) / self.step + 1 }
    }

    fn chunk_steps(self) -> i64 {
        (MAX_SPAN_MS / self.step).clamp(1, CHUNK_STEPS)
    }

    /// The same grid, continued until it has an instant after `at`, or until it has [`MAX_STEPS`].
    pub fn reaching(self, at: i64) -> Grid {
        let missing = (at - self.last()).max(0) / self.step + 1;
        Grid { count: (self.count + missing).min(MAX_STEPS), ..self }
    }

    fn at(self, nth: i64) -> i64 {
        self.first + nth * self.step
    }
}

/// After more than this many windows in a row with few samples, the next ones are longer.
const MAX_SPARSE_WINDOWS: u32 = 2;

/// The windows in which a range is read, starting from the end that comes first in the order: one window, unless that has too many
/// samples.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    left: Option<TimeRange>,
    length_ms: i64,
    /// Where the next window ends at the latest.
    next_end: i64,
    /// How many windows in a row were sparse.
    sparse: u32,
    order: Order,
}

impl Windows {
    /// The whole of a range as one window.
    pub fn over(range: TimeRange, order: Order) -> Windows {
        Windows { left: Some(range), length_ms: range.length(), next_end: range.end, sparse: 0, order }
    }

    /// The window to read now; none when all is read.
    pub fn current(&self) -> Option<TimeRange> {
        let left = self.left?;
        Some(match self.order {
            Order::OldestFirst => TimeRange { end: left.end.min(self.next_end), ..left },
            Order::NewestFirst => TimeRange { start: left.start.max(left.end - self.length_ms), ..left },
        })
    }

    /// Makes the windows shorter, because the current one has more samples than can be kept. `read` spans the samples that were
    /// kept, which are the oldest. Returns false if the window cannot be made shorter.
    pub fn shorten(&mut self, read: TimeRange) -> bool {
        let Some(window) = self.current().filter(|window| window.length() > 0) else { return false };
        self.length_ms = match self.order {
            Order::OldestFirst => (read.length() / 2).clamp(0, window.length() - 1),
            // The samples that were read do not show where the newest ones lie, so this searches for them by halves.
            Order::NewestFirst => window.length() / 2,
        };
        // The samples that were read fit into one window.
        self.next_end = (read.end - 1).clamp(window.start, window.end - 1);
        self.sparse = 0;
        true
    }

    /// Goes on to the next window. Windows become longer after some sparse ones, which have far fewer samples than can be kept.
    pub fn advance(&mut self, is_sparse: bool) {
        let (Some(left), Some(read)) = (self.left, self.current()) else { return };
        self.sparse = if is_sparse { self.sparse + 1 } else { 0 };
        if self.sparse > MAX_SPARSE_WINDOWS {
            self.length_ms = self.length_ms.saturating_mul(2).max(1);
        }
        let left = match self.order {
            Order::OldestFirst => TimeRange { start: read.end + 1, ..left },
            Order::NewestFirst => TimeRange { end: read.start - 1, ..left },
        };
        self.next_end = left.start.saturating_add(self.length_ms);
        self.left = Some(left).filter(|left| left.start <= left.end);
    }
}

/// The range and the resolution of a subquery that covers a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subquery {
    /// The length of the range before the last millisecond of a bucket, in milliseconds.
    pub length_ms: i64,
    /// The distance of two evaluations, in milliseconds.
    pub resolution_ms: i64,
}

impl Subquery {
    /// The subquery for buckets of a length; `interval_ms` is the wanted distance of two evaluations.
    ///
    /// A bucket `[s, s + B)` is evaluated at its last millisecond. At that instant, a left-open `[B]` covers exactly the bucket,
    /// while a closed one would include an evaluation at `s - 1 ms`, which belongs to the bucket before; a closed range that is one
    /// millisecond shorter is exact. (A closed range of a single millisecond is impossible: engines refuse `[0ms]`.)
    pub fn of(bucket_ms: i64, interval_ms: Option<i64>, bounds: RangeBounds) -> Subquery {
        let wanted_ms = interval_ms.unwrap_or(EXPRESSION_INTERVAL_MS);
        let length_ms = match bounds {
            RangeBounds::Closed => (bucket_ms - 1).max(1),
            RangeBounds::LeftOpen => bucket_ms,
        };
        let least_ms = (bucket_ms + MAX_EVALUATIONS - 1) / MAX_EVALUATIONS;
        Subquery { length_ms, resolution_ms: wanted_ms.max(least_ms).min(bucket_ms) }
    }

    /// Whether the value of any bucket depends on [`RangeBounds`]. It does if an evaluation can fall on the millisecond before a
    /// bucket; evaluations lie at multiples of their distance.
    pub fn depends_on_bounds(bucket_ms: i64, interval_ms: Option<i64>, range_start: i64) -> bool {
        let resolution_ms = Subquery::of(bucket_ms, interval_ms, RangeBounds::LeftOpen).resolution_ms;
        (range_start - 1) % greatest_common_divisor(bucket_ms, resolution_ms) == 0
    }
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
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
            let grid = Grid::of_buckets(range(start, end), bucket);
            assert_eq!(grid.instants(Order::OldestFirst).collect::<Vec<_>>(), expected);
        };
        check(1_000, 1_000, 10, &[]);
        check(1_000, 1_009, 10, &[]);
        check(1_000, 1_010, 10, &[1_009]);
        check(1_000, 1_029, 10, &[1_009, 1_019]);
        check(1_000, 1_003, 1, &[1_000, 1_001, 1_002]);
    }

    #[test]
    fn chunks_lie_on_one_grid_in_either_order() {
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
            let grid = Grid { first: 7, step, count };
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let chunks: Vec<Grid> = grid.chunks(order).collect();
                assert_eq!(chunks.len(), expected, "{grid:?}");
                assert!(chunks.iter().all(|chunk| chunk.count <= CHUNK_STEPS && chunk.count > 0));
                assert!(chunks.iter().all(|chunk| chunk.last() - chunk.first < MAX_SPAN_MS));
                let joined = chunks.iter().flat_map(|chunk| chunk.instants(order));
                assert!(joined.eq(grid.instants(order)));
            }
        }
    }

    #[test]
    fn a_grid_goes_on_until_it_is_past_an_instant() {
        let grid = Grid { first: 0, step: 10, count: 3 };
        for (at, last) in [(19, 30), (20, 30), (21, 30), (29, 30), (30, 40), (31, 40)] {
            assert_eq!(grid.reaching(at).last(), last, "{at}");
        }
        assert_eq!(grid.reaching(i64::MAX / 2).count, MAX_STEPS);
    }

    /// Reads a range in windows that may each have `kept` samples; returns the samples and the number of calls.
    fn read_in_windows(whole: TimeRange, order: Order, samples: &[i64], kept: usize) -> (Vec<i64>, usize) {
        let mut windows = Windows::over(whole, order);
        assert_eq!(windows.current(), Some(whole));
        let (mut next, mut found, mut calls) = (whole, Vec::new(), 0);
        while let Some(window) = windows.current() {
            calls += 1;
            // It continues where the window before it stopped.
            match order {
                Order::OldestFirst => assert_eq!(window.start, next.start),
                Order::NewestFirst => assert_eq!(window.end, next.end),
            }
            let inside: Vec<i64> = samples.iter().copied().filter(|&at| window.contains(at)).collect();
            if inside.len() > kept && windows.shorten(TimeRange { start: inside[0], end: inside[kept] }) {
                continue;
            }
            assert!(inside.len() <= kept, "{} samples in {window:?}", inside.len());
            next = TimeRange { start: window.end + 1, end: window.start - 1 };
            windows.advance(inside.len() < kept / 2);
            found.extend(inside);
        }
        (found, calls)
    }

    #[test]
    fn windows_cover_a_range_without_gap_or_overlap() {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            for length in [0, 1, 2, 9, 100, 1_000] {
                for kept in [1, 2, 10, 1_001] {
                    let whole = range(5_000, 5_000 + length);
                    // A sample each millisecond from the middle of the range on.
                    let samples: Vec<i64> = (whole.start + length / 2..=whole.end).collect();
                    let (mut found, _) = read_in_windows(whole, order, &samples, kept);
                    found.sort_unstable();
                    assert_eq!(found, samples, "{order:?} {length} {kept}");
                }
            }
        }
        assert!(!Windows::over(range(7, 7), Order::OldestFirst).shorten(range(7, 7)));
    }

    #[test]
    fn few_windows_find_samples_that_lie_close_together_in_decades() {
        const KEPT: usize = 1_000;
        let (now, decades_ago) = (1_700_000_000_000, 1_000_000_000_000);
        for first in [1, decades_ago, now - 5_000] {
            let samples: Vec<i64> = (first..first + 5_000).collect();
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let (found, calls) = read_in_windows(range(0, now), order, &samples, KEPT);
                assert_eq!(found.len(), samples.len());
                assert!(calls < 100, "{calls} calls for samples at {first}, {order:?}");
            }
        }
    }

    #[test]
    fn a_subquery_follows_the_bucket_and_the_interval() {
        let check = |bucket, interval, bounds, expected: (i64, i64)| {
            let found = Subquery::of(bucket, interval, bounds);
            assert_eq!((found.length_ms, found.resolution_ms), expected);
        };
        check(300_000, None, RangeBounds::LeftOpen, (300_000, 15_000));
        check(30_000, Some(20_000), RangeBounds::Closed, (29_999, 20_000));
        check(3_600_000, None, RangeBounds::LeftOpen, (3_600_000, 30_000));
        check(3_600_001, None, RangeBounds::LeftOpen, (3_600_001, 30_001));
        check(10_000, None, RangeBounds::LeftOpen, (10_000, 10_000));
        check(1, None, RangeBounds::Closed, (1, 1));
    }

    #[test]
    fn the_bounds_matter_where_an_evaluation_can_fall_on_the_millisecond_before_a_bucket() {
        for bucket in [1, 2, 7, 10, 60, 61, 100, 240, 1_000] {
            for interval in [1, 3, 10, 15] {
                for start in 0..200 {
                    let resolution = Subquery::of(bucket, Some(interval), RangeBounds::Closed).resolution_ms;
                    // This many buckets show every remainder that occurs.
                    let expected = (0..resolution).any(|nth| (start + nth * bucket - 1) % resolution == 0);
                    let found = Subquery::depends_on_bounds(bucket, Some(interval), start);
                    assert_eq!(found, expected, "{bucket} {interval} {start}");
                }
            }
        }
    }
}
