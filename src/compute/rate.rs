//! Turns the samples of a counter into intervals: how much it grew between two samples, and whether that gives a rate.
//!
//! All rules look back only: the reading of a sample depends on a few samples before it. So it changes neither when later samples
//! arrive nor when a query has another start.

use crate::model::sample::Sample;

/// An interval of up to this many milliseconds has a rate, whatever the scrape interval is: five minutes, like Prometheus's
/// look-back.
pub const SURE_GAP_MS: i64 = 300_000;

/// An interval of up to this many scrape intervals has a rate. This allows for jitter and for three lost scrapes.
const GAP_INTERVALS: i64 = 4;

/// The number of distances between earlier samples that decide whether an interval is unusually long for its series.
const DISTANCES: usize = 5;

/// The samples of at least this time before a range are read if the first reading did not look back far enough: an hour, in
/// milliseconds.
const FURTHER_LOOK_BACK_MS: i64 = 3_600_000;

/// The samples of at most this time before a range are read: a week, in milliseconds.
const MAX_LOOK_BACK_MS: i64 = 7 * 86_400_000;

/// The rate of an interval stays the rate last known after its end for this many times its length.
const KNOWN_LENGTHS: i64 = 2;

/// The time between two samples of a counter, and what it counted in that time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The time of the later sample, in milliseconds since the epoch.
    pub end: i64,
    /// The time between both, in milliseconds; at least 1.
    pub length_ms: i64,
    /// By how much the counter grew. If its value dropped, it restarted at 0, so this is its new value.
    pub increase: f64,
    /// Whether the interval is short enough for a rate.
    pub has_rate: bool,
}

impl Interval {
    /// The increase per second.
    pub fn rate(self) -> f64 {
        self.increase / (self.length_ms as f64 / 1000.0)
    }

    /// The last instant at which this rate is the rate last known, in milliseconds since the epoch.
    pub fn known_until(self) -> i64 {
        self.end + KNOWN_LENGTHS * self.length_ms
    }
}

/// A sample of a counter, and the interval since the sample before it, if there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The time of the sample in milliseconds since the epoch.
    pub at: i64,
    /// The interval that ends with it.
    pub interval: Option<Interval>,
}

/// The samples before a range that a query needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookBack {
    /// The start of the range in milliseconds since the epoch.
    pub start: i64,
    /// How far before it samples were read, in milliseconds.
    pub read_ms: i64,
    /// How many samples before it are needed of each series: one for an interval that ends within the range, two for the rate last
    /// known at the start.
    pub samples: usize,
}

impl LookBack {
    /// How far before a range to read, in milliseconds, if the longest interval with a rate has `max_gap_ms`.
    ///
    /// The rate last known at the start belongs to an interval that ended at most `KNOWN_LENGTHS` times its own length before.
    pub fn reach_ms(samples: usize, max_gap_ms: i64) -> i64 {
        if samples > 1 { max_gap_ms.saturating_mul(1 + KNOWN_LENGTHS) } else { max_gap_ms }
    }
}

/// The distances between a few neighbouring samples, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Distances {
    /// The newest of them, in no order.
    list: [i64; DISTANCES],
    /// How many were added.
    count: usize,
}

impl Distances {
    fn add(&mut self, distance_ms: i64) {
        self.list[self.count % DISTANCES] = distance_ms;
        self.count += 1;
    }

    fn are_enough(&self) -> bool {
        self.count >= DISTANCES
    }

    /// The usual distance: the median, or the smaller of the two in the middle. `None` without distances.
    fn usual_ms(&self) -> Option<i64> {
        let mut list = self.list;
        let known = &mut list[..self.count.min(DISTANCES)];
        known.sort_unstable();
        known.get(known.len().checked_sub(1)? / 2).copied()
    }
}

/// Turns the samples of counters, series after series, into readings. The values are finite.
#[derive(Debug)]
pub struct CounterReader {
    /// Up to this length in milliseconds, an interval has a rate in any series.
    sure_gap_ms: i64,
    look_back: LookBack,
    /// How far before the range the samples have to be read again, if this reading did not look back far enough.
    further_ms: Option<i64>,
    previous: Option<Sample>,
    /// How many samples of the series lie before the range.
    before: usize,
    /// The first distances of the series, and the newest ones.
    first: Distances,
    newest: Distances,
}

impl CounterReader {
    /// `scrape_interval_ms` is the scrape interval of the counters, if the query gives it.
    pub fn new(look_back: LookBack, scrape_interval_ms: Option<i64>) -> CounterReader {
        CounterReader {
            sure_gap_ms: sure_gap_ms(scrape_interval_ms),
            look_back,
            further_ms: None,
            previous: None,
            before: 0,
            first: Distances::default(),
            newest: Distances::default(),
        }
    }

    /// Takes samples of a series in the order of time, and calls `each` with a reading for each sample.
    pub fn take(&mut self, samples: &[Sample], mut each: impl FnMut(Reading)) {
        for &sample in samples {
            self.before += usize::from(sample.at < self.look_back.start);
            let interval = self.previous.replace(sample).map(|previous| self.interval(previous, sample));
            each(Reading { at: sample.at, interval });
        }
    }

    fn interval(&mut self, previous: Sample, sample: Sample) -> Interval {
        let length_ms = sample.at - previous.at;
        let is_reset = sample.value < previous.value;
        let increase = if is_reset { sample.value } else { sample.value - previous.value };
        let has_rate = length_ms <= self.sure_gap_ms || self.is_usual(length_ms);
        if !self.first.are_enough() {
            self.first.add(length_ms);
        }
        self.newest.add(length_ms);
        Interval { end: sample.at, length_ms, increase, has_rate }
    }

    /// Whether a long interval is usual for this series. The first interval has none to compare with, so it counts as usual.
    fn is_usual(&mut self, length_ms: i64) -> bool {
        if !self.newest.are_enough() {
            self.look_further(FURTHER_LOOK_BACK_MS);
        }
        self.newest.usual_ms().is_none_or(|usual_ms| length_ms <= usual_ms.saturating_mul(GAP_INTERVALS))
    }

    /// Ends a series. The next sample belongs to another one.
    pub fn end(&mut self) {
        if self.previous.take().is_some() && self.before < self.look_back.samples {
            let gap_ms = self.first.usual_ms().map(|ms| ms.saturating_mul(GAP_INTERVALS).max(self.sure_gap_ms));
            // A single sample does not tell how far back the sample before it may be.
            let reach_ms =
                gap_ms.map_or(FURTHER_LOOK_BACK_MS, |gap_ms| LookBack::reach_ms(self.look_back.samples, gap_ms));
            if reach_ms > self.look_back.read_ms {
                self.look_further(reach_ms.max(FURTHER_LOOK_BACK_MS));
            }
        }
        self.before = 0;
        self.first = Distances::default();
        self.newest = Distances::default();
    }

    fn look_further(&mut self, ms: i64) {
        let further_ms = Some(ms.min(MAX_LOOK_BACK_MS)).filter(|&ms| ms > self.look_back.read_ms);
        self.further_ms = self.further_ms.max(further_ms);
    }

    /// How far before the range the samples have to be read again, in milliseconds. `None` if this reading looked back far enough
    /// for each series, even those with a long scrape interval.
    pub fn further_ms(&self) -> Option<i64> {
        self.further_ms
    }
}

/// The length in milliseconds up to which an interval has a rate in any series.
pub fn sure_gap_ms(scrape_interval_ms: Option<i64>) -> i64 {
    scrape_interval_ms.map_or(0, |interval| interval.saturating_mul(GAP_INTERVALS)).max(SURE_GAP_MS)
}

/// The median of distances in milliseconds, or the smaller of the two in the middle. `None` without distances.
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
        let mut reader = reader(0, 0, 0, scrape_interval_ms);
        // A series before it leaves no trace.
        reader.take(&samples(&[(-5, 1e9), (400_000_000, 2e9), (400_000_001, 2e9)]), |_| {});
        reader.end();
        let mut found = Vec::new();
        given.chunks(2).for_each(|piece| reader.take(&samples(piece), |reading| found.push(reading)));
        let times: Vec<i64> = given.iter().map(|sample| sample.0).collect();
        assert_eq!(found.iter().map(|reading| reading.at).collect::<Vec<_>>(), times);
        assert!(found.first().is_none_or(|first| first.interval.is_none()));
        let intervals = found.iter().filter_map(|reading| reading.interval);
        intervals.map(|i| (i.end, i.length_ms, i.increase, i.has_rate)).collect()
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
        // Nothing is held against the first one.
        check(&[3_600_000, 15_000], None, &[true, true]);
        // Distances of 75,000 and 75,001 ms: four times that is 300,000 and 300,004.
        check(&[75_000, 75_000, 300_001], None, &[true, true, false]);
        check(&[75_001, 75_001, 300_004, 300_005], None, &[true, true, true, false]);
        // A series scraped every ten minutes, with a long silence.
        check(&[10 * MINUTE, 10 * MINUTE, 40 * MINUTE, 41 * MINUTE], None, &[true, true, true, false]);
        // Every ten minutes, then every 15 s, and back: the five before an interval tell.
        let (slow, fast) = (10 * MINUTE, 15_000);
        let distances = [slow, slow, fast, fast, fast, slow, slow, slow, slow, slow];
        check(&distances, None, &[true, true, true, true, true, false, false, false, true, true]);
        // What is known to be scraped seldom.
        check(&[15_000, 15_000, 15_000, 400_000, 400_001], Some(100_000), &[true, true, true, true, false]);
    }

    #[test]
    fn a_sample_that_is_needed_but_was_not_read_is_asked_for() {
        let check = |times: &[i64], read_ms: i64, needed: usize, expected: Option<i64>| {
            let mut reader = reader(0, read_ms, needed, None);
            reader.take(&samples(&times.iter().map(|&at| (at, 1.0)).collect::<Vec<_>>()), |_| {});
            reader.end();
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
        check(&[0, 10 * MINUTE], 60 * MINUTE, 1, None);
        // Whether the interval is a gap, more samples before it would tell.
        check(&[-1, 10 * MINUTE], READ, 1, Some(60 * MINUTE));
        check(&[-5, -4, -3, -2, -1, 0, 10 * MINUTE], READ, 1, None);
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
