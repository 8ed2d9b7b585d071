//! Evaluates an expression at evenly spaced instants: makes the calls, and turns the values into points.

use crate::api::query::is_refusal;
use crate::api::query_fields::now_ms;
use crate::compute::distinct::SeriesSeen;
use crate::compute::points::Points;
use crate::compute::promql;
use crate::compute::screen::Screen;
use crate::compute::steps::{CHUNK_STEPS, Steps};
use crate::compute::subquery::Subquery;
use crate::error::Error;
use crate::model::aggregation::Aggregation;
use crate::model::query::{MetricQuery, NanInterpretation, Source};
use crate::model::sample::{Sample, SeriesSet};
use crate::model::sample_kind::SampleKind;
use crate::prometheus::{self, MAX_CALLS, Session};

/// If the step is shorter than this, values of instants that are newer than this may be wrong; in milliseconds.
///
/// If the step is shorter than a minute, VictoriaMetrics replaces the values of its newest half minute (`-search.latencyOffset`)
/// with earlier ones, unless the query goes on beyond now and a step. So the mirror queries beyond now, and cuts off the excess.
const UNSETTLED_MS: i64 = 60_000;

/// How many evaluations of a subquery the mirror puts into a call to VictoriaMetrics at most. Version 1.79 refuses more than 30,000
/// (`-search.maxPointsPerTimeseries`).
const MAX_EVALUATIONS: i64 = 25_000;

/// VictoriaMetrics reads samples from this much earlier on than a function needs them, and begins a subquery as much earlier, in
/// milliseconds (`-search.minStalenessInterval`).
pub(super) const READ_EARLIER_MS: i64 = 300_000;

/// How far the upstream's clock may be ahead of the mirror's, in milliseconds.
const CLOCK_SKEW_MS: i64 = 5_000;

/// At which instants an expression is evaluated to get the points of a query.
#[derive(Debug, Clone, Copy)]
pub(super) struct EvaluationPlan<'q> {
    query: &'q MetricQuery,
    /// The instants; if there are buckets, the last milliseconds of the buckets.
    steps: Steps,
    /// How much later the expression is evaluated, in milliseconds. It has an `offset` of the same length.
    pub(super) offset_ms: i64,
    /// How many instants before the first one each call begins.
    pub(super) lead: i64,
    /// The most instants of a call.
    chunk_size: i64,
}

impl EvaluationPlan<'_> {
    /// The plan for a query, without the instants that cannot become points of it.
    pub(super) fn new(query: &MetricQuery, steps: Steps, offset_ms: i64) -> EvaluationPlan<'_> {
        let steps = match query.aggregation {
            // Each instant is a point. One more than the limit shows whether points are left out.
            Some(Aggregation { zero_fill: true, .. }) => steps.limited_to(query.limit.saturating_add(1), query.order),
            _ => steps,
        };
        EvaluationPlan { query, steps, offset_ms, lead: 0, chunk_size: CHUNK_STEPS }
    }

    /// The same plan, with calls that begin earlier by `ms` milliseconds, as far as there are not too many instants.
    pub(super) fn beginning_before(self, ms: i64) -> Self {
        let Steps { first, step, .. } = self.steps;
        EvaluationPlan { lead: (ms / step + 1).min(first / step).min(CHUNK_STEPS), ..self }
    }

    /// The same plan with as many instants in a call as VictoriaMetrics evaluates with a subquery.
    pub(super) fn limited_for(self, subquery: Subquery) -> Self {
        let evaluations = MAX_EVALUATIONS - READ_EARLIER_MS / subquery.resolution_ms;
        let of_each = self.steps.step / subquery.resolution_ms + 1;
        EvaluationPlan { chunk_size: (evaluations / of_each).clamp(1, self.chunk_size), ..self }
    }

    /// How many calls it takes if all points are found.
    pub(super) fn call_count(self) -> i64 {
        self.steps.chunk_count(self.chunk_size)
    }

    /// Checks that a session can make the calls of an evaluation after `before` other calls.
    ///
    /// # Errors
    /// When the query would make more calls than it may. The error shows `promql`.
    pub(super) fn must_fit(self, session: &Session<'_>, before: u32, promql: &str) -> Result<(), Error> {
        let needed = self.call_count() + i64::from(session.calls() + before);
        if needed > i64::from(MAX_CALLS) {
            return Err(Error::too_many_calls(needed, MAX_CALLS, promql, session.upstream()));
        }
        Ok(())
    }

    /// Queries the values at the instants of a chunk.
    fn values_at(self, session: &mut Session<'_>, promql: &str, chunk: Steps) -> Result<SeriesSet, prometheus::Error> {
        let steps = chunk.later_by(self.offset_ms);
        let now = now_ms();
        let is_unsettled = steps.step < UNSETTLED_MS && steps.last() > now - UNSETTLED_MS;
        let beyond_now = steps.reaching(now + steps.step + CLOCK_SKEW_MS);
        let call = |session: &mut Session<'_>, goes_beyond_now: bool| {
            let called = if goes_beyond_now { beyond_now } else { steps };
            session.range(promql, called.first - self.lead * called.step, called.last(), called.step)
        };
        // Prometheus has the same values either way.
        let goes_beyond_now = is_unsettled && session.may_be_victoria_metrics();
        let mut series_set = call(session, goes_beyond_now)?;
        if is_unsettled && !goes_beyond_now && session.is_victoria_metrics() {
            series_set = call(session, true)?;
        }
        series_set.retain(|one| {
            one.samples.retain(|sample| (steps.first..=steps.last()).contains(&sample.at));
            one.samples.iter_mut().for_each(|sample| sample.at -= self.offset_ms);
            one.has_native_histograms || !one.samples.is_empty()
        });
        Ok(series_set)
    }

    /// The samples of the only series.
    fn only(
        self,
        session: &Session<'_>,
        seen: &mut SeriesSeen,
        series_set: SeriesSet,
        promql: &str,
    ) -> Result<Vec<Sample>, Error> {
        if series_set.series.iter().any(|one| one.has_native_histograms) {
            return Err(Error::native_histogram());
        }
        seen.note_result_size(series_set.total);
        let mut samples = Vec::new();
        for one in series_set.series {
            seen.add(promql::restore_name(one.labels));
            samples = one.samples;
        }
        seen.at_most_one().map_err(|too_many| {
            // The admin who wrote an expression has to change it.
            let is_from_admin = matches!(self.query.source, Source::Expression(_));
            let error = if is_from_admin { Error::too_many_results } else { Error::too_many_series };
            error(&too_many, promql, session.upstream())
        })?;
        Ok(samples)
    }
}

/// Evaluates an expression, and makes its values the points of a plan's query. `nan` says what a NaN among the values becomes. If
/// Prometheus refuses the expression, `instead` may return another one.
///
/// # Errors
/// When the query would make more calls than it may, a call fails, or the expression has several results.
pub(super) fn evaluate(
    session: &mut Session<'_>,
    plan: EvaluationPlan<'_>,
    nan: NanInterpretation,
    promql: &str,
    instead: impl FnOnce(&mut Session<'_>) -> Result<Option<String>, Error>,
) -> Result<Points, Error> {
    plan.must_fit(session, 0, promql)?;
    let MetricQuery { aggregation, limit, order, .. } = *plan.query;
    let (bucket_ms, zero_fill) = aggregation.map_or((1, false), |buckets| (buckets.bucket_ms, buckets.zero_fill));
    let (mut seen, mut points) = (SeriesSeen::default(), Points::new(limit, order));
    let mut screen = Screen::of(SampleKind::Gauge(nan));
    let (mut promql, mut instead) = (promql.to_owned(), Some(instead));
    for chunk in plan.steps.chunks(order, plan.chunk_size) {
        let series_set = match (plan.values_at(session, &promql, chunk), instead.take()) {
            (Err(refused), Some(instead)) if is_refusal(&refused) => match instead(session)? {
                Some(other) => {
                    promql = other;
                    plan.values_at(session, &promql, chunk)?
                }
                None => return Err(refused.into()),
            },
            (other, _) => other?,
        };
        let samples = plan.only(session, &mut seen, series_set, &promql)?;
        let added = points.add_evaluated(chunk, &samples, bucket_ms, zero_fill, &mut screen);
        added.map_err(|stray| Error::times_moved(stray, &promql, session.upstream()))?;
        if points.is_partial {
            break;
        }
    }
    points.dropped.add(screen.dropped);
    points.has_series = !seen.is_empty();
    Ok(points)
}
