//! Gauges and counters: reads their samples, and computes the points.

use crate::api::run::Run;
use crate::api::sample_reading::read;
use crate::api::{existence, promql_fallback};
use crate::compute::aggregate::{AggregatePlan, Aggregator, MAX_KEPT_SAMPLES};
use crate::compute::distinct::SeriesSeen;
use crate::compute::origin_recorder::Recorded;
use crate::compute::points::Points;
use crate::compute::promql;
use crate::compute::raw::{RawPlan, RawReader, RawResult};
use crate::compute::read_windows::ReadWindows;
use crate::error::Error;
use crate::model::aggregation::Aggregation;
use crate::model::query::{MetricQuery, Selector};
use crate::model::sample_kind::SampleKind;
use crate::model::time::TimeRange;
use crate::prometheus::SamplesRead;

/// The most reads of one window. If a series is scraped so seldom that it needs samples from before the first read, the next read
/// starts earlier.
const MAX_READS: u32 = 3;

/// The points of a query of gauges or counters.
///
/// # Errors
/// When a call fails, several series match a raw query, there are too many samples, or the metric never existed.
pub(super) fn points(run: &mut Run<'_, '_>, of: &Selector, kind: SampleKind) -> Result<Points, Error> {
    let points = match run.query.aggregation {
        None => raw(run, of, kind)?,
        Some(aggregation) => aggregated(run, of, kind, aggregation)?,
    };
    if !points.has_series {
        existence::must_exist(run.session, of, run.query.range)?;
    }
    Ok(points)
}

/// The samples of the only series, or the rates between them.
///
/// A range with more samples than can be kept is read in windows, starting from the end that comes first in the order. Mostly, the
/// first window reaches the limit.
fn raw(run: &mut Run<'_, '_>, of: &Selector, kind: SampleKind) -> Result<Points, Error> {
    let MetricQuery { range, order, limit, .. } = *run.query;
    let mut seen = SeriesSeen::default();
    let mut points = Points::new(limit, order);
    let mut windows = ReadWindows::over(range, order);
    while let Some(window) = windows.current()
        && !points.is_partial
    {
        match raw_window(run, of, RawPlan::new(kind, window), points.kept_bytes(), &mut seen)? {
            RawWindow::Read(result) => {
                windows.advance((result.points.len() as u64) < MAX_KEPT_SAMPLES / 2);
                if !result.points.is_empty() {
                    run.recording.settle();
                }
                points.add_samples(result.points);
                points.dropped.add(result.dropped);
            }
            RawWindow::TooManySamples(read) if windows.shorten(read) => {}
            RawWindow::TooManySamples(_) => {
                let promql = promql::samples(of, window.length() + 1);
                return Err(Error::too_many_samples(MAX_KEPT_SAMPLES, 1, &promql, run.session.upstream()));
            }
        }
    }
    points.has_series = !seen.is_empty();
    Ok(points)
}

/// The result of a raw query for a window.
enum RawWindow {
    Read(RawResult),
    /// There are more samples than can be kept. Contains the range of those that were kept.
    TooManySamples(TimeRange),
}

fn raw_window(
    run: &mut Run<'_, '_>,
    of: &Selector,
    mut plan: RawPlan,
    kept_bytes: usize,
    seen: &mut SeriesSeen,
) -> Result<RawWindow, Error> {
    let mut reads_left = MAX_READS;
    loop {
        reads_left -= 1;
        let range = plan.read_range();
        let SamplesRead { sink: Recorded { sink: reader, recorder }, source, too_large } =
            read(run.session, of, range, kept_bytes, || run.recording.recorder(plan.kind), || RawReader::new(plan))?;
        run.recording.take(source, recorder);
        seen.add_all(&reader.seen);
        if too_large.is_some() {
            seen.note_more();
        }
        seen.at_most_one().map_err(|too_many| {
            let promql = promql::samples(of, range.length() + 1);
            Error::too_many_series(&too_many, &promql, run.session.upstream())
        })?;
        if reader.has_too_many_samples() || too_large.is_some() {
            return match (reader.span(), too_large) {
                (Some(read), _) => Ok(RawWindow::TooManySamples(read)),
                (None, Some(too_large)) => Err(too_large.into()),
                (None, None) => Err(Error::Internal),
            };
        }
        let result = reader.into_result();
        match result.further_ms.filter(|_| reads_left > 0) {
            Some(further_ms) => plan = plan.looking_back(further_ms),
            None => return Ok(RawWindow::Read(result)),
        }
    }
}

/// The points of buckets.
fn aggregated(
    run: &mut Run<'_, '_>,
    of: &Selector,
    kind: SampleKind,
    aggregation: Aggregation,
) -> Result<Points, Error> {
    let MetricQuery { range, order, limit, .. } = *run.query;
    let mut plan = AggregatePlan::new(kind, aggregation, range, limit, order);
    let mut reads_left = MAX_READS;
    loop {
        reads_left -= 1;
        let Some(range) = plan.read_range() else {
            return Ok(Points::new(limit, order));
        };
        let SamplesRead { sink: Recorded { sink: mut reader, recorder }, source, too_large } =
            read(run.session, of, range, 0, || run.recording.recorder(kind), || Aggregator::new(plan))?;
        run.recording.take(source, recorder);
        let mut by_promql = || promql_fallback::points(run, of, kind, aggregation);
        if reader.has_too_many_samples() || too_large.is_some() {
            return by_promql();
        }
        match reader.end().filter(|_| reads_left > 0) {
            Some(further_ms) => plan = plan.looking_back(further_ms),
            None => return reader.into_points().or_else(|_| by_promql()),
        }
    }
}
