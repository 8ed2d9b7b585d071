//! PromQL instead of arithmetic: if a query covers too many samples or buckets, Prometheus computes the points.

use crate::api::evaluation::{EvaluationPlan, READ_EARLIER_MS, evaluate};
use crate::api::query_fields::now_ms;
use crate::api::range_bounds;
use crate::api::run::Run;
use crate::api::scrape_interval::{self, Medians};
use crate::compute::matchers;
use crate::compute::points::Points;
use crate::compute::promql::{self, NonFinite, RATE_INTERVALS, Rates, UNKNOWN_SPACING_MS};
use crate::compute::steps::Steps;
use crate::compute::subquery::{RangeBounds, Subquery};
use crate::error::Error;
use crate::model::aggregation::{Aggregation, AggregationMethod};
use crate::model::query::{NanInterpretation, Selector};
use crate::model::sample_kind::SampleKind;
use crate::model::time::TimeRange;
use crate::prometheus::Session;

/// Each call for increases begins at least this much before the first bucket, in milliseconds, because VictoriaMetrics counts the
/// increase since the last sample before a bucket only if the call reads it.
const INCREASE_LEAD_MS: i64 = 3_600_000;

/// The points of a query, computed by Prometheus.
///
/// # Errors
/// When a call fails, or no PromQL computes the points.
pub(super) fn points(
    run: &mut Run<'_, '_>,
    of: &Selector,
    kind: SampleKind,
    aggregation: Aggregation,
) -> Result<Points, Error> {
    let Run { session, query, recording, .. } = run;
    let (session, query) = (&mut **session, *query);
    // There are no samples in the future.
    let past = query.range.up_to(now_ms());
    let Aggregation { bucket_ms, method, .. } = aggregation;
    let steps = Steps::of_buckets(query.range, bucket_ms);
    // Evaluated at multiples of the step, so that query frontends that align to the step move nothing.
    let plan = EvaluationPlan::new(query, steps, (-steps.first).rem_euclid(bucket_ms));
    let selector = matchers::selector(of);
    plan.must_fit(session, calls_before(kind, method), &selector)?;
    let bounds = range_bounds::find(session, &selector)?;
    session.count_answer_by_promql();
    recording.answer_by_promql();
    let (plan, promql) = match (kind, method) {
        (SampleKind::Gauge(_), _) | (SampleKind::Counter(_), AggregationMethod::EventCount) => {
            if let (SampleKind::Gauge(_), AggregationMethod::Percentile(_)) = (kind, method) {
                must_be_at_most_one(session, of, past)?;
            }
            let non_finite = non_finite(kind, method, session.is_victoria_metrics());
            let length_ms = Subquery::of(bucket_ms, None, bounds).length_ms;
            (plan, promql::gauges_in_bucket(of, method, length_ms, plan.offset_ms, non_finite))
        }
        (SampleKind::Counter(interval_ms), AggregationMethod::Sum) if session.is_victoria_metrics() => {
            let wanted_ms = interval_ms.unwrap_or_default().saturating_mul(RATE_INTERVALS).max(INCREASE_LEAD_MS);
            let plan = plan.beginning_before(wanted_ms);
            let lead_ms = plan.lead * bucket_ms;
            must_be_finite(session, of, past, lead_ms + bucket_ms + READ_EARLIER_MS)?;
            let before_ms = wanted_ms.min(lead_ms).max(READ_EARLIER_MS);
            (plan, promql::increase(of, bucket_ms, before_ms, plan.offset_ms))
        }
        (SampleKind::Counter(interval_ms), _) => rates(run, of, past, interval_ms, aggregation, bounds, plan)?,
    };
    // PromQL has computed these values from NaN samples, too. One that is not finite must not become 0, whatever
    // `nan_interpretation` says.
    evaluate(run.session, plan, NanInterpretation::None, &promql, |_| Ok(None))
}

/// How many calls come before those for the points at most: one for the bounds of range selectors, and those that count or measure.
fn calls_before(kind: SampleKind, method: AggregationMethod) -> u32 {
    match (kind, method) {
        (SampleKind::Gauge(_), AggregationMethod::Percentile(_)) => 3,
        (SampleKind::Gauge(_), _) | (SampleKind::Counter(_), AggregationMethod::EventCount) => 1,
        (SampleKind::Counter(Some(_)), _) => 2,
        (SampleKind::Counter(None), _) => 2 + scrape_interval::CALLS,
    }
}

/// The PromQL of a method that needs rates, and the plan for it.
fn rates<'q>(
    run: &mut Run<'_, '_>,
    of: &Selector,
    past: TimeRange,
    interval_ms: Option<i64>,
    aggregation: Aggregation,
    bounds: RangeBounds,
    plan: EvaluationPlan<'q>,
) -> Result<(EvaluationPlan<'q>, String), Error> {
    let Aggregation { bucket_ms, method, .. } = aggregation;
    let session = &mut *run.session;
    let medians = match interval_ms {
        Some(_) => Medians::default(),
        None => scrape_interval::measure(session, of, past)?,
    };
    run.recording.measured_ms = medians.longest_ms();
    let spacing_ms = interval_ms.or(run.recording.measured_ms).unwrap_or(UNKNOWN_SPACING_MS);
    let rate_ms = spacing_ms.saturating_mul(RATE_INTERVALS);
    let subquery = Subquery::of(bucket_ms, Some(spacing_ms), bounds);
    let window_ms = window_ms(session.is_victoria_metrics(), bucket_ms, spacing_ms);
    let promql =
        |rates: Rates| promql::counters_in_bucket(of, aggregation, window_ms, rate_ms, subquery, plan.offset_ms, rates);
    if !session.is_victoria_metrics() {
        return Ok((plan, promql(Rates::OfFinite)));
    }
    // The evaluations of a subquery begin up to two resolutions earlier than those of the bucket.
    let of_subquery_ms = rate_ms.saturating_add(2 * subquery.resolution_ms + READ_EARLIER_MS);
    must_be_finite(session, of, past, window_ms.max(of_subquery_ms).saturating_add(READ_EARLIER_MS))?;
    let is_mean = method == AggregationMethod::Mean;
    // In a window of one bucket, only series that have samples in the bucket have a rate.
    let is_over_bucket = is_mean && window_ms == bucket_ms;
    let rates = if medians.are_mixed() && !is_over_bucket { Rates::OfLiving } else { Rates::AsPromQl };
    Ok((if is_mean { plan } else { plan.limited_for(subquery) }, promql(rates)))
}

/// How PromQL must treat samples that are not finite, where it does not compute rates.
fn non_finite(kind: SampleKind, method: AggregationMethod, is_victoria_metrics: bool) -> NonFinite {
    let differs = match method {
        // VictoriaMetrics has no sum of +Inf and -Inf, which would become 0.
        AggregationMethod::Sum | AggregationMethod::Mean => is_victoria_metrics,
        // PromQL takes NaN for less than all numbers.
        AggregationMethod::Percentile(_) => true,
        // PromQL skips NaN, which should be 0.
        AggregationMethod::Max | AggregationMethod::Min => kind == SampleKind::Gauge(NanInterpretation::Zero),
        AggregationMethod::EventCount => false,
    };
    if differs { NonFinite::NoValue } else { NonFinite::AsPromQl }
}

/// Checks that no sample of counters is infinite, from `before_ms` milliseconds before a range on. After such a sample,
/// VictoriaMetrics has no rate of its series until the end of a call, and the sum goes on without it.
fn must_be_finite(session: &mut Session<'_>, of: &Selector, range: TimeRange, before_ms: i64) -> Result<(), Error> {
    let promql = promql::infinite_series_count(of, (range.length() + 1).saturating_add(before_ms));
    match count(session, &promql, range)? {
        0 => Ok(()),
        series => Err(Error::infinite_samples(series, &promql, session.upstream())),
    }
}

/// The range of the rate for a sum or a mean in milliseconds, at the scrape interval `spacing_ms`.
fn window_ms(is_victoria_metrics: bool, bucket_ms: i64, spacing_ms: i64) -> i64 {
    if is_victoria_metrics {
        // VictoriaMetrics includes the sample before the range by itself, but not if it is further away than the samples at the
        // beginning of the call are from each other. So two samples must be within it. A tenth of jitter does no harm.
        bucket_ms.max(spacing_ms.saturating_mul(2).saturating_add(spacing_ms / 5))
    } else {
        // The increase since the sample before a bucket counts in the bucket.
        spacing_ms.saturating_mul(RATE_INTERVALS).max(bucket_ms.saturating_add(spacing_ms))
    }
}

/// Checks that there is at most one gauge, because PromQL has no percentile of the samples of several series.
fn must_be_at_most_one(session: &mut Session<'_>, of: &Selector, range: TimeRange) -> Result<(), Error> {
    let length_ms = range.length() + 1;
    let series = count(session, &promql::series_count(of, length_ms), range)?;
    if series <= 1 {
        return Ok(());
    }
    let promql = promql::sample_count(of, length_ms);
    let samples = count(session, &promql, range)?;
    Err(Error::too_many_samples(samples, series, &promql, session.upstream()))
}

/// What an expression counts at the end of a range; an empty result is 0.
fn count(session: &mut Session<'_>, promql: &str, range: TimeRange) -> Result<u64, Error> {
    let (_, counted) = session.instant(promql, Some(range.end))?;
    Ok(counted.first_value().unwrap_or_default() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_of_a_rate_reaches_the_sample_before_a_bucket() {
        let check = |bucket_ms: i64, spacing_ms: i64, elsewhere: i64, on_victoria_metrics: i64| {
            assert_eq!(window_ms(false, bucket_ms, spacing_ms), elsewhere);
            assert_eq!(window_ms(true, bucket_ms, spacing_ms), on_victoria_metrics);
        };
        check(60_000, 15_000, 75_000, 60_000);
        check(60_000, 60_000, 240_000, 132_000);
        // Without a sample in the window, VictoriaMetrics 1.145 has no rate.
        check(1_000, 60_000, 240_000, 132_000);
    }
}
