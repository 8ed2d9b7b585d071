//! From a validated query to the calls that answer it: which instants, which windows, in which order.
//!
//! Pure arithmetic on checked bounds; what the calls say is `promql`'s, sending them is `prometheus`'s.

use crate::compute::promql::Windows;
use crate::model::query::{Aggregation, Method, Order, Selector, Source};
use crate::model::time::TimeRange;

/// The most steps Prometheus computes in one range query ("exceeded maximum resolution of 11,000 points").
pub const MAX_STEPS: i64 = 11_000;

/// The most steps asked for in one range query: fewer, so that one can go on a little (see [`Grid::reaching`]).
pub const CHUNK_STEPS: i64 = 10_900;

/// The longest time one range query spans, in milliseconds: a century. Prometheus counts durations in nanoseconds, and
/// one that spans more than the 292 years that fit silently finds nothing.
const MAX_SPAN_MS: i64 = 100 * 365 * 86_400_000;

/// The longest range of raw samples fetched at once, in milliseconds: 4 days, some 23,000 samples of a 15 s scrape. Longer
/// ranges are split, so that memory stays bounded whatever the range.
pub const RAW_WINDOW_MS: i64 = 4 * 24 * 3_600_000;

/// How far apart two samples of a counter may lie for a rate between them, in milliseconds; what lies further apart starts
/// anew. It is Prometheus's own look-back.
pub const MAX_GAP_MS: i64 = 300_000;

/// The scrape interval assumed of expressions, in milliseconds, when the connection details give none.
pub const EXPRESSION_INTERVAL_MS: i64 = 15_000;

/// The scrape interval assumed of a counter that has too few samples to measure it, in milliseconds: Prometheus's default
/// `scrape_interval`. Too long only smooths, too short finds no two samples in a window.
pub const UNKNOWN_INTERVAL_MS: i64 = 60_000;

/// The most evaluations a subquery makes in one bucket.
const MAX_EVALUATIONS: i64 = 120;

/// A `rate` looks at this many scrape intervals at least, which survives jitter and a lost scrape.
const RATE_INTERVALS: i64 = 4;

/// Whether a range selector of the engine that is asked includes the instant at its left end.
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
    /// The distance of two instants, at least 1.
    pub step: i64,
    /// How many there are.
    pub count: i64,
}

impl Grid {
    /// The instants at which the buckets of a range are evaluated: the last millisecond of every whole bucket.
    pub fn of_buckets(range: TimeRange, bucket_ms: i64) -> Grid {
        Grid { first: range.start + bucket_ms - 1, step: bucket_ms, count: range.length() / bucket_ms }
    }

    /// The instants of a range from its start on, its end included if a step hits it.
    pub fn of_steps(range: TimeRange, step_ms: i64) -> Grid {
        Grid { first: range.start, step: step_ms, count: range.length() / step_ms + 1 }
    }

    /// The last instant; the first when there is none.
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

    /// The same instants as grids that one range query can span each, in an order.
    pub fn chunks(self, order: Order) -> impl Iterator<Item = Grid> {
        self.chunk_ends().instants(order).map(move |end| self.chunk_ending_at(end))
    }

    /// The last instant of each of [`Grid::chunks`], were the last of them as long as the others.
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

    /// The same grid, going on until it has an instant after another one, as far as Prometheus takes so many steps.
    pub fn reaching(self, at: i64) -> Grid {
        let missing = (at - self.last()).max(0) / self.step + 1;
        Grid { count: (self.count + missing).min(MAX_STEPS), ..self }
    }

    fn at(self, nth: i64) -> i64 {
        self.first + nth * self.step
    }
}

/// The windows of at most [`RAW_WINDOW_MS`] that a raw range is fetched in: they follow each other without a gap.
#[derive(Debug, Clone, Copy)]
pub struct RawWindows {
    range: TimeRange,
    starts: Grid,
}

impl RawWindows {
    /// The windows of a range.
    pub fn of(range: TimeRange) -> RawWindows {
        RawWindows { range, starts: Grid::of_steps(range, RAW_WINDOW_MS) }
    }

    /// Whether there is more than one.
    pub fn are_several(self) -> bool {
        self.starts.count > 1
    }

    /// The instants at which a range selector of [`RAW_WINDOW_MS`] covers each window.
    pub fn ends(self) -> Grid {
        Grid { first: self.starts.first + RAW_WINDOW_MS - 1, ..self.starts }
    }

    /// The window that ends at one of [`RawWindows::ends`], cut at the end of the range.
    pub fn ending_at(self, end: i64) -> TimeRange {
        TimeRange { start: end - RAW_WINDOW_MS + 1, end: end.min(self.range.end) }
    }
}

/// The metric on whose scrape interval the windows of a query depend, if they depend on one's.
pub fn depends_on_interval_of(source: &Source, aggregation: Aggregation) -> Option<&Selector> {
    match source {
        Source::Counter(of) if aggregation.method != Method::EventCount => Some(of),
        _ => None,
    }
}

/// The windows of an aggregated query; `interval_ms`, the scrape interval, is at least 1.
///
/// A bucket `[s, s+B)` is evaluated at its last millisecond. There a left-open `[B]` covers exactly it, while a closed one
/// would also count a sample at `s - 1 ms`, which belongs to the bucket before; one millisecond less is exact. (A closed
/// range of a single millisecond cannot be written: `[0ms]` is refused.)
pub fn windows(aggregation: Aggregation, interval_ms: i64, bounds: RangeBounds) -> Windows {
    let b = aggregation.bucket_ms;
    let survives_a_lost_scrape = interval_ms.saturating_mul(RATE_INTERVALS);
    Windows {
        bucket: match bounds {
            RangeBounds::Closed => (b - 1).max(1),
            RangeBounds::LeftOpen => b,
        },
        rate: match aggregation.method {
            Method::Mean | Method::Sum => survives_a_lost_scrape.max(b),
            _ => survives_a_lost_scrape,
        },
        resolution: interval_ms.max((b + MAX_EVALUATIONS - 1) / MAX_EVALUATIONS).min(b),
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

    #[test]
    fn raw_windows_cover_a_range_without_gap_or_overlap() {
        for length in [0, 1, RAW_WINDOW_MS - 1, RAW_WINDOW_MS, 3 * RAW_WINDOW_MS, 3 * RAW_WINDOW_MS + 1] {
            let whole = range(5_000, 5_000 + length);
            let windows = RawWindows::of(whole);
            let mut next = whole.start;
            for end in windows.ends().instants(Order::OldestFirst) {
                let window = windows.ending_at(end);
                assert_eq!(window.start, next);
                assert!(window.length() < RAW_WINDOW_MS);
                next = window.end + 1;
            }
            assert_eq!(next, whole.end + 1);
            assert_eq!(windows.are_several(), length >= RAW_WINDOW_MS);
        }
    }

    #[test]
    fn windows_follow_the_bucket_and_the_scrape_interval() {
        let check = |method, bucket, interval, bounds, expected: (i64, i64, i64)| {
            let found = windows(Aggregation::new(method, bucket).unwrap(), interval, bounds);
            assert_eq!((found.bucket, found.rate, found.resolution), expected);
        };
        check("MEAN", 300_000, 15_000, RangeBounds::LeftOpen, (300_000, 300_000, 15_000));
        check("MEAN", 30_000, 15_000, RangeBounds::Closed, (29_999, 60_000, 15_000));
        check("MAX", 3_600_000, 15_000, RangeBounds::LeftOpen, (3_600_000, 60_000, 30_000));
        check("MAX", 3_600_001, 15_000, RangeBounds::LeftOpen, (3_600_001, 60_000, 30_001));
        check("MAX", 10_000, 15_000, RangeBounds::LeftOpen, (10_000, 60_000, 10_000));
        check("SUM", 1, 15_000, RangeBounds::Closed, (1, 60_000, 1));
    }
}
