//! What the right answer is, computed from the samples: slow, obvious, and sharing nothing with the mirror.
//!
//! Points look as they do in an answer: `[value, time]` of a raw query, `[value, bucket start, bucket end]` of an
//! aggregated one. Counters in buckets are not here: how a rate is extrapolated is Prometheus's own business, so the
//! tests ask it.

use super::samples::{MINUTE, Sample, Series};

/// What a NaN becomes: `nan_interpretation` of the connection details.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Nan {
    /// No point.
    None,
    /// The number zero.
    Zero,
}

/// The samples of a series as they were scraped, both ends of the range included.
pub fn raw(series: &Series, start: i64, end: i64, nan: Nan) -> Vec<Vec<f64>> {
    points(series.samples.iter().map(|sample| (sample.time, sample.value)), start, end, nan)
}

/// The rates of a counter, a second, both ends of the range included.
pub fn rates(series: &Series, start: i64, end: i64, nan: Nan) -> Vec<Vec<f64>> {
    let rates = series.samples.windows(2).filter(|pair| pair[1].time - pair[0].time <= 5 * MINUTE);
    points(rates.map(|pair| (pair[1].time, step(pair) / seconds(pair[1].time - pair[0].time))), start, end, nan)
}

/// One value for each whole bucket `[s, s + bucket)` of the range, of all samples of some gauges together.
pub fn buckets(gauges: &[&Series], method: &str, range: (i64, i64), bucket: i64, nan: Nan) -> Vec<Vec<f64>> {
    let (start, end) = range;
    let mut points = Vec::new();
    let mut from = start;
    while from + bucket <= end {
        let inside = |sample: &&Sample| from <= sample.time && sample.time < from + bucket;
        let samples = gauges.iter().flat_map(|gauge| gauge.samples.iter().filter(inside).map(|sample| sample.value));
        let value = aggregate(method, samples.collect()).and_then(|value| presentable(value, nan));
        points.extend(value.map(|value| vec![value, from as f64, (from + bucket) as f64]));
        from += bucket;
    }
    points
}

/// The points in the order asked for, at most `limit` of them, and whether any were left out.
pub fn cut(mut points: Vec<Vec<f64>>, limit: usize, latest_first: bool) -> (Vec<Vec<f64>>, bool) {
    if latest_first {
        points.reverse();
    }
    let partial = points.len() > limit;
    points.truncate(limit);
    (points, partial)
}

/// By how much some counters grew between two times, if each grows evenly between two samples.
pub fn increase(counters: &[&Series], start: i64, end: i64) -> f64 {
    let part = |pair: &[Sample]| {
        let (from, to) = (pair[0].time.max(start), pair[1].time.min(end));
        let share = (to - from).max(0) as f64 / (pair[1].time - pair[0].time) as f64;
        step(pair) * share
    };
    counters.iter().flat_map(|counter| counter.samples.windows(2).map(part)).sum()
}

/// Whether two numbers are the same up to a relative error.
pub fn close(a: f64, b: f64, tolerance: f64) -> bool {
    a == b || (a - b).abs() <= tolerance * a.abs().max(b.abs())
}

/// The increase from one sample of a counter to the next; after a reset it counts from zero.
fn step(pair: &[Sample]) -> f64 {
    if pair[1].value < pair[0].value { pair[1].value } else { pair[1].value - pair[0].value }
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

fn points(values: impl Iterator<Item = (i64, f64)>, start: i64, end: i64, nan: Nan) -> Vec<Vec<f64>> {
    let inside = values.filter(|(time, _)| start <= *time && *time <= end);
    inside.filter_map(|(time, value)| Some(vec![presentable(value, nan)?, time as f64])).collect()
}

/// What becomes of a value that JSON may not have a number for.
fn presentable(value: f64, nan: Nan) -> Option<f64> {
    match nan {
        Nan::Zero if value.is_nan() => Some(0.0),
        _ => value.is_finite().then_some(value),
    }
}

/// The value of a bucket with these samples, if it has one.
fn aggregate(method: &str, samples: Vec<f64>) -> Option<f64> {
    let count = samples.len() as f64;
    let sum = || samples.iter().sum::<f64>();
    match method {
        "SUM" => Some(sum()),
        "EVENT_COUNT" => Some(count),
        _ if samples.is_empty() => None,
        "SUM_NO_ZEROS" => Some(sum()),
        "EVENT_COUNT_NO_ZEROS" => Some(count),
        "MEAN" => Some(sum() / count),
        // These two pass over NaN unless there is nothing else.
        "MAX" => samples.iter().copied().reduce(f64::max),
        "MIN" => samples.iter().copied().reduce(f64::min),
        _ => {
            let percent = method.strip_prefix("PERCENTILE_").unwrap_or_else(|| panic!("no method {method}"));
            Some(quantile(percent.parse::<f64>().unwrap() / 100.0, samples))
        }
    }
}

/// The quantile as Prometheus has it: linear between the neighbours of rank `p * (n - 1)`, NaN below everything. It
/// weighs the upper neighbour even by nothing, which makes NaN of an infinite one.
fn quantile(p: f64, mut samples: Vec<f64>) -> f64 {
    samples.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
    let rank = p * (samples.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(samples.len() - 1);
    let weight = rank - rank.floor();
    samples[lower] * (1.0 - weight) + samples[upper] * weight
}
