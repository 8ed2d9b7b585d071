//! PromQL that shows nearly the same values as a response, for the upstream's own page.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::api::query_fields::now_ms;
use crate::compute::matchers;
use crate::compute::promql::{self, NonFinite, RATE_INTERVALS, Rates, UNKNOWN_SPACING_MS};
use crate::compute::start_and_end;
use crate::compute::subquery::{RangeBounds, Subquery};
use crate::model::aggregation::Aggregation;
use crate::model::calendar::DateTime;
use crate::model::query::{MetricQuery, NanInterpretation, Source};
use crate::model::time::TimeRange;
use crate::prometheus::Session;

/// The PromQL for a query. `given_ms` and `measured_ms` are the scrape interval of its series. `is_scalar` says that the expression
/// is a scalar, which the upstream aggregates only as a vector.
pub(super) fn equivalent(
    query: &MetricQuery,
    nan: NanInterpretation,
    given_ms: Option<i64>,
    measured_ms: Option<i64>,
    is_scalar: bool,
) -> String {
    let spacing_ms = given_ms.or(measured_ms).unwrap_or(UNKNOWN_SPACING_MS);
    let rate_ms = spacing_ms.saturating_mul(RATE_INTERVALS);
    let subquery = |bucket_ms, interval_ms| Subquery::of(bucket_ms, interval_ms, RangeBounds::LeftOpen);
    match (&query.source, query.aggregation) {
        (Source::Expression(text), aggregation) => {
            // On the upstream's page, they would be the start and the end of the graph.
            let text = start_and_end::with_times(text, query.range);
            let Some(Aggregation { method, bucket_ms, .. }) = aggregation else { return text };
            let text = if is_scalar { promql::as_vector(&text) } else { text };
            promql::in_bucket(&text, nan, method, subquery(bucket_ms, given_ms))
        }
        (Source::Gauge(of), None) => matchers::selector(of),
        (Source::Counter(of), None) => promql::rate(of, rate_ms),
        (Source::Gauge(of), Some(Aggregation { method, bucket_ms, .. })) => {
            promql::gauges_in_bucket(of, method, bucket_ms, 0, NonFinite::AsPromQl)
        }
        (Source::Counter(of), Some(aggregation)) => {
            let bucket_ms = aggregation.bucket_ms;
            let subquery = subquery(bucket_ms, Some(spacing_ms));
            promql::counters_in_bucket(of, aggregation, bucket_ms.max(rate_ms), rate_ms, subquery, 0, Rates::AsPromQl)
        }
    }
}

/// The address of the upstream's own page with a graph of an expression over a range.
pub(super) fn graph(session: &Session<'_>, promql: &str, range: TimeRange) -> Option<String> {
    let base = session.upstream().page_base()?;
    let end = range.end.min(now_ms()).max(0);
    let seconds = (end - range.start.clamp(0, end)).max(1_000) / 1_000;
    let expression = utf8_percent_encode(promql, NON_ALPHANUMERIC);
    let end = date_and_time(end);
    let end = utf8_percent_encode(&end, NON_ALPHANUMERIC);
    Some(format!("{base}/graph?g0.expr={expression}&g0.tab=0&g0.range_input={seconds}s&g0.end_input={end}"))
}

/// A time in the form of Prometheus's page, in UTC.
fn date_and_time(ms: i64) -> String {
    let DateTime { date: (year, month, day), time: (hour, minute, second), .. } = DateTime::of_ms(ms);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_reads_times_in_utc() {
        // `date --utc --date=@1504411201 '+%F %T'`
        for (ms, text) in [(0, "1970-01-01 00:00:00"), (1_504_411_201_999, "2017-09-03 04:00:01")] {
            assert_eq!(date_and_time(ms), text);
        }
    }
}
