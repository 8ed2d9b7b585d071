//! Aggregations: bucket length, method, and whether empty buckets are zero.

use super::time::LATEST_MS;

/// How samples are aggregated in buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregation {
    /// The method that computes the value of a bucket.
    pub method: AggregationMethod,
    /// Whether a whole bucket without data is a point of value 0.
    pub zero_fill: bool,
    /// The length of a bucket in milliseconds, 1 to [`LATEST_MS`].
    pub bucket_ms: i64,
}

/// The value that is computed from the samples of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregationMethod {
    /// The arithmetic mean.
    Mean,
    /// The largest value.
    Max,
    /// The smallest value.
    Min,
    /// The percentile of this many percent.
    Percentile(u8),
    /// The sum of gauges; the increase of counters.
    Sum,
    /// The number of samples.
    EventCount,
}

/// The methods by the names the Mirror API gives them, and whether a bucket without data counts as zero.
const METHODS_BY_NAME: [(&str, AggregationMethod, bool); 14] = [
    ("MEAN", AggregationMethod::Mean, false),
    ("PERCENTILE_25", AggregationMethod::Percentile(25), false),
    ("PERCENTILE_50", AggregationMethod::Percentile(50), false),
    ("PERCENTILE_75", AggregationMethod::Percentile(75), false),
    ("PERCENTILE_90", AggregationMethod::Percentile(90), false),
    ("PERCENTILE_95", AggregationMethod::Percentile(95), false),
    ("PERCENTILE_98", AggregationMethod::Percentile(98), false),
    ("PERCENTILE_99", AggregationMethod::Percentile(99), false),
    ("MAX", AggregationMethod::Max, false),
    ("MIN", AggregationMethod::Min, false),
    ("SUM", AggregationMethod::Sum, true),
    ("EVENT_COUNT", AggregationMethod::EventCount, true),
    ("SUM_NO_ZEROS", AggregationMethod::Sum, false),
    ("EVENT_COUNT_NO_ZEROS", AggregationMethod::EventCount, false),
];

impl Aggregation {
    /// The names of all methods in the Mirror API.
    pub fn methods() -> impl Iterator<Item = &'static str> {
        METHODS_BY_NAME.iter().map(|(name, ..)| *name)
    }

    /// An aggregation by the method's name in the Mirror API, in any case, with buckets of `bucket_ms` milliseconds.
    ///
    /// # Errors
    /// When no method has this name, or the length is not within 1 to [`LATEST_MS`], in words for the admin.
    pub fn new(method: &str, bucket_ms: i64) -> Result<Aggregation, String> {
        let known = METHODS_BY_NAME.iter().find(|(name, ..)| name.eq_ignore_ascii_case(method));
        let Some(&(_, method, zero_fill)) = known else {
            let known: Vec<&str> = Aggregation::methods().collect();
            return Err(format!("aggregation method {method:?} is unknown: use one of {}", known.join(", ")));
        };
        if !(1..=LATEST_MS).contains(&bucket_ms) {
            return Err(format!(
                "bucketSizeMillis must be a number of milliseconds from 1 to {LATEST_MS}, not {bucket_ms}"
            ));
        }
        Ok(Aggregation { method, zero_fill, bucket_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_found_without_regard_to_case() {
        let found = Aggregation::new("sum_No_zeros", 60_000).unwrap();
        assert_eq!(found, Aggregation { method: AggregationMethod::Sum, zero_fill: false, bucket_ms: 60_000 });
        assert!(Aggregation::new("SUM", 1).unwrap().zero_fill);
    }

    #[test]
    fn an_unknown_method_is_told_the_known_ones() {
        let error = Aggregation::new("AVERAGE", 60_000).unwrap_err();
        assert!(error.contains("\"AVERAGE\"") && error.contains("PERCENTILE_98"), "{error}");
    }

    #[test]
    fn a_bucket_has_at_least_one_millisecond() {
        for bucket_ms in [0, i64::MIN, i64::MAX] {
            let error = Aggregation::new("MEAN", bucket_ms).unwrap_err();
            assert!(error.contains("bucketSizeMillis must be") && error.contains(&bucket_ms.to_string()), "{error}");
        }
    }
}
