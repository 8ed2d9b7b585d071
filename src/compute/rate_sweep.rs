//! Extremes and percentiles of the rates of counters: of R(t) at every time t at which a counter was scraped, R being the sum
//! over the series of the rate last known.
//!
//! The series come one after another, but R needs all of them at each time. So what happens to each is kept, and gone through
//! in the order of time.

use std::collections::VecDeque;

use crate::compute::bucket_method::{BucketMethod, BucketValues, MAX_CARRIED_BUCKETS, TooManyBuckets};
use crate::compute::buckets::Frame;
use crate::compute::gauges::percentile;
use crate::compute::rate::{CounterReader, Interval, Reading};
use crate::compute::sum::Twofold;
use crate::model::aggregation::AggregationMethod;
use crate::model::query::Order;
use crate::model::sample::Sample;

/// Something that happens to a series. There are millions of them, so that each byte counts.
#[derive(Debug, Clone, Copy)]
struct Event {
    at: i64,
    /// The rate that is known from now on; 0 if that is not what happens.
    rate: f64,
    series: u32,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    /// It is scraped, which tells its rate.
    Rate,
    /// It is scraped, which tells nothing.
    Nothing,
    /// Its rate is no longer known.
    Forgotten,
}

impl Event {
    fn scraped(at: i64, series: u32, rate: Option<f64>) -> Event {
        let what = if rate.is_some() { What::Rate } else { What::Nothing };
        Event { at, rate: rate.unwrap_or_default(), series, what }
    }

    fn forgotten(at: i64, series: u32) -> Event {
        Event { at, rate: 0.0, series, what: What::Forgotten }
    }
}

/// What happens to counters, in buckets.
#[derive(Debug)]
pub(super) struct RateSweep {
    reader: CounterReader,
    method: AggregationMethod,
    frame: Frame,
    events: Vec<Event>,
    /// The number of the series that is read.
    series: u32,
    /// Until when its newest rate is known.
    known_until: Option<i64>,
}

impl RateSweep {
    pub(super) fn boxed(reader: CounterReader, method: AggregationMethod, frame: Frame) -> Box<dyn BucketMethod> {
        Box::new(RateSweep { reader, method, frame, events: Vec::new(), series: 0, known_until: None })
    }
}

impl BucketMethod for RateSweep {
    fn take(&mut self, samples: &[Sample]) {
        let RateSweep { reader, events, series, known_until, .. } = self;
        reader.take(samples, |reading| note(events, *series, known_until, reading));
    }

    fn end_series(&mut self) {
        let RateSweep { reader, events, series, known_until, .. } = self;
        reader.end();
        if let Some(until) = known_until.take() {
            events.push(Event::forgotten(until + 1, *series));
        }
        *series += 1;
    }

    fn kept_bytes(&self) -> usize {
        // Sorting them takes half as many more.
        self.events.len() * size_of::<Event>() / 2 * 3
    }

    fn further_ms(&self) -> Option<i64> {
        self.reader.further_ms()
    }

    fn values(mut self: Box<Self>) -> Result<BucketValues, TooManyBuckets> {
        // Each series is in order already, which this sort makes use of.
        self.events.sort_by_key(|event| event.at);
        let mut sweep = Sweep::new(self.method, self.frame, self.series);
        for at_once in self.events.chunk_by(|one, other| one.at == other.at) {
            sweep.go_on_to(at_once[0].at)?;
            sweep.apply(at_once);
            if sweep.is_done() {
                break;
            }
        }
        sweep.close_until(self.frame.grid.count())?;
        Ok(sweep.into_values())
    }
}

/// Takes note of a reading of a series.
fn note(events: &mut Vec<Event>, series: u32, known_until: &mut Option<i64>, reading: Reading) {
    if let Some(until) = known_until.filter(|&until| until < reading.at) {
        events.push(Event::forgotten(until + 1, series));
        *known_until = None;
    }
    let interval = reading.interval.filter(|interval| interval.has_rate);
    if let Some(interval) = interval {
        *known_until = Some(interval.known_until());
    }
    events.push(Event::scraped(reading.at, series, interval.map(Interval::rate)));
}

/// The way through the events in the order of time.
struct Sweep {
    method: AggregationMethod,
    frame: Frame,
    rates: KnownRates,
    /// The bucket that is gathered now: R at the times of it at which a series was scraped, if any was.
    bucket: i64,
    gathered: Option<Vec<f64>>,
    values: VecDeque<(i64, f64)>,
    carried: u64,
}

impl Sweep {
    fn new(method: AggregationMethod, frame: Frame, series: u32) -> Sweep {
        let rates = KnownRates::new(series as usize);
        Sweep { method, frame, rates, bucket: 0, gathered: None, values: VecDeque::new(), carried: 0 }
    }

    /// Closes the buckets that lie before an instant.
    fn go_on_to(&mut self, at: i64) -> Result<(), TooManyBuckets> {
        let grid = self.frame.grid;
        match grid.index_of(at) {
            Some(index) => self.close_until(index),
            None if at > grid.start_of(0) => self.close_until(grid.count()),
            None => Ok(()),
        }
    }

    /// Applies what happens at one instant.
    fn apply(&mut self, at_once: &[Event]) {
        for event in at_once {
            match event.what {
                What::Rate => self.rates.set(event.series as usize, Some(event.rate)),
                What::Nothing => {}
                What::Forgotten => self.rates.set(event.series as usize, None),
            }
        }
        let is_scraped = at_once.iter().any(|event| event.what != What::Forgotten);
        if is_scraped && self.frame.grid.index_of(at_once[0].at).is_some() {
            self.gathered.get_or_insert_default().extend(self.rates.sum());
        }
    }

    /// Gives the buckets before another one their values.
    fn close_until(&mut self, until: i64) -> Result<(), TooManyBuckets> {
        while self.bucket < until && !self.is_done() {
            let value = match self.gathered.take() {
                Some(mut gathered) => value(&mut gathered, self.method),
                // At its last millisecond, what is known is what was known before it.
                None => match self.rates.sum() {
                    Some(rate) => {
                        self.carried += 1;
                        Some(rate)
                    }
                    // Nor does any bucket on the way have a value.
                    None => {
                        self.bucket = until;
                        return Ok(());
                    }
                },
            };
            if let Some(value) = value {
                self.push(value);
            }
            self.bucket += 1;
            if self.carried > MAX_CARRIED_BUCKETS {
                return Err(TooManyBuckets);
            }
        }
        Ok(())
    }

    fn push(&mut self, value: f64) {
        self.values.push_back((self.bucket, value));
        if self.values.len() > self.frame.most && self.frame.order == Order::NewestFirst {
            self.values.pop_front();
        }
    }

    /// Whether there are as many values as an answer has room for, and later ones do not count.
    fn is_done(&self) -> bool {
        self.frame.order == Order::OldestFirst && self.values.len() >= self.frame.most
    }

    fn into_values(self) -> BucketValues {
        match self.frame.order {
            Order::OldestFirst => Box::new(self.values.into_iter()),
            Order::NewestFirst => Box::new(self.values.into_iter().rev()),
        }
    }
}

/// What a method makes of the values of R in a bucket; none of none.
fn value(gathered: &mut [f64], method: AggregationMethod) -> Option<f64> {
    match method {
        AggregationMethod::Percentile(percent) => (!gathered.is_empty()).then(|| percentile(gathered, percent)),
        AggregationMethod::Min => gathered.iter().copied().reduce(f64::min),
        AggregationMethod::Max => gathered.iter().copied().reduce(f64::max),
        // Other methods need no R.
        AggregationMethod::Mean | AggregationMethod::Sum | AggregationMethod::EventCount => None,
    }
}

/// The rates of all series that are known, and their sum.
///
/// The sum is kept as a tree of sums of two: a change costs as many additions as the tree has levels, and unlike in a sum from
/// which rates are taken away again, no rounding error stays behind.
struct KnownRates {
    /// The sum of all is at 1, the halves of a sum at `n` are at `2n` and `2n + 1`, the rates behind the middle.
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
