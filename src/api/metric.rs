//! Metric values: raw samples, or buckets.

use crate::api::datasource::Datasource;
use crate::api::probe::Probes;
use crate::api::{Call, condition, not_negative, now_ms};
use crate::catalog;
use crate::error::Error;
use crate::log;
use crate::plan::{self, Grid, RangeBounds, RawWindows};
use crate::prometheus::{self, Sample, Series, Session};
use crate::promql;
use crate::query::{Aggregation, MAX_POINTS, Matcher, MetricQuery, Order, Selector, Source, TimeRange};
use crate::rate;
use crate::telemetry::{Points, SeriesSeen};
use crate::wire::request::{MetricsQuery, QueryRequest};
use crate::wire::response::{AGGREGATED_FORMAT, MetricsResponse, RAW_FORMAT, Telemetry};

/// Answers with the points of a query.
///
/// # Errors
/// When the request is invalid, Prometheus does not answer it, several series match, or no such metric ever existed.
pub(super) fn answer(
    probes: &Probes,
    call: &mut Call<'_>,
    request: &QueryRequest<MetricsQuery>,
) -> Result<MetricsResponse, Error> {
    let datasource = Datasource::new(&request.connection_details)?;
    let query = validated(&request.query)?;
    let mut search = Search {
        session: call.open(&datasource),
        seen: SeriesSeen::default(),
        points: Points::new(query.limit, query.order, datasource.nan),
        range: query.range,
        order: query.order,
    };
    match query.aggregation {
        None => search.raw(&query.source, datasource.scrape_interval_ms)?,
        Some(aggregation) => search.buckets(probes, &query.source, aggregation, datasource.scrape_interval_ms)?,
    }
    let points = search.finish(&query.source)?;
    Ok(MetricsResponse { telemetry: telemetry(points, query.aggregation) })
}

fn validated(query: &MetricsQuery) -> Result<MetricQuery, Error> {
    let conditions = query.conditions.as_deref().unwrap_or_default();
    let aggregation = query.aggregation.as_ref();
    Ok(MetricQuery {
        source: condition::source(conditions)?,
        range: TimeRange::new(query.start_time.0, query.end_time.0)?,
        aggregation: aggregation.map(|a| Aggregation::new(&a.method, a.bucket_size_millis.0)).transpose()?,
        limit: not_negative(query.limit, "limit")?.unwrap_or(MAX_POINTS).min(MAX_POINTS),
        order: if query.latest_first == Some(true) { Order::NewestFirst } else { Order::OldestFirst },
    })
}

/// A query under way: what was found so far.
struct Search<'s, 'c> {
    session: &'s mut Session<'c>,
    seen: SeriesSeen,
    points: Points,
    range: TimeRange,
    order: Order,
}

impl Search<'_, '_> {
    fn raw(&mut self, source: &Source, interval_ms: Option<i64>) -> Result<(), Error> {
        match source {
            Source::Gauge(of) => self.stored(of, 0, <[Sample]>::to_vec),
            // The first rate needs the sample before it.
            Source::Counter(of) => self.stored(of, plan::MAX_GAP_MS, rate::rates),
            Source::Expression(text) => {
                let step = interval_ms.unwrap_or(plan::EXPRESSION_INTERVAL_MS);
                self.evaluated(text, Grid::of_steps(self.range, step), false)
            }
        }
    }

    fn buckets(
        &mut self,
        probes: &Probes,
        source: &Source,
        aggregation: Aggregation,
        interval_ms: Option<i64>,
    ) -> Result<(), Error> {
        let interval = match (interval_ms, source) {
            (Some(given), _) => given,
            (None, Source::Counter(of)) if plan::needs_scrape_interval(source, aggregation) => {
                probes.scrape_interval(self.session, of, self.range)?
            }
            _ => plan::EXPRESSION_INTERVAL_MS,
        };
        let promql = |bounds| promql::aggregated(source, aggregation, plan::windows(aggregation, interval, bounds));
        let bounds = probes.range_bounds(self.session).map_err(|error| {
            // The admin knows his query, not ours.
            prometheus::Error { query: Some(promql(RangeBounds::LeftOpen)), ..error }
        });
        let promql = promql(bounds?);
        self.evaluated(&promql, Grid::of_buckets(self.range, aggregation.bucket_ms), aggregation.zero_fill)
    }

    /// Adds what an expression evaluates to at the instants of a grid.
    fn evaluated(&mut self, promql: &str, grid: Grid, zero_fill: bool) -> Result<(), Error> {
        for chunk in grid.chunks(self.order) {
            let series = self.session.range(promql, chunk.first, chunk.last(), chunk.step)?;
            let samples = self.only(&series, promql)?;
            let added = self.points.add_evaluated(chunk, samples, zero_fill);
            added.map_err(|stray| Error::moved_grid(stray, promql, self.session.upstream()))?;
            if self.points.is_partial() {
                break;
            }
        }
        Ok(())
    }

    /// Adds the stored samples of the range, converted together with those of `lead_ms` before them.
    fn stored(&mut self, of: &Selector, lead_ms: i64, convert: fn(&[Sample]) -> Vec<Sample>) -> Result<(), Error> {
        let windows = RawWindows::of(self.range);
        for chunk in windows.ends().chunks(self.order) {
            let occupied = if windows.are_several() { self.occupied(of, chunk)? } else { vec![chunk.first] };
            for end in chunk.instants(self.order).filter(|end| occupied.binary_search(end).is_ok()) {
                let window = windows.ending_at(end);
                // One millisecond more: the start of the window belongs to it, on engines with left-open ranges too.
                let promql = promql::samples(of, window.length() + lead_ms + 1);
                let series = self.session.stored(&promql, window.end)?;
                let mut samples = convert(self.only(&series, &promql)?);
                samples.retain(|sample| window.contains(sample.at));
                self.points.add_samples(&samples);
                if self.points.is_partial() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Which windows of a long range have samples at all: a range may be decades long and the data in it days.
    fn occupied(&mut self, of: &Selector, ends: Grid) -> Result<Vec<i64>, Error> {
        let promql = promql::sample_count(of, plan::RAW_WINDOW_MS);
        let counts = self.session.range(&promql, ends.first, ends.last(), ends.step)?;
        let occupied: Vec<i64> = counts.iter().flat_map(|one| &one.samples).map(|sample| sample.at).collect();
        match occupied.iter().find(|&&at| !ends.contains(at)) {
            Some(&at) => Err(Error::moved_grid(crate::telemetry::OffGrid { at }, &promql, self.session.upstream())),
            None => Ok(occupied),
        }
    }

    /// The samples of the only series.
    fn only<'a>(&mut self, series: &'a [Series], promql: &str) -> Result<&'a [Sample], Error> {
        if series.iter().any(|one| one.has_native_histograms) {
            return Err(Error::UnsupportedFieldType { mirror_type: "native histogram".to_owned() });
        }
        let only = self.seen.only(series);
        only.map_err(|too_many| Error::too_many_metrics(&too_many, promql, self.session.upstream()))
    }

    /// The points, when finding none has been told apart from asking for what does not exist.
    fn finish(mut self, source: &Source) -> Result<Points, Error> {
        let dropped = self.points.dropped();
        if dropped.nan + dropped.infinite > 0 {
            log::info(|| {
                log::Line::new("samples dropped")
                    .number("nan", dropped.nan)
                    .number("infinite", dropped.infinite)
                    .text("promql", self.session.last_query().unwrap_or_default())
            });
        }
        if !self.points.found_data() {
            match source {
                Source::Gauge(of) | Source::Counter(of) => self.must_exist(of)?,
                // Nothing was evaluated to anything. (Zeros before a limit are kept: data may come after it.)
                Source::Expression(_) if !self.points.is_partial() => self.points.clear(),
                Source::Expression(_) => {}
            }
        }
        Ok(self.points)
    }

    /// Fails with [`Error::MetricNotFound`] when no series has ever matched a selector.
    fn must_exist(&mut self, of: &Selector) -> Result<(), Error> {
        let name = Matcher::equal(promql::METRIC_NAME, &of.metric);
        let mut all = vec![name.clone()];
        all.extend(of.matchers.iter().cloned());
        if self.has_ever_existed(&all)? {
            return Ok(());
        }
        let details = if !of.matchers.is_empty() && self.has_ever_existed(&[name])? {
            format!(
                "the metric {:?} exists, but no series of it has ever matched {}: change or remove a condition",
                of.metric,
                promql::selector(of)
            )
        } else if self.is_declared_as_family(&of.metric) {
            format!(
                "{0:?} is a histogram or a summary, which has no samples under its own name: use a ~ expression such as \
                 histogram_quantile(0.95, sum by (le) (rate({0}_bucket[5m]))), or __counter__ with {0}_count or {0}_sum",
                of.metric
            )
        } else {
            format!("there has never been a metric {:?}: check its spelling", of.metric)
        };
        let details = format!("{details}; asked Prometheus at {}", self.session.upstream());
        Err(Error::MetricNotFound { metric: of.metric.clone(), details })
    }

    fn has_ever_existed(&mut self, matchers: &[Matcher]) -> Result<bool, Error> {
        let selector = promql::match_selector(matchers, None);
        let until = now_ms().max(self.range.end);
        let names = self.session.label_values(promql::METRIC_NAME, selector.as_deref(), 0, until, Some(1))?;
        Ok(!names.is_empty())
    }

    fn is_declared_as_family(&mut self, metric: &str) -> bool {
        let metadata = self.session.metadata(Some(metric));
        metadata.is_ok_and(|metadata| catalog::is_histogram_or_summary(metric, &metadata))
    }
}

fn telemetry(points: Points, aggregation: Option<Aggregation>) -> Telemetry {
    let is_partial = points.is_partial();
    let samples = points.into_list().into_iter();
    match aggregation {
        None => Telemetry::RawMetricTelemetry {
            points: samples.map(|sample| (sample.value, sample.at)).collect(),
            data_format: RAW_FORMAT,
            is_partial,
        },
        // A bucket is evaluated at its last millisecond.
        Some(Aggregation { bucket_ms, .. }) => Telemetry::AggregatedMetricTelemetry {
            points: samples.map(|sample| (sample.value, sample.at + 1 - bucket_ms, sample.at + 1)).collect(),
            data_format: AGGREGATED_FORMAT,
            is_partial,
        },
    }
}
