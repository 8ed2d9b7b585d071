//! Subqueries that cover a bucket, and the range bounds of engines that they depend on.

/// The time between two evaluations of an expression if no scrape interval is given, in milliseconds.
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

/// The range and the resolution of a subquery that covers a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subquery {
    /// The length of the range before the last millisecond of a bucket, in milliseconds.
    pub length_ms: i64,
    /// The time between two evaluations, in milliseconds.
    pub resolution_ms: i64,
}

impl Subquery {
    /// The subquery for buckets of a length; `interval_ms` is the wanted time between two evaluations.
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
    /// bucket; evaluations lie at multiples of their interval.
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
