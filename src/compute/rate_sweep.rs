//! MAX, MIN and percentiles of counters. They are those of R(t), the sum of the last known rates of all series, at each time t at
//! which a series was scraped.
//!
//! The series come one after another, but R needs all of them at each time. So this keeps the events of all series, and goes
//! through them in the order of time (a sweep).

use std::collections::VecDeque;

use crate::compute::bucket_method::{BucketMethod, BucketValues, MAX_CARRIED_BUCKETS, TooManyBuckets};
use crate::compute::buckets::{BucketSpec, in_order};
use crate::compute::gauges::percentile;
use crate::compute::rate::{CounterReader, Interval};
use crate::compute::sum::Twofold;
use crate::model::aggregation::AggregationMethod;
use crate::model::query::Order;
use crate::model::sample::Sample;

/// An event of a series. There are millions of events, so each byte counts.
#[derive(Debug, Clone, Copy)]
struct Event {
    at: i64,
    /// The rate that is known from now on, for [`EventKind::Rate`]; else 0.
    rate: f64,
    series: u32,
    kind: EventKind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum EventKind {
    /// The series was scraped, and an interval with a rate ends.
    Rate,
    /// The series was scraped, and no interval with a rate ends, so no rate is known from now on.
    NoRate,
    /// The rate last known is too old from now on.
    Forgotten,
}

/// Collects the events of counters, and computes the values of buckets from them.
pub(super) struct RateSweep {
    reader: CounterReader,
    method: AggregationMethod,
    spec: BucketSpec,
    events: Vec<Event>,
    /// The number of the current series.
    series: u32,
    /// Until when the newest rate of the current series counts as known.
    known_until: Option<i64>,
}

impl RateSweep {
    pub(super) fn boxed(reader: CounterReader, method: AggregationMethod, spec: BucketSpec) -> Box<dyn BucketMethod> {
        Box::new(RateSweep { reader, method, spec, events: Vec::new(), series: 0, known_until: None })
    }
}

impl BucketMethod for RateSweep {
    fn take(&mut self, samples: &[Sample]) {
        let RateSweep { reader, events, series, known_until, .. } = self;
        reader.take(samples, |sample, interval| note(events, *series, known_until, sample.at, interval));
    }

    fn end_series(&mut self) {
        self.reader.end_series();
        forget_before(&mut self.events, self.series, &mut self.known_until, i64::MAX);
        self.series += 1;
    }

    fn kept_bytes(&self) -> usize {
        // Sorting takes half as much again.
        self.events.len() * size_of::<Event>() / 2 * 3
    }

    fn further_ms(&self) -> Option<i64> {
        self.reader.further_ms()
    }

    fn values(mut self: Box<Self>) -> Result<BucketValues, TooManyBuckets> {
        // The events of each series are already in order, which makes this sort fast.
        self.events.sort_by_key(|event| event.at);
        let mut sweep = Sweep::new(self.method, self.spec, self.series);
        for at_once in self.events.chunk_by(|one, other| one.at == other.at) {
            sweep.go_on_to(at_once[0].at)?;
            sweep.apply(at_once);
            if sweep.is_done() {
                break;
            }
        }
        sweep.close_until(self.spec.grid.count())?;
        Ok(in_order(sweep.values.into_iter(), self.spec.order))
    }
}

/// If the newest rate is not known until an instant, adds the event that ends it.
fn forget_before(events: &mut Vec<Event>, series: u32, known_until: &mut Option<i64>, at: i64) {
    if let Some(until) = known_until.take_if(|until| *until < at) {
        events.push(Event { at: until + 1, rate: 0.0, series, kind: EventKind::Forgotten });
    }
}

/// Adds the events of a sample and the interval that ends with it.
fn note(events: &mut Vec<Event>, series: u32, known_until: &mut Option<i64>, at: i64, interval: Option<Interval>) {
    forget_before(events, series, known_until, at);
    let interval = interval.filter(|interval| interval.has_rate);
    *known_until = interval.map(|interval| interval.known_until());
    let (rate, kind) = interval.map_or((0.0, EventKind::NoRate), |interval| (interval.rate(), EventKind::Rate));
    events.push(Event { at, rate, series, kind });
}

/// Goes through the events in the order of time.
struct Sweep {
    method: AggregationMethod,
    spec: BucketSpec,
    rates: KnownRates,
    /// The current bucket, and the values of R in it at the times at which a series was scraped; `None` if there was no such time.
    bucket: i64,
    gathered: Option<Vec<f64>>,
    values: VecDeque<(i64, f64)>,
    carried: u64,
}

impl Sweep {
    fn new(method: AggregationMethod, spec: BucketSpec, series: u32) -> Sweep {
        let rates = KnownRates::new(series as usize);
        Sweep { method, spec, rates, bucket: 0, gathered: None, values: VecDeque::new(), carried: 0 }
    }

    /// Closes the buckets that lie before an instant.
    fn go_on_to(&mut self, at: i64) -> Result<(), TooManyBuckets> {
        let grid = self.spec.grid;
        match grid.index_of(at) {
            Some(index) => self.close_until(index),
            None if at > grid.start_of(0) => self.close_until(grid.count()),
            None => Ok(()),
        }
    }

    /// Applies the events of one instant.
    fn apply(&mut self, at_once: &[Event]) {
        for event in at_once {
            let rate = (event.kind == EventKind::Rate).then_some(event.rate);
            self.rates.set(event.series as usize, rate);
        }
        let is_scraped = at_once.iter().any(|event| event.kind != EventKind::Forgotten);
        if is_scraped && self.spec.grid.index_of(at_once[0].at).is_some() {
            self.gathered.get_or_insert_default().extend(self.rates.sum());
        }
    }

    /// Computes the values of the buckets before `until`.
    fn close_until(&mut self, until: i64) -> Result<(), TooManyBuckets> {
        while self.bucket < until && !self.is_done() {
            let value = match self.gathered.take() {
                Some(mut gathered) => value(&mut gathered, self.method),
                // No series was scraped in this bucket, so R is the same at its last millisecond.
                None => {
                    let Some(rate) = self.rates.sum() else {
                        // The other buckets before `until` have no value either.
                        self.bucket = until;
                        return Ok(());
                    };
                    self.carried += 1;
                    value(&mut [rate], self.method)
                }
            };
            if let Some(value) = value {
                self.values.push_back((self.bucket, value));
                if self.values.len() > self.spec.max_points && self.spec.order == Order::NewestFirst {
                    self.values.pop_front();
                }
            }
            self.bucket += 1;
            if self.carried > MAX_CARRIED_BUCKETS {
                return Err(TooManyBuckets);
            }
        }
        Ok(())
    }

    /// Whether there are enough values for the response, so that later ones do not count.
    fn is_done(&self) -> bool {
        self.spec.order == Order::OldestFirst && self.values.len() >= self.spec.max_points
    }
}

/// The method, applied to the values of R in a bucket; `None` if there are no values.
fn value(gathered: &mut [f64], method: AggregationMethod) -> Option<f64> {
    match method {
        AggregationMethod::Percentile(percent) => (!gathered.is_empty()).then(|| percentile(gathered, percent)),
        AggregationMethod::Min => gathered.iter().copied().reduce(f64::min),
        AggregationMethod::Max => gathered.iter().copied().reduce(f64::max),
        // The other methods do not use R.
        AggregationMethod::Mean | AggregationMethod::Sum | AggregationMethod::EventCount => None,
    }
}

/// The known rates of all series, and their sum.
///
/// The sum is a tree of sums of two. A change costs one addition for each level of the tree, and leaves no rounding error behind,
/// unlike a running sum from which old rates are subtracted.
struct KnownRates {
    /// The sum of all is at index 1, the two halves of a sum at `n` are at `2n` and `2n + 1`, and the rates are in the second half.
    sums: Vec<Twofold>,
    is_known: Vec<bool>,
    known: usize,
}

impl KnownRates {
    fn new(series: usize) -> KnownRates {
        let leaves = series.next_power_of_two();
        KnownRates { sums: vec![Twofold::default(); 2 * leaves], is_known: vec![false; series], known: 0 }
    }

    fn set(&mut self, series: usize, rate: Option<f64>) {
        let was_known = std::mem::replace(&mut self.is_known[series], rate.is_some());
        self.known = self.known + usize::from(rate.is_some()) - usize::from(was_known);
        let mut at = self.sums.len() / 2 + series;
        self.sums[at] = Twofold::of(rate.unwrap_or_default());
        while at > 1 {
            at /= 2;
            self.sums[at] = self.sums[2 * at].plus(self.sums[2 * at + 1]);
        }
    }

    fn sum(&self) -> Option<f64> {
        (self.known > 0).then(|| self.sums[1].value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_rates_keeps_no_trace_of_what_was_in_it() {
        for series in [1, 2, 3, 7, 8, 9] {
            let mut rates = KnownRates::new(series);
            assert_eq!(rates.sum(), None);
            for round in 0..3 {
                for one in 0..series {
                    rates.set(one, Some(if one == round { 1e20 } else { 0.5 }));
                }
                let big = if round < series { 1e20 } else { 0.0 };
                assert_eq!(rates.sum(), Some(big + 0.5 * (series as f64 - if big > 0.0 { 1.0 } else { 0.0 })));
            }
            (0..series).for_each(|one| rates.set(one, Some(0.25)));
            assert_eq!(rates.sum(), Some(0.25 * series as f64));
            (0..series).for_each(|one| rates.set(one, None));
            assert_eq!((rates.sum(), rates.sums[1].value()), (None, 0.0));
        }
    }
}
