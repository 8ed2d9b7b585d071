//! `~`: an expression that an admin wrote, which Prometheus evaluates.

use crate::api::evaluation::{EvaluationPlan, evaluate};
use crate::api::query::is_refusal;
use crate::api::range_bounds;
use crate::api::recording::Recording;
use crate::compute::points::Points;
use crate::compute::steps::Steps;
use crate::compute::subquery::{EXPRESSION_INTERVAL_MS, RangeBounds, Subquery};
use crate::compute::{promql, start_and_end};
use crate::error::Error;
use crate::model::aggregation::Aggregation;
use crate::model::query::{MetricQuery, NanInterpretation};
use crate::prometheus::{ResultType, Session};

/// The points of an expression, raw or in buckets.
///
/// # Errors
/// When a call fails, the expression has several results, or the query would make too many calls.
pub(super) fn points(
    session: &mut Session<'_>,
    recording: &mut Recording,
    expression: &str,
    query: &MetricQuery,
    nan: NanInterpretation,
    interval_ms: Option<i64>,
) -> Result<Points, Error> {
    // A query can make several calls, each with its own start and end.
    let expression = start_and_end::with_times(expression, query.range);
    let Some(aggregation) = query.aggregation else {
        let steps = Steps::of_range(query.range, interval_ms.unwrap_or(EXPRESSION_INTERVAL_MS));
        return evaluate(session, EvaluationPlan::new(query, steps, 0), nan, &expression, |_| Ok(None));
    };
    let Aggregation { method, bucket_ms, .. } = aggregation;
    let plan = EvaluationPlan::new(query, Steps::of_buckets(query.range, bucket_ms), 0);
    let in_buckets = |bounds: RangeBounds, expression: &str| {
        promql::in_bucket(expression, nan, method, Subquery::of(bucket_ms, interval_ms, bounds))
    };
    let depends_on_bounds = Subquery::depends_on_bounds(bucket_ms, interval_ms, query.range.start);
    // Before the first call, so that an expensive query fails at once.
    plan.must_fit(session, u32::from(depends_on_bounds), &expression)?;
    let bounds = if depends_on_bounds {
        range_bounds::find(session, &in_buckets(RangeBounds::LeftOpen, &expression))?
    } else {
        RangeBounds::LeftOpen
    };
    // PromQL drops the names of metrics, so results that differ only in their names would become one, unless it refuses that.
    let with_name = promql::with_kept_name(&expression);
    let may_become_one = nan == NanInterpretation::Zero || plan.call_count() > 1;
    let promql = in_buckets(bounds, if may_become_one { &with_name } else { &expression });
    // PromQL has left out each NaN or counted it as 0, so NaN is not the value of a bucket.
    let left_out = NanInterpretation::None;
    let points = evaluate(session, plan, left_out, &promql, |session| {
        Ok(match session.instant(&expression, Some(query.range.end)) {
            // Some engines refuse a subquery of a scalar.
            Ok((ResultType::Scalar, _)) => {
                recording.is_scalar = true;
                Some(in_buckets(bounds, &promql::as_vector(&expression)))
            }
            // The results may differ only in their names.
            Ok(_) if !may_become_one => Some(in_buckets(bounds, &with_name)),
            // This error is about the expression as the admin wrote it.
            Err(refused) if is_refusal(&refused) => return Err(refused.into()),
            _ => None,
        })
    })?;
    // A comparison silently leaves out native histograms.
    if !points.has_series {
        let newest = promql::newest_in_bucket(&expression, Subquery::of(bucket_ms, interval_ms, bounds));
        // This is an extra query: if it fails, the original one still succeeds.
        let result = evaluate(session, plan, left_out, &newest, |_| Ok(None));
        if let Err(native_histogram @ Error::UnsupportedFieldType { .. }) = result {
            return Err(native_histogram);
        }
    }
    Ok(points)
}
