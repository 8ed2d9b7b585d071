//! A metrics query under way: which calls are made, and what becomes of what they find.

use crate::api::now_ms;
use crate::api::probe::Probes;
use crate::compute::metric_kind;
use crate::compute::plan::{self, Grid, RangeBounds, RawWindows};
use crate::compute::points::{OffGrid, Points, SeriesSeen, TooMany};
use crate::compute::promql;
use crate::compute::rate;
use crate::error::Error;
use crate::log;
use crate::model::query::{Aggregation, Matcher, MetricQuery, NanInterpretation, Order, Selector, Source};
use crate::model::sample::{Sample, SeriesSet};
use crate::model::time::TimeRange;
use crate::prometheus::{self, ErrorKind, Session};

/// Range queries of more chunks than this are asked where there is data at all first.
const MAX_UNSEEN_CHUNKS: i64 = 3;

/// How new an instant is whose value may still be another one, in milliseconds, and below which step.
///
/// VictoriaMetrics puts earlier values in the place of those of its newest half minute (`-search.latencyOffset`) when the
/// step is shorter than a minute, unless the query goes on beyond now and a step. So it does, and what is beyond is cut.
const UNSETTLED_MS: i64 = 60_000;

/// How far the upstream's clock may be ahead of ours, in milliseconds.
const CLOCK_SKEW_MS: i64 = 5_000;

/// A query under way: what was found so far.
pub(super) struct Search<'s, 'c> {
    session: &'s mut Session<'c>,
    seen: SeriesSeen,
    points: Points,
    range: TimeRange,
    order: Order,
}

impl<'s, 'c> Search<'s, 'c> {
    /// A search over one session, in which nothing was found yet.
    pub(super) fn new(session: &'s mut Session<'c>, query: &MetricQuery, nan: NanInterpretation) -> Search<'s, 'c> {
        Search {
            session,
            seen: SeriesSeen::default(),
            points: Points::new(query.limit, query.order, nan),
            range: query.range,
            order: query.order,
        }
    }

    /// Finds the samples of a metric, or the values of an expression, as they are.
    pub(super) fn raw(&mut self, source: &Source, interval_ms: Option<i64>) -> Result<(), Error> {
        match source {
            Source::Gauge(of) => self.stored(of, 0, |samples| samples),
            // The first rate needs the sample before it.
            Source::Counter(of) => self.stored(of, plan::MAX_GAP_MS, rate::rates),
            Source::Expression(text) => {
                let step = interval_ms.unwrap_or(plan::EXPRESSION_INTERVAL_MS);
                self.evaluated(text, Grid::of_steps(self.range, step), false, None)
            }
        }
    }

    /// Finds the value of each bucket.
    pub(super) fn buckets(
        &mut self,
        probes: &Probes,
        source: &Source,
        aggregation: Aggregation,
        interval_ms: Option<i64>,
    ) -> Result<(), Error> {
        let interval = match (interval_ms, plan::depends_on_interval_of(source, aggregation)) {
            (Some(given), _) => given,
            (None, Some(of)) => probes.scrape_interval(self.session, of, self.range)?,
            (None, None) => plan::EXPRESSION_INTERVAL_MS,
        };
        let windows = |bounds| plan::windows(aggregation, interval, bounds);
        let bounds = probes.range_bounds(self.session).map_err(|error| {
            // The admin knows his query, not ours.
            let promql = promql::aggregated(source, aggregation, windows(RangeBounds::LeftOpen));
            prometheus::Error { query: Some(promql), ..error }
        });
        let windows = windows(bounds?);
        let promql = promql::aggregated(source, aggregation, windows);
        let grid = Grid::of_buckets(self.range, aggregation.bucket_ms);
        let of = match source {
            Source::Gauge(of) | Source::Counter(of) => Some(of),
            Source::Expression(_) => None,
        };
        let data = of.filter(|_| grid.chunk_ends().count > MAX_UNSEEN_CHUNKS).map(|of| (of, windows.rate));
        self.evaluated(&promql, grid, aggregation.zero_fill, data)
    }

    /// Adds what an expression evaluates to at the instants of a grid. When it is known of which metric it is made, and of
    /// how many milliseconds before a chunk, only the chunks for which that has samples are asked for.
    fn evaluated(
        &mut self,
        promql: &str,
        grid: Grid,
        zero_fill: bool,
        data: Option<(&Selector, i64)>,
    ) -> Result<(), Error> {
        let ends = grid.chunk_ends();
        for some_ends in ends.chunks(self.order) {
            let occupied = match data {
                Some((of, lead_ms)) => Some(self.occupied(of, some_ends, ends.step + lead_ms)?),
                None => None,
            };
            for end in some_ends.instants(self.order) {
                let chunk = grid.chunk_ending_at(end);
                if occupied.as_ref().is_none_or(|occupied| occupied.binary_search(&end).is_ok()) {
                    self.evaluated_chunk(promql, chunk, zero_fill)?;
                } else {
                    self.add(promql, chunk, Vec::new(), zero_fill)?;
                }
                if self.points.is_partial() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn evaluated_chunk(&mut self, promql: &str, chunk: Grid, zero_fill: bool) -> Result<(), Error> {
        let now = now_ms();
        let is_unsettled = chunk.step < UNSETTLED_MS && chunk.last() > now - UNSETTLED_MS;
        let asked = if is_unsettled { chunk.reaching(now + chunk.step + CLOCK_SKEW_MS) } else { chunk };
        let mut found = self.session.range(promql, asked.first, asked.last(), asked.step)?;
        if is_unsettled {
            found.retain(|one| {
                one.samples.retain(|sample| sample.at <= chunk.last());
                one.has_native_histograms || !one.samples.is_empty()
            });
        }
        let samples = self.only(found, promql)?;
        self.add(promql, chunk, samples, zero_fill)
    }

    fn add(&mut self, promql: &str, chunk: Grid, samples: Vec<Sample>, zero_fill: bool) -> Result<(), Error> {
        let added = self.points.add_evaluated(chunk, samples, zero_fill);
        added.map_err(|stray| Error::moved_grid(stray, promql, self.session.upstream()))
    }

    /// Adds the stored samples of the range, converted together with those of `lead_ms` before them.
    fn stored(&mut self, of: &Selector, lead_ms: i64, convert: fn(Vec<Sample>) -> Vec<Sample>) -> Result<(), Error> {
        let windows = RawWindows::of(self.range);
        for chunk in windows.ends().chunks(self.order) {
            let occupied = match windows.are_several() {
                true => self.occupied(of, chunk, plan::RAW_WINDOW_MS)?,
                false => vec![chunk.first],
            };
            for end in chunk.instants(self.order).filter(|end| occupied.binary_search(end).is_ok()) {
                let window = windows.ending_at(end);
                // One millisecond more: the start of the window belongs to it, on engines with left-open ranges too.
                let length = window.length() + lead_ms + 1;
                let mut found = self.samples(of, length, window.end)?;
                // What ended before the window is none of its series.
                found.retain(|one| {
                    one.has_native_histograms || one.samples.last().is_some_and(|newest| newest.at >= window.start)
                });
                let mut samples = convert(self.only(found, &promql::samples(of, length))?);
                samples.retain(|sample| window.contains(sample.at));
                self.points.add_samples(samples);
                if self.points.is_partial() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The stored samples of the last `length_ms` milliseconds before a time.
    fn samples(&mut self, of: &Selector, length_ms: i64, at_ms: i64) -> Result<SeriesSet, Error> {
        let promql = promql::samples(of, length_ms);
        let too_large = match self.session.stored(&promql, at_ms) {
            Err(error) if matches!(error.kind, ErrorKind::TooLarge(_)) => error,
            other => return Ok(other?),
        };
        // Mostly because of a label forgotten, which is easier to mend than the range.
        let counted = self.session.instant(&promql::series_count(of, length_ms), Some(at_ms))?;
        let count = counted.first_value().unwrap_or_default() as usize;
        if count > 1 {
            let too_many = TooMany { count, differing: Vec::new() };
            return Err(Error::too_many_metrics(&too_many, &promql, self.session.upstream()));
        }
        Err(too_large.into())
    }

    /// At which of these instants a metric has samples in the last `length_ms` milliseconds: a range may be decades long
    /// and the data in it days.
    fn occupied(&mut self, of: &Selector, ends: Grid, length_ms: i64) -> Result<Vec<i64>, Error> {
        let promql = promql::sample_count(of, length_ms);
        let counts = self.session.range(&promql, ends.first, ends.last(), ends.step)?;
        let occupied: Vec<i64> = counts.series.iter().flat_map(|one| &one.samples).map(|sample| sample.at).collect();
        match occupied.iter().find(|&&at| !ends.contains(at)) {
            Some(&at) => Err(Error::moved_grid(OffGrid { at }, &promql, self.session.upstream())),
            None => Ok(occupied),
        }
    }

    /// The samples of the only series.
    fn only(&mut self, found: SeriesSet, promql: &str) -> Result<Vec<Sample>, Error> {
        if found.series.iter().any(|one| one.has_native_histograms) {
            return Err(Error::UnsupportedFieldType { mirror_type: "native histogram".to_owned() });
        }
        let only = self.seen.only(found);
        only.map_err(|too_many| Error::too_many_metrics(&too_many, promql, self.session.upstream()))
    }

    /// The points, when finding none has been told apart from asking for what does not exist.
    pub(super) fn finish(mut self, source: &Source) -> Result<Points, Error> {
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
        metadata.is_ok_and(|metadata| metric_kind::is_histogram_or_summary(metric, &metadata))
    }
}
