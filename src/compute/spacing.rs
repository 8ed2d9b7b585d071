//! The usual spacing between the samples of a series, and how long an interval may be to have a rate.

use crate::model::sample::Sample;

/// An interval of up to this many milliseconds has a rate, whatever the scrape interval is: five minutes, like Prometheus's
/// look-back.
const LONGEST_SURE_MS: i64 = 300_000;

/// An interval of up to this many scrape intervals has a rate. This allows for two lost scrapes and jitter.
const USUAL_INTERVALS: i64 = 4;

/// The first interval of a series has a rate up to this length in milliseconds: an hour. A query whose range begins within a longer
/// interval does not read its start, and must find the same rates as a query whose range begins before it.
const LONGEST_FIRST_MS: i64 = 3_600_000;

/// The number of spacings between earlier samples that decide whether an interval is unusually long for its series.
const SPACINGS: usize = 5;

/// The length in milliseconds up to which an interval has a rate in any series.
pub fn longest_sure_ms(scrape_interval_ms: Option<i64>) -> i64 {
    scrape_interval_ms.map_or(0, |interval| interval.saturating_mul(USUAL_INTERVALS)).max(LONGEST_SURE_MS)
}

/// The median, or the smaller of the two in the middle. `None` without spacings.
pub fn median<T: Ord + Copy>(spacings: &mut [T]) -> Option<T> {
    let last = spacings.len().checked_sub(1)?;
    Some(*spacings.select_nth_unstable(last / 2).1)
}

/// The times of a few neighbouring samples of a series, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    list: [i64; SPACINGS + 1],
    count: usize,
}

impl Times {
    /// Adds the times of samples, up to as many as there is room for.
    pub(super) fn fill(&mut self, samples: &[Sample]) {
        for (place, sample) in self.list[self.count..].iter_mut().zip(samples) {
            *place = sample.at;
            self.count += 1;
        }
    }

    /// Adds the times of later samples, and drops the oldest times if there are too many.
    pub(super) fn move_on(&mut self, samples: &[Sample]) {
        let newest = &samples[samples.len().saturating_sub(self.list.len())..];
        let dropped = (self.count + newest.len()).saturating_sub(self.list.len());
        self.list.copy_within(dropped..self.count, 0);
        self.count -= dropped;
        self.fill(newest);
    }

    /// The first time, if there are too few to decide whether an interval after them is unusually long.
    pub(super) fn first_if_undecided(&self) -> Option<i64> {
        self.list[..self.count].first().copied().filter(|_| self.count < self.list.len())
    }

    /// The spacing between the first two, in milliseconds.
    pub(super) fn first_spacing_ms(&self) -> Option<i64> {
        (self.count > 1).then(|| self.list[1] - self.list[0])
    }

    /// The usual spacing in milliseconds: the median. `None` without spacings.
    fn usual_spacing_ms(&self) -> Option<i64> {
        let mut spacings = [0; SPACINGS];
        let known = &mut spacings[..self.count.saturating_sub(1)];
        for (spacing, pair) in known.iter_mut().zip(self.list.windows(2)) {
            *spacing = pair[1] - pair[0];
        }
        median(known)
    }

    /// Up to this length in milliseconds, an interval is not unusually long for the series. `None` without spacings.
    pub(super) fn longest_usual_ms(&self) -> Option<i64> {
        self.usual_spacing_ms().map(|ms| ms.saturating_mul(USUAL_INTERVALS))
    }

    /// Whether an interval of this many milliseconds after these times is unusually long for the series.
    pub(super) fn is_gap(&self, length_ms: i64) -> bool {
        length_ms > self.longest_usual_ms().unwrap_or(LONGEST_FIRST_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_the_smaller_of_the_two_in_the_middle() {
        let check = |given: &[u32], expected: Option<u32>| assert_eq!(median(&mut given.to_vec()), expected);
        check(&[], None);
        check(&[7], Some(7));
        check(&[3, 1], Some(1));
        check(&[90, 10, 20], Some(20));
        check(&[40, 10, 20, 90], Some(20));
        check(&[u32::MAX, u32::MAX], Some(u32::MAX));
    }

    #[test]
    fn the_newest_times_are_kept_however_many_come_at_once() {
        let all: Vec<Sample> = (1..=20).map(|nth| Sample { at: nth * nth, value: 0.0 }).collect();
        for taken in 0..all.len() {
            for at_once in 1..=all.len() {
                let mut times = Times::default();
                all[..taken].chunks(at_once).for_each(|samples| times.move_on(samples));
                // The spacing after the sample `n` is 2n + 1: the median of five is that in the middle.
                let expected = (taken >= 6).then_some(2 * (taken as i64 - 3) + 1);
                assert_eq!(
                    times.usual_spacing_ms().filter(|_| times.first_if_undecided().is_none()),
                    expected,
                    "{taken} {at_once}"
                );
            }
        }
    }
}
