//! The oracle: computes the right response from the samples by the rules of docs/numbers.md. It is slow and obvious, and shares no
//! code with the mirror. `numbers::by_hand` checks it against values worked out on paper.
//!
//! Points are as in a response: `[value, time]` of a raw query, `[value, bucket start, bucket end]` of an aggregated one.

use super::samples::{HOUR, MINUTE, Sample, Series};

/// What a NaN of a gauge becomes: `nan_interpretation` of the Connection Details.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Nan {
    /// No sample.
    None,
    /// The number zero.
    Zero,
}

/// The source that a query names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `__gauge__`
    Gauge,
    /// `__counter__`
    Counter,
}

/// What determines a response, besides the samples and the query.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The source.
    pub kind: Kind,
    /// `nan_interpretation`.
    pub nan: Nan,
    /// `scrapeInterval` in milliseconds, if the Connection Details have it.
    pub scrape_interval: Option<i64>,
    /// How long before the start of the range the samples of counters are read, in milliseconds. `None`: as long as the mirror
    /// does.
    pub look_back: Option<i64>,
}

/// A gauge without its NaNs.
pub const GAUGE: Rules = Rules { kind: Kind::Gauge, nan: Nan::None, scrape_interval: None, look_back: None };

/// A counter.
pub const COUNTER: Rules = Rules { kind: Kind::Counter, ..GAUGE };

/// A counter as the rules read it.
struct Counter {
    /// The samples that count, oldest first.
    samples: Vec<Sample>,
    /// The intervals between them, however long.
    intervals: Vec<Interval>,
}

/// The time between two neighbouring samples of a counter.
#[derive(Clone, Copy)]
struct Interval {
    from: i64,
    to: i64,
    increase: f64,
    /// Whether it is short enough for a rate.
    has_rate: bool,
}

impl Rules {
    /// The points of a raw query, both ends of the range included.
    pub fn raw(self, series: &Series, start: i64, end: i64) -> Vec<Vec<f64>> {
        let points: Vec<(i64, f64)> = match self.kind {
            Kind::Gauge => self.counting(series).iter().map(|sample| (sample.time, sample.value)).collect(),
            Kind::Counter => {
                let counters = self.read(&[series], start, end);
                let intervals = counters[0].intervals.iter().filter(|interval| interval.has_rate);
                intervals.map(|interval| (interval.to, interval.rate())).collect()
            }
        };
        let inside = points.into_iter().filter(|(time, _)| start <= *time && *time <= end);
        inside.map(|(time, value)| vec![value, time as f64]).collect()
    }

    /// The points of an aggregated query: one for each whole bucket `[s, s + bucket)` of the range that has a value.
    pub fn buckets(self, series: &[&Series], method: &str, range: (i64, i64), bucket: i64) -> Vec<Vec<f64>> {
        let (start, end) = range;
        let gauges: Vec<Vec<Sample>> = series.iter().map(|series| self.counting(series)).collect();
        let counters = self.read(series, start, end);
        let mut points = Vec::new();
        let mut from = start;
        while from + bucket <= end {
            let value = match self.kind {
                Kind::Gauge => of_gauges(&gauges, method, from, from + bucket),
                Kind::Counter => of_counters(&counters, method, from, from + bucket),
            };
            // A value that is not finite makes no point, because JSON has no such number.
            let value = value.filter(|value| value.is_finite());
            points.extend(value.map(|value| vec![value, from as f64, (from + bucket) as f64]));
            from += bucket;
        }
        points
    }

    /// The samples that count: of a counter the finite ones, of a gauge also NaN as zero, if so configured.
    fn counting(self, series: &Series) -> Vec<Sample> {
        let zero = self.kind == Kind::Gauge && self.nan == Nan::Zero;
        let mut counting = Vec::new();
        for sample in series.samples.iter().filter(|sample| !sample.is_stale()) {
            if sample.value.is_finite() {
                counting.push(*sample);
            } else if sample.value.is_nan() && zero {
                counting.push(Sample { value: 0.0, ..*sample });
            }
        }
        counting
    }

    /// The counters from a week before `start` until `end`. The mirror reads less if that makes no difference.
    fn read(self, series: &[&Series], start: i64, end: i64) -> Vec<Counter> {
        let look_back = self.look_back.unwrap_or(7 * 24 * HOUR);
        let read = |series: &&Series| {
            let mut samples = self.counting(series);
            samples.retain(|sample| start - look_back <= sample.time && sample.time <= end);
            let intervals = self.intervals(&samples);
            Counter { samples, intervals }
        };
        series.iter().map(read).collect()
    }

    /// The intervals between neighbouring samples of a counter.
    fn intervals(self, samples: &[Sample]) -> Vec<Interval> {
        let lengths: Vec<i64> = samples.windows(2).map(|pair| pair[1].time - pair[0].time).collect();
        let interval = |(index, pair): (usize, &[Sample])| {
            let grown = pair[1].value - pair[0].value;
            // After a drop it counts from zero.
            let increase = if pair[1].value < pair[0].value { pair[1].value } else { grown };
            // The five intervals before it determine which length is too long. The first has none before it.
            let usual = median(&lengths[index.saturating_sub(5)..index]);
            let longest_usual = usual.map_or(HOUR, |usual| 4 * usual);
            let bounds = [5 * MINUTE, longest_usual, 4 * self.scrape_interval.unwrap_or(0)];
            let has_rate = bounds.iter().any(|bound| lengths[index] <= *bound);
            Interval { from: pair[0].time, to: pair[1].time, increase, has_rate }
        };
        samples.windows(2).enumerate().map(interval).collect()
    }
}

impl Counter {
    /// The rate last known at a time.
    fn rate_at(&self, time: i64) -> Option<f64> {
        let ended = self.intervals.partition_point(|interval| interval.to <= time);
        let newest = self.intervals[..ended].last()?;
        let is_known = newest.has_rate && time - newest.to <= 2 * (newest.to - newest.from);
        is_known.then(|| newest.rate())
    }
}

impl Interval {
    fn seconds(&self) -> f64 {
        (self.to - self.from) as f64 / 1000.0
    }

    fn rate(&self) -> f64 {
        self.increase / self.seconds()
    }
}

/// The median; of an even number, the smaller of the two in the middle.
fn median(lengths: &[i64]) -> Option<i64> {
    let mut lengths = lengths.to_vec();
    lengths.sort_unstable();
    lengths.get(lengths.len().checked_sub(1)? / 2).copied()
}

/// The value of the bucket `[from, to)` of gauges, if it has one.
fn of_gauges(gauges: &[Vec<Sample>], method: &str, from: i64, to: i64) -> Option<f64> {
    let inside = |sample: &&Sample| from <= sample.time && sample.time < to;
    let values: Vec<f64> = gauges.iter().flatten().filter(inside).map(|sample| sample.value).collect();
    let count = values.len() as f64;
    let sum = values.iter().sum::<f64>();
    match method {
        "SUM" => Some(sum),
        "EVENT_COUNT" => Some(count),
        _ if values.is_empty() => None,
        "SUM_NO_ZEROS" => Some(sum),
        "EVENT_COUNT_NO_ZEROS" => Some(count),
        // Divided first, so that the sum cannot overflow.
        "MEAN" => Some(values.iter().map(|value| value / count).sum()),
        _ => order_statistic(method, values),
    }
}

/// The value of the bucket `[from, to)` of counters, if it has one.
fn of_counters(counters: &[Counter], method: &str, from: i64, to: i64) -> Option<f64> {
    let inside = |time: i64| from <= time && time < to;
    let mut times: Vec<i64> = counters.iter().flat_map(|counter| &counter.samples).map(|sample| sample.time).collect();
    times.retain(|time| inside(*time));
    match method {
        "SUM_NO_ZEROS" | "EVENT_COUNT_NO_ZEROS" if times.is_empty() => None,
        "EVENT_COUNT" | "EVENT_COUNT_NO_ZEROS" => Some(times.len() as f64),
        "SUM" | "SUM_NO_ZEROS" => {
            let all = counters.iter().flat_map(|counter| &counter.intervals);
            Some(all.filter(|interval| inside(interval.to)).map(|interval| interval.increase).sum())
        }
        "MEAN" => {
            let means = counters.iter().filter_map(|counter| {
                let intervals = counter.intervals.iter().filter(|interval| interval.has_rate);
                let ended: Vec<_> = intervals.filter(|interval| inside(interval.to)).collect();
                if ended.is_empty() {
                    return counter.rate_at(to - 1);
                }
                let increase: f64 = ended.iter().map(|interval| interval.increase).sum();
                let seconds: f64 = ended.iter().map(|interval| interval.seconds()).sum();
                Some(increase / seconds)
            });
            total(means)
        }
        _ => {
            times.sort_unstable();
            times.dedup();
            if times.is_empty() {
                times.push(to - 1);
            }
            let at = |time: i64| total(counters.iter().filter_map(|counter| counter.rate_at(time)));
            order_statistic(method, times.into_iter().filter_map(at).collect())
        }
    }
}

/// The sum of some numbers, if there are any. What each addition rounds off is added at the end (Neumaier), because a difference of
/// two sums magnifies it.
fn total(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut rounded_off) = (None, 0.0);
    for value in values {
        let before: f64 = sum.unwrap_or_default();
        let after = before + value;
        rounded_off += if before.abs() >= value.abs() { (before - after) + value } else { (value - after) + before };
        sum = Some(after);
    }
    sum.map(|sum| if sum.is_finite() { sum + rounded_off } else { sum })
}

/// `MAX`, `MIN`, or `PERCENTILE_p`, which interpolates between the neighbours of rank `p * (n - 1)`.
pub fn order_statistic(method: &str, mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let percent = match method {
        "MIN" => 0.0,
        "MAX" => 100.0,
        _ => {
            let percent = method.strip_prefix("PERCENTILE_").unwrap_or_else(|| panic!("no method {method}"));
            percent.parse::<f64>().unwrap()
        }
    };
    let rank = percent / 100.0 * last as f64;
    let (lower, upper) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
    let weight = rank - rank.floor();
    Some(lower * (1.0 - weight) + upper * weight)
}

/// The samples of a gauge, both ends of the range included.
pub fn raw(series: &Series, start: i64, end: i64, nan: Nan) -> Vec<Vec<f64>> {
    Rules { nan, ..GAUGE }.raw(series, start, end)
}

/// The rates of a counter per second, both ends of the range included.
pub fn rates(series: &Series, start: i64, end: i64, nan: Nan) -> Vec<Vec<f64>> {
    Rules { nan, ..COUNTER }.raw(series, start, end)
}

/// One value for each whole bucket of the range, from all samples of some gauges together.
pub fn buckets(gauges: &[&Series], method: &str, range: (i64, i64), bucket: i64, nan: Nan) -> Vec<Vec<f64>> {
    Rules { nan, ..GAUGE }.buckets(gauges, method, range, bucket)
}

/// The points in the requested order, at most `limit` of them, and whether any were left out.
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
    let mut total = 0.0;
    for counter in counters {
        for interval in COUNTER.intervals(&COUNTER.counting(counter)) {
            let inside = interval.to.min(end) - interval.from.max(start);
            total += interval.increase * inside.max(0) as f64 / (interval.to - interval.from) as f64;
        }
    }
    total
}

/// Whether two numbers are the same up to a relative error.
pub fn close(a: f64, b: f64, tolerance: f64) -> bool {
    a == b || (a - b).abs() <= tolerance * a.abs().max(b.abs())
}
