//! Gauges in buckets: a method computes the value of a bucket from the samples of all series in it, pooled.

use crate::compute::bucket_method::{BucketMethod, BucketValues, TooManyBuckets};
use crate::compute::buckets::{BucketMap, BucketSpec};
use crate::compute::sum::Sum;
use crate::model::aggregation::AggregationMethod;
use crate::model::sample::Sample;

/// A method for gauges; also EVENT_COUNT of counters.
pub(super) fn pooled(method: AggregationMethod, spec: BucketSpec) -> Box<dyn BucketMethod> {
    match method {
        AggregationMethod::EventCount => Pooled::boxed(spec, |Count(count)| count as f64),
        AggregationMethod::Sum => Pooled::boxed(spec, |SumAndCount { sum, .. }| sum.value()),
        AggregationMethod::Mean => Pooled::boxed(spec, |SumAndCount { sum, count }| sum.divided(count as f64)),
        AggregationMethod::Max => Pooled::boxed(spec, |Extremes { max, .. }| max),
        AggregationMethod::Min => Pooled::boxed(spec, |Extremes { min, .. }| min),
        AggregationMethod::Percentile(percent) => {
            Pooled::boxed(spec, move |AllValues(mut values)| percentile(&mut values, percent))
        }
    }
}

/// Pools the samples of all series in buckets, and keeps of each bucket what the method needs.
struct Pooled<A> {
    map: BucketMap<A>,
    /// The value of a bucket.
    value: Box<dyn Fn(A) -> f64>,
    /// How many samples were put into buckets.
    samples: usize,
}

impl<A: Accumulator> Pooled<A> {
    fn boxed(spec: BucketSpec, value: impl Fn(A) -> f64 + 'static) -> Box<dyn BucketMethod> {
        Box::new(Pooled { map: BucketMap::new(spec), value: Box::new(value), samples: 0 })
    }
}

impl<A: Accumulator> BucketMethod for Pooled<A> {
    fn take(&mut self, samples: &[Sample]) {
        for (index, inside) in self.map.grid().split(samples) {
            if let Some(entry) = index.and_then(|index| self.map.entry(index)) {
                inside.iter().for_each(|sample| entry.add(sample.value));
                self.samples += inside.len();
            }
        }
    }

    fn kept_bytes(&self) -> usize {
        self.map.kept_bytes() + self.samples * A::BYTES_A_SAMPLE
    }

    fn values(self: Box<Self>) -> Result<BucketValues, TooManyBuckets> {
        let Pooled { map, value, .. } = *self;
        Ok(Box::new(map.into_entries().map(move |(index, entry)| (index, value(entry)))))
    }
}

/// What a method keeps of the samples in one bucket.
trait Accumulator: Default + 'static {
    /// How many bytes each sample takes, besides those of the bucket.
    const BYTES_A_SAMPLE: usize = 0;

    fn add(&mut self, value: f64);
}

/// Counts the samples.
#[derive(Default)]
struct Count(u64);

impl Accumulator for Count {
    fn add(&mut self, _: f64) {
        self.0 += 1;
    }
}

/// Sums and counts the samples.
#[derive(Default)]
struct SumAndCount {
    sum: Sum,
    count: u64,
}

impl Accumulator for SumAndCount {
    fn add(&mut self, value: f64) {
        self.sum.add(value);
        self.count += 1;
    }
}

/// Keeps the largest and the smallest sample.
struct Extremes {
    max: f64,
    min: f64,
}

impl Default for Extremes {
    fn default() -> Extremes {
        Extremes { max: f64::NEG_INFINITY, min: f64::INFINITY }
    }
}

impl Accumulator for Extremes {
    fn add(&mut self, value: f64) {
        self.max = self.max.max(value);
        self.min = self.min.min(value);
    }
}

/// Keeps all samples.
#[derive(Default)]
struct AllValues(Vec<f64>);

impl Accumulator for AllValues {
    // A list that grows can have a capacity of twice its length.
    const BYTES_A_SAMPLE: usize = 2 * size_of::<f64>();

    fn add(&mut self, value: f64) {
        self.0.push(value);
    }
}

/// The percentile of values, interpolated linearly between the neighbours of rank `percent / 100 * (n - 1)`. There is at least one
/// value, and all are finite.
pub(super) fn percentile(values: &mut [f64], percent: u8) -> f64 {
    let hundredths = (values.len() - 1) * usize::from(percent);
    let (rank, weight) = (hundredths / 100, (hundredths % 100) as f64 / 100.0);
    let (_, &mut lower, above) = values.select_nth_unstable_by(rank, f64::total_cmp);
    match above.iter().copied().min_by(f64::total_cmp) {
        Some(upper) if weight > 0.0 => lower * (1.0 - weight) + upper * weight,
        _ => lower,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_lies_between_the_neighbours_of_its_rank() {
        let check = |values: &[f64], percent: u8, expected: f64| {
            assert_eq!(percentile(&mut values.to_vec(), percent), expected, "{percent} of {values:?}");
        };
        check(&[7.0], 25, 7.0);
        check(&[7.0], 99, 7.0);
        check(&[-6.0, -7.0, -8.0], 50, -7.0);
        check(&[4.0, 1.0, 3.0, 2.0], 50, 2.5);
        check(&[4.0, 1.0, 3.0, 2.0], 25, 1.75);
        check(&[4.0, 1.0, 5.0, 3.0, 2.0], 75, 4.0);
        check(&[0.0, 100.0], 98, 98.0);
        check(&[f64::MAX, -f64::MAX], 50, 0.0);
    }
}
