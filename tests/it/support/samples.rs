//! The samples in every upstream of the tests: the same in every run, by fixed arithmetic, except those in `random`.
//!
//! Time starts at [`T0`], a midnight. Most series last for three hours; a few are longer or far away. The purpose of each metric is
//! beside it.

mod numbers;
pub mod random;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::OnceLock;

use numbers::{numbers, stale};

/// Milliseconds.
pub const SECOND: i64 = 1_000;
/// Milliseconds of a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Milliseconds of an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Milliseconds of a day.
pub const DAY: i64 = 24 * HOUR;

/// The time of the first samples: 2020-09-14 00:00:00 UTC, in milliseconds.
pub const T0: i64 = 1_600_041_600_000;

/// Label values that are easily escaped wrongly. Most have a decoy beside them that a careless regular expression matches.
pub const AWKWARD: &[&str] = &[
    "say \"hi\"", "\"", "C:\\temp\\new", "\\", "two\nlines", "two\\nlines", "a.b|c", "axb|c", "axb", "c", ".*", ".+",
    "^(x)+[y]{2}?$", "xy", "café", "cafe\u{301}", "🦀 żółć 漢字", " ", " padded ", "padded", "tab\there",
    "carriage\rreturn", "'single' `tick`", "{job=\"x\"}", "# comment", "100% $1 %s {{.}}", "a,b", "+Inf",
];

/// Numbers as exporters write them, and texts that look like one.
pub const SPELLINGS: &[&str] = &[
    "1e-05", "0.00001", "1E-5", "1e-5", "1.0E-5", "1e+06", "1000000", "1e6", "1.0e6", "1E6", "1000000.0", "2", "2.0",
    "2.00", "0.5", "0.50", "5.0e-01", "0.05", "0.50x", "5", "1e-6", "1e+07", "10000000", "100000", "1e+60", "1e60",
    "02", "2e0x", "1000000x", "0.000010x", "1,000,000", "12",
];

/// Label values in random order.
pub const DRAWERS: &[&str] = &["m", "c", "z", "a", "k", "t", "b", "x", "d", "q"];

/// A label that begins like the escaped names of Prometheus 3.
pub const ESCAPED_LABEL: &str = "U__x";

/// The staleness marker: one of many NaNs, known by its bits.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// One scraped value.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub time: i64,
    /// The value, possibly NaN or infinite.
    pub value: f64,
}

impl Sample {
    /// Whether it is a staleness marker, which is not a sample.
    pub fn is_stale(&self) -> bool {
        self.value.to_bits() == STALE.to_bits()
    }
}

/// One time series.
#[derive(Debug, Clone)]
pub struct Series {
    /// The metric's name.
    pub name: &'static str,
    /// The labels, without the name.
    pub labels: BTreeMap<&'static str, String>,
    /// The samples, oldest first.
    pub samples: Vec<Sample>,
}

/// All series.
pub fn all() -> &'static [Series] {
    static ALL: OnceLock<Vec<Series>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut random = Random(42);
        [
            gauges(&mut random),
            counters(&mut random),
            labelled(),
            composed(&mut random),
            numbers(),
            stale(),
            random::random(random::seed()),
        ]
        .concat()
    })
}

/// The series of a metric that have all these labels.
pub fn select(name: &str, labels: &[(&str, &str)]) -> Vec<&'static Series> {
    let carries =
        |series: &&Series| labels.iter().all(|(key, value)| series.labels.get(key).is_some_and(|v| v == value));
    let found: Vec<_> = all().iter().filter(|series| series.name == name).filter(carries).collect();
    assert!(!found.is_empty(), "the samples have no {name} {labels:?}");
    found
}

/// The only series of a metric that has all these labels.
pub fn one(name: &str, labels: &[(&str, &str)]) -> &'static Series {
    let found = select(name, labels);
    assert_eq!(found.len(), 1, "series of {name} {labels:?}");
    found[0]
}

/// All samples of unmarked series in the OpenMetrics format, whose timestamps are seconds.
pub fn openmetrics() -> String {
    // Prometheus reads a float and truncates it to milliseconds: half a millisecond more gives the right one.
    lines(|time| format!("{}.{:03}5", time / 1000, time % 1000)) + "# EOF\n"
}

/// All samples of unmarked series in the text format of Prometheus, whose timestamps are milliseconds.
pub fn exposition() -> String {
    lines(|time| time.to_string())
}

/// The series with staleness markers. No text format supports them, so they are written by remote write.
pub fn marked() -> impl Iterator<Item = &'static Series> {
    all().iter().filter(|series| series.samples.iter().any(Sample::is_stale))
}

fn lines(timestamp: impl Fn(i64) -> String) -> String {
    let mut text = String::new();
    for series in all().iter().filter(|series| !series.samples.iter().any(Sample::is_stale)) {
        let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<_> = series.labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect();
        let selector = format!("{}{{{}}}", series.name, labels.join(","));
        for Sample { time, value } in &series.samples {
            let value =
                if value.is_infinite() { format!("{value:+}").replace("inf", "Inf") } else { value.to_string() };
            writeln!(text, "{selector} {value} {}", timestamp(*time)).unwrap();
        }
    }
    text
}

fn gauges(random: &mut Random) -> Vec<Series> {
    let mut steady = |name, labels, start, end, interval, jitter| {
        let times = scrapes(random, start, end, interval, jitter);
        let samples = times.into_iter().map(|time| Sample { time, value: random.between(20.0, 30.0) }).collect();
        series(name, labels, samples)
    };
    let mut gauges = vec![
        // Scraped exactly on the boundaries of every bucket that starts at T0.
        steady("room_celsius", &[("room", "attic"), ("floor", "3")], T0, T0 + 3 * HOUR, 15 * SECOND, 0),
        // Several series: one with another interval, one that exists for a while only.
        steady("queue_depth", &[("pod", "a"), ("namespace", "shop")], T0, T0 + 3 * HOUR, 15 * SECOND, 300),
        steady("queue_depth", &[("pod", "b"), ("namespace", "shop")], T0, T0 + 3 * HOUR, 30 * SECOND, 300),
        steady("queue_depth", &[("pod", "c"), ("namespace", "shop")], T0 + HOUR, T0 + 2 * HOUR, 15 * SECOND, 300),
        // Buckets of a second need more than 11,000 steps here.
        steady("sparse_level", &[("rack", "r1")], T0, T0 + 12 * HOUR, 97 * SECOND, 9 * SECOND),
        // Longer than any window into which the mirror splits a long range.
        steady("ten_days_level", &[("rack", "r1")], T0, T0 + 10 * DAY, MINUTE, 0),
        // Two series so many days apart that no window of a long range contains both.
        steady("turns_level", &[("pod", "early"), ("shelf", "s1")], T0, T0 + 2 * DAY, 10 * MINUTE, 300),
        steady("turns_level", &[("pod", "late"), ("shelf", "s1")], T0 + 8 * DAY, T0 + 10 * DAY, 10 * MINUTE, 300),
        // A label that exists on the ninth day only.
        steady("late_level", &[("cabinet", "k9")], T0 + 9 * DAY, T0 + 9 * DAY + HOUR, MINUTE, 0),
        // A name with colons that does not end like a counter's.
        steady("shop:queue_depth:mean5m", &[], T0, T0 + HOUR, MINUTE, 0),
        // The only one of its metric that is not odd.
        steady("half_odd_levels", &[("rack", "even")], T0, T0 + HOUR, 15 * SECOND, 0),
    ];
    // No samples for 12 minutes of every half hour.
    let mut gappy = steady("gappy_level", &[("rack", "r2")], T0, T0 + 3 * HOUR, 30 * SECOND, 300);
    gappy.samples.retain(|sample| (sample.time - T0) % (30 * MINUTE) < 18 * MINUTE);
    gauges.push(gappy);
    // One sample exactly on each minute, one 1 ms before it, one in the middle.
    let minutes = (1..120).map(|minute| T0 + minute * MINUTE);
    let times = minutes.flat_map(|minute| [minute - 1, minute, minute + 30 * SECOND]);
    let edges = times.map(|time| Sample { time, value: random.between(1.0, 1000.0) }).collect();
    gauges.push(series("edge_level", &[("rack", "r1")], edges));
    gauges.push(series("odd_level", &[("rack", "r1")], odd(random, 0)));
    // Two that are odd at different times.
    gauges.push(series("odd_levels", &[("rack", "r1")], odd(random, 0)));
    gauges.push(series("odd_levels", &[("rack", "r2")], odd(random, 1)));
    // Numbers that change if they are written with fewer digits than they need.
    let digits = [
        0.1 + 0.2,
        1.0 / 3.0,
        1e300,
        5e-324,
        -1.5e-7,
        9_007_199_254_740_993.0,
        1e21,
        f64::MAX,
        0.0,
        123_456.789_012_345_6,
    ];
    let exact = (0..).zip(digits).map(|(minute, value)| Sample { time: T0 + minute * MINUTE, value }).collect();
    gauges.push(series("exact_level", &[("rack", "r1")], exact));
    gauges.push(series("half_odd_levels", &[("rack", "odd")], odd(random, 0)));
    gauges
}

/// An hour of samples every 15 s. Each minute has another oddity, the first of them in minute `-shift`.
fn odd(random: &mut Random, shift: i64) -> Vec<Sample> {
    let value = |index: i64, plain: f64| match ((index / 4 + shift) % 6, index % 4) {
        (1, 2) | (2, _) => Some(f64::NAN),
        (3, 1) | (4, 0) => Some(f64::INFINITY),
        (4, 2) => Some(f64::NEG_INFINITY),
        (5, _) => None,
        _ => Some(plain),
    };
    let sample = |index| {
        let value = value(index, random.between(50.0, 51.0))?;
        Some(Sample { time: T0 + 5 * SECOND + index * 15 * SECOND, value })
    };
    (0..240).filter_map(sample).collect()
}

fn counters(random: &mut Random) -> Vec<Series> {
    let mut counters = Vec::new();
    for (pod, resets) in [("a", &[101, 102, 555][..]), ("b", &[300][..]), ("c", &[][..])] {
        for (code, rate) in [("200", 40.0), ("500", 0.7)] {
            let times = scrapes(random, T0, T0 + 3 * HOUR, 15 * SECOND, 300);
            let labels = [("pod", pod), ("code", code), ("namespace", "shop")];
            counters.push(series("http_requests_total", &labels, counted(random, &times, rate, resets)));
        }
    }
    // Without jitter, so that all programs measure the same interval; 3.217 s after the minute.
    for (name, interval) in [("jobs_15s_total", 15), ("jobs_30s_total", 30), ("jobs_60s_total", 60)] {
        let times = scrapes(random, T0 + 3217, T0 + 3 * HOUR, interval * SECOND, 0);
        counters.push(series(name, &[("worker", "w1")], counted(random, &times, 3.0, &[77])));
    }
    // The same at two intervals within one metric.
    for (worker, interval) in [("fast", 15), ("slow", 60)] {
        let times = scrapes(random, T0 + 3217, T0 + 3 * HOUR, interval * SECOND, 0);
        counters.push(series("uneven_total", &[("worker", worker)], counted(random, &times, 3.0, &[])));
    }
    // Gaps of about five minutes, which end a rate, and resets right after a gap.
    let silences =
        [15_000, 300_000, 15_000, 300_001, 15_000, 299_999, 15_000, 1_200_000, 15_000, 15_000, 301_000, 15_000];
    let mut times = vec![T0 + 41];
    times.extend(silences.iter().cycle().take(48).scan(T0 + 41, |time, silence| {
        *time += silence;
        Some(*time)
    }));
    counters.push(series("gappy_total", &[("worker", "w1")], counted(random, &times, 2.0, &[4, 20, 33])));
    // Values that a counter should not have.
    let values = [1.0, 5.0, f64::NAN, 9.0, 12.0, f64::NAN, f64::NAN, 2.0, 4.0, f64::INFINITY, 6.0, 8.0, 8.0, 0.0, 3.0];
    let odd = (0..).zip(values).map(|(index, value)| Sample { time: T0 + index * 15 * SECOND, value }).collect();
    counters.push(series("odd_total", &[("worker", "w1")], odd));
    // Perfectly steady over many days: its rate is one half everywhere.
    let times = scrapes(random, T0, T0 + 10 * DAY, MINUTE, 0);
    let samples = (1..).zip(times).map(|(count, time)| Sample { time, value: 30.0 * f64::from(count) }).collect();
    counters.push(series("ten_days_total", &[("worker", "w1")], samples));
    // One host takes over from another within less than five minutes.
    for (host, start, end) in [("old", T0, T0 + HOUR + 1), ("new", T0 + HOUR + 30 * SECOND, T0 + 2 * HOUR)] {
        let times = scrapes(random, start, end, 15 * SECOND, 0);
        counters.push(series("handover_total", &[("host", host)], counted(random, &times, 3.0, &[])));
    }
    // The second series begins one scrape after the end of the first. Its label is added to the first one by remote read, if it is
    // an external label of Prometheus.
    for (labels, start, first) in [(&[][..], T0, 0.0), (&[("region", "eu")][..], T0 + 5 * MINUTE, 500.0)] {
        let sample =
            |nth: i32| Sample { time: start + i64::from(nth) * 15 * SECOND, value: first + 10.0 * f64::from(nth) };
        counters.push(series("relabelled_total", labels, (0..20).map(sample).collect()));
    }
    counters
}

/// Series that differ in their labels. The value of each is a power of two, so that a sum shows which series are in it.
fn labelled() -> Vec<Series> {
    let sizes = ["2", "2.0", "2x0", "20", "2.00", "0.5", "0x5", "-3", "-3.0", "true", "false", "True"];
    let info = |name, key, value: &str, number: i32| {
        let samples = (0..4).map(|index| Sample { time: T0 + index * MINUTE, value: f64::powi(2.0, number) }).collect();
        series(name, &[(key, value)], samples)
    };
    let awkward = AWKWARD.iter().zip(0..).map(|(text, number)| info("awkward_info", "text", text, number));
    let sized = sizes.iter().zip(0..).map(|(size, number)| info("sized_info", "size", size, number));
    let spelt = SPELLINGS.iter().zip(0..).map(|(size, number)| info("spelt_info", "size", size, number));
    let drawers = DRAWERS.iter().zip(0..).map(|(drawer, number)| info("drawer_level", "drawer", drawer, number));
    let escaped = info("escaped_level", ESCAPED_LABEL, "plain", 0);
    awkward.chain(sized).chain(spelt).chain(drawers).chain([escaped]).collect()
}

/// A histogram and a summary: several metrics each.
fn composed(random: &mut Random) -> Vec<Series> {
    let times = scrapes(random, T0, T0 + HOUR, 15 * SECOND, 300);
    let mut part = |name, labels: &[_], rate| series(name, labels, counted(random, &times, rate, &[]));
    let mut composed = vec![
        part("request_seconds_sum", &[("job", "shop")], 5.0),
        part("request_seconds_count", &[("job", "shop")], 10.0),
        part("rpc_seconds_sum", &[("job", "shop")], 2.0),
        part("rpc_seconds_count", &[("job", "shop")], 9.0),
    ];
    for quantile in ["0.5", "0.9"] {
        composed.push(part("rpc_seconds", &[("job", "shop"), ("quantile", quantile)], 1.0));
    }
    // Each bucket of a histogram includes the one before it.
    let mut below = vec![0.0; times.len()];
    for bound in ["0.1", "0.5", "1", "+Inf"] {
        let mut bucket = part("request_seconds_bucket", &[("job", "shop"), ("le", bound)], 3.0);
        for (sample, below) in bucket.samples.iter_mut().zip(&mut below) {
            sample.value += *below;
            *below = sample.value;
        }
        composed.push(bucket);
    }
    composed
}

/// A series.
pub fn series(name: &'static str, labels: &[(&'static str, &str)], samples: Vec<Sample>) -> Series {
    Series { name, labels: labels.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(), samples }
}

/// Scrape times: one every `interval` in `[start, end)`, each moved by up to `jitter` to either side.
fn scrapes(random: &mut Random, start: i64, end: i64, interval: i64, jitter: i64) -> Vec<i64> {
    let moved = |time| time + ((2.0 * random.next() - 1.0) * jitter as f64) as i64;
    (0..(end - start + interval - 1) / interval).map(|index| start + index * interval).map(moved).collect()
}

/// The values of a counter that grows by about `rate` per second and restarts at the given samples.
fn counted(random: &mut Random, times: &[i64], rate: f64, resets: &[usize]) -> Vec<Sample> {
    let mut value = 1000.0;
    let mut previous = times[0];
    let mut sample = |(index, time): (usize, &i64)| {
        if resets.contains(&index) {
            value = 0.0;
        }
        value += ((time - previous) as f64 / 1000.0 * rate * (0.8 + 0.4 * random.next())).round();
        previous = *time;
        Sample { time: *time, value }
    };
    times.iter().enumerate().map(&mut sample).collect()
}

/// A linear congruential generator (Knuth's constants). It is random enough for these tests.
pub struct Random(u64);

impl Random {
    /// Another sequence of numbers for each seed.
    pub fn new(seed: u64) -> Random {
        let mut random = Random(seed);
        // The first few numbers are similar for similar seeds.
        for _ in 0..10 {
            random.next();
        }
        random
    }

    /// The next number of `[0, 1)`.
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number of `[from, to)` with six decimals at most, which the JSON parser of these tests reads to the last bit.
    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        ((from + (to - from) * self.next()) * 1e6).floor() / 1e6
    }

    /// A number of `0..count`.
    pub fn below(&mut self, count: usize) -> usize {
        (self.next() * count as f64) as usize
    }

    /// One of these at random.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Whether something with this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.next() < probability
    }
}
