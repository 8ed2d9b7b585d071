//! Measures how often the series of a counter are scraped, where PromQL computes the points. A range that is too short for two
//! samples of a series has no rate of it, so the longest interval counts.

use std::ops::ControlFlow;

use crate::api::query_fields::now_ms;
use crate::api::sample_reading::read;
use crate::compute::aggregate::MAX_KEPT_SAMPLES;
use crate::compute::promql;
use crate::compute::spacing;
use crate::error::Error;
use crate::model::query::Selector;
use crate::model::sample::{Labels, Sample, SampleSink};
use crate::model::time::TimeRange;
use crate::prometheus::Session;

/// How much is read at a time, in milliseconds.
const WINDOW_MS: i64 = 3_600_000;

/// If a window has too many samples, this many shorter ones are read, too, each a third as long. So the intervals of all series are
/// measured if they are short enough.
const SHORTER_WINDOWS: u32 = 2;

/// How many windows are read at most between the ends of a long range. The interval may change within it.
const INNER_WINDOWS: usize = 5;

/// At how many instants of a long range the mirror looks for samples, and how far back from each of them, in milliseconds.
const PROBES: i64 = 50;
const PROBE_MS: i64 = 300_000;

/// How many calls it takes to measure, unless a window has too many samples.
pub(super) const CALLS: u32 = 1 + 2 + INNER_WINDOWS as u32;

/// The longest median of the intervals between the samples of a series, in milliseconds. It is not remembered, so that no response
/// depends on an earlier request.
///
/// # Errors
/// If a call fails.
pub(super) fn longest(session: &mut Session<'_>, of: &Selector, range: TimeRange) -> Result<Option<i64>, Error> {
    // There are no samples in the future.
    let range = TimeRange { end: range.end.min(now_ms()).max(range.start), ..range };
    let mut longest = None;
    for end in window_ends(session, of, range)? {
        for length_ms in (0..=SHORTER_WINDOWS).map(|nth| WINDOW_MS / 3_i64.pow(nth)) {
            let window = TimeRange { start: range.start.max(end - length_ms), end };
            let read = read(session, of, window, 0, || None, IntervalReader::default)?;
            let reader = read.sink.sink;
            let is_whole = read.too_large.is_none() && !reader.is_cut_off();
            longest = longest.max(reader.into_longest());
            if is_whole {
                break;
            }
        }
    }
    Ok(longest)
}

/// The ends of the windows to read: that of the first hour, some where there are samples, and that of the range.
fn window_ends(session: &mut Session<'_>, of: &Selector, range: TimeRange) -> Result<Vec<i64>, Error> {
    let first = range.end.min(range.start + WINDOW_MS);
    let mut ends = vec![first];
    let step = (range.end - first) / PROBES;
    if range.length() > 2 * WINDOW_MS && step > 0 {
        let found = session.range(&promql::series_count(of, PROBE_MS), first, range.end, step)?;
        let with_samples: Vec<i64> = found.series.iter().flat_map(|one| &one.samples).map(|sample| sample.at).collect();
        let last = with_samples.len().saturating_sub(1);
        let windows = INNER_WINDOWS.min((range.length() / WINDOW_MS) as usize);
        let inner = (0..windows).filter_map(|nth| with_samples.get(nth * last / (windows - 1)).copied());
        ends.extend(inner.filter(|at| (first + step..=range.end - step).contains(at)));
    }
    ends.push(range.end);
    ends.dedup();
    Ok(ends)
}

/// Measures the intervals between neighbouring samples.
#[derive(Debug, Default)]
struct IntervalReader {
    previous_ms: Option<i64>,
    /// The intervals of the current series, in milliseconds.
    intervals: Vec<u32>,
    /// The longest median of a series.
    longest_ms: Option<i64>,
    samples: u64,
}

impl IntervalReader {
    fn end_series(&mut self) {
        self.longest_ms = self.longest_ms.max(spacing::median(&mut self.intervals).map(i64::from));
        self.intervals.clear();
        self.previous_ms = None;
    }

    /// Whether there are more samples than may be read.
    fn is_cut_off(&self) -> bool {
        self.samples > MAX_KEPT_SAMPLES
    }

    fn into_longest(mut self) -> Option<i64> {
        self.end_series();
        self.longest_ms
    }
}

impl SampleSink for IntervalReader {
    fn begin(&mut self, _: impl FnOnce() -> Labels) {
        self.end_series();
    }

    fn take(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        for sample in samples {
            let previous_ms = self.previous_ms.replace(sample.at);
            let interval_ms = previous_ms.map(|previous_ms| sample.at - previous_ms);
            self.intervals.extend(interval_ms.map(|ms| u32::try_from(ms).unwrap_or(u32::MAX)));
        }
        self.samples += samples.len() as u64;
        if self.is_cut_off() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
