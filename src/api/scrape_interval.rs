//! Measures how often the series of a counter are scraped, where PromQL computes the points. A range that is too short for two
//! samples of a series has no rate of it, so the longest interval counts.

use std::ops::ControlFlow;

use crate::api::query_fields::now_ms;
use crate::api::sample_reading::read;
use crate::compute::aggregate::MAX_KEPT_SAMPLES;
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

/// How many windows are read between the first and the last hour of a long range. The interval may change within it.
const INNER_WINDOWS: i64 = 5;

/// How many calls it takes to measure at most.
pub(super) const CALLS: u32 = 2 * (1 + SHORTER_WINDOWS) + INNER_WINDOWS as u32;

/// The medians of the intervals between the samples of each series, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Medians {
    shortest: Option<i64>,
    /// Whether it is the median of at least two intervals, and the median. A single interval may be a gap, so it counts only if no
    /// series has two.
    longest: Option<(bool, i64)>,
}

impl Medians {
    pub(super) fn longest_ms(self) -> Option<i64> {
        self.longest.map(|(_, ms)| ms)
    }

    /// Whether series are scraped at different intervals.
    pub(super) fn are_mixed(self) -> bool {
        self.longest_ms() > self.shortest.map(|ms| 2 * ms)
    }

    fn add(&mut self, intervals: &mut [u32]) {
        if let Some(median) = spacing::median(intervals).map(i64::from) {
            self.shortest = Some(self.shortest.map_or(median, |shortest| shortest.min(median)));
            self.longest = self.longest.max(Some((intervals.len() > 1, median)));
        }
    }
}

/// Measures the medians. They are not remembered, so that no response depends on an earlier request.
///
/// # Errors
/// If a call fails.
pub(super) fn measure(session: &mut Session<'_>, of: &Selector, range: TimeRange) -> Result<Medians, Error> {
    // There are no samples in the future.
    let range = TimeRange { end: range.end.min(now_ms()).max(range.start), ..range };
    let (mut medians, mut shorter) = (Medians::default(), 0);
    for (nth, end) in window_ends(range).into_iter().enumerate() {
        let first_length = if nth < 2 { 0 } else { shorter };
        for length in first_length..=SHORTER_WINDOWS {
            shorter = shorter.max(length);
            let window = TimeRange { start: range.start.max(end - WINDOW_MS / 3_i64.pow(length)), end };
            let reader = || IntervalReader { medians, ..IntervalReader::default() };
            let read = read(session, of, window, 0, || None, reader)?;
            let mut reader = read.sink.sink;
            let is_whole = read.too_large.is_none() && !reader.is_cut_off();
            reader.end_series();
            medians = reader.medians;
            if is_whole {
                break;
            }
        }
    }
    Ok(medians)
}

/// The ends of the windows to read: that of the first hour, that of the range, and those between them, which need to be no longer
/// than the first two are.
fn window_ends(range: TimeRange) -> Vec<i64> {
    let first = range.end.min(range.start + WINDOW_MS);
    let between = if range.length() > 2 * WINDOW_MS { INNER_WINDOWS } else { 0 };
    let inner = (1..=between).map(|nth| first + (range.end - first) / (between + 1) * nth);
    let mut ends: Vec<i64> = [first, range.end].into_iter().chain(inner).collect();
    ends.dedup();
    ends
}

/// Measures the intervals between neighbouring samples.
#[derive(Debug, Default)]
struct IntervalReader {
    previous_ms: Option<i64>,
    /// The intervals of the current series, in milliseconds.
    intervals: Vec<u32>,
    medians: Medians,
    samples: u64,
}

impl IntervalReader {
    fn end_series(&mut self) {
        self.medians.add(&mut self.intervals);
        self.intervals.clear();
        self.previous_ms = None;
    }

    /// Whether there are more samples than may be read.
    fn is_cut_off(&self) -> bool {
        self.samples > MAX_KEPT_SAMPLES
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in series of these times in milliseconds: the longest median, and whether the intervals are mixed.
    fn found(series: &[&[i64]]) -> Option<(i64, bool)> {
        let mut reader = IntervalReader::default();
        for times in series {
            reader.begin(Labels::default);
            let samples: Vec<Sample> = times.iter().map(|&at| Sample { at, value: 0.0 }).collect();
            assert!(reader.take(&samples).is_continue());
        }
        reader.end_series();
        reader.medians.longest_ms().map(|longest_ms| (longest_ms, reader.medians.are_mixed()))
    }

    #[test]
    fn a_single_interval_counts_only_if_no_series_has_two() {
        let (usual, slow, twice): ([i64; 3], [i64; 3], [i64; 2]) = ([0, 15, 30], [5, 65, 125], [7, 3_067]);
        assert_eq!(found(&[&[3]]), None);
        assert_eq!(found(&[&usual]), Some((15, false)));
        assert_eq!(found(&[&usual, &slow]), Some((60, true)));
        assert_eq!(found(&[&twice]), Some((3_060, false)));
        assert_eq!(found(&[&twice, &usual]), Some((15, false)));
        assert_eq!(found(&[&usual, &twice]), Some((15, false)));
    }

    #[test]
    fn windows_are_spread_over_a_long_range() {
        let hours = |length: i64| {
            let range = TimeRange { start: 0, end: length * WINDOW_MS };
            window_ends(range).into_iter().map(|end| end as f64 / WINDOW_MS as f64).collect::<Vec<_>>()
        };
        assert_eq!(hours(1), [1.0]);
        assert_eq!(hours(2), [1.0, 2.0]);
        assert_eq!(hours(25), [1.0, 25.0, 5.0, 9.0, 13.0, 17.0, 21.0]);
    }
}
