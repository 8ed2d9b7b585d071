//! Measures how often the series of a counter are scraped, where PromQL computes the points. A range that is too short for two
//! samples of a series has no rate of it, so the longest interval counts.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::api::sample_reading::read;
use crate::compute::aggregate::MAX_KEPT_SAMPLES;
use crate::compute::promql::RATE_INTERVALS;
use crate::compute::spacing;
use crate::error::Error;
use crate::model::query::Selector;
use crate::model::sample::{Labels, Sample, SampleSink};
use crate::model::time::TimeRange;
use crate::prometheus::Session;

const HOUR_MS: i64 = 3_600_000;

/// The windows that are read: how far before an end they begin and end, in milliseconds. If a window has too many samples, the next
/// ones are read, too, up to the first that has not. So the intervals of all series are measured if they are short enough.
const WINDOWS_MS: [(i64, i64); 5] =
    [(2 * HOUR_MS, 0), (2 * HOUR_MS, HOUR_MS), (HOUR_MS, 0), (HOUR_MS / 3, 0), (HOUR_MS / 9, 0)];

/// How many windows are read between the first and the last hour of a long range. The interval may change within it.
const INNER_WINDOWS: i64 = 5;

/// How many calls it takes to measure at most.
pub(super) const CALLS: u32 = 2 * 3 + INNER_WINDOWS as u32;

/// The only interval of a series: its length and its end, in milliseconds.
type SingleInterval = (i64, i64);

/// The medians of the intervals between the samples of each series, in milliseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Medians {
    shortest: Option<i64>,
    /// The longest one of at least two intervals.
    longest: Option<i64>,
    /// Of each read that has series with a single interval, the longest of these. Windows of a short range overlap, so several may
    /// have the same one.
    singles: BTreeSet<SingleInterval>,
}

impl Medians {
    /// The longest median. Single intervals may be gaps, so they count only as far as another window has one that is as long, or if
    /// no series has two.
    pub(super) fn longest_ms(&self) -> Option<i64> {
        let mut lengths = self.singles.iter().rev().map(|&(length_ms, _)| length_ms);
        let (single, repeated) = (lengths.next(), lengths.next());
        self.longest.max(repeated).or(single)
    }

    /// Whether series are scraped at different intervals.
    pub(super) fn are_mixed(&self) -> bool {
        self.longest_ms() > self.shortest.map(|ms| 2 * ms)
    }
}

/// Measures the medians for a range that ends now or earlier. They are not remembered, so that no response depends on an earlier
/// request.
///
/// # Errors
/// If a call fails.
pub(super) fn measure(session: &mut Session<'_>, of: &Selector, range: TimeRange) -> Result<Medians, Error> {
    // Two hours are one window, even if they begin before the range: rates at its start need earlier samples, too.
    // Of a longer range, hours are read.
    let first_window = if range.length() > 2 * HOUR_MS { 2 } else { 0 };
    let (mut medians, mut last_window) = (Medians::default(), first_window);
    for (nth, end) in window_ends(range).into_iter().enumerate() {
        let begin = if nth < 2 { first_window } else { last_window };
        for (window, (from_ms, to_ms)) in WINDOWS_MS.into_iter().enumerate().skip(begin) {
            last_window = last_window.max(window);
            let window = TimeRange { start: (end - from_ms).max(0), end: (end - to_ms).max(0) };
            let reader = IntervalReader { medians, range_start: range.start, ..IntervalReader::default() };
            let read = read(session, of, window, 0, || None, || reader.clone())?;
            let is_whole = read.too_large.is_none() && !read.sink.sink.is_cut_off();
            medians = read.sink.sink.end();
            if is_whole && to_ms == 0 {
                break;
            }
        }
    }
    Ok(medians)
}

/// The ends of the windows to read: that of the range, of a long range also that of the first hour, and those between them, which
/// need to be no longer than the first two are.
fn window_ends(range: TimeRange) -> Vec<i64> {
    if range.length() <= 2 * HOUR_MS {
        return vec![range.end];
    }
    let first = range.start + HOUR_MS;
    let inner = (1..=INNER_WINDOWS).map(|nth| first + (range.end - first) / (INNER_WINDOWS + 1) * nth);
    [first, range.end].into_iter().chain(inner).collect()
}

/// Adds to the medians those of one window.
#[derive(Debug, Clone, Default)]
struct IntervalReader {
    medians: Medians,
    /// The start of the range, in milliseconds since 1970. Series that ended long before do not set the longest interval.
    range_start: i64,
    previous_ms: Option<i64>,
    /// The intervals of the current series, in milliseconds.
    intervals: Vec<u32>,
    /// The longest interval that is the only one of its series in this window.
    single: Option<SingleInterval>,
    samples: u64,
}

impl IntervalReader {
    /// Ends the window.
    fn end(mut self) -> Medians {
        self.end_series();
        self.medians.singles.extend(self.single);
        self.medians
    }

    fn end_series(&mut self) {
        let last_ms = self.previous_ms.unwrap_or_default();
        let is_alive = |median: &i64| last_ms + RATE_INTERVALS * median >= self.range_start;
        let median = spacing::median(&mut self.intervals).map(i64::from);
        self.medians.shortest = self.medians.shortest.into_iter().chain(median).min();
        let median = median.filter(is_alive);
        match self.intervals.len() {
            1 => self.single = self.single.max(median.zip(self.previous_ms)),
            _ => self.medians.longest = self.medians.longest.max(median),
        }
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

    #[test]
    fn the_longest_and_the_shortest_median_are_found() {
        let (usual, slow, twice): ([i64; 3], [i64; 3], [i64; 2]) = ([0, 15, 30], [5, 65, 125], [7, 3_067]);
        let check = |series: &[&[i64]], shortest: Option<i64>, longest: Option<i64>, single: Option<SingleInterval>| {
            let mut reader = IntervalReader { range_start: 60, ..IntervalReader::default() };
            for times in series {
                reader.begin(Labels::default);
                let samples: Vec<Sample> = times.iter().map(|&at| Sample { at, value: 0.0 }).collect();
                assert!(reader.take(&samples).is_continue());
            }
            let Medians { shortest: least, longest: most, singles } = reader.end();
            assert_eq!((least, most, singles.into_iter().next()), (shortest, longest, single), "{series:?}");
        };
        check(&[&[3]], None, None, None);
        // This one has ended four intervals before.
        check(&[&[-1, 9, 19]], Some(10), None, None);
        check(&[&[0, 10, 20]], Some(10), Some(10), None);
        check(&[&usual, &slow], Some(15), Some(60), None);
        check(&[&twice, &usual], Some(15), Some(15), Some((3_060, 3_067)));
        check(&[&usual, &twice, &[8, 28]], Some(15), Some(15), Some((3_060, 3_067)));
        check(&[&twice], Some(3_060), None, Some((3_060, 3_067)));
    }

    #[test]
    fn a_single_interval_counts_if_another_window_has_one_too_or_no_series_has_two() {
        let check = |longest: Option<i64>, singles: &[SingleInterval], expected: Option<(i64, bool)>| {
            let medians = Medians { shortest: Some(15), longest, singles: singles.iter().copied().collect() };
            let found = medians.longest_ms().map(|longest_ms| (longest_ms, medians.are_mixed()));
            assert_eq!(found, expected, "{longest:?} {singles:?}");
        };
        check(None, &[], None);
        check(Some(15), &[], Some((15, false)));
        check(Some(60), &[], Some((60, true)));
        check(None, &[(3_060, 1)], Some((3_060, true)));
        // A gap; the second time, windows that overlap have it.
        check(Some(15), &[(3_060, 1)], Some((15, false)));
        check(Some(15), &[(3_060, 1), (3_060, 1)], Some((15, false)));
        // The scrape interval of a series, of which a window has two samples.
        check(Some(15), &[(1_800, 1), (1_800, 3_601), (1_800, 7_201)], Some((1_800, true)));
        // The same, and a gap.
        check(Some(15), &[(3_060, 5), (1_800, 3_601), (1_800, 7_201)], Some((1_800, true)));
        check(Some(1_000), &[(900, 1), (900, 901)], Some((1_000, true)));
    }

    #[test]
    fn windows_are_spread_over_a_long_range() {
        let hours = |start: i64, end: i64| {
            let range = TimeRange { start: start * HOUR_MS, end: end * HOUR_MS };
            window_ends(range).into_iter().map(|end| end as f64 / HOUR_MS as f64).collect::<Vec<_>>()
        };
        assert_eq!(hours(9, 9), [9.0]);
        assert_eq!(hours(9, 11), [11.0]);
        assert_eq!(hours(9, 34), [10.0, 34.0, 14.0, 18.0, 22.0, 26.0, 30.0]);
    }
}
