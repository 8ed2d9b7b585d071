//! Counters: from the samples a counter shows to its rate, and from samples to the interval they were scraped at.

use crate::compute::plan::MAX_GAP_MS;
use crate::model::sample::{Sample, Series};

/// The rate per second at each sample that has one before it: the increase since then, divided by the time since then.
///
/// A drop of the value is a reset, after which the counter has counted from 0, so the increase is the value itself. Across
/// more than [`MAX_GAP_MS`] there is no rate: nobody knows what happened in between (translation rules, "Raw queries").
pub fn rates(mut samples: Vec<Sample>) -> Vec<Sample> {
    // In their place, for they may be very many.
    let mut count = 0;
    for nth in 1..samples.len() {
        // What is written lies before what is still to be read.
        if let Some(rate) = rate(samples[nth - 1], samples[nth]) {
            samples[count] = rate;
            count += 1;
        }
    }
    samples.truncate(count);
    samples
}

fn rate(previous: Sample, sample: Sample) -> Option<Sample> {
    let elapsed_ms = sample.at - previous.at;
    if elapsed_ms <= 0 || elapsed_ms > MAX_GAP_MS {
        return None;
    }
    let is_reset = sample.value < previous.value;
    let increase = if is_reset { sample.value } else { sample.value - previous.value };
    Some(Sample { at: sample.at, value: increase / (elapsed_ms as f64 / 1000.0) })
}

/// The median distance of neighbouring samples of a series, over all series, in milliseconds (at least 1); `None` when no
/// series has two samples.
pub fn median_spacing(series: &[Series]) -> Option<i64> {
    let mut spacings: Vec<i64> =
        series.iter().flat_map(|one| one.samples.windows(2).map(|pair| pair[1].at - pair[0].at)).collect();
    spacings.sort_unstable();
    let upper = *spacings.get(spacings.len() / 2)?;
    let lower = spacings[(spacings.len() - 1) / 2];
    Some(((lower + upper) / 2).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(list: &[(i64, f64)]) -> Vec<Sample> {
        list.iter().map(|&(at, value)| Sample { at, value }).collect()
    }

    #[test]
    fn a_rate_is_the_increase_over_the_time_since_the_sample_before() {
        let check = |given: &[(i64, f64)], expected: &[(i64, f64)]| {
            assert_eq!(rates(samples(given)), samples(expected));
        };
        check(&[], &[]);
        check(&[(0, 1.0)], &[]);
        check(&[(0, 1.0), (15_000, 31.0), (30_500, 62.0)], &[(15_000, 2.0), (30_500, 2.0)]);
        // A reset: the counter went from 31 to 0 and then up to 5.
        check(&[(0, 31.0), (10_000, 5.0)], &[(10_000, 0.5)]);
        check(&[(0, 31.0), (10_000, 0.0)], &[(10_000, 0.0)]);
        // Five minutes are a gap no more than one bridges.
        check(&[(0, 0.0), (300_000, 300.0)], &[(300_000, 1.0)]);
        check(&[(0, 0.0), (300_001, 300.0), (300_002, 301.0)], &[(300_002, 1000.0)]);
    }

    #[test]
    fn what_is_no_number_spoils_both_rates_it_takes_part_in() {
        let found = rates(samples(&[(0, 1.0), (1_000, f64::NAN), (2_000, 3.0), (3_000, 4.0)]));
        assert!(found[0].value.is_nan() && found[1].value.is_nan());
        assert_eq!(found[2], Sample { at: 3_000, value: 1.0 });
    }

    #[test]
    fn the_spacing_is_the_median_over_all_series() {
        let series = |times: &[i64]| Series {
            samples: times.iter().map(|&at| Sample { at, value: 0.0 }).collect(),
            ..Series::default()
        };
        assert_eq!(median_spacing(&[]), None);
        assert_eq!(median_spacing(&[series(&[5]), series(&[9])]), None);
        assert_eq!(median_spacing(&[series(&[0, 15_000, 30_010, 90_000])]), Some(15_010));
        assert_eq!(median_spacing(&[series(&[0, 15_000]), series(&[3, 15_003, 60_000])]), Some(15_000));
        assert_eq!(median_spacing(&[series(&[0, 10_000, 30_000])]), Some(15_000));
    }
}
