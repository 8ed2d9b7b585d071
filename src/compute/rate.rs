//! Turns the samples of a counter into intervals: how much it grew between two samples, and whether that gives a rate.
//!
//! All rules look back only: what an interval is depends on a few samples before its end. So it changes neither when later samples
//! arrive nor when a query has another start.

use crate::compute::look_back::{Counted, KNOWN_LENGTHS, LookBack, ReachCheck};
use crate::compute::spacing::{Times, longest_sure_ms};
use crate::compute::sum::Sum;
use crate::model::sample::Sample;

/// The time between two samples of a counter, and what it counted in that time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The time of the later sample, in milliseconds since 1970.
    pub end: i64,
    /// The time between both, in milliseconds; at least 1.
    pub length_ms: i64,
    /// By how much the counter grew. If its value dropped, it restarted at 0, so this is its new value.
    pub increase: f64,
    /// Whether the interval is short enough for a rate.
    pub has_rate: bool,
}

impl Interval {
    /// The interval between two samples.
    pub(super) fn between(earlier: Sample, later: Sample, has_rate: bool) -> Interval {
        let increase = if later.value < earlier.value { later.value } else { later.value - earlier.value };
        Interval { end: later.at, length_ms: later.at - earlier.at, increase, has_rate }
    }

    /// The increase per second.
    pub fn rate(self) -> f64 {
        self.increase / (self.length_ms as f64 / 1000.0)
    }

    /// The last instant at which this rate is the rate last known, in milliseconds since 1970.
    pub fn known_until(self) -> i64 {
        self.end + KNOWN_LENGTHS * self.length_ms
    }
}

/// How much a counter grew in several intervals together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Growth {
    /// The sum of the increases.
    pub(super) increase: Sum,
    /// The sum of the lengths, in milliseconds; 0 if no interval counts.
    pub length_ms: i64,
    /// The newest interval, even if it does not count; `None` if there is no interval.
    pub newest: Option<Interval>,
}

impl Growth {
    fn add_rise(&mut self, from: f64, to: f64) {
        self.increase.add(to);
        self.increase.add(-from);
    }

    /// The growth in these intervals and in later ones.
    pub fn and(self, later: Growth) -> Growth {
        let mut increase = self.increase;
        increase.add_sum(later.increase);
        Growth { increase, length_ms: self.length_ms + later.length_ms, newest: later.newest.or(self.newest) }
    }

    /// The mean rate per second; `None` if no interval counts.
    pub fn mean_rate(self) -> Option<f64> {
        (self.length_ms > 0).then(|| self.increase.divided(self.length_ms as f64 / 1000.0))
    }
}

/// Turns the samples of counters, series after series, into intervals. The values are finite.
#[derive(Debug)]
pub struct CounterReader {
    /// Up to this length in milliseconds, an interval has a rate in any series.
    longest_sure_ms: i64,
    counted: Counted,
    reach: ReachCheck,
    /// The newest sample of the series.
    previous: Option<Sample>,
    /// The times of its newest samples.
    times: Times,
}

impl CounterReader {
    /// `scrape_interval_ms` is the scrape interval of the counters, if the query gives it.
    pub fn new(look_back: LookBack, scrape_interval_ms: Option<i64>) -> CounterReader {
        let longest_sure_ms = longest_sure_ms(scrape_interval_ms);
        let reach = ReachCheck::new(look_back, longest_sure_ms);
        CounterReader { longest_sure_ms, counted: look_back.counted, reach, previous: None, times: Times::default() }
    }

    /// Takes samples of a series in the order of time, and calls `each` with each of them and the interval since the sample before
    /// it, if there is one.
    pub fn take(&mut self, samples: &[Sample], mut each: impl FnMut(Sample, Option<Interval>)) {
        let mut previous = self.previous;
        for (nth, &sample) in samples.iter().enumerate() {
            let interval = previous.replace(sample).map(|previous| {
                let has_rate = self.has_rate(previous, sample, &samples[..nth]);
                Interval::between(previous, sample, has_rate)
            });
            each(sample, interval);
        }
        self.note(samples);
    }

    /// Takes samples of a series in the order of time, and returns the growth in the intervals that end with them.
    ///
    /// Much faster than adding up intervals, because as long as a counter rises, its growth is the last value less the first one.
    pub fn growth(&mut self, samples: &[Sample]) -> Growth {
        let mut growth = Growth::default();
        let Some(mut previous) = self.previous.or(samples.first().copied()) else { return growth };
        // The value from which the counter rises in intervals that count.
        let mut low = previous.value;
        let first = usize::from(self.previous.is_none());
        for (nth, &sample) in samples.iter().enumerate().skip(first) {
            let has_rate = self.counted == Counted::All || self.has_rate(previous, sample, &samples[..nth]);
            if has_rate {
                growth.length_ms += sample.at - previous.at;
                if sample.value < previous.value {
                    growth.add_rise(low, previous.value);
                    low = 0.0;
                }
            } else {
                growth.add_rise(low, previous.value);
                low = sample.value;
            }
            if nth + 1 == samples.len() {
                growth.newest = Some(Interval::between(previous, sample, has_rate));
            }
            previous = sample;
        }
        growth.add_rise(low, previous.value);
        self.note(samples);
        growth
    }

    /// Notes samples that were taken.
    fn note(&mut self, samples: &[Sample]) {
        self.reach.take(samples);
        self.times.move_on(samples);
        self.previous = samples.last().copied().or(self.previous);
    }

    /// Whether the interval between two samples is short enough for a rate. `earlier` are samples before it that are not noted yet.
    #[inline]
    fn has_rate(&mut self, from: Sample, to: Sample, earlier: &[Sample]) -> bool {
        to.at - from.at <= self.longest_sure_ms || self.is_usual(from, to, earlier)
    }

    /// Whether a long interval is usual for this series.
    fn is_usual(&mut self, from: Sample, to: Sample, earlier: &[Sample]) -> bool {
        let mut times = self.times;
        times.move_on(earlier);
        if let Some(first) = times.first_if_undecided() {
            self.reach.note_undecided(first, from.at, to.at);
        }
        !times.is_gap(to.at - from.at)
    }

    /// Ends a series. The next sample belongs to another one.
    pub fn end_series(&mut self) {
        self.reach.end_series();
        self.previous = None;
        self.times = Times::default();
    }

    /// How far before the range the samples have to be read again, in milliseconds. `None` if they were read from early enough for
    /// each series, even those with a long scrape interval.
    pub fn further_ms(&self) -> Option<i64> {
        self.reach.further_ms()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn samples(list: &[(i64, f64)]) -> Vec<Sample> {
        list.iter().map(|&(at, value)| Sample { at, value }).collect()
    }

    fn reader(counted: Counted, scrape_interval_ms: Option<i64>) -> CounterReader {
        CounterReader::new(LookBack { start: 0, read_ms: 0, samples: 0, counted }, scrape_interval_ms)
    }

    /// Time, length, increase and whether there is a rate, of every sample that ends an interval.
    fn intervals(given: &[(i64, f64)], scrape_interval_ms: Option<i64>) -> Vec<(i64, i64, f64, bool)> {
        let mut reader = reader(Counted::WithRate, scrape_interval_ms);
        // A series before it leaves no trace.
        reader.take(&samples(&[(-5, 1e9), (400_000_000, 2e9), (400_000_001, 2e9)]), |_, _| {});
        reader.end_series();
        let mut found = Vec::new();
        given
            .chunks(2)
            .for_each(|piece| reader.take(&samples(piece), |sample, interval| found.push((sample, interval))));
        let times: Vec<i64> = given.iter().map(|sample| sample.0).collect();
        assert_eq!(found.iter().map(|(sample, _)| sample.at).collect::<Vec<_>>(), times);
        assert!(found.first().is_none_or(|(_, interval)| interval.is_none()));
        let intervals = found.iter().filter_map(|(_, interval)| *interval);
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
    fn a_rate_goes_across_five_minutes_or_four_times_the_usual_spacing() {
        let check = |spacings: &[i64], interval: Option<i64>, expected: &[bool]| {
            let times = spacings.iter().scan(0, |time, spacing| {
                *time += spacing;
                Some((*time, *time as f64))
            });
            let given: Vec<(i64, f64)> = std::iter::once((0, 0.0)).chain(times).collect();
            let found: Vec<bool> = intervals(&given, interval).iter().map(|interval| interval.3).collect();
            assert_eq!(found, expected, "{spacings:?} {interval:?}");
        };
        check(&[15_000, 15_000, 300_000, 300_001, 15_000], None, &[true, true, true, false, true]);
        // The first interval has a rate up to an hour.
        check(&[3_600_000, 15_000], None, &[true, true]);
        check(&[3_600_001, 15_000], None, &[false, true]);
        check(&[3_600_001, 15_000], Some(900_001), &[true, true]);
        // Distances of 75,000 and 75,001 ms: four times that is 300,000 and 300,004.
        check(&[75_000, 75_000, 300_001], None, &[true, true, false]);
        check(&[75_001, 75_001, 300_004, 300_005], None, &[true, true, true, false]);
        // A series scraped every ten minutes, with a long silence.
        check(&[10 * MINUTE, 10 * MINUTE, 40 * MINUTE, 41 * MINUTE], None, &[true, true, true, false]);
        // Every ten minutes, then every 15 s, and back: the five before an interval tell.
        let (slow, fast) = (10 * MINUTE, 15_000);
        let spacings = [slow, slow, fast, fast, fast, slow, slow, slow, slow, slow];
        check(&spacings, None, &[true, true, true, true, true, false, false, false, true, true]);
        // What is known to be scraped seldom.
        check(&[15_000, 15_000, 15_000, 400_000, 400_001], Some(100_000), &[true, true, true, true, false]);
    }

    /// The growth in a series, taken in pieces of this many samples.
    fn growth(given: &[(i64, f64)], counted: Counted, at_once: usize) -> Growth {
        let mut reader = reader(counted, None);
        let pieces = given.chunks(at_once).map(|piece| reader.growth(&samples(piece)));
        pieces.fold(Growth::default(), Growth::and)
    }

    /// The increase, the length, and the end of the newest interval and whether it has a rate.
    type Expected = (f64, i64, Option<(i64, bool)>);

    fn plain(growth: Growth) -> Expected {
        let newest = growth.newest.map(|newest| (newest.end, newest.has_rate));
        (growth.increase.value(), growth.length_ms, newest)
    }

    #[test]
    fn growth_counts_across_resets_and_leaves_out_gaps() {
        let check = |given: &[(i64, f64)], with_rate: Expected, all: Expected| {
            for (counted, expected) in [(Counted::WithRate, with_rate), (Counted::All, all)] {
                for at_once in 1..=given.len().max(1) {
                    let found = plain(growth(given, counted, at_once));
                    assert_eq!(found, expected, "{given:?} {counted:?} {at_once}");
                }
            }
        };
        let nothing = (0.0, 0, None);
        check(&[], nothing, nothing);
        check(&[(7, 1e18)], nothing, nothing);
        let rising = (61.0, 30_500, Some((30_500, true)));
        check(&[(0, 1.0), (15_000, 31.0), (30_500, 62.0)], rising, rising);
        // Up by 30, a reset to 5, up by 2, a reset to 0.
        let reset = (37.0, 40_000, Some((40_000, true)));
        check(&[(0, 1.0), (10_000, 31.0), (20_000, 5.0), (30_000, 7.0), (40_000, 0.0)], reset, reset);
        // Two increases of 10 with a silence of ten minutes between them, in which the counter grew by 100.
        let silence = [(0, 0.0), (15_000, 10.0), (615_000, 110.0), (630_000, 120.0)];
        check(&silence, (20.0, 30_000, Some((630_000, true))), (120.0, 630_000, Some((630_000, true))));
        // The same, but the counter restarts in the silence.
        let restarts = [(0, 0.0), (15_000, 10.0), (615_000, 4.0), (630_000, 14.0)];
        check(&restarts, (20.0, 30_000, Some((630_000, true))), (24.0, 630_000, Some((630_000, true))));
        check(&restarts[..3], (10.0, 15_000, Some((615_000, false))), (14.0, 615_000, Some((615_000, true))));
        // No rounding error, however large the counter is: from 2^53 on.
        const LARGE: f64 = 9_007_199_254_740_992.0;
        let large = (4.0, 2, Some((2, true)));
        check(&[(0, LARGE), (1, LARGE + 2.0), (2, LARGE + 4.0)], large, large);
        // A counter that reaches 1e308 twelve times: together more than the largest number.
        let overflow: Vec<(i64, f64)> =
            (0..12).flat_map(|nth| [(nth * 600_000, 0.0), (nth * 600_000 + 1, 1e308)]).collect();
        assert_eq!(growth(&overflow, Counted::All, 5).increase.divided(12.0), 1e308);
    }

    #[test]
    fn growth_is_the_sum_of_the_intervals_of_any_series() {
        let mut random = 1_u64;
        let mut below = |bound: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % bound
        };
        for _ in 0..2_000 {
            let (mut at, mut value, mut given) = (0, 0, Vec::new());
            for _ in 0..below(40) {
                at += [1, 15_000, 60_000, 299_999, 300_001, 900_000, 4_000_000][below(7) as usize];
                value = if below(4) == 0 { below(50) } else { value + below(1_000) };
                given.push((at, value as f64));
            }
            for counted in [Counted::All, Counted::WithRate] {
                let mut expected = (0.0, 0, None);
                let mut reader = reader(counted, None);
                reader.take(&samples(&given), |_, interval| {
                    let Some(interval) = interval else { return };
                    let counts = interval.has_rate || counted == Counted::All;
                    if counts {
                        expected.0 += interval.increase;
                        expected.1 += interval.length_ms;
                    }
                    expected.2 = Some((interval.end, counts));
                });
                let found = plain(growth(&given, counted, 1 + below(40) as usize));
                assert_eq!(found, expected, "{counted:?} {given:?}");
            }
        }
    }

    #[test]
    fn a_rate_is_known_for_twice_the_length_of_its_interval() {
        let interval = Interval { end: 100_000, length_ms: 500, increase: 2.0, has_rate: true };
        assert_eq!((interval.rate(), interval.known_until()), (4.0, 101_000));
    }
}
