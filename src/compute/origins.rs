//! The samples and increments that each of the first points is made of, for the explanation of a response.
//!
//! `compute/origin_recorder.rs` records them while they are read, by the same [`Screen`](crate::compute::screen::Screen) and
//! [`CounterReader`](crate::compute::rate::CounterReader) as the points.

use std::collections::VecDeque;

use crate::compute::rate::Interval;
use crate::model::aggregation::{Aggregation, AggregationMethod};
use crate::model::sample::{Labels, Sample};
use crate::model::sample_kind::SampleKind;
use crate::model::time::TimeRange;

/// All instants.
const ALWAYS: TimeRange = TimeRange { start: i64::MIN, end: i64::MAX };

/// The samples that one read returned.
#[derive(Debug)]
pub struct Origins {
    /// What the samples are.
    pub kind: SampleKind,
    /// The first series.
    pub series: Vec<OriginSeries>,
    /// How many series there are in all.
    pub series_total: u64,
    /// How many samples there are in all.
    pub samples_total: u64,
    /// The longest median spacing of the samples of any series in milliseconds, if one has two samples.
    pub longest_spacing_ms: Option<i64>,
}

/// A series that was read, from which [`OriginSeries::of_point`] finds what a point is made of.
#[derive(Debug, Default)]
pub struct OriginSeries {
    /// Its labels.
    pub labels: Labels,
    /// How many samples of it were read.
    pub total: u64,
    /// The time of its first sample, in milliseconds since 1970.
    pub first_ms: i64,
    /// The time of its last sample, in milliseconds since 1970.
    pub last_ms: i64,
    /// The median spacing of its samples in milliseconds, if there are two: of the first or last 4,000 in the range of the query, and of
    /// the last few before it.
    pub median_spacing_ms: Option<i64>,
    /// How often its value dropped in the range of the query, as a counter's does when it restarts; the drop since the sample before
    /// the range counts if that sample was read.
    pub resets: u64,
    /// How many of its intervals that were read and end in the range of the query are too long for a rate.
    pub gaps: u64,
    /// The samples that count and are kept, oldest first; the first may be before the range of the query.
    pub(super) samples: VecDeque<OriginSample>,
    /// The sample before those that are kept, if there is one.
    pub(super) before: Option<Sample>,
    /// The range in which all samples that count are kept.
    pub(super) complete: TimeRange,
}

/// A sample that is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct OriginSample {
    pub(super) sample: Sample,
    /// Whether the interval since the sample before it has a rate; `None` if there is no interval.
    pub(super) has_rate: Option<bool>,
}

/// The increase of a counter between two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Increment {
    /// The earlier sample.
    pub from: Sample,
    /// The later sample.
    pub to: Sample,
    /// The interval between them.
    pub interval: Interval,
}

/// What a point takes from a series.
#[derive(Debug, Default, PartialEq)]
pub struct PointOrigin {
    /// The samples in the bucket, or at the instant of a raw point, that are not the later sample of an increment in `increments`.
    pub samples: Vec<Sample>,
    /// The increments that count in the point; for counters only.
    pub increments: Vec<Increment>,
    /// The newest increment before the bucket, if its rate still counts in the bucket; for counters only.
    pub last_known: Option<Increment>,
}

impl Origins {
    /// The range in which all samples that count are kept.
    pub fn complete(&self) -> TimeRange {
        self.series.iter().fold(ALWAYS, |complete, one| TimeRange {
            start: complete.start.max(one.complete.start),
            end: complete.end.min(one.complete.end),
        })
    }

    /// Whether all samples that count are kept, of those series that are described.
    pub fn is_complete(&self) -> bool {
        self.complete() == ALWAYS
    }
}

impl OriginSeries {
    /// A series without samples.
    pub(super) fn new(labels: Labels) -> OriginSeries {
        OriginSeries { labels, complete: ALWAYS, ..OriginSeries::default() }
    }

    /// The increment that ends with a sample, if there is one.
    fn increment(&self, nth: usize) -> Option<Increment> {
        let OriginSample { sample: to, has_rate } = self.samples[nth];
        let from = match nth.checked_sub(1) {
            Some(before) => self.samples[before].sample,
            None => self.before?,
        };
        Some(Increment { from, to, interval: Interval::between(from, to, has_rate?) })
    }

    /// What a point takes from the series. `first` and `last` are the first and the last instant of its bucket, or both the instant
    /// of a raw point.
    pub fn of_point(&self, kind: SampleKind, aggregation: Option<Aggregation>, first: i64, last: i64) -> PointOrigin {
        let begin = self.samples.partition_point(|one| one.sample.at < first);
        let end = self.samples.partition_point(|one| one.sample.at <= last);
        let method = aggregation.map(|aggregation| aggregation.method);
        let counts = |one: &Increment| match (kind, method) {
            (SampleKind::Gauge(_), _) | (SampleKind::Counter(_), Some(AggregationMethod::EventCount)) => false,
            (SampleKind::Counter(_), Some(AggregationMethod::Sum)) => true,
            (
                SampleKind::Counter(_),
                None
                | Some(
                    AggregationMethod::Mean
                    | AggregationMethod::Max
                    | AggregationMethod::Min
                    | AggregationMethod::Percentile(_),
                ),
            ) => one.interval.has_rate,
        };
        let mut origin = PointOrigin::default();
        for nth in begin..end {
            match self.increment(nth).filter(counts) {
                Some(increment) => origin.increments.push(increment),
                None => origin.samples.push(self.samples[nth].sample),
            }
        }
        if let SampleKind::Counter(_) = kind {
            origin.last_known = self.last_known(method, begin, &origin.increments, first, last);
        }
        origin
    }

    /// The increment whose rate is last known before a bucket, if this rate counts in the bucket.
    fn last_known(
        &self,
        method: Option<AggregationMethod>,
        begin: usize,
        increments: &[Increment],
        first: i64,
        last: i64,
    ) -> Option<Increment> {
        let needed_at = match method? {
            // MEAN uses it if it is known until the end of the bucket and no interval ends in the bucket.
            AggregationMethod::Mean if increments.is_empty() => last,
            // The rate counts until the next interval ends.
            AggregationMethod::Max | AggregationMethod::Min | AggregationMethod::Percentile(_) => first,
            AggregationMethod::Mean | AggregationMethod::Sum | AggregationMethod::EventCount => return None,
        };
        let newest = self.increment(begin.checked_sub(1)?)?;
        (newest.interval.has_rate && newest.interval.known_until() >= needed_at).then_some(newest)
    }
}

impl PointOrigin {
    /// Whether the point takes nothing from the series.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.increments.is_empty() && self.last_known.is_none()
    }

    /// Keeps at most `most` samples and increments, the first ones. Returns the number of those that it removes.
    pub fn shorten(&mut self, most: usize) -> usize {
        let all = self.samples.len() + self.increments.len();
        self.samples.truncate(most);
        self.increments.truncate(most - self.samples.len());
        all - self.samples.len() - self.increments.len()
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::compute::origin_recorder::{OriginRecorder, Recorded};
    use crate::model::query::{NanInterpretation, Order};
    use crate::model::sample::SampleSink;

    const COUNTER: SampleKind = SampleKind::Counter(None);

    fn samples(list: &[(i64, f64)]) -> Vec<Sample> {
        list.iter().map(|&(at, value)| Sample { at, value }).collect()
    }

    struct Nowhere;

    impl SampleSink for Nowhere {
        fn begin(&mut self, _: impl FnOnce() -> Labels) {}

        fn take(&mut self, _: &[Sample]) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
    }

    fn series(kind: SampleKind, range: TimeRange, samples: &[Sample]) -> OriginSeries {
        let recorder = OriginRecorder::new(kind, range, Order::OldestFirst);
        let mut recorded = Recorded { sink: Nowhere, recorder: Some(recorder) };
        recorded.begin(Labels::new);
        assert!(recorded.take(samples).is_continue());
        recorded.recorder.unwrap().into_origins().series.remove(0)
    }

    fn range() -> TimeRange {
        TimeRange::new(60_000, 600_000).unwrap()
    }

    fn aggregation(method: &str) -> Option<Aggregation> {
        Some(Aggregation::new(method, 60_000).unwrap())
    }

    #[test]
    fn a_gauges_point_is_made_of_the_samples_that_count_in_its_bucket() {
        let kind = SampleKind::Gauge(NanInterpretation::None);
        let given = samples(&[(59_999, 1.0), (60_000, 2.0), (90_000, f64::NAN), (119_999, 3.0), (120_000, 4.0)]);
        let series = series(kind, range(), &given);
        let origin = series.of_point(kind, aggregation("MEAN"), 60_000, 119_999);
        assert_eq!(
            origin,
            PointOrigin { samples: samples(&[(60_000, 2.0), (119_999, 3.0)]), ..PointOrigin::default() }
        );
        assert!(series.of_point(kind, aggregation("MEAN"), 180_000, 239_999).is_empty());
    }

    #[test]
    fn a_counters_sum_is_made_of_the_increments_that_end_in_its_bucket() {
        // It restarts at 100 s, and has a gap of ten minutes after 130 s.
        let given = samples(&[(40_000, 5.0), (70_000, 8.0), (100_000, 2.0), (130_000, 4.0), (730_000, 9.0)]);
        let range = TimeRange::new(60_000, 900_000).unwrap();
        let series = series(COUNTER, range, &given);
        assert_eq!((series.resets, series.gaps, series.median_spacing_ms), (1, 1, Some(30_000)));
        let increases = |method: &str, first: i64| -> Vec<f64> {
            let origin = series.of_point(COUNTER, aggregation(method), first, first + 59_999);
            origin.increments.iter().map(|one| one.interval.increase).collect()
        };
        assert_eq!(increases("SUM", 60_000), [3.0, 2.0]);
        assert_eq!(increases("SUM", 720_000), [5.0]);
        assert!(increases("MEAN", 720_000).is_empty());
        assert!(increases("EVENT_COUNT", 60_000).is_empty());
    }

    #[test]
    fn a_rate_last_known_before_a_bucket_is_named_as_long_as_it_counts() {
        let series = series(COUNTER, range(), &samples(&[(0, 0.0), (50_000, 5.0)]));
        let last_known = |method: &str, first: i64, last: i64| {
            let origin = series.of_point(COUNTER, aggregation(method), first, last);
            origin.last_known.map(|one| (one.from.at, one.to.at, one.interval.rate()))
        };
        // Known until 50 s + 2 x 50 s.
        assert_eq!(last_known("MEAN", 60_000, 119_999), Some((0, 50_000, 0.1)));
        assert_eq!(last_known("MEAN", 120_000, 179_999), None);
        assert_eq!(last_known("MAX", 120_000, 179_999), Some((0, 50_000, 0.1)));
        assert_eq!(last_known("MAX", 180_000, 239_999), None);
        assert_eq!(last_known("SUM", 60_000, 119_999), None);
    }

    #[test]
    fn long_lists_are_cut_and_what_is_left_out_is_counted() {
        let given: Vec<Sample> = (0..2_000).map(|nth| Sample { at: 60_000 + nth, value: nth as f64 }).collect();
        let series = series(COUNTER, range(), &given);
        let mut origin = series.of_point(COUNTER, aggregation("SUM"), 60_000, 119_999);
        // The first sample has no increment.
        assert_eq!((origin.samples.len(), origin.increments.len()), (1, 1_999));
        assert_eq!(origin.shorten(500), 1_500);
        assert_eq!((origin.samples.len(), origin.increments.len()), (1, 499));
    }
}
