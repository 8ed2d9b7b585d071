//! The points of a response: their limit and their order.

use std::ops::ControlFlow;

use crate::compute::screen::{Dropped, Screen};
use crate::compute::steps::Steps;
use crate::model::query::Order;
use crate::model::sample::Sample;

/// The points of a response, in the order of the response. The time of a bucket's point is the start of the bucket.
#[derive(Debug)]
pub struct Points {
    list: Vec<Sample>,
    limit: usize,
    order: Order,
    /// Whether a point was left out. Then all further ones would be left out, too.
    pub is_partial: bool,
    /// What was left out because JSON has no such number.
    pub dropped: Dropped,
    /// Whether any series was found, even if all of its samples were left out.
    pub has_series: bool,
}

/// A sample at an instant that was not queried. A proxy or query frontend has moved the times, so each value belongs to another
/// bucket than the one in which it would be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAStep {
    /// The instant of the sample in milliseconds since 1970.
    pub at: i64,
}

impl Points {
    /// No points, and at most `limit` later.
    pub fn new(limit: usize, order: Order) -> Points {
        Points { list: Vec::new(), limit, order, is_partial: false, dropped: Dropped::default(), has_series: false }
    }

    /// Adds the next point in the order of the response. Drops a point whose value is too large for JSON, as that of finite samples
    /// may be.
    ///
    /// `Break` means that the limit is reached and this point is left out, as all further ones would be.
    pub fn push(&mut self, point: Sample) -> ControlFlow<()> {
        if !point.value.is_finite() {
            self.dropped.too_large += 1;
            return ControlFlow::Continue(());
        }
        if self.list.len() == self.limit {
            self.is_partial = true;
            return ControlFlow::Break(());
        }
        self.list.push(point);
        ControlFlow::Continue(())
    }

    /// Whether a point is 0.
    pub fn have_zero(&self) -> bool {
        self.list.iter().any(|point| point.value == 0.0)
    }

    /// Adds points, given oldest first, whose values are finite.
    pub fn add_samples(&mut self, mut samples: Vec<Sample>) {
        if self.order == Order::NewestFirst {
            samples.reverse();
        }
        // Usually the list is empty, and `samples` becomes the list without a copy.
        if self.list.is_empty() {
            self.list = samples;
        } else {
            self.list.append(&mut samples);
        }
        if self.list.len() > self.limit {
            self.list.truncate(self.limit);
            self.is_partial = true;
        }
    }

    /// Adds the values that an expression has at the instants of `steps`, given oldest first, each as the point of the bucket
    /// that ends with its instant, or of the instant itself if `bucket_ms` is 1. `zero_fill` puts 0 where there is none.
    ///
    /// # Errors
    /// Fails if a sample is at another instant; then nothing is added.
    pub fn add_evaluated(
        &mut self,
        steps: Steps,
        samples: &[Sample],
        bucket_ms: i64,
        zero_fill: bool,
        screen: &mut Screen,
    ) -> Result<(), NotAStep> {
        if let Some(stray) = samples.iter().find(|sample| !steps.contains(sample.at)) {
            return Err(NotAStep { at: stray.at });
        }
        let point = |at: i64, value: f64| Sample { at: at + 1 - bucket_ms, value };
        let finite = screen.finite(samples);
        if !zero_fill {
            self.add_samples(finite.iter().map(|sample| point(sample.at, sample.value)).collect());
            return Ok(());
        }
        let value_at = |list: &[Sample], at: i64| {
            let found = list.binary_search_by_key(&at, |sample| sample.at);
            found.ok().map(|nth| list[nth].value)
        };
        for at in steps.instants(self.order) {
            let value = match (value_at(finite, at), value_at(samples, at)) {
                (Some(value), _) => value,
                // The value is NaN or infinite, so the bucket has no point.
                (None, Some(_)) => continue,
                (None, None) => 0.0,
            };
            if self.push(point(at, value)).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The first points, at most `most` of them.
    pub fn first(&self, most: usize) -> &[Sample] {
        &self.list[..self.list.len().min(most)]
    }

    /// How many bytes they take.
    pub fn kept_bytes(&self) -> usize {
        self.list.len() * size_of::<Sample>()
    }

    /// How many points there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// The points, in their order.
    pub fn into_list(self) -> Vec<Sample> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::query::NanInterpretation;
    use crate::model::sample_kind::SampleKind;

    const GRID: Steps = Steps { first: 9, step: 10, count: 4 };

    fn samples(list: &[(i64, f64)]) -> Vec<Sample> {
        list.iter().map(|&(at, value)| Sample { at, value }).collect()
    }

    #[test]
    fn the_limit_keeps_what_comes_first() {
        let check = |limit, order, expected: &[i64], partial| {
            let mut points = Points::new(limit, order);
            points.add_samples(samples(&[(1, 1.0), (2, 2.0), (3, 3.0)]));
            assert_eq!(points.is_partial, partial);
            assert_eq!(points.into_list().iter().map(|p| p.at).collect::<Vec<_>>(), expected);
        };
        check(0, Order::OldestFirst, &[], true);
        check(2, Order::OldestFirst, &[1, 2], true);
        check(3, Order::OldestFirst, &[1, 2, 3], false);
        check(2, Order::NewestFirst, &[3, 2], true);
        check(9, Order::NewestFirst, &[3, 2, 1], false);
    }

    #[test]
    fn a_value_that_is_too_large_is_no_point() {
        let mut points = Points::new(1, Order::OldestFirst);
        for value in [f64::INFINITY, 1.0, f64::NEG_INFINITY] {
            assert!(points.push(Sample { at: 1, value }).is_continue());
        }
        assert!(!points.is_partial);
        assert_eq!(points.dropped, Dropped { too_large: 2, ..Dropped::default() });
        assert!(points.push(Sample { at: 2, value: 2.0 }).is_break());
        assert!(points.is_partial);
        assert_eq!(points.into_list(), samples(&[(1, 1.0)]));
    }

    #[test]
    fn a_bucket_without_data_is_zero_where_the_method_fills_and_a_bucket_of_nan_is_not_one() {
        let found = samples(&[(19, 2.0), (29, f64::NAN)]);
        let check = |order, zero_fill, expected: &[(i64, f64)]| {
            let mut points = Points::new(9, order);
            let mut screen = Screen::of(SampleKind::Gauge(NanInterpretation::None));
            points.add_evaluated(GRID, &found, 10, zero_fill, &mut screen).unwrap();
            assert_eq!(points.into_list(), samples(expected));
        };
        check(Order::OldestFirst, true, &[(0, 0.0), (10, 2.0), (30, 0.0)]);
        check(Order::NewestFirst, true, &[(30, 0.0), (10, 2.0), (0, 0.0)]);
        check(Order::OldestFirst, false, &[(10, 2.0)]);
    }

    #[test]
    fn a_sample_off_the_grid_is_refused() {
        for at in [8, 10, 49, -1] {
            let mut points = Points::new(9, Order::OldestFirst);
            let mut screen = Screen::of(SampleKind::Gauge(NanInterpretation::None));
            let added = points.add_evaluated(GRID, &samples(&[(at, 1.0)]), 1, false, &mut screen);
            assert_eq!(added, Err(NotAStep { at }));
        }
    }
}
