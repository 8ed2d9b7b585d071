//! What has to be learnt about an upstream or a metric before a query can be planned, each by a small query, and
//! remembered for some minutes.

use std::time::{Duration, Instant};

use crate::api::now_ms;
use crate::cache::Cache;
use crate::compute::plan::{Grid, RangeBounds, UNKNOWN_INTERVAL_MS};
use crate::compute::promql;
use crate::compute::rate;
use crate::model::query::{Matcher, Selector};
use crate::model::sample::Labels;
use crate::model::time::TimeRange;
use crate::prometheus::{self, ErrorKind, Session, Upstream};

/// How many answers of a kind are remembered, about selectors of which length, and for how long.
const CAPACITY: usize = 1_024;
const MAX_KEY_BYTES: usize = 4_096;
const LIFETIME: Duration = Duration::from_secs(300);

/// The ranges in which two neighbouring samples are looked for, in milliseconds: the first has them for any usual scrape
/// interval, the second for a rare one.
const LOOK_BACKS_MS: [i64; 2] = [600_000, 3_600_000];

/// Answers about different hours are remembered apart: an interval may have been another one last year.
const HOUR_MS: i64 = 3_600_000;

/// What was learnt so far.
#[derive(Debug)]
pub(super) struct Probes {
    bounds: Cache<Upstream, RangeBounds>,
    intervals: Cache<(Upstream, String, i64), i64>,
}

impl Default for Probes {
    fn default() -> Probes {
        Probes { bounds: Cache::new(CAPACITY, LIFETIME), intervals: Cache::new(CAPACITY, LIFETIME) }
    }
}

impl Probes {
    /// Whether the ranges of an upstream's engine include their left end.
    ///
    /// A subquery over a constant tells, without a look at any data: four evaluations lie in a closed range of three
    /// steps, three in a left-open one. An engine that refuses it is taken for a newer one.
    ///
    /// # Errors
    /// When the upstream does not answer.
    pub(super) fn range_bounds(&self, session: &mut Session<'_>) -> Result<RangeBounds, prometheus::Error> {
        if let Some(known) = self.bounds.get(session.upstream(), Instant::now()) {
            return Ok(known);
        }
        /// Any multiple of the subquery's step.
        const AT_MS: i64 = 1_200_000_000_000;
        let bounds = match session.instant("count_over_time(vector(0)[60s:20s])", Some(AT_MS)) {
            Ok(found) if found.first_value() == Some(4.0) => RangeBounds::Closed,
            Ok(_) => RangeBounds::LeftOpen,
            // Not remembered, for it was not seen.
            Err(prometheus::Error { kind: ErrorKind::Api { status: 400 | 422, .. }, .. }) => {
                return Ok(RangeBounds::LeftOpen);
            }
            Err(other) => return Err(other),
        };
        self.bounds.put(session.upstream().clone(), bounds, Instant::now());
        Ok(bounds)
    }

    /// How often a metric is scraped, in milliseconds: the median spacing of its newest samples up to the end of a range,
    /// or [`UNKNOWN_INTERVAL_MS`] when it has too few.
    ///
    /// # Errors
    /// When the upstream does not answer.
    pub(super) fn scrape_interval(
        &self,
        session: &mut Session<'_>,
        of: &Selector,
        range: TimeRange,
    ) -> Result<i64, prometheus::Error> {
        // There are no samples in the future.
        let end = range.end.min(now_ms());
        let key = (session.upstream().clone(), promql::selector(of), end / HOUR_MS);
        if let Some(known) = self.intervals.get(&key, Instant::now()) {
            return Ok(known);
        }
        let mut measured = spacing_before(session, of, end)?;
        if measured.is_none() {
            // A metric that ended before the range does: a chart of a week shows what ended on its first day.
            if let Some(newest_ms) = newest_sample(session, of, range.start, end)? {
                measured = spacing_before(session, of, newest_ms)?;
            }
        }
        if let Some(measured) = measured
            && key.1.len() <= MAX_KEY_BYTES
        {
            self.intervals.put(key, measured, Instant::now());
        }
        Ok(measured.unwrap_or(UNKNOWN_INTERVAL_MS))
    }
}

fn spacing_before(session: &mut Session<'_>, of: &Selector, at_ms: i64) -> Result<Option<i64>, prometheus::Error> {
    for look_back in LOOK_BACKS_MS {
        let found = match session.stored(&promql::samples(of, look_back), at_ms) {
            Ok(found) => found,
            // A metric of very many series: one of them stands for all.
            Err(prometheus::Error { kind: ErrorKind::TooLarge(_), .. }) => {
                let newest = session.instant(&promql::newest_series(of), Some(at_ms))?;
                let Some(one) = newest.series.into_iter().next() else { return Ok(None) };
                session.stored(&promql::samples(&only(of, &one.labels), look_back), at_ms)?
            }
            Err(other) => return Err(other),
        };
        if let Some(spacing) = rate::median_spacing(&found.series) {
            return Ok(Some(spacing));
        }
    }
    Ok(None)
}

/// An instant not long after the newest sample in a range: no longer than the first of the look-backs.
///
/// Each query divides what is left of the range, and so of a range of decades three find the minute.
fn newest_sample(
    session: &mut Session<'_>,
    of: &Selector,
    mut start: i64,
    mut end: i64,
) -> Result<Option<i64>, prometheus::Error> {
    /// Into how many parts.
    const PARTS: i64 = 1_000;
    while end - start > LOOK_BACKS_MS[0] {
        let step = (end - start) / PARTS + 1;
        let parts = Grid { first: start + step, step, count: PARTS };
        let found = session.range(&promql::sample_count(of, step), parts.first, parts.last(), step)?;
        let Some(newest) = found.series.first().and_then(|one| one.samples.last()) else { return Ok(None) };
        (start, end) = (newest.at - step, newest.at);
    }
    Ok(Some(end))
}

/// The selector of the series of a metric that has these labels.
fn only(of: &Selector, labels: &Labels) -> Selector {
    let matchers = labels.iter().filter(|(label, _)| *label != promql::METRIC_NAME);
    Selector {
        metric: of.metric.clone(),
        matchers: matchers.map(|(label, value)| Matcher::equal(label, value)).collect(),
    }
}
