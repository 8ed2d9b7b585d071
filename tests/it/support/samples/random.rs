//! Random series, for cases that no table contains. The seed differs in each run, and a failed test names it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

use super::{HOUR, MINUTE, Random, SECOND, Sample, Series, T0, series};

/// Sets the seed.
const VARIABLE: &str = "NUMBERS_SEED";

/// The time of the first samples, after most of the others, and their duration.
pub const START: i64 = T0 + 4 * HOUR;
/// In milliseconds.
pub const LENGTH: i64 = 2 * HOUR;

/// The seed of this run: from the environment, or random.
pub fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| match std::env::var(VARIABLE) {
        Ok(seed) => seed.parse().unwrap_or_else(|_| panic!("{VARIABLE} is no number: {seed}")),
        Err(_) => RandomState::new().build_hasher().finish() % 1_000_000_000,
    })
}

/// How to repeat a test with the same series.
pub fn again() -> String {
    format!("{VARIABLE}={}", seed())
}

/// The metrics: gauges, counters of whole numbers and counters of quarters, each with one to four series. Others have their label
/// in the first hour, too, since Prometheus stores labels by block, not by hour.
pub fn random(seed: u64) -> Vec<Series> {
    let mut random = Random::new(seed);
    let mut all = Vec::new();
    for number in 0..36 {
        let kind = ["level", "total", "quarters_total"][number % 3];
        let name: &'static str = Box::leak(format!("random_{number:02}_{kind}").into_boxed_str());
        let sign = *random.pick(&[1.0, 1.0, -1.0]);
        for item in 0..[1, 1, 2, 4][random.below(4)] {
            let times = times(&mut random);
            let samples =
                if kind == "level" { level(&mut random, &times, sign) } else { count(&mut random, &times, kind) };
            all.push(series(name, &[("item", &item.to_string())], samples));
        }
    }
    all
}

/// Times of scrapes: at intervals that may change, with jitter, lost scrapes and silences.
fn times(random: &mut Random) -> Vec<i64> {
    let intervals: &[i64] = if random.chance(0.2) {
        &[2 * MINUTE, 5 * MINUTE, 10 * MINUTE]
    } else {
        &[5, 10, 15, 15, 30, 60].map(|s| s * SECOND)
    };
    let is_slow = intervals[0] > MINUTE;
    let mut interval = *random.pick(intervals);
    let jitter = *random.pick(&[0, 0, 3, interval / 20]);
    let silences = if is_slow { 0.0 } else { *random.pick(&[0.0, 0.01]) };
    let lost = if is_slow { 0.0 } else { *random.pick(&[0.0, 0.05]) };
    let changes = if is_slow { 0.0 } else { *random.pick(&[0.0, 0.0, 0.01]) };
    let end = START + if random.chance(0.8) { LENGTH } else { LENGTH / 3 };
    let mut time = START + (random.next() * if random.chance(0.8) { interval } else { HOUR / 2 } as f64) as i64;
    let mut times = Vec::new();
    while time < end {
        let moved = time + (random.next() * jitter as f64) as i64;
        if !random.chance(lost) {
            times.push(moved);
        }
        if random.chance(changes) {
            interval = *random.pick(intervals);
        }
        time += interval;
        if random.chance(silences) {
            time += *random.pick(&[2 * MINUTE, 5 * MINUTE, 21 * MINUTE]);
        }
    }
    times
}

/// A gauge with NaNs and infinities. All series of a metric have values of one sign: a sum of both, or a percentile between them, may
/// be close to 0, and then its relative error is large.
fn level(random: &mut Random, times: &[i64], sign: f64) -> Vec<Sample> {
    let odd = *random.pick(&[0.0, 0.05]);
    let mut value = || match random.chance(odd) {
        true => *random.pick(&[f64::NAN, f64::NAN, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
        false => sign * random.between(20.0, 1000.0),
    };
    times.iter().map(|time| Sample { time: *time, value: value() }).collect()
}

/// A counter with resets, NaNs and infinities.
fn count(random: &mut Random, times: &[i64], kind: &str) -> Vec<Sample> {
    let unit = if kind == "total" { 1.0 } else { 0.25 };
    let rate = *random.pick(&[0.01, 1.0, 40.0, 5000.0]);
    let odd = *random.pick(&[0.0, 0.02]);
    let resets = *random.pick(&[0.0, 0.02]);
    let mut value = (1000.0 * random.next()).floor();
    let mut previous = times.first().copied().unwrap_or_default();
    let mut samples = Vec::new();
    for time in times {
        if random.chance(resets) {
            value = 0.0;
        }
        let grown = (time - previous) as f64 / 1000.0 * rate * 2.0 * random.next();
        value += (grown / unit).round() * unit;
        previous = *time;
        let is_odd = random.chance(odd);
        let shown = if is_odd { *random.pick(&[f64::NAN, f64::INFINITY]) } else { value };
        samples.push(Sample { time: *time, value: shown });
    }
    samples
}
