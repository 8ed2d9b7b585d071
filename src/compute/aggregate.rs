//! Aggregated queries of gauges and counters: takes the samples of all series while they are read, and makes a point of each bucket
//! that has a value.

use std::ops::ControlFlow;

use crate::compute::bucket_method::{BucketMethod, TooManyBuckets};
use crate::compute::buckets::{BucketGrid, BucketSpec};
use crate::compute::counters::{Increases, MeanRates};
use crate::compute::gauges;
use crate::compute::look_back::{Counted, LookBack};
use crate::compute::points::Points;
use crate::compute::rate::CounterReader;
use crate::compute::rate_sweep::RateSweep;
use crate::compute::screen::{Dropped, Screen};
use crate::compute::spacing::longest_sure_ms;
use crate::model::aggregation::{Aggregation, AggregationMethod};
use crate::model::query::Order;
use crate::model::sample::{Labels, Sample, SampleSink};
use crate::model::sample_kind::SampleKind;
use crate::model::time::TimeRange;

/// The most samples of a query. If there are more, PromQL computes the points.
pub const MAX_SAMPLES: u64 = 5_000_000;

/// The most samples of a query that has to keep all of them until the last is read: percentiles, MAX and MIN of counters,
/// and each window of a raw query.
pub const MAX_KEPT_SAMPLES: u64 = 2_000_000;

/// How far before a range the samples of counters are read at least, in milliseconds: an hour. So an increase during a gap counts
/// in the bucket in which the gap ends, and a series that is scraped every 20 minutes has a rate last known at the start.
const COUNTER_LOOK_BACK_MS: i64 = 3_600_000;

/// Which samples an aggregated query needs, and how they become points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggregatePlan {
    kind: SampleKind,
    aggregation: Aggregation,
    spec: BucketSpec,
    look_back: Option<LookBack>,
}

impl AggregatePlan {
    /// The plan for at most `limit` points of a range.
    pub fn new(
        kind: SampleKind,
        aggregation: Aggregation,
        range: TimeRange,
        limit: usize,
        order: Order,
    ) -> AggregatePlan {
        // One more than the limit shows whether points are left out.
        let max_points = limit.saturating_add(1);
        let mut grid = BucketGrid::of(range, aggregation.bucket_ms);
        if aggregation.zero_fill {
            // Each bucket is a point, so the buckets beyond the limit need not be read.
            grid = grid.limited_to(max_points, order);
        }
        let spec = BucketSpec { grid, max_points, order };
        AggregatePlan { kind, aggregation, spec, look_back: look_back(kind, aggregation.method, grid) }
    }

    /// The same plan, with samples read from at least `at_least_ms` milliseconds before the range.
    pub fn looking_back(self, at_least_ms: i64) -> AggregatePlan {
        let look_back =
            self.look_back.map(|look_back| LookBack { read_ms: look_back.read_ms.max(at_least_ms), ..look_back });
        AggregatePlan { look_back, ..self }
    }

    /// How far before the range samples are read, in milliseconds.
    pub fn look_back_ms(self) -> i64 {
        self.look_back.map_or(0, |look_back| look_back.read_ms)
    }

    /// The range in which samples have to be read; `None` if there is no whole bucket.
    pub fn read_range(self) -> Option<TimeRange> {
        let span = self.spec.grid.span()?;
        Some(TimeRange { start: (span.start - self.look_back_ms()).max(0), end: span.end })
    }

    /// The most samples that are read.
    pub fn max_samples(self) -> u64 {
        let keeps_samples = match self.aggregation.method {
            AggregationMethod::Percentile(_) => true,
            AggregationMethod::Max | AggregationMethod::Min => matches!(self.kind, SampleKind::Counter(_)),
            AggregationMethod::Mean | AggregationMethod::Sum | AggregationMethod::EventCount => false,
        };
        if keeps_samples { MAX_KEPT_SAMPLES } else { MAX_SAMPLES }
    }

    fn method(self) -> Box<dyn BucketMethod> {
        let AggregatePlan { spec, aggregation: Aggregation { method, .. }, .. } = self;
        let (SampleKind::Counter(interval_ms), Some(look_back)) = (self.kind, self.look_back) else {
            return gauges::pooled(method, spec);
        };
        let reader = CounterReader::new(look_back, interval_ms);
        match method {
            // Has no look-back; samples of counters are counted as those of gauges are.
            AggregationMethod::EventCount => gauges::pooled(method, spec),
            AggregationMethod::Sum => Increases::boxed(reader, spec),
            AggregationMethod::Mean => MeanRates::boxed(reader, spec),
            AggregationMethod::Max | AggregationMethod::Min | AggregationMethod::Percentile(_) => {
                RateSweep::boxed(reader, method, spec)
            }
        }
    }
}

/// Which samples before the buckets a method needs, if any.
fn look_back(kind: SampleKind, method: AggregationMethod, grid: BucketGrid) -> Option<LookBack> {
    let SampleKind::Counter(interval_ms) = kind else { return None };
    let (samples, counted) = match method {
        AggregationMethod::EventCount => return None,
        AggregationMethod::Sum => (1, Counted::All),
        AggregationMethod::Mean
        | AggregationMethod::Max
        | AggregationMethod::Min
        | AggregationMethod::Percentile(_) => (2, Counted::WithRate),
    };
    let read_ms = LookBack::reach_ms(samples, longest_sure_ms(interval_ms)).max(COUNTER_LOOK_BACK_MS);
    Some(LookBack { start: grid.start_of(0), read_ms, samples, counted })
}

/// Aggregates samples while they are read.
pub struct Aggregator {
    plan: AggregatePlan,
    screen: Screen,
    method: Box<dyn BucketMethod>,
    has_series: bool,
    samples: u64,
}

impl Aggregator {
    /// An aggregator without samples.
    pub fn new(plan: AggregatePlan) -> Aggregator {
        Aggregator { plan, screen: Screen::of(plan.kind), method: plan.method(), has_series: false, samples: 0 }
    }

    /// Whether there are more samples than may be read.
    pub fn has_too_many_samples(&self) -> bool {
        self.samples > self.plan.max_samples()
    }

    /// How many samples were left out so far.
    pub fn dropped(&self) -> Dropped {
        self.screen.dropped
    }

    /// Ends the last series. Returns how far before the range samples should have been read, in milliseconds, if they were not read
    /// far enough.
    pub fn end(&mut self) -> Option<i64> {
        if self.has_series {
            self.method.end_series();
        }
        self.method.further_ms()
    }

    /// The points, after [`Aggregator::end`].
    ///
    /// # Errors
    /// When too many buckets have no sample, but need a rate last known.
    pub fn into_points(self) -> Result<Points, TooManyBuckets> {
        let BucketSpec { grid, max_points, order } = self.plan.spec;
        let mut points = Points::new(max_points - 1, order);
        points.has_series = self.has_series;
        points.dropped = self.dropped();
        let mut values = self.method.values()?;
        if self.plan.aggregation.zero_fill {
            let mut used = values.peekable();
            values = Box::new(
                order
                    .indices(grid.count())
                    .map(move |index| used.next_if(|&(in_use, _)| in_use == index).unwrap_or((index, 0.0))),
            );
        }
        let mut count = 0;
        for (index, value) in values {
            count += 1;
            if points.push(Sample { at: grid.start_of(index), value }).is_break() {
                break;
            }
        }
        if count >= max_points {
            // There were more values than the limit, even if some of them are no points.
            points.is_partial = true;
        }
        Ok(points)
    }
}

impl SampleSink for Aggregator {
    fn begin(&mut self, _: impl FnOnce() -> Labels) {
        if self.has_series {
            self.method.end_series();
        }
        self.has_series = true;
    }

    fn take(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        self.samples += samples.len() as u64;
        if self.has_too_many_samples() {
            return ControlFlow::Break(());
        }
        self.method.take(self.screen.finite(samples));
        ControlFlow::Continue(())
    }

    fn kept_bytes(&self) -> usize {
        let BucketSpec { grid, max_points, .. } = self.plan.spec;
        let points = usize::try_from(grid.count()).unwrap_or(usize::MAX).min(max_points);
        self.method.kept_bytes() + points * size_of::<Sample>()
    }
}
