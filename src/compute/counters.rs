//! Counters in buckets: the sum of their increases, and the sum of their mean rates.

use crate::compute::bucket_method::{BucketMethod, BucketValues, MAX_CARRIED_BUCKETS, TooManyBuckets};
use crate::compute::buckets::{BucketMap, BucketSpec};
use crate::compute::rate::{CounterReader, Growth, Interval};
use crate::compute::sum::Sum;
use crate::model::sample::Sample;

/// SUM: the increases of counters. Each belongs to the bucket of its later sample, so it counts once, wherever the buckets lie.
pub(super) struct Increases {
    reader: CounterReader,
    map: BucketMap<Sum>,
}

impl Increases {
    pub(super) fn boxed(reader: CounterReader, spec: BucketSpec) -> Box<dyn BucketMethod> {
        Box::new(Increases { reader, map: BucketMap::new(spec) })
    }
}

impl BucketMethod for Increases {
    fn take(&mut self, samples: &[Sample]) {
        for (bucket, inside) in self.map.grid().split(samples) {
            let growth = self.reader.growth(inside);
            if let Some(entry) = bucket.and_then(|index| self.map.entry(index)) {
                entry.add_sum(growth.increase);
            }
        }
    }

    fn end_series(&mut self) {
        self.reader.end_series();
    }

    fn kept_bytes(&self) -> usize {
        self.map.kept_bytes()
    }

    fn further_ms(&self) -> Option<i64> {
        self.reader.further_ms()
    }

    fn values(self: Box<Self>) -> Result<BucketValues, TooManyBuckets> {
        Ok(values(self.map))
    }
}

/// MEAN: for each series, its increases in the intervals that end in a bucket, divided by the length of these intervals. A series
/// without such an interval keeps its rate last known. The value is the sum over the series.
pub(super) struct MeanRates {
    reader: CounterReader,
    map: BucketMap<Sum>,
    /// How many times a bucket got a rate last known.
    carried: u64,
    /// The bucket in which the newest interval of the series ends, and the growth in the intervals that end in it and have a rate.
    open: Option<(i64, Growth)>,
    /// The newest interval of the series. If it has no rate, none is known.
    newest: Option<Interval>,
    /// The first bucket to which the series has not contributed yet.
    next: i64,
}

impl MeanRates {
    pub(super) fn boxed(reader: CounterReader, spec: BucketSpec) -> Box<dyn BucketMethod> {
        let map = BucketMap::new(spec);
        Box::new(MeanRates { reader, map, carried: 0, open: None, newest: None, next: 0 })
    }
}

impl BucketMethod for MeanRates {
    fn take(&mut self, samples: &[Sample]) {
        for (bucket, inside) in self.map.grid().split(samples) {
            let growth = self.reader.growth(inside);
            if growth.newest.is_some() {
                self.add(bucket, growth);
            }
        }
    }

    fn end_series(&mut self) {
        self.reader.end_series();
        self.close();
        self.carry_on(self.map.grid().count());
        self.newest = None;
        self.next = 0;
    }

    fn kept_bytes(&self) -> usize {
        self.map.kept_bytes()
    }

    fn further_ms(&self) -> Option<i64> {
        self.reader.further_ms()
    }

    fn values(self: Box<Self>) -> Result<BucketValues, TooManyBuckets> {
        if self.carried > MAX_CARRIED_BUCKETS { Err(TooManyBuckets) } else { Ok(values(self.map)) }
    }
}

impl MeanRates {
    /// Adds the growth in intervals that end in a bucket. Of intervals before the first bucket, only notes the newest.
    fn add(&mut self, bucket: Option<i64>, growth: Growth) {
        match (&mut self.open, bucket) {
            (Some((open, together)), Some(index)) if *open == index => *together = together.and(growth),
            (_, Some(index)) => {
                self.close();
                self.carry_on(index);
                self.open = Some((index, growth));
            }
            (_, None) => {}
        }
        self.newest = growth.newest;
    }

    /// Adds the mean rate of the series to the open bucket.
    fn close(&mut self) {
        let Some((index, growth)) = self.open.take() else { return };
        if let Some(rate) = growth.mean_rate()
            && let Some(entry) = self.map.entry(index)
        {
            entry.add(rate);
        }
        self.next = index + 1;
    }

    /// Adds the rate last known to the buckets before `until`, as long as it is known.
    fn carry_on(&mut self, until: i64) {
        let wanted = self.map.wanted();
        if let Some(newest) = self.newest.filter(|newest| newest.has_rate) {
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

fn values(map: BucketMap<Sum>) -> BucketValues {
    Box::new(map.into_entries().map(|(index, sum)| (index, sum.value())))
}
