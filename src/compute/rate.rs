//! Counters: from the samples that a counter shows to what it counted between them, and how fast.
//!
//! All rules look back only, except for one: how long a gap may be for a rate across it depends on the median distance of
//! the samples, which is known at the end of a series.

use crate::model::sample::Sample;

/// A rate goes across a gap of this many milliseconds whatever the scrape interval is: five minutes, Prometheus's own
/// look-back.
pub const SURE_GAP_MS: i64 = 300_000;

/// A rate goes across a gap of this many scrape intervals, which survives jitter and three lost scrapes.
const GAP_INTERVALS: i64 = 4;

/// How far before a range samples are read at least, in milliseconds, when less turns out to be too little: an hour.
const FURTHER_LOOK_BACK_MS: i64 = 3_600_000;

/// How far before a range samples are read at most, in milliseconds: a week.
const MAX_LOOK_BACK_MS: i64 = 7 * 86_400_000;

/// For how many times its own length the rate of an interval counts as known after its end.
const KNOWN_LENGTHS: i64 = 2;

/// What a counter counted between two of its samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The time of the later sample, in milliseconds since the epoch.
    pub end: i64,
    /// The time between both, in milliseconds; at least 1.
    pub length_ms: i64,
    /// By how much the counter grew: after a drop of its value it has counted from 0.
    pub increase: f64,
    /// Whether the interval is short enough to say how fast.
    pub has_rate: bool,
}

impl Interval {
    /// The increase per second.
    pub fn rate(self) -> f64 {
        self.increase / (self.length_ms as f64 / 1000.0)
    }

    /// The last instant at which this rate counts as the one last known.
    pub fn known_until(self) -> i64 {
        self.end + KNOWN_LENGTHS * self.length_ms
    }
}

/// A sample of a counter, and the interval since the one before, if there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The time of the sample in milliseconds since the epoch.
    pub at: i64,
    /// The interval that ends with it.
    pub interval: Option<Interval>,
}

/// Which samples before a range a question about it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookBack {
    /// The start of the range in milliseconds since the epoch.
    pub start: i64,
    /// How far before it samples were read, in milliseconds.
    pub read_ms: i64,
    /// How many samples before it are needed of each series: one for an interval that ends within the range, two for a rate
    /// that was known before.
    pub samples: usize,
}

impl LookBack {
    /// How far before a range samples have to be read so that nothing of a counter is missed whose longest gap is this one.
    ///
    /// A rate known at the start belongs to an interval that ended at most [`KNOWN_LENGTHS`] times its own length before.
    pub fn reach_ms(samples: usize, max_gap_ms: i64) -> i64 {
        if samples > 1 { max_gap_ms.saturating_mul(1 + KNOWN_LENGTHS) } else { max_gap_ms }
    }
}

/// Turns the samples of counters, one after another, into readings. Their values are finite.
#[derive(Debug)]
pub struct CounterReader {
    /// The gap that any rate goes across, in milliseconds.
    sure_gap_ms: i64,
    look_back: LookBack,
    /// How far back the next reading of the samples should look, when this one turned out to be too short.
    further_ms: Option<i64>,
    previous: Option<Sample>,
    /// How many samples lie before the range.
    before: usize,
    /// The distances of neighbouring samples in milliseconds, at most 2^32 - 1 (49 days).
    spacings: Vec<u32>,
    /// What follows a gap of which only the end of the series tells whether a rate goes across it.
    deferred: Vec<Interval>,
}

impl CounterReader {
    /// A reader for counters that are scraped every `scrape_interval_ms`, if that is known.
    pub fn new(look_back: LookBack, scrape_interval_ms: Option<i64>) -> CounterReader {
        CounterReader {
            sure_gap_ms: sure_gap_ms(scrape_interval_ms),
            look_back,
            further_ms: None,
            previous: None,
            before: 0,
            spacings: Vec::new(),
            deferred: Vec::new(),
        }
    }

    /// Takes samples of a series, each later than those before, and hands on the readings that are certain already.
    pub fn take(&mut self, samples: &[Sample], mut each: impl FnMut(Reading)) {
        for &sample in samples {
            self.before += usize::from(sample.at < self.look_back.start);
            let Some(previous) = self.previous.replace(sample) else {
                each(Reading { at: sample.at, interval: None });
                continue;
            };
            let length_ms = sample.at - previous.at;
            self.spacings.push(u32::try_from(length_ms).unwrap_or(u32::MAX));
            let is_reset = sample.value < previous.value;
            let increase = if is_reset { sample.value } else { sample.value - previous.value };
            let interval = Interval { end: sample.at, length_ms, increase, has_rate: true };
            if length_ms > self.sure_gap_ms || !self.deferred.is_empty() {
                self.deferred.push(interval);
            } else {
                each(Reading { at: sample.at, interval: Some(interval) });
            }
        }
    }

    /// Ends a series: hands on the readings that are left, and makes ready for the next series.
    pub fn end(&mut self, mut each: impl FnMut(Reading)) {
        if self.previous.take().is_none() {
            return;
        }
        let lacks_samples = self.before < self.look_back.samples;
        // Mostly nothing depends on the median.
        let max_gap_ms = (lacks_samples || !self.deferred.is_empty()).then(|| self.max_gap_ms()).flatten();
        for mut interval in self.deferred.drain(..) {
            interval.has_rate = max_gap_ms.is_some_and(|max_gap_ms| interval.length_ms <= max_gap_ms);
            each(Reading { at: interval.end, interval: Some(interval) });
        }
        if lacks_samples {
            // One sample alone does not tell how far away the one before it may be.
            let reach_ms = max_gap_ms.map(|max_gap_ms| LookBack::reach_ms(self.look_back.samples, max_gap_ms));
            let read_ms = self.look_back.read_ms;
            if reach_ms.is_none_or(|reach_ms| reach_ms > read_ms) {
                let further_ms = reach_ms.unwrap_or_default().clamp(FURTHER_LOOK_BACK_MS, MAX_LOOK_BACK_MS);
                self.further_ms = self.further_ms.max(Some(further_ms).filter(|&further_ms| further_ms > read_ms));
            }
        }
        self.before = 0;
        self.spacings.clear();
    }

    /// How far before the range samples should have been read, in milliseconds, if farther than they were: a series is scraped
    /// so seldom that the sample before its first one may lie there.
    pub fn further_ms(&self) -> Option<i64> {
        self.further_ms
    }

    /// The longest gap in milliseconds that a rate goes across; none if there is only one sample.
    fn max_gap_ms(&mut self) -> Option<i64> {
        let median_ms = median(&mut self.spacings)?;
        Some(median_ms.saturating_mul(GAP_INTERVALS).max(self.sure_gap_ms))
    }
}

/// The gap that any rate goes across, in milliseconds.
pub fn sure_gap_ms(scrape_interval_ms: Option<i64>) -> i64 {
    scrape_interval_ms.map_or(0, |interval| interval.saturating_mul(GAP_INTERVALS)).max(SURE_GAP_MS)
}

/// The median of distances in milliseconds, which of an even number is the smaller of the two in the middle: of a few distances,
/// one long gap does not make the next one usual. None of none.
pub fn median(spacings: &mut [u32]) -> Option<i64> {
    let last = spacings.len().checked_sub(1)?;
    let (_, &mut median, _) = spacings.select_nth_unstable(last / 2);
    Some(i64::from(median))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn samples(list: &[(i64, f64)]) -> Vec<Sample> {
        list.iter().map(|&(at, value)| Sample { at, value }).collect()
    }

    fn reader(start: i64, read_ms: i64, needed: usize, interval: Option<i64>) -> CounterReader {
        CounterReader::new(LookBack { start, read_ms, samples: needed }, interval)
    }

    /// Time, length, increase and whether there is a rate, of every reading that has an interval.
    fn intervals(given: &[(i64, f64)], scrape_interval_ms: Option<i64>) -> Vec<(i64, i64, f64, bool)> {
        let mut whole = Vec::new();
        for pieces in [given.len().max(1), 1, 2] {
            let mut found = Vec::new();
            let mut reader = reader(0, 0, 0, scrape_interval_ms);
            // A series before it leaves no trace.
            reader.take(&samples(&[(-5, 1e9), (400_000_000, 2e9), (400_000_001, 2e9)]), |_| {});
            reader.end(|_| {});
            let mut note = |reading: Reading| found.push(reading);
            for piece in given.chunks(pieces) {
                reader.take(&samples(piece), &mut note);
            }
            reader.end(&mut note);
            let times: Vec<i64> = given.iter().map(|sample| sample.0).collect();
            assert_eq!(found.iter().map(|reading| reading.at).collect::<Vec<_>>(), times);
            assert!(found.first().is_none_or(|first| first.interval.is_none()));
            let intervals = found.iter().filter_map(|reading| reading.interval);
            whole.push(intervals.map(|i| (i.end, i.length_ms, i.increase, i.has_rate)).collect::<Vec<_>>());
        }
        assert!(whole.iter().all(|other| *other == whole[0]), "{given:?} depends on how it arrives");
        whole.remove(0)
    }

    #[test]
    fn an_interval_is_the_increase_since_the_sample_before() {
        let check = |given: &[(i64, f64)], expected: &[(i64, i64, f64, bool)]| {
            assert_eq!(intervals(given, None), expected);
        };
        check(&[], &[]);
        check(&[(0, 1.0)], &[]);
        check(
            &[(0, 1.0), (15_000, 31.0), (30_500, 62.0)],
            &[(15_000, 15_000, 30.0, true), (30_500, 15_500, 31.0, true)],
        );
        // A reset: the counter went from 31 to 0 and then up to 5.
        check(&[(0, 31.0), (10_000, 5.0)], &[(10_000, 10_000, 5.0, true)]);
        check(&[(0, 31.0), (10_000, 0.0)], &[(10_000, 10_000, 0.0, true)]);
    }

    #[test]
    fn a_rate_goes_across_five_minutes_or_four_times_the_usual_distance() {
        let check = |distances: &[i64], interval: Option<i64>, expected: &[bool]| {
            let times = distances.iter().scan(0, |time, distance| {
                *time += distance;
                Some((*time, *time as f64))
            });
            let given: Vec<(i64, f64)> = std::iter::once((0, 0.0)).chain(times).collect();
            let found: Vec<bool> = intervals(&given, interval).iter().map(|interval| interval.3).collect();
            assert_eq!(found, expected, "{distances:?} {interval:?}");
        };
        check(&[15_000, 15_000, 300_000, 300_001, 15_000], None, &[true, true, true, false, true]);
        // One distance alone is its own median.
        check(&[300_001], None, &[true]);
        // Medians of 75,000 and 75,001 ms: four times that is 300,000 and 300,004.
        check(&[75_000, 75_000, 300_001], None, &[true, true, false]);
        check(&[75_001, 75_001, 300_004, 300_005], None, &[true, true, true, false]);
        check(&[75_001, 75_001, 75_001, 300_004, 300_005], None, &[true, true, true, true, false]);
        // A series scraped every ten minutes, with a long silence.
        check(
            &[10 * MINUTE, 10 * MINUTE, 40 * MINUTE, 41 * MINUTE, 10 * MINUTE],
            None,
            &[true, true, true, false, true],
        );
        // What is known to be scraped seldom.
        check(&[15_000, 15_000, 15_000, 400_000, 400_001], Some(100_000), &[true, true, true, true, false]);
    }

    #[test]
    fn a_sample_that_is_needed_but_was_not_read_is_asked_for() {
        let check = |times: &[i64], read_ms: i64, needed: usize, expected: Option<i64>| {
            let mut reader = reader(0, read_ms, needed, None);
            reader.take(&samples(&times.iter().map(|&at| (at, 1.0)).collect::<Vec<_>>()), |_| {});
            reader.end(|_| {});
            assert_eq!(reader.further_ms(), expected, "{times:?} {read_ms} {needed}");
        };
        const READ: i64 = 5 * MINUTE;
        check(&[], READ, 1, None);
        check(&[-1], READ, 1, None);
        // Nothing tells how far away the sample before is.
        check(&[0], READ, 1, Some(60 * MINUTE));
        check(&[0], 60 * MINUTE, 1, None);
        // A series that began, or whose gap is too long for a rate.
        check(&[0, 15_000], READ, 1, None);
        // Scraped every ten minutes: the one before may lie up to 40 minutes back.
        check(&[0, 10 * MINUTE], READ, 1, Some(60 * MINUTE));
        check(&[-1, 10 * MINUTE], READ, 1, None);
        check(&[0, 10 * MINUTE], 40 * MINUTE, 1, None);
        check(&[0, 30 * MINUTE], READ, 1, Some(120 * MINUTE));
        check(&[0, 9_000_000_000], READ, 1, Some(7 * 24 * 60 * MINUTE));
        // For a rate that is known at the start, the whole interval has to be there.
        check(&[-1, 15_000], 15 * MINUTE, 2, None);
        check(&[-1, 15_000], 15 * MINUTE - 1, 2, Some(60 * MINUTE));
        check(&[-2, -1, 15_000], READ, 2, None);
        check(&[-1, 2 * MINUTE - 1], 15 * MINUTE, 2, Some(60 * MINUTE));
    }

    #[test]
    fn the_median_of_an_even_number_is_the_smaller_of_the_two_in_the_middle() {
        let check = |given: &[u32], expected: Option<i64>| assert_eq!(median(&mut given.to_vec()), expected);
        check(&[], None);
        check(&[7], Some(7));
        check(&[3, 1], Some(1));
        check(&[90, 10, 20], Some(20));
        check(&[40, 10, 20, 90], Some(20));
        check(&[u32::MAX, u32::MAX], Some(i64::from(u32::MAX)));
    }

    #[test]
    fn a_rate_is_known_for_twice_the_length_of_its_interval() {
        let interval = Interval { end: 100_000, length_ms: 500, increase: 2.0, has_rate: true };
        assert_eq!((interval.rate(), interval.known_until()), (4.0, 101_000));
    }
}
