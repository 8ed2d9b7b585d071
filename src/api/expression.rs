//! `~`: an expression that an admin wrote, which Prometheus evaluates.

use crate::api::evaluation::{EvaluationPlan, evaluate};
use crate::api::query::is_refusal;
use crate::api::range_bounds;
use crate::api::run::Run;
use crate::compute::points::Points;
use crate::compute::steps::Steps;
use crate::compute::subquery::{EXPRESSION_INTERVAL_MS, RangeBounds, Subquery};
use crate::compute::{promql, start_and_end};
use crate::error::Error;
use crate::model::aggregation::{Aggregation, AggregationMethod};
use crate::model::query::NanInterpretation;
use crate::model::time::TimeRange;
use crate::prometheus::{ResultType, Session};

/// At how many instants an expression is evaluated at most to see whether it has native histograms.
const HISTOGRAM_CHECKS: i64 = 500;

/// The points of an expression, raw or in buckets.
///
/// # Errors
/// When a call fails, the expression has several results, or the query would make too many calls.
pub(super) fn points(run: &mut Run<'_, '_>, expression: &str) -> Result<Points, Error> {
    let Run { query, nan, interval_ms, .. } = *run;
    // A query can make several calls, each with its own start and end.
    let expression = start_and_end::with_times(expression, query.range);
    if let Some(aggregation) = query.aggregation {
        return aggregated(run, &expression, aggregation);
    }
    let steps = Steps::of_range(query.range, interval_ms.unwrap_or(EXPRESSION_INTERVAL_MS));
    evaluate(run.session, EvaluationPlan::new(query, steps, 0), nan, &expression, |_| Ok(None))
}

fn aggregated(run: &mut Run<'_, '_>, expression: &str, aggregation: Aggregation) -> Result<Points, Error> {
    let Aggregation { method, bucket_ms, .. } = aggregation;
    let Run { query, nan, interval_ms, .. } = *run;
    let session = &mut *run.session;
    let plan = EvaluationPlan::new(query, Steps::of_buckets(query.range, bucket_ms), 0);
    let limited_plan = plan.limited_for(Subquery::of(bucket_ms, interval_ms, RangeBounds::LeftOpen));
    // No bucket fits into the range.
    if plan.call_count() == 0 {
        return Ok(Points::new(query.limit, query.order));
    }
    let in_buckets = |bounds: RangeBounds, expression: &str| {
        promql::in_bucket(expression, nan, method, Subquery::of(bucket_ms, interval_ms, bounds))
    };
    let depends_on_engine = Subquery::depends_on_bounds(bucket_ms, interval_ms, query.range.start)
        || limited_plan.call_count() > plan.call_count();
    // Before the first call, so that an expensive query fails at once.
    plan.must_fit(session, u32::from(depends_on_engine), expression)?;
    let find_bounds = || range_bounds::find(session, &in_buckets(RangeBounds::LeftOpen, expression));
    let known_bounds = depends_on_engine.then(find_bounds).transpose()?;
    let plan = if session.is_victoria_metrics() { limited_plan } else { plan };
    let bounds = known_bounds.unwrap_or(RangeBounds::LeftOpen);
    // PromQL drops the names of metrics, so results that differ only in their names would become one, unless it refuses that.
    let with_name = promql::with_kept_name(expression);
    let may_become_one = nan == NanInterpretation::Zero || plan.call_count() > 1;
    let promql = in_buckets(bounds, if may_become_one { &with_name } else { expression });
    // PromQL has left out each NaN or counted it as 0, so NaN is not the value of a bucket.
    let left_out = NanInterpretation::None;
    let points = evaluate(session, plan, left_out, &promql, |session| {
        Ok(match session.instant(expression, Some(query.range.end)) {
            // Some engines refuse a subquery of a scalar.
            Ok((ResultType::Scalar, _)) => {
                run.recording.is_scalar = true;
                Some(in_buckets(bounds, &promql::as_vector(expression)))
            }
            // The results may differ only in their names.
            Ok(_) if !may_become_one => Some(in_buckets(bounds, &with_name)),
            // This error is about the expression as the admin wrote it.
            Err(refused) if is_refusal(&refused) => return Err(refused.into()),
            _ => None,
        })
    })?;
    if hides_native_histograms(run, expression, &points, method, known_bounds) {
        return Err(Error::native_histogram());
    }
    Ok(points)
}

/// Whether the points of an expression in buckets lack native histograms, or have numbers in their place.
///
/// In comparisons, newer engines leave out native histograms, and Prometheus 2 takes them for 0. With ZERO, Prometheus 2 also makes
/// a number of the sum of a number and a histogram.
fn hides_native_histograms(
    run: &mut Run<'_, '_>,
    expression: &str,
    points: &Points,
    method: AggregationMethod,
    known_bounds: Option<RangeBounds>,
) -> bool {
    let may_be_histogram =
        points.have_zero() || method == AggregationMethod::EventCount || run.nan == NanInterpretation::Zero;
    let is_prometheus_2 = |session: &mut Session<'_>| {
        let bounds = known_bounds.map_or_else(|| range_bounds::find(session, expression), Ok);
        bounds.is_ok_and(|bounds| bounds == RangeBounds::Closed)
    };
    let range = run.query.range;
    run.session.aside(|session| {
        let may_hide_any = !points.has_series || may_be_histogram && is_prometheus_2(session);
        may_hide_any && !session.is_victoria_metrics() && has_native_histograms(session, expression, range)
    })
}

/// Whether an expression has native histograms in a range, as far as some evaluations tell. This is an extra query: if it fails, or
/// the engine has no native histograms and refuses it, the original one still succeeds.
fn has_native_histograms(session: &mut Session<'_>, expression: &str, range: TimeRange) -> bool {
    let length_ms = range.length() + 1;
    let resolution_ms = (length_ms / HISTOGRAM_CHECKS).max(EXPRESSION_INTERVAL_MS);
    let promql = promql::native_histogram_count(expression, Subquery { length_ms, resolution_ms });
    session.instant(&promql, Some(range.end)).is_ok_and(|(_, found)| found.total > 0)
}
