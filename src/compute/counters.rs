//! Counters in buckets: the sum of their increases, and the sum of their mean rates.

use std::fmt::Debug;

use crate::compute::bucket_method::{BucketMethod, BucketValues, MAX_CARRIED_BUCKETS, TooManyBuckets};
use crate::compute::buckets::{Bucket, BucketMap, BucketSpec};
use crate::compute::rate::{CounterReader, Interval, Reading};
use crate::compute::sum::Sum;
use crate::model::sample::Sample;

/// What a method adds up in each bucket from the readings of counters.
trait CounterBuckets: Debug {
    fn add(&mut self, reading: Reading);

    fn end_series(&mut self);

    fn map(&self) -> &BucketMap<Sum>;

    /// The sums.
    ///
    /// # Errors
    /// Fails if too many buckets got a rate last known.
    fn into_map(self) -> Result<BucketMap<Sum>, TooManyBuckets>;
}

/// A method whose value in a bucket is a sum over the counters.
#[derive(Debug)]
struct CounterSums<B> {
    reader: CounterReader,
    buckets: B,
}

impl<B: CounterBuckets> BucketMethod for CounterSums<B> {
    fn take(&mut self, samples: &[Sample]) {
        let CounterSums { reader, buckets } = self;
        reader.take(samples, |reading| buckets.add(reading));
    }

    fn end_series(&mut self) {
        self.reader.end();
        self.buckets.end_series();
    }

    fn kept_bytes(&self) -> usize {
        self.buckets.map().kept_bytes()
    }

    fn further_ms(&self) -> Option<i64> {
        self.reader.further_ms()
    }

    fn values(self: Box<Self>) -> Result<BucketValues, TooManyBuckets> {
        Ok(Box::new(self.buckets.into_map()?.into_entries().map(|(index, sum)| (index, sum.value()))))
    }
}

/// SUM: the increases of counters. Each belongs to the bucket of its later sample, so it counts once, wherever the buckets lie.
pub(super) fn increases(reader: CounterReader, spec: BucketSpec) -> Box<dyn BucketMethod> {
    Box::new(CounterSums { reader, buckets: IncreaseBuckets { map: BucketMap::new(spec), open: None } })
}

/// MEAN: for each series, its increases in the intervals that end in a bucket, divided by the length of these intervals. A series
/// without such an interval keeps its rate last known. The value is the sum over the series.
pub(super) fn mean_rates(reader: CounterReader, spec: BucketSpec) -> Box<dyn BucketMethod> {
    let buckets = RateBuckets { map: BucketMap::new(spec), carried: 0, open: None, newest: None, next: 0 };
    Box::new(CounterSums { reader, buckets })
}

#[derive(Debug)]
struct IncreaseBuckets {
    map: BucketMap<Sum>,
    /// The bucket of the newest sample of the series, and its increase so far.
    open: Option<(Bucket, Sum)>,
}

impl CounterBuckets for IncreaseBuckets {
    fn add(&mut self, reading: Reading) {
        if self.open.is_none_or(|(bucket, _)| !bucket.contains(reading.at)) {
            self.end_series();
            self.open = self.map.grid().bucket_at(reading.at).map(|bucket| (bucket, Sum::default()));
        }
        if let Some((_, sum)) = &mut self.open {
            sum.add(reading.interval.map_or(0.0, |interval| interval.increase));
        }
    }

    fn end_series(&mut self) {
        if let Some((bucket, sum)) = self.open.take()
            && let Some(entry) = self.map.entry(bucket.index)
        {
            entry.add_sum(sum);
        }
    }

    fn map(&self) -> &BucketMap<Sum> {
        &self.map
    }

    fn into_map(self) -> Result<BucketMap<Sum>, TooManyBuckets> {
        Ok(self.map)
    }
}

#[derive(Debug)]
struct RateBuckets {
    map: BucketMap<Sum>,
    /// How many times a bucket got a rate last known.
    carried: u64,
    /// The bucket in which the newest interval of the series ends, and all intervals that end in it.
    open: Option<(Bucket, Together)>,
    /// The newest interval of the series that has a rate.
    newest: Option<Interval>,
    /// The first bucket to which the series has not contributed yet.
    next: i64,
}

/// The total increase and length of the intervals that end in a bucket.
#[derive(Debug, Clone, Copy, Default)]
struct Together {
    increase: Sum,
    length_ms: i64,
}

impl CounterBuckets for RateBuckets {
    fn add(&mut self, reading: Reading) {
        let Some(interval) = reading.interval.filter(|interval| interval.has_rate) else { return };
        if self.open.is_none_or(|(bucket, _)| !bucket.contains(interval.end)) {
            self.close();
            self.open_at(interval.end);
        }
        if let Some((_, together)) = &mut self.open {
            together.increase.add(interval.increase);
            together.length_ms += interval.length_ms;
        }
        self.newest = Some(interval);
    }

    fn end_series(&mut self) {
        self.close();
        self.carry_on(self.map.grid().count());
        self.newest = None;
        self.next = 0;
    }

    fn map(&self) -> &BucketMap<Sum> {
        &self.map
    }

    fn into_map(self) -> Result<BucketMap<Sum>, TooManyBuckets> {
        if self.carried > MAX_CARRIED_BUCKETS { Err(TooManyBuckets) } else { Ok(self.map) }
    }
}

impl RateBuckets {
    /// Opens the bucket in which an interval ends. The buckets before it get the rate last known.
    fn open_at(&mut self, end: i64) {
        let grid = self.map.grid();
        match grid.bucket_at(end) {
            Some(bucket) => {
                self.carry_on(bucket.index);
                self.open = Some((bucket, Together::default()));
            }
            None if end > grid.start_of(0) => self.carry_on(grid.count()),
            None => {}
        }
    }

    /// Adds the mean rate of the series to the open bucket.
    fn close(&mut self) {
        let Some((bucket, Together { increase, length_ms })) = self.open.take() else { return };
        if let Some(entry) = self.map.entry(bucket.index) {
            entry.add(increase.divided(length_ms as f64 / 1000.0));
        }
        self.next = bucket.index + 1;
    }

    /// Adds the rate last known to the buckets before `until`, as long as it is known.
    fn carry_on(&mut self, until: i64) {
        let wanted = self.map.wanted();
        if let Some(newest) = self.newest {
            let grid = self.map.grid();
            for index in self.next.max(wanted.start)..until.min(wanted.end) {
                if grid.last_of(index) > newest.known_until() || self.carried > MAX_CARRIED_BUCKETS {
                    break;
                }
                // The map has no entry for a bucket that cannot become a point any more.
                let Some(entry) = self.map.entry(index) else { continue };
                entry.add(newest.rate());
                self.carried += 1;
            }
        }
        self.next = self.next.max(until);
    }
}
