//! From a validated query to PromQL text. Only this file and `compute/matchers.rs` build PromQL from queries. Fixed texts are in
//! `api/range_bounds.rs` and `prometheus/upstream/trivial_query.rs`, and the selector of all series with a label is in
//! `prometheus/client/session/lists.rs`.
//!
//! An expression that an admin wrote is put between parentheses.

use crate::compute::matchers::selector;
use crate::compute::subquery::Subquery;
use crate::model::aggregation::{Aggregation, AggregationMethod};
use crate::model::query::{NanInterpretation, Selector};
use crate::model::sample::Labels;

/// The scrape interval that the mirror assumes if it cannot measure one, in milliseconds: Prometheus's default. If it is too long,
/// rates are only smoother; if it is too short, a window has fewer than two samples, and there is no rate.
pub const UNKNOWN_SPACING_MS: i64 = 60_000;

/// A `rate` covers at least this many scrape intervals, so that jitter or a lost scrape does no harm.
pub const RATE_INTERVALS: i64 = 4;

/// The stored samples of the last `length_ms` milliseconds.
pub fn samples(of: &Selector, length_ms: i64) -> String {
    range(&selector(of), length_ms, 0)
}

/// The number of samples of all series in the last `length_ms` milliseconds; an empty result if there are none.
pub fn sample_count(of: &Selector, length_ms: i64) -> String {
    format!("sum(count_over_time({}))", samples(of, length_ms))
}

/// The number of series with samples in the last `length_ms` milliseconds; an empty result if there are none.
pub fn series_count(of: &Selector, length_ms: i64) -> String {
    format!("count(count_over_time({}))", samples(of, length_ms))
}

/// The value of a bucket of an expression: the method, applied to the values that the expression has in the bucket and that count.
pub fn in_bucket(expression: &str, nan: NanInterpretation, method: AggregationMethod, subquery: Subquery) -> String {
    over_subquery(&format!("({})", those_that_count(expression, nan)), method, subquery, 0)
}

/// At how many evaluations of a subquery an expression has native histograms; an empty result if at none.
pub fn native_histogram_count(expression: &str, subquery: Subquery) -> String {
    let histograms = format!("count(histogram_count{})", in_parentheses(expression));
    format!("count_over_time({})", subquery_of(&histograms, subquery))
}

/// The values of an expression that count: the finite ones and, if it is configured so, 0 instead of NaN.
fn those_that_count(expression: &str, nan: NanInterpretation) -> String {
    let expression = in_parentheses(expression);
    match nan {
        NanInterpretation::None => format!("{expression} > -Inf < Inf"),
        // The second part is 0 where the expression is NaN. `bool` drops the name of the metric, so the first part must drop it, too.
        NanInterpretation::Zero => format!("{expression} + 0 > -Inf < Inf or ({expression} >= bool -Inf) == 0"),
    }
}

/// The label that keeps the name of a metric where PromQL drops names.
const KEPT_NAME: &str = "__kept_name__";

/// An expression with the name of each result in a further label, so that results that differ only in their names stay apart where
/// PromQL drops names. [`restore_name`] makes it the name again.
pub fn with_kept_name(expression: &str) -> String {
    format!(r#"label_replace({}, "{KEPT_NAME}", "$1", "__name__", "(.+)")"#, in_parentheses(expression))
}

/// The labels of a result as they were before [`with_kept_name`], if its expression was changed by it.
pub fn restore_name(mut labels: Labels) -> Labels {
    // VictoriaMetrics makes the label empty where there is no name.
    if let Some(name) = labels.remove(KEPT_NAME).filter(|name| !name.is_empty()) {
        labels.insert("__name__".to_owned(), name);
    }
    labels
}

/// A scalar expression as a vector of one element, because a subquery needs a vector.
pub fn as_vector(expression: &str) -> String {
    format!("vector{}", in_parentheses(expression))
}

fn in_parentheses(expression: &str) -> String {
    // If the expression ends with a comment, the line break ends the comment.
    if expression.contains('#') { format!("({expression}\n)") } else { format!("({expression})") }
}

/// What a function of PromQL gives where one of its samples is NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonFinite {
    /// What PromQL computes: some functions skip NaN, and a rate becomes any number.
    AsPromQl,
    /// NaN or infinity, so that there is no point.
    NoValue,
}

impl NonFinite {
    /// A value that is computed from finite samples, if all samples in the sum `sum` are finite: of such a sum, 0 times is 0.
    fn guarded(self, value: &str, sum: &str) -> String {
        match self {
            NonFinite::AsPromQl => value.to_owned(),
            NonFinite::NoValue => format!("{value} + 0 * {sum}"),
        }
    }
}

/// The value of a bucket of gauges, all series pooled.
///
/// `length_ms` is the length of the range that covers the bucket. The query is evaluated `offset_ms` after the last millisecond of
/// the bucket. For a percentile of several gauges, it returns a value of each gauge. A sum or a mean with [`NonFinite::NoValue`] is
/// for VictoriaMetrics, which has no NaN: without the guard, it leaves out a series with both infinities, and has no sum if only
/// that series has samples.
pub fn gauges_in_bucket(
    of: &Selector,
    method: AggregationMethod,
    length_ms: i64,
    offset_ms: i64,
    non_finite: NonFinite,
) -> String {
    let samples = range(&selector(of), length_ms, offset_ms);
    let of_each = over_time(method, &samples);
    let extreme = |value: String| non_finite.guarded(&value, &format!("sum(sum_over_time({samples}))"));
    let sum = |of_range: fn(&str) -> String| {
        let x = range("x", length_ms, offset_ms);
        let infinity = format!("max(max_over_time({x})) == Inf or min(min_over_time({x})) == -Inf");
        match non_finite {
            NonFinite::AsPromQl => of_range(&samples),
            NonFinite::NoValue => with_x(of, &format!("{infinity} or {}", of_range(&x))),
        }
    };
    match method {
        AggregationMethod::Mean => sum(|range| format!("sum(sum_over_time({range})) / sum(count_over_time({range}))")),
        AggregationMethod::Max => extreme(format!("max({of_each})")),
        AggregationMethod::Min => extreme(format!("min({of_each})")),
        AggregationMethod::Percentile(_) => non_finite.guarded(&of_each, &format!("sum_over_time({samples})")),
        AggregationMethod::Sum => sum(|range| format!("sum(sum_over_time({range}))")),
        AggregationMethod::EventCount => format!("sum({of_each})"),
    }
}

/// The rate of each counter in a window.
pub fn rate(of: &Selector, window_ms: i64) -> String {
    format!("rate({})", samples(of, window_ms))
}

/// The sum of the increases in a bucket, for VictoriaMetrics.
///
/// Its `increase` counts each one since the sample before the bucket, however far away, but takes the counter for 0 before the first
/// sample that a call reads. So of series without a sample in the `before_ms` milliseconds before the bucket, only the increases
/// between the samples in the bucket count.
pub fn increase(of: &Selector, bucket_ms: i64, before_ms: i64, offset_ms: i64) -> String {
    let bucket = range("x", bucket_ms, offset_ms);
    let before = range("x", before_ms, offset_ms + bucket_ms);
    with_x(of, &format!("sum((increase({bucket}) if count_over_time({before})) or increase_prometheus({bucket}))"))
}

/// An expression of VictoriaMetrics in which `x` means a selector. A long selector does not fit into a query several times.
fn with_x(of: &Selector, expression: &str) -> String {
    format!("(WITH (x = {}) {expression})", selector(of))
}

/// Which rates a sum of rates contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rates {
    /// What PromQL computes. With samples that are not finite, it is any number.
    AsPromQl,
    /// None at all if a sample is not finite.
    OfFinite,
    /// On VictoriaMetrics, none of series that have ended: without a sample in the last four of their own scrape intervals.
    ///
    /// VictoriaMetrics has the rate of such a series as long as the range contains a sample. If the range is much longer than the
    /// interval of the series, it counts many times too much.
    OfLiving,
}

impl Rates {
    /// The sum of the rates in a range of `range_ms` milliseconds that ends `offset_ms` before the evaluation.
    fn sum(self, of: &Selector, range_ms: i64, offset_ms: i64) -> String {
        let samples = range(&selector(of), range_ms, offset_ms);
        match self {
            Rates::AsPromQl => format!("sum(rate({samples}))"),
            Rates::OfFinite => format!("(sum(rate({samples})) + 0 * sum(sum_over_time({samples})))"),
            Rates::OfLiving => {
                let x = range("x", range_ms, offset_ms);
                let lives_until = format!("tlast_over_time({x}) + 4 * scrape_interval({x})");
                with_x(of, &format!("sum(rate({x}) and {lives_until} >= time() - {})", seconds(offset_ms)))
            }
        }
    }
}

/// The value of a bucket of counters, all series together.
///
/// `window_ms` is the range of the rate for a sum or a mean, `rate_ms` the range of each rate that the other methods aggregate. The
/// query is evaluated `offset_ms` after the last millisecond of the bucket.
pub fn counters_in_bucket(
    of: &Selector,
    Aggregation { method, bucket_ms, .. }: Aggregation,
    window_ms: i64,
    rate_ms: i64,
    subquery: Subquery,
    offset_ms: i64,
    rates: Rates,
) -> String {
    match method {
        AggregationMethod::Mean => rates.sum(of, window_ms, offset_ms),
        AggregationMethod::Sum => format!("{} * {}", rates.sum(of, window_ms, offset_ms), seconds(bucket_ms)),
        AggregationMethod::Max | AggregationMethod::Min | AggregationMethod::Percentile(_) => {
            let sum = rates.sum(of, rate_ms, 0);
            // The functions below take NaN and infinity for values.
            let finite = if rates == Rates::OfFinite { format!("({sum} > -Inf < Inf)") } else { sum };
            over_subquery(&finite, method, subquery, offset_ms)
        }
        AggregationMethod::EventCount => {
            gauges_in_bucket(of, method, subquery.length_ms, offset_ms, NonFinite::AsPromQl)
        }
    }
}

/// The number of series with an infinite sample in the last `length_ms` milliseconds, for VictoriaMetrics; an empty result if there
/// are none.
pub fn infinite_series_count(of: &Selector, length_ms: i64) -> String {
    let x = range("x", length_ms, 0);
    with_x(of, &format!("count(max_over_time({x}) == Inf or min_over_time({x}) == -Inf)"))
}

fn over_subquery(body: &str, method: AggregationMethod, subquery: Subquery, offset_ms: i64) -> String {
    over_time(method, &format!("{}{}", subquery_of(body, subquery), offset(offset_ms)))
}

/// A method, applied to the values of each series in a range.
fn over_time(method: AggregationMethod, range: &str) -> String {
    match method {
        AggregationMethod::Mean => format!("avg_over_time({range})"),
        AggregationMethod::Max => format!("max_over_time({range})"),
        AggregationMethod::Min => format!("min_over_time({range})"),
        AggregationMethod::Percentile(percent) => {
            format!("quantile_over_time({}, {range})", f64::from(percent) / 100.0)
        }
        AggregationMethod::Sum => format!("sum_over_time({range})"),
        AggregationMethod::EventCount => format!("count_over_time({range})"),
    }
}

fn subquery_of(body: &str, subquery: Subquery) -> String {
    format!("{body}[{}:{}]", duration(subquery.length_ms), duration(subquery.resolution_ms))
}

/// The samples of a selector in a range of `length_ms` milliseconds that ends `offset_ms` before the evaluation.
fn range(selector: &str, length_ms: i64, offset_ms: i64) -> String {
    format!("{selector}[{}]{}", duration(length_ms), offset(offset_ms))
}

fn offset(offset_ms: i64) -> String {
    if offset_ms == 0 { String::new() } else { format!(" offset {}", duration(offset_ms)) }
}

/// A duration in a form that all engines read exactly: `60s`, `2s98ms`, `5ms`. VictoriaMetrics 1.79 reads some durations that are
/// in milliseconds alone as one millisecond less.
fn duration(ms: i64) -> String {
    match (ms / 1000, ms % 1000) {
        (0, ms) => format!("{ms}ms"),
        (s, 0) => format!("{s}s"),
        (s, ms) => format!("{s}s{ms}ms"),
    }
}

/// Milliseconds as the shortest decimal number of seconds: 60000 is `60`, 1500 is `1.5`.
fn seconds(ms: i64) -> String {
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_written_without_trailing_zeros() {
        for (ms, text) in [(60_000, "60"), (1_500, "1.5"), (1, "0.001"), (600_000, "600"), (10, "0.01")] {
            assert_eq!(seconds(ms), text);
        }
    }

    #[test]
    fn a_duration_has_seconds_and_milliseconds() {
        for (ms, text) in [(1, "1ms"), (999, "999ms"), (1_000, "1s"), (128_617, "128s617ms"), (3_600_000, "3600s")] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn each_method_has_its_promql_for_counters() {
        let check = |method: AggregationMethod, rates: Rates, expected: &str| {
            let of = Selector { metric: "m".into(), matchers: Vec::new() };
            let aggregation = Aggregation { method, zero_fill: false, bucket_ms: 90_500 };
            let subquery = Subquery { length_ms: 90_499, resolution_ms: 15_000 };
            let promql = counters_in_bucket(&of, aggregation, 105_000, 60_000, subquery, 1, rates);
            assert_eq!(promql, expected.replace('M', r#"{__name__="m"}"#), "{method:?}");
        };
        let plain = Rates::AsPromQl;
        check(AggregationMethod::Sum, plain, "sum(rate(M[105s] offset 1ms)) * 90.5");
        check(AggregationMethod::Mean, plain, "sum(rate(M[105s] offset 1ms))");
        check(AggregationMethod::Max, plain, "max_over_time(sum(rate(M[60s]))[90s499ms:15s] offset 1ms)");
        check(AggregationMethod::Min, plain, "min_over_time(sum(rate(M[60s]))[90s499ms:15s] offset 1ms)");
        check(
            AggregationMethod::Percentile(98),
            plain,
            "quantile_over_time(0.98, sum(rate(M[60s]))[90s499ms:15s] offset 1ms)",
        );
        let (rate, sum) = ("sum(rate(M[105s] offset 1ms))", "sum(sum_over_time(M[105s] offset 1ms))");
        check(AggregationMethod::Sum, Rates::OfFinite, &format!("({rate} + 0 * {sum}) * 90.5"));
        check(AggregationMethod::Mean, Rates::OfFinite, &format!("({rate} + 0 * {sum})"));
        let finite = "((sum(rate(M[60s])) + 0 * sum(sum_over_time(M[60s]))) > -Inf < Inf)";
        check(AggregationMethod::Max, Rates::OfFinite, &format!("max_over_time({finite}[90s499ms:15s] offset 1ms)"));
        let living = "rate(x[105s] offset 1ms) and \
                      tlast_over_time(x[105s] offset 1ms) + 4 * scrape_interval(x[105s] offset 1ms) >= time() - 0.001";
        check(AggregationMethod::Mean, Rates::OfLiving, &format!("(WITH (x = M) sum({living}))"));
        for rates in [plain, Rates::OfFinite] {
            check(AggregationMethod::EventCount, rates, "sum(count_over_time(M[90s499ms] offset 1ms))");
        }
    }

    #[test]
    fn a_name_that_was_kept_is_a_name_again() {
        let check = |given: &[(&str, &str)], expected: &[(&str, &str)]| {
            let labels = |list: &[(&str, &str)]| -> Labels {
                list.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
            };
            assert_eq!(restore_name(labels(given)), labels(expected));
        };
        check(&[("__kept_name__", "up"), ("job", "a")], &[("__name__", "up"), ("job", "a")]);
        check(&[("__kept_name__", ""), ("job", "a")], &[("job", "a")]);
        check(&[("__name__", "up")], &[("__name__", "up")]);
    }

    #[test]
    fn a_comment_does_not_swallow_the_parenthesis() {
        let check = |text: &str, expected: &str| {
            let subquery = Subquery { length_ms: 60_000, resolution_ms: 15_000 };
            let found = in_bucket(text, NanInterpretation::None, AggregationMethod::Max, subquery);
            assert_eq!(found, format!("max_over_time(({expected} > -Inf < Inf)[60s:15s])"));
            let histograms = format!("count_over_time(count(histogram_count{expected})[60s:15s])");
            assert_eq!(native_histogram_count(text, subquery), histograms);
        };
        check("up", "(up)");
        check("up # all", "(up # all\n)");
        assert_eq!(as_vector("1 # one"), "vector(1 # one\n)");
        let kept = with_kept_name("up # all");
        assert_eq!(kept, "label_replace((up # all\n), \"__kept_name__\", \"$1\", \"__name__\", \"(.+)\")");
    }
}
