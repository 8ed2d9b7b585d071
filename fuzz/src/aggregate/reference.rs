//! The points by the rules of "Numbers", from all samples at once.

use prometheusmirror::compute::screen::Dropped;
use prometheusmirror::model::aggregation::{Aggregation, AggregationMethod};
use prometheusmirror::model::sample::Sample;
use prometheusmirror::model::sample_kind::SampleKind;
use prometheusmirror::model::time::TimeRange;

use super::{MINUTE_MS, NONE_DROPPED, is_nan_zero};

/// The relative error that a value may have.
const TOLERANCE: f64 = 1e-9;

/// A number, and by how much more than [`TOLERANCE`] another one may differ: where numbers cancel each other out, what is left
/// is as exact as they are.
#[derive(Debug, Clone, Copy)]
pub struct Number {
    value: f64,
    slack: f64,
    /// Whether a sum that it was made of may have been beyond all numbers on the way.
    has_overflow: bool,
}

/// A point; that of a bucket has the time at which it starts.
#[derive(Debug)]
pub struct Point {
    at: i64,
    number: Number,
}

impl Point {
    pub fn is_close(&self, found: Sample) -> bool {
        let Number { value, slack, .. } = self.number;
        let allowed = TOLERANCE * value.abs().max(found.value.abs()) + slack;
        self.at == found.at && (value == found.value || (value - found.value).abs() <= allowed)
    }
}

/// The samples that count: those that a JSON number can hold, and perhaps NaN as zero.
pub fn counting(kind: SampleKind, samples: &[Sample]) -> Vec<Sample> {
    let mut counting = Vec::new();
    for sample in samples {
        if sample.value.is_finite() {
            counting.push(*sample);
        } else if sample.value.is_nan() && is_nan_zero(kind) {
            counting.push(Sample { value: 0.0, ..*sample });
        }
    }
    counting
}

/// How many samples do not count.
pub fn dropped<'s>(kind: SampleKind, samples: impl Iterator<Item = &'s Sample>) -> Dropped {
    let mut dropped = NONE_DROPPED;
    for sample in samples {
        dropped.infinite += u64::from(sample.value.is_infinite());
        dropped.nan += u64::from(sample.value.is_nan() && !is_nan_zero(kind));
    }
    dropped
}

/// All points, oldest first.
#[derive(Debug)]
pub struct ExpectedPoints {
    pub points: Vec<Point>,
    /// How many points there would be if JSON had a number for their values, which are too large.
    pub left_out: usize,
    /// Whether a sum of what counters counted is beyond all numbers, or may be on the way.
    pub has_overflow: bool,
}

impl ExpectedPoints {
    fn of(mut points: Vec<Point>) -> ExpectedPoints {
        let all = points.len();
        let has_overflow = points.iter().any(|point| point.number.has_overflow);
        points.retain(|point| point.number.value.is_finite());
        ExpectedPoints { left_out: all - points.len(), points, has_overflow }
    }
}

/// The points of a raw query, oldest first.
pub fn raw(kind: SampleKind, samples: &[Sample], range: TimeRange) -> ExpectedPoints {
    let counting = counting(kind, samples);
    let points: Vec<Point> = match kind {
        SampleKind::Gauge(_) => counting.iter().map(|sample| point(sample.at, sure(sample.value))).collect(),
        SampleKind::Counter(scrape_interval_ms) => {
            let counter = Counter::of(counting, scrape_interval_ms);
            counter.with_rate().map(|interval| point(interval.to, interval.rate())).collect()
        }
    };
    ExpectedPoints::of(points.into_iter().filter(|point| range.contains(point.at)).collect())
}

/// The points of the whole buckets of a range, oldest first.
pub fn buckets(kind: SampleKind, series: &[Vec<Sample>], aggregation: Aggregation, range: TimeRange) -> ExpectedPoints {
    let Aggregation { method, zero_fill, bucket_ms } = aggregation;
    let counting: Vec<Vec<Sample>> = series.iter().map(|samples| counting(kind, samples)).collect();
    let counters: Option<Vec<Counter>> = match kind {
        SampleKind::Counter(scrape_interval_ms) if method != AggregationMethod::EventCount => {
            Some(counting.iter().map(|samples| Counter::of(samples.clone(), scrape_interval_ms)).collect())
        }
        _ => None,
    };
    let mut points = Vec::new();
    let mut from = range.start;
    while from + bucket_ms <= range.end {
        let bucket = Bucket { from, to: from + bucket_ms };
        let value = match &counters {
            Some(counters) => bucket.of_counters(counters, method),
            None => bucket.of_gauges(&counting, method),
        };
        let value = value.or(if zero_fill { Some(sure(0.0)) } else { None });
        points.extend(value.map(|value| point(from, value)));
        from += bucket_ms;
    }
    ExpectedPoints::of(points)
}

fn point(at: i64, number: Number) -> Point {
    Point { at, number }
}

fn sure(value: f64) -> Number {
    Number { value, slack: 0.0, has_overflow: false }
}

/// A counter, by its samples that count.
struct Counter {
    samples: Vec<Sample>,
    intervals: Vec<Interval>,
}

/// The time from one sample of a counter to the next.
#[derive(Clone, Copy)]
struct Interval {
    from: i64,
    to: i64,
    increase: f64,
    /// Whether it is short enough for a rate.
    has_rate: bool,
}

impl Counter {
    fn of(samples: Vec<Sample>, scrape_interval_ms: Option<i64>) -> Counter {
        let mut intervals: Vec<Interval> = Vec::new();
        for pair in samples.windows(2) {
            // After a drop it counts from zero.
            let increase = if pair[1].value < pair[0].value { pair[1].value } else { pair[1].value - pair[0].value };
            let length_ms = pair[1].at - pair[0].at;
            let sure_ms = (5 * MINUTE_MS).max(4 * scrape_interval_ms.unwrap_or(0));
            // The five before it tell how long is long; of the first, nothing does.
            let before = &intervals[intervals.len().saturating_sub(5)..];
            let mut lengths: Vec<i64> = before.iter().map(Interval::length_ms).collect();
            lengths.sort_unstable();
            let usual_ms = lengths.get(lengths.len().saturating_sub(1) / 2);
            let has_rate =
                length_ms <= sure_ms || length_ms <= usual_ms.map_or(60 * MINUTE_MS, |usual_ms| 4 * usual_ms);
            intervals.push(Interval { from: pair[0].at, to: pair[1].at, increase, has_rate });
        }
        Counter { samples, intervals }
    }

    /// The intervals that are short enough for a rate.
    fn with_rate(&self) -> impl Iterator<Item = &Interval> {
        self.intervals.iter().filter(|interval| interval.has_rate)
    }

    /// The rate last known at a time.
    fn rate_at(&self, time: i64) -> Option<Number> {
        let newest = self.intervals.iter().rfind(|interval| interval.to <= time)?;
        let known_until = newest.to + 2 * newest.length_ms();
        if newest.has_rate && time <= known_until { Some(newest.rate()) } else { None }
    }
}

impl Interval {
    fn length_ms(&self) -> i64 {
        self.to - self.from
    }

    fn rate(&self) -> Number {
        let value = self.increase / seconds(self.length_ms());
        Number { slack: 1e-15 * value.abs(), ..sure(value) }
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// From one time on until before another.
#[derive(Clone, Copy)]
struct Bucket {
    from: i64,
    to: i64,
}

impl Bucket {
    fn has(self, time: i64) -> bool {
        self.from <= time && time < self.to
    }

    fn of_gauges(self, gauges: &[Vec<Sample>], method: AggregationMethod) -> Option<Number> {
        let inside = gauges.iter().flatten().filter(|sample| self.has(sample.at));
        let values: Vec<f64> = inside.map(|sample| sample.value).collect();
        if values.is_empty() {
            return None;
        }
        Some(match method {
            AggregationMethod::EventCount => sure(values.len() as f64),
            AggregationMethod::Sum => sum(&values, 1.0),
            AggregationMethod::Mean => sum(&values, values.len() as f64),
            _ => return statistic(values.into_iter().map(sure).collect(), method),
        })
    }

    fn of_counters(self, counters: &[Counter], method: AggregationMethod) -> Option<Number> {
        let all = counters.iter().flat_map(|counter| &counter.samples);
        let mut times: Vec<i64> = all.map(|sample| sample.at).filter(|time| self.has(*time)).collect();
        match method {
            AggregationMethod::Sum if times.is_empty() => None,
            AggregationMethod::Sum => {
                let all = counters.iter().flat_map(|counter| &counter.intervals);
                let ended = all.filter(|interval| self.has(interval.to));
                let increases: Vec<f64> = ended.map(|interval| interval.increase).collect();
                let total = sum(&increases, 1.0);
                // Each increase is rounded here. The mirror adds up the values instead.
                Some(Number { slack: total.slack + 2e-16 * size(&increases), ..total })
            }
            AggregationMethod::Mean => total(counters.iter().filter_map(|counter| self.mean_rate(counter)).collect()),
            _ => {
                if times.is_empty() {
                    times.push(self.to - 1);
                }
                times.sort_unstable();
                times.dedup();
                let at = |time: i64| total(counters.iter().filter_map(|counter| counter.rate_at(time)).collect());
                statistic(times.into_iter().filter_map(at).collect(), method)
            }
        }
    }

    /// What a counter counted in the intervals that end in the bucket, by the time they took. If none does, it is the rate last
    /// known.
    fn mean_rate(self, counter: &Counter) -> Option<Number> {
        let ended: Vec<&Interval> = counter.with_rate().filter(|interval| self.has(interval.to)).collect();
        if ended.is_empty() {
            return counter.rate_at(self.to - 1);
        }
        let seconds = seconds(ended.iter().map(|interval| interval.length_ms()).sum());
        let increases: Vec<f64> = ended.iter().map(|interval| interval.increase).collect();
        let size = size(&increases);
        Some(Number { slack: 1e-14 * size / seconds, has_overflow: !size.is_finite(), ..sum(&increases, seconds) })
    }
}

/// The sum of some numbers, if there are any.
fn total(numbers: Vec<Number>) -> Option<Number> {
    if numbers.is_empty() {
        return None;
    }
    let values: Vec<f64> = numbers.iter().map(|number| number.value).collect();
    let total = sum(&values, 1.0);
    let slack = total.slack + numbers.iter().map(|number| number.slack).sum::<f64>();
    let has_overflow = numbers.iter().any(|number| number.has_overflow) || !size(&values).is_finite();
    Some(Number { slack, has_overflow, ..total })
}

/// The sum of numbers without their signs.
fn size(values: &[f64]) -> f64 {
    values.iter().map(|value| value.abs()).sum()
}

/// The sum of numbers divided by another, exactly but for the last rounding, and without an overflow on the way.
fn sum(values: &[f64], by: f64) -> Number {
    if values.iter().any(|value| !value.is_finite()) {
        return sure(values.iter().sum());
    }
    // Where there are very large numbers, very small ones do not matter.
    let unit = if values.iter().any(|value| value.abs() > 1e280) { 2_f64.powi(-64) } else { 1.0 };
    // What is lost when two numbers are added is kept beside their sum (Shewchuk).
    let mut parts: Vec<f64> = Vec::new();
    for value in values {
        let mut carried = value * unit;
        let mut kept = Vec::new();
        for part in parts {
            let (large, small) = if carried.abs() < part.abs() { (part, carried) } else { (carried, part) };
            carried = large + small;
            kept.push(small - (carried - large));
        }
        kept.push(carried);
        kept.retain(|part| *part != 0.0);
        parts = kept;
    }
    let size: f64 = values.iter().map(|value| (value * unit).abs()).sum();
    Number { slack: size * 1e-28 / by / unit, ..sure(parts.iter().sum::<f64>() / by / unit) }
}

/// The largest, the smallest, or a percentile, which interpolates between the neighbours of rank `p * (n - 1)`.
fn statistic(mut numbers: Vec<Number>, method: AggregationMethod) -> Option<Number> {
    numbers.sort_by(|one, other| one.value.total_cmp(&other.value));
    let last = numbers.len().checked_sub(1)?;
    let percent = match method {
        AggregationMethod::Min => 0,
        AggregationMethod::Max => 100,
        AggregationMethod::Percentile(percent) => usize::from(percent),
        AggregationMethod::Mean | AggregationMethod::Sum | AggregationMethod::EventCount => {
            panic!("{method:?} is no order statistic")
        }
    };
    let slack = numbers.iter().map(|number| number.slack).fold(0.0, f64::max);
    let (lower, upper) = (numbers[percent * last / 100].value, numbers[(percent * last).div_ceil(100)].value);
    let weight = (percent * last % 100) as f64 / 100.0;
    let has_overflow = numbers.iter().any(|number| number.has_overflow);
    if weight == 0.0 {
        return Some(Number { value: lower, slack, has_overflow });
    }
    let value = lower * (1.0 - weight) + upper * weight;
    Some(Number { value, slack: slack + 1e-15 * lower.abs().max(upper.abs()), has_overflow })
}
