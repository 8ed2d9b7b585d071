//! The samples and increments that each of the first points is made of, for the explanation of a response.
//!
//! They are computed from the samples that were read, by the same [`Screen`] and [`CounterReader`] as the points, but only if the
//! request wants an explanation.

use crate::compute::look_back::{Counted, LookBack};
use crate::compute::rate::{CounterReader, Interval};
use crate::compute::screen::Screen;
use crate::compute::spacing;
use crate::model::aggregation::{Aggregation, AggregationMethod};
use crate::model::sample::Sample;
use crate::model::sample_kind::SampleKind;
use crate::model::time::TimeRange;

/// A series that was read, from which [`OriginSeries::of_point`] finds what a point is made of.
#[derive(Debug)]
pub struct OriginSeries {
    /// The samples that count; those of a counter with the increment since the sample before.
    samples: Vec<(Sample, Option<Increment>)>,
    /// The median spacing of its samples in milliseconds, if there are two.
    pub median_spacing_ms: Option<i64>,
    /// How often its value dropped, as a counter's does when it restarts.
    pub resets: u64,
    /// How many of its intervals are too long for a rate.
    pub gaps: u64,
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

impl OriginSeries {
    /// A series with these samples, oldest first, for a query of a range.
    pub fn new(kind: SampleKind, range: TimeRange, samples: Vec<Sample>) -> OriginSeries {
        let mut spacings: Vec<i64> = samples.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        let median_spacing_ms = spacing::median(&mut spacings);
        let finite = Screen::of(kind).retain_finite(samples);
        let SampleKind::Counter(interval_ms) = kind else {
            let samples = finite.into_iter().map(|sample| (sample, None)).collect();
            return OriginSeries { samples, median_spacing_ms, resets: 0, gaps: 0 };
        };
        let look_back = LookBack { start: range.start, read_ms: i64::MAX, samples: 0, counted: Counted::WithRate };
        let mut reader = CounterReader::new(look_back, interval_ms);
        let mut samples = Vec::with_capacity(finite.len());
        reader.take(&finite, |to, interval| {
            let increment = interval.map(|interval| Increment { from: finite[samples.len() - 1], to, interval });
            samples.push((to, increment));
        });
        let increments =
            || samples.iter().filter_map(|(_, increment)| *increment).filter(|one| range.contains(one.to.at));
        let resets = increments().filter(|one| one.to.value < one.from.value).count() as u64;
        let gaps = increments().filter(|one| !one.interval.has_rate).count() as u64;
        OriginSeries { samples, median_spacing_ms, resets, gaps }
    }

    /// What a point takes from the series. `first` and `last` are the first and the last instant of its bucket, or both the instant
    /// of a raw point.
    pub fn of_point(&self, kind: SampleKind, aggregation: Option<Aggregation>, first: i64, last: i64) -> PointOrigin {
        let begin = self.samples.partition_point(|(sample, _)| sample.at < first);
        let end = self.samples.partition_point(|(sample, _)| sample.at <= last);
        let inside = &self.samples[begin..end];
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
        for &(sample, increment) in inside {
            match increment.filter(counts) {
                Some(increment) => origin.increments.push(increment),
                None => origin.samples.push(sample),
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
        let newest = self.samples[..begin].iter().rev().find_map(|(_, increment)| *increment)?;
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
    use super::*;
    use crate::model::query::NanInterpretation;

    const COUNTER: SampleKind = SampleKind::Counter(None);

    fn samples(list: &[(i64, f64)]) -> Vec<Sample> {
        list.iter().map(|&(at, value)| Sample { at, value }).collect()
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
        let series = OriginSeries::new(kind, range(), given);
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
        let series = OriginSeries::new(COUNTER, range, given);
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
        let series = OriginSeries::new(COUNTER, range(), samples(&[(0, 0.0), (50_000, 5.0)]));
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
        let series = OriginSeries::new(COUNTER, range(), given);
        let mut origin = series.of_point(COUNTER, aggregation("SUM"), 60_000, 119_999);
        // The first sample has no increment.
        assert_eq!((origin.samples.len(), origin.increments.len()), (1, 1_999));
        assert_eq!(origin.shorten(500), 1_500);
        assert_eq!((origin.samples.len(), origin.increments.len()), (1, 499));
    }
}
