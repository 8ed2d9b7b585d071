//! How far before a range the samples of counters are read.
//!
//! Which samples before a range a query needs depends on the series, so it shows only while they are read. If they were not read
//! from early enough, they are read again, from earlier.

use crate::compute::spacing::Times;
use crate::model::sample::Sample;

const HOUR_MS: i64 = 3_600_000;

/// For this many times its length after its end, the rate of an interval is the rate last known.
pub(super) const KNOWN_LENGTHS: i64 = 2;

/// How far before a range samples are read at most, in milliseconds: a week.
const MAX_MS: i64 = 7 * 24 * HOUR_MS;

/// If nothing shows how far back an earlier sample may be, at most this many samples are read again: about as many as the mirror
/// reads in a millisecond.
const CHEAP_SAMPLES: u64 = 100_000;

/// If [`CHEAP_SAMPLES`] do not reach this far back, in milliseconds, an hour is read.
const WORTHWHILE_MS: i64 = 6 * HOUR_MS;

/// Which intervals count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// All of them.
    All,
    /// Those that have a rate.
    WithRate,
}

/// The samples before a range that a query needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookBack {
    /// The start of the range in milliseconds since 1970.
    pub start: i64,
    /// How far before it samples were read, in milliseconds.
    pub read_ms: i64,
    /// How many samples before it are needed of each series: one for an interval that ends within the range, two for the rate last
    /// known at the start.
    pub samples: usize,
    /// Which intervals the query needs.
    pub counted: Counted,
}

impl LookBack {
    /// How far before a range to read, in milliseconds, if the longest interval with a rate has `longest_ms`.
    ///
    /// The rate last known at the start belongs to an interval that ended at most `KNOWN_LENGTHS` times its own length before.
    pub fn reach_ms(samples: usize, longest_ms: i64) -> i64 {
        if samples > 1 { longest_ms.saturating_mul(1 + KNOWN_LENGTHS) } else { longest_ms }
    }
}

/// Decides from the samples of all series whether they were read from early enough.
#[derive(Debug)]
pub(super) struct ReachCheck {
    look_back: LookBack,
    /// Up to this length in milliseconds, an interval has a rate in any series.
    longest_sure_ms: i64,
    /// The first sample of the series.
    first: Option<Sample>,
    /// The times of its first samples.
    first_times: Times,
    /// How many of its samples lie before the range.
    before: usize,
    /// How many samples were read of all series.
    samples: u64,
    /// The time of the newest sample of all series.
    newest: i64,
    /// How far before the range samples are needed, in milliseconds, as far as the scrape intervals show it.
    needed_ms: i64,
    /// Whether earlier samples may matter, of which it is not known how far back they lie.
    is_uncertain: bool,
}

impl ReachCheck {
    pub(super) fn new(look_back: LookBack, longest_sure_ms: i64) -> ReachCheck {
        ReachCheck {
            look_back,
            longest_sure_ms,
            first: None,
            first_times: Times::default(),
            before: 0,
            samples: 0,
            newest: look_back.start,
            needed_ms: 0,
            is_uncertain: false,
        }
    }

    /// Takes samples of a series in the order of time.
    pub(super) fn take(&mut self, samples: &[Sample]) {
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return };
        self.first.get_or_insert(*first);
        self.first_times.fill(samples);
        self.before += samples.iter().take_while(|sample| sample.at < self.look_back.start).count();
        self.samples += samples.len() as u64;
        self.newest = self.newest.max(last.at);
    }

    /// Notes a long interval of a series that has too few samples before it to decide whether it has a rate. `first`, `begin` and
    /// `end` are the times of the first sample of the series and of both ends of the interval.
    pub(super) fn note_undecided(&mut self, first: i64, begin: i64, end: i64) {
        let LookBack { start, samples, .. } = self.look_back;
        let counts_until = if samples > 1 { end + KNOWN_LENGTHS * (end - begin) } else { end };
        self.is_uncertain |= counts_until >= start && first < start + HOUR_MS;
    }

    /// Ends a series.
    pub(super) fn end_series(&mut self) {
        let samples = self.look_back.samples;
        if let Some(first) = self.first.take() {
            if self.before < samples
                && let Some(longest_usual_ms) = self.first_times.longest_usual_ms()
            {
                let reach_ms = LookBack::reach_ms(samples, longest_usual_ms.max(self.longest_sure_ms));
                self.needed_ms = self.needed_ms.max(reach_ms);
            }
            self.is_uncertain |= match self.look_back.counted {
                // The increase since an earlier sample counts, however long ago that was. A value of 0 is no increase.
                Counted::All => self.before < samples && first.value != 0.0,
                Counted::WithRate => self.may_miss_a_rate(first),
            };
        }
        self.first_times = Times::default();
        self.before = 0;
    }

    /// Whether the series may have an earlier sample that gives a rate, or shows that an interval has none.
    fn may_miss_a_rate(&self, first: Sample) -> bool {
        let LookBack { start, read_ms, samples, .. } = self.look_back;
        match self.first_times.first_spacing_ms() {
            // A single sample does not show how far back the one before it is.
            None => self.before < samples,
            // Nor does a single sample before the range.
            Some(_) if self.before == 1 && samples > 1 => true,
            // The interval between the only two before the range may be a long gap.
            Some(first_spacing_ms) if self.before == samples => first_spacing_ms > self.longest_sure_ms,
            // Nearly always, a series without a sample for an hour that is scraped often then has just begun.
            Some(_) => self.before == 0 && read_ms < HOUR_MS && first.at < start + HOUR_MS,
        }
    }

    /// How far before the range the samples have to be read again, in milliseconds. `None` if they were read from early enough.
    pub(super) fn further_ms(&self) -> Option<i64> {
        let LookBack { start, read_ms, .. } = self.look_back;
        let needed_ms = if self.needed_ms > read_ms { self.needed_ms.max(HOUR_MS) } else { 0 };
        // To read a little more would hardly help.
        let cheap_ms = self.is_uncertain.then(|| self.cheap_ms()).filter(|&ms| ms / 2 >= read_ms).unwrap_or(0);
        let further_ms = needed_ms.max(cheap_ms).min(MAX_MS).min(start);
        (further_ms > read_ms).then_some(further_ms)
    }

    /// How far before the range [`CHEAP_SAMPLES`] reach, in milliseconds; an hour if they do not reach [`WORTHWHILE_MS`]. Assumes
    /// that earlier samples are as close together as those that were read.
    fn cheap_ms(&self) -> i64 {
        let LookBack { start, read_ms, .. } = self.look_back;
        let range_ms = self.newest - start;
        let total_ms = (range_ms + read_ms) as f64 * (CHEAP_SAMPLES as f64 / self.samples as f64);
        let cheap_ms = (total_ms as i64 - range_ms).min(MAX_MS);
        if cheap_ms >= WORTHWHILE_MS { cheap_ms } else { HOUR_MS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;
    const WEEK_MS: i64 = 7 * 24 * HOUR_MS;
    const START: i64 = 1_000 * HOUR_MS;
    const READ_MS: i64 = 5 * MINUTE_MS;

    /// The look-back that a series needs whose samples are at these times after `START` and have this value.
    fn further_ms(read_ms: i64, samples: usize, counted: Counted, times: &[i64], value: f64) -> Option<i64> {
        let look_back = LookBack { start: START, read_ms, samples, counted };
        let mut check = ReachCheck::new(look_back, 5 * MINUTE_MS);
        for piece in times.chunks(2) {
            check.take(&piece.iter().map(|&at| Sample { at: START + at, value }).collect::<Vec<_>>());
        }
        check.end_series();
        check.further_ms()
    }

    #[test]
    fn a_series_without_an_earlier_sample_is_read_again_from_a_week_before() {
        let check = |times: &[i64], read_ms: i64, expected: Option<i64>| {
            let found = further_ms(read_ms, 1, Counted::WithRate, times, 1.0);
            assert_eq!(found, expected, "{times:?} {read_ms}");
        };
        check(&[], READ_MS, None);
        check(&[-1], READ_MS, None);
        check(&[-1, 15_000], READ_MS, None);
        for times in [&[0][..], &[5 * HOUR_MS]] {
            check(times, READ_MS, Some(WEEK_MS));
            check(times, HOUR_MS, Some(WEEK_MS));
            check(times, 80 * HOUR_MS, Some(WEEK_MS));
            check(times, 85 * HOUR_MS, None);
        }
        // A series that is scraped often has just begun if it was silent for an hour.
        for times in [&[0, 15_000], &[59 * MINUTE_MS, 60 * MINUTE_MS]] {
            check(times, READ_MS, Some(WEEK_MS));
            check(times, HOUR_MS, None);
        }
        check(&[HOUR_MS, HOUR_MS + 15_000], READ_MS, None);
    }

    #[test]
    fn a_series_that_is_scraped_seldom_is_read_again_from_as_early_as_it_needs() {
        let check = |times: &[i64], read_ms: i64, samples: usize, expected: Option<i64>| {
            let found = further_ms(read_ms, samples, Counted::WithRate, times, 1.0);
            assert_eq!(found, expected, "{times:?} {read_ms} {samples}");
        };
        // Up to four usual spacings back, and an hour at least.
        check(&[2 * HOUR_MS, 2 * HOUR_MS + 10 * MINUTE_MS], READ_MS, 1, Some(HOUR_MS));
        check(&[2 * HOUR_MS, 2 * HOUR_MS + 10 * MINUTE_MS], HOUR_MS, 1, None);
        check(&[2 * HOUR_MS, 2 * HOUR_MS + 30 * MINUTE_MS], READ_MS, 1, Some(2 * HOUR_MS));
        check(&[2 * HOUR_MS, 1_000 * HOUR_MS], READ_MS, 1, Some(WEEK_MS));
        // For a rate last known at the start, the whole interval before it: twelve spacings.
        check(&[2 * HOUR_MS, 2 * HOUR_MS + 15_000], 15 * MINUTE_MS, 2, None);
        check(&[2 * HOUR_MS, 2 * HOUR_MS + 15_000], 15 * MINUTE_MS - 1, 2, Some(HOUR_MS));
        check(&[-2, -1, 15_000], READ_MS, 2, None);
        check(&[2 * HOUR_MS, 2 * HOUR_MS + 20 * MINUTE_MS], HOUR_MS, 2, Some(4 * HOUR_MS));
    }

    #[test]
    fn an_increase_counts_however_long_the_silence_before_it() {
        let late = [3 * HOUR_MS, 3 * HOUR_MS + 15_000];
        assert_eq!(further_ms(HOUR_MS, 1, Counted::All, &late, 1.0), Some(WEEK_MS));
        // Whatever the value was before, this is no increase.
        assert_eq!(further_ms(HOUR_MS, 1, Counted::All, &late, 0.0), None);
        assert_eq!(further_ms(HOUR_MS, 1, Counted::All, &[-HOUR_MS, 2 * HOUR_MS], 1.0), None);
    }

    #[test]
    fn many_samples_are_only_read_again_if_that_costs_little() {
        // Within a minute and the hour before it.
        let check = |samples: i64, expected: Option<i64>| {
            let times: Vec<i64> = (0..samples).map(|nth| nth * MINUTE_MS / (samples - 1)).collect();
            assert_eq!(further_ms(HOUR_MS, 1, Counted::All, &times, 1.0), expected, "{samples}");
        };
        // 100,000 samples of 61 minutes each take 610 minutes, one of which is in the range.
        check(10_001, Some(609 * MINUTE_MS - 3_660));
        check(16_000, Some(380 * MINUTE_MS + 15_000));
        check(17_000, None);
    }

    #[test]
    fn nothing_is_read_from_before_1970() {
        let look_back = LookBack { start: 10, read_ms: 10, samples: 1, counted: Counted::All };
        let mut check = ReachCheck::new(look_back, 5 * MINUTE_MS);
        check.take(&[Sample { at: 10, value: 1.0 }]);
        check.end_series();
        assert_eq!(check.further_ms(), None);
    }

    #[test]
    fn an_undecided_interval_in_the_range_needs_the_samples_before_it() {
        let check = |samples: usize, first: i64, begin: i64, end: i64, expected: Option<i64>| {
            let look_back = LookBack { start: START, read_ms: HOUR_MS, samples, counted: Counted::WithRate };
            let mut check = ReachCheck::new(look_back, 5 * MINUTE_MS);
            check.take(&[-2, -1].map(|at| Sample { at: START + at, value: 1.0 }));
            check.note_undecided(START + first, START + begin, START + end);
            check.end_series();
            assert_eq!(check.further_ms(), expected, "{samples} {first} {begin} {end}");
        };
        check(1, -HOUR_MS, -MINUTE_MS, 0, Some(WEEK_MS));
        check(1, 59 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS, Some(WEEK_MS));
        // An interval before the range, and a series that begins late.
        check(1, -HOUR_MS, -MINUTE_MS, -1, None);
        check(1, HOUR_MS, 90 * MINUTE_MS, 2 * HOUR_MS, None);
        // A rate is last known for twice the length of its interval.
        check(2, -HOUR_MS, -30 * MINUTE_MS, -20 * MINUTE_MS, Some(WEEK_MS));
        check(2, -HOUR_MS, -30 * MINUTE_MS, -20 * MINUTE_MS - 1, None);
    }

    #[test]
    fn the_only_interval_before_the_range_may_be_a_long_gap() {
        let further_ms = |times: &[i64]| further_ms(HOUR_MS, 2, Counted::WithRate, times, 1.0);
        assert_eq!(further_ms(&[-HOUR_MS, -1]), Some(WEEK_MS));
        assert_eq!(further_ms(&[-5 * MINUTE_MS - 2, -1]), Some(WEEK_MS));
        assert_eq!(further_ms(&[-5 * MINUTE_MS - 1, -1]), None);
        // A spacing before it decides.
        assert_eq!(further_ms(&[-HOUR_MS, -2, -1]), None);
        assert_eq!(further_ms(&[-HOUR_MS, -MINUTE_MS, -1]), None);
    }

    #[test]
    fn a_rate_last_known_needs_two_samples_before_the_range() {
        let further_ms = |times: &[i64]| further_ms(HOUR_MS, 2, Counted::WithRate, times, 1.0);
        assert_eq!(further_ms(&[-MINUTE_MS, 1, 15_001]), Some(WEEK_MS));
        assert_eq!(further_ms(&[-MINUTE_MS, -1, 15_001]), None);
        assert_eq!(further_ms(&[1, 15_001]), None);
    }
}
