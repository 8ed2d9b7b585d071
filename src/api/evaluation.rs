//! Evaluates an expression at evenly spaced instants: makes the calls, and turns the values into points.

use crate::api::points_result::PointsResult;
use crate::api::query::is_refusal;
use crate::api::query_fields::now_ms;
use crate::compute::distinct::SeriesSeen;
use crate::compute::points::Points;
use crate::compute::screen::{SampleKind, Screen};
use crate::compute::steps::Steps;
use crate::error::Error;
use crate::model::query::{MetricQuery, NanInterpretation};
use crate::model::sample::{Sample, SeriesSet};
use crate::prometheus::{self, MAX_CALLS, Session};

/// If the step is shorter than this, values of instants that are newer than this may be wrong; in milliseconds.
///
/// If the step is shorter than a minute, VictoriaMetrics replaces the values of its newest half minute (`-search.latencyOffset`)
/// with earlier ones, unless the query goes on beyond now and a step. So the mirror queries beyond now, and cuts off the excess.
const UNSETTLED_MS: i64 = 60_000;

/// How far the upstream's clock may be ahead of the mirror's, in milliseconds.
const CLOCK_SKEW_MS: i64 = 5_000;

/// At which instants an expression is evaluated, and which points the values become.
#[derive(Debug, Clone, Copy)]
pub(super) struct EvaluationPlan {
    /// The instants; if there are buckets, the last milliseconds of the buckets.
    pub(super) steps: Steps,
    /// How much later the expression is evaluated, in milliseconds. It has an `offset` of the same length.
    pub(super) offset_ms: i64,
    /// The length of the buckets in milliseconds; 1 for a raw query.
    pub(super) bucket_ms: i64,
    /// Whether a bucket without a value is 0.
    pub(super) zero_fill: bool,
    /// Whether the admin wrote the expression, and therefore has to change it if it has several results.
    pub(super) is_admins: bool,
}

impl EvaluationPlan {
    /// The same plan without the instants that cannot become points of a query.
    pub(super) fn needed_for(self, query: &MetricQuery) -> EvaluationPlan {
        if !self.zero_fill {
            return self;
        }
        // Each instant is a point. One more than the limit shows whether points are left out.
        EvaluationPlan { steps: self.steps.limited_to(query.limit.saturating_add(1), query.order), ..self }
    }

    /// Checks that a session can make the calls of an evaluation after `before` other calls.
    ///
    /// # Errors
    /// When the query would make more calls than it may. The error shows `promql`.
    pub(super) fn must_fit(self, session: &Session<'_>, before: u32, promql: &str) -> Result<(), Error> {
        let needed = self.steps.chunk_count() + i64::from(session.calls() + before);
        if needed > i64::from(MAX_CALLS) {
            return Err(Error::too_many_calls(needed, MAX_CALLS, promql, session.upstream()));
        }
        Ok(())
    }
}

/// An evaluation in progress, with its points so far.
pub(super) struct Evaluation<'s, 'c> {
    session: &'s mut Session<'c>,
    plan: EvaluationPlan,
    seen: SeriesSeen,
    points: Points,
    screen: Screen,
}

impl<'s, 'c> Evaluation<'s, 'c> {
    /// Prepares an evaluation for the points of a query.
    ///
    /// # Errors
    /// When the query would make more calls than it may. The error shows `promql`.
    pub(super) fn new(
        session: &'s mut Session<'c>,
        plan: EvaluationPlan,
        query: &MetricQuery,
        nan: NanInterpretation,
        promql: &str,
    ) -> Result<Evaluation<'s, 'c>, Error> {
        let plan = plan.needed_for(query);
        plan.must_fit(session, 0, promql)?;
        let (seen, points) = (SeriesSeen::default(), Points::new(query.limit, query.order));
        Ok(Evaluation { session, plan, seen, points, screen: Screen::of(SampleKind::Gauge(nan)) })
    }

    /// Evaluates an expression. If Prometheus refuses it, `instead` may return another one.
    ///
    /// # Errors
    /// When a call fails, or the expression has several results.
    pub(super) fn run(
        mut self,
        promql: &str,
        instead: impl FnOnce(&mut Session<'_>) -> Result<Option<String>, Error>,
    ) -> Result<PointsResult, Error> {
        let (mut promql, mut instead) = (promql.to_owned(), Some(instead));
        let order = self.points.order();
        for chunk in self.plan.steps.chunks(order) {
            let series_set = match (self.values_at(&promql, chunk), instead.take()) {
                (Err(refused), Some(instead)) if is_refusal(&refused) => match instead(self.session)? {
                    Some(other) => {
                        promql = other;
                        self.values_at(&promql, chunk)?
                    }
                    None => return Err(refused.into()),
                },
                (other, _) => other?,
            };
            let samples = self.only(series_set, &promql)?;
            let EvaluationPlan { bucket_ms, zero_fill, .. } = self.plan;
            let added = self.points.add_evaluated(chunk, &samples, bucket_ms, zero_fill, &mut self.screen);
            added.map_err(|stray| Error::moved_grid(stray, &promql, self.session.upstream()))?;
            if self.points.is_partial() {
                break;
            }
        }
        let has_series = !self.seen.is_empty();
        Ok(PointsResult { points: self.points, dropped: self.screen.dropped(), has_series })
    }

    /// Queries the values at the instants of a chunk.
    fn values_at(&mut self, promql: &str, chunk: Steps) -> Result<SeriesSet, prometheus::Error> {
        let steps = chunk.later_by(self.plan.offset_ms);
        let now = now_ms();
        let is_unsettled = steps.step < UNSETTLED_MS && steps.last() > now - UNSETTLED_MS;
        let beyond_now = steps.reaching(now + steps.step + CLOCK_SKEW_MS);
        let was_known = self.session.is_victoria_metrics();
        let mut series_set = self.call(promql, if is_unsettled && was_known { beyond_now } else { steps })?;
        if is_unsettled && !was_known && self.session.is_victoria_metrics() {
            series_set = self.call(promql, beyond_now)?;
        }
        series_set.retain(|one| {
            one.samples.retain(|sample| sample.at <= steps.last());
            one.samples.iter_mut().for_each(|sample| sample.at -= self.plan.offset_ms);
            one.has_native_histograms || !one.samples.is_empty()
        });
        Ok(series_set)
    }

    fn call(&mut self, promql: &str, steps: Steps) -> Result<SeriesSet, prometheus::Error> {
        self.session.range(promql, steps.first, steps.last(), steps.step)
    }

    /// The samples of the only series.
    fn only(&mut self, series_set: SeriesSet, promql: &str) -> Result<Vec<Sample>, Error> {
        if series_set.series.iter().any(|one| one.has_native_histograms) {
            return Err(Error::native_histogram());
        }
        self.seen.note_result_size(series_set.total);
        let mut samples = Vec::new();
        for one in series_set.series {
            self.seen.add(one.labels);
            samples = one.samples;
        }
        self.seen.at_most_one().map_err(|too_many| {
            let error = if self.plan.is_admins { Error::too_many_results } else { Error::too_many_metrics };
            error(&too_many, promql, self.session.upstream())
        })?;
        Ok(samples)
    }
}
