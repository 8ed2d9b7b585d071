//! Queries of series, described by an input.

use arbitrary::{Result, Unstructured};
use prometheusmirror::model::aggregation::{Aggregation, AggregationMethod};
use prometheusmirror::model::query::{NanInterpretation, Order};
use prometheusmirror::model::sample::Sample;
use prometheusmirror::model::sample_kind::SampleKind;
use prometheusmirror::model::time::{LATEST_MS, TimeRange};

use crate::written::{Choices, rarely};

/// A query, and the series that it is about.
#[derive(Debug)]
pub struct DescribedQuery {
    pub kind: SampleKind,
    /// None of a raw query.
    pub aggregation: Option<Aggregation>,
    pub range: TimeRange,
    pub limit: usize,
    pub order: Order,
    /// The samples of each series, inside the range and outside.
    pub series: Vec<Vec<Sample>>,
    /// What chooses the pieces in which they arrive.
    pub pieces: Vec<u8>,
}

/// The most samples of a series, and of one where there are very many buckets.
const MAX_SAMPLES: [usize; 2] = [48, 6];

/// The most buckets, mostly and rarely: more than those for each of which a place is kept.
const MAX_BUCKETS: [i64; 2] = [600, 66_000];

pub fn query(choices: Choices) -> Result<DescribedQuery> {
    let interval_ms = *choices.choose(&[15_000, 60_000, 1, 10, 1_000, 300_000, 3_600_000, 86_400_000])?;
    let start = match choices.int_in_range(0..=7)? {
        5 => choices.int_in_range(0..=3 * interval_ms)?,
        6 => LATEST_MS - choices.int_in_range(0..=60 * interval_ms)?,
        7 => choices.int_in_range(0..=LATEST_MS)?,
        _ => 1_700_000_000_000 + choices.int_in_range(0..=interval_ms)?,
    };
    let length = interval_ms * choices.int_in_range(0..=40)? + choices.int_in_range(0..=interval_ms)?;
    let range = TimeRange { start, end: (start + length).min(LATEST_MS) };
    let kind = kind(choices, interval_ms)?;
    let aggregation = if rarely(choices, 6)? { None } else { Some(aggregation(choices, range, interval_ms)?) };
    let limit = *choices.choose(&[1_000_000, 1_000_000, 0, 1, 2, 5, 30])?;
    let order = if rarely(choices, 3)? { Order::NewestFirst } else { Order::OldestFirst };
    let pieces = choices.arbitrary::<[u8; 4]>()?.to_vec();
    let buckets = aggregation.map_or(0, |aggregation| range.length() / aggregation.bucket_ms);
    let most_samples = MAX_SAMPLES[usize::from(buckets > MAX_BUCKETS[0])];
    let mut series = Vec::new();
    for _ in 0..choices.int_in_range(0..=4)? {
        series.push(samples(choices, range, interval_ms, most_samples)?);
    }
    Ok(DescribedQuery { kind, aggregation, range, limit, order, series, pieces })
}

fn kind(choices: Choices, interval_ms: i64) -> Result<SampleKind> {
    Ok(match choices.int_in_range(0..=9)? {
        0..5 => SampleKind::Counter(None),
        5 => SampleKind::Counter(Some(interval_ms)),
        6 => SampleKind::Counter(Some(*choices.choose(&[1, 15_000, 75_000, 75_001, 600_000, 86_400_000])?)),
        7 | 8 => SampleKind::Gauge(NanInterpretation::None),
        _ => SampleKind::Gauge(NanInterpretation::Zero),
    })
}

fn aggregation(choices: Choices, range: TimeRange, interval_ms: i64) -> Result<Aggregation> {
    let methods = [
        (AggregationMethod::Mean, false),
        (AggregationMethod::Sum, true),
        (AggregationMethod::Sum, false),
        (AggregationMethod::EventCount, true),
        (AggregationMethod::EventCount, false),
        (AggregationMethod::Max, false),
        (AggregationMethod::Min, false),
        (AggregationMethod::Percentile(25), false),
        (AggregationMethod::Percentile(50), false),
        (AggregationMethod::Percentile(99), false),
    ];
    let (method, zero_fill) = *choices.choose(&methods)?;
    let length = range.length();
    let bucket_ms = match choices.int_in_range(0..=7)? {
        0 | 1 => interval_ms,
        2 => 4 * interval_ms,
        3 => interval_ms / 4,
        4 => length,
        5 => 1,
        6 => choices.int_in_range(1..=length + 1)?,
        _ => choices.int_in_range(1..=LATEST_MS)?,
    };
    let most = MAX_BUCKETS[usize::from(rarely(choices, 32)?)];
    Ok(Aggregation { method, zero_fill, bucket_ms: bucket_ms.max(length / most).max(1) })
}

/// Samples around a range.
fn samples(choices: Choices, range: TimeRange, interval_ms: i64, most: usize) -> Result<Vec<Sample>> {
    let before = *choices.choose(&[0, interval_ms, 5 * interval_ms, 20 * interval_ms, 7_200_000, 900_000_000])?;
    let mut at = (range.start - choices.int_in_range(0..=before)?).max(0);
    let mut value = f64::from(choices.arbitrary::<u8>()?);
    let mut samples = Vec::new();
    // As long as there is something left to choose by, and seldom anything behind the range.
    while samples.len() < most && !choices.is_empty() && at <= range.end + interval_ms && !rarely(choices, 32)? {
        let shown = next_value(choices, value)?;
        samples.push(Sample { at, value: shown });
        if shown.is_finite() {
            value = shown;
        }
        at += match choices.int_in_range(0..=31)? {
            31 => *choices.choose(&[300_000, 300_001, 899_999, 3_600_000, 3_600_001, 3_000_000_000])?,
            30 => 1,
            28 | 29 => interval_ms * choices.int_in_range(2..=6)?,
            25..=27 => choices.int_in_range(1..=interval_ms)?,
            20..=24 => interval_ms + choices.int_in_range(0..=interval_ms / 8)?,
            _ => interval_ms,
        };
    }
    Ok(samples)
}

/// What a counter shows next, or now and then a gauge, or anything.
fn next_value(choices: &mut Unstructured, value: f64) -> Result<f64> {
    let odd = [0.0, -0.0, 0.1, 1e20, 9_007_199_254_740_992.0, 1e150, 1e300, -1e300, f64::MAX, 1e-300, 5e-324];
    Ok(match choices.int_in_range(0..=31)? {
        0..14 => value + f64::from(choices.int_in_range(0..=9_u8)?),
        14..18 => value,
        18..22 => value + f64::from(choices.arbitrary::<u32>()?) / 1_000.0,
        22..25 => f64::from(choices.int_in_range(0..=9_u8)?),
        25 => -value,
        26 => f64::NAN,
        27 => *choices.choose(&[f64::INFINITY, f64::NEG_INFINITY])?,
        28 | 29 => *choices.choose(&odd)?,
        30 => f64::from(choices.arbitrary::<i16>()?) / 16.0,
        _ => f64::from_bits(choices.arbitrary()?),
    })
}
