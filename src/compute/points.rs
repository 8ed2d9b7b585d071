//! From series to points: one series only, buckets without data, what is no number, the limit and the order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::compute::plan::Grid;
use crate::model::query::{NanInterpretation, Order};
use crate::model::sample::{Labels, Sample, SeriesSet};

/// The points of an answer, gathered in the order they are answered in.
#[derive(Debug)]
pub struct Points {
    list: Vec<Sample>,
    limit: usize,
    order: Order,
    nan: NanInterpretation,
    is_partial: bool,
    found_data: bool,
    dropped: Dropped,
}

/// How many samples have become no point, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Samples that are not a number.
    pub nan: u64,
    /// Infinite samples, for which JSON has no number.
    pub infinite: u64,
}

/// A sample at an instant that was not asked for: something between here and the store shifts the grid, so that every
/// value stands for another bucket than it would be shown in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffGrid {
    /// The instant of the sample in milliseconds since the epoch.
    pub at: i64,
}

impl Points {
    /// No points yet, and the rules for those to come.
    pub fn new(limit: usize, order: Order, nan: NanInterpretation) -> Points {
        Points {
            list: Vec::new(),
            limit,
            order,
            nan,
            is_partial: false,
            found_data: false,
            dropped: Dropped::default(),
        }
    }

    /// Adds samples, given oldest first, each at its own time.
    pub fn add_samples(&mut self, mut samples: Vec<Sample>) {
        samples.retain_mut(|sample| self.is_point(sample));
        if self.order == Order::NewestFirst {
            samples.reverse();
        }
        // Mostly there are none yet, and then these are the points, without a copy.
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

    /// Adds the samples, given oldest first, that a range query over a grid found; `zero_fill` puts 0 where it found none.
    ///
    /// # Errors
    /// When a sample does not lie on the grid; nothing has been added then.
    pub fn add_evaluated(&mut self, grid: Grid, mut samples: Vec<Sample>, zero_fill: bool) -> Result<(), OffGrid> {
        if let Some(stray) = samples.iter().find(|sample| !grid.contains(sample.at)) {
            return Err(OffGrid { at: stray.at });
        }
        if !zero_fill {
            self.add_samples(samples);
            return Ok(());
        }
        for at in grid.instants(self.order) {
            if self.is_partial {
                break;
            }
            match samples.binary_search_by_key(&at, |sample| sample.at) {
                Ok(nth) if !self.is_point(&mut samples[nth]) => {}
                Ok(nth) => self.push(samples[nth]),
                Err(_) => self.push(Sample { at, value: 0.0 }),
            }
        }
        Ok(())
    }

    /// Whether a point had to be left out, so that there is no use in adding more.
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Whether any sample was added, whatever became of it.
    pub fn found_data(&self) -> bool {
        self.found_data
    }

    /// What was dropped so far.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// How many points there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Forgets all points.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// The points in the order they are answered in.
    pub fn into_list(self) -> Vec<Sample> {
        self.list
    }

    /// Takes note of a sample, and makes a point of it if it can be one.
    fn is_point(&mut self, sample: &mut Sample) -> bool {
        self.found_data = true;
        if sample.value.is_finite() {
            return true;
        }
        if sample.value.is_infinite() {
            self.dropped.infinite += 1;
            return false;
        }
        if self.nan == NanInterpretation::Zero {
            sample.value = 0.0;
            return true;
        }
        self.dropped.nan += 1;
        false
    }

    fn push(&mut self, sample: Sample) {
        if self.list.len() < self.limit {
            self.list.push(sample);
        } else {
            self.is_partial = true;
        }
    }
}

/// The label sets that a query has met. An answer has room for one.
#[derive(Debug, Default)]
pub struct SeriesSeen(BTreeSet<Labels>);

/// More than one series where one list of points has room for one.
#[derive(Debug, PartialEq, Eq)]
pub struct TooMany {
    /// How many series there are.
    pub count: usize,
    /// The labels that tell them apart, each with one of its values, which is not empty; none when only their number is known.
    pub differing: Vec<(String, String)>,
}

/// How many of the labels that tell series apart an error names.
const MAX_NAMED_LABELS: usize = 10;

impl SeriesSeen {
    /// Takes note of what one more call found, and gives the samples of the only series.
    ///
    /// # Errors
    /// When there is more than one series in this call and those before it.
    pub fn only(&mut self, found: SeriesSet) -> Result<Vec<Sample>, TooMany> {
        let mut samples = Vec::new();
        for one in found.series {
            self.0.insert(one.labels);
            samples = one.samples;
        }
        let count = self.0.len().max(found.total);
        if count > 1 {
            return Err(TooMany { count, differing: differing_labels(&self.0) });
        }
        Ok(samples)
    }
}

/// The labels whose values are not the same in all label sets, an absent label counting as empty.
fn differing_labels(sets: &BTreeSet<Labels>) -> Vec<(String, String)> {
    let names: BTreeSet<&String> = sets.iter().flat_map(BTreeMap::keys).collect();
    let values = |name: &String| -> BTreeSet<&str> {
        sets.iter().map(|labels| labels.get(name).map_or("", String::as_str)).collect()
    };
    names
        .into_iter()
        .filter_map(|name| {
            let values = values(name);
            let example = values.last().filter(|_| values.len() > 1)?;
            Some((name.clone(), (*example).to_owned()))
        })
        .take(MAX_NAMED_LABELS)
        .collect()
}

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.differing.iter().map(|(name, _)| name.as_str()).collect();
        write!(f, "{} series where one list of points has room for one", self.count)?;
        if names.is_empty() { Ok(()) } else { write!(f, "; they differ in {}", names.join(", ")) }
    }
}

impl std::error::Error for TooMany {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample::Series;

    const GRID: Grid = Grid { first: 9, step: 10, count: 4 };

    fn samples(list: &[(i64, f64)]) -> Vec<Sample> {
        list.iter().map(|&(at, value)| Sample { at, value }).collect()
    }

    fn found(labels: &[(&str, &str)]) -> SeriesSet {
        let labels = labels.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        SeriesSet { series: vec![Series { labels, ..Series::default() }], total: 1 }
    }

    #[test]
    fn the_limit_keeps_what_comes_first() {
        let check = |limit, order, expected: &[i64], partial| {
            let mut points = Points::new(limit, order, NanInterpretation::None);
            points.add_samples(samples(&[(1, 1.0), (2, 2.0), (3, 3.0)]));
            assert_eq!(points.is_partial(), partial);
            assert_eq!(points.into_list().iter().map(|p| p.at).collect::<Vec<_>>(), expected);
        };
        check(0, Order::OldestFirst, &[], true);
        check(2, Order::OldestFirst, &[1, 2], true);
        check(3, Order::OldestFirst, &[1, 2, 3], false);
        check(2, Order::NewestFirst, &[3, 2], true);
        check(9, Order::NewestFirst, &[3, 2, 1], false);
    }

    #[test]
    fn what_is_no_json_number_is_no_point_and_counted() {
        let odd = samples(&[(1, f64::NAN), (2, f64::INFINITY), (3, f64::NEG_INFINITY), (4, 4.0)]);
        let mut none = Points::new(9, Order::OldestFirst, NanInterpretation::None);
        none.add_samples(odd.clone());
        assert_eq!(none.dropped(), Dropped { nan: 1, infinite: 2 });
        assert_eq!(none.into_list(), samples(&[(4, 4.0)]));

        let mut zero = Points::new(9, Order::OldestFirst, NanInterpretation::Zero);
        zero.add_samples(odd);
        assert_eq!(zero.dropped(), Dropped { nan: 0, infinite: 2 });
        assert_eq!(zero.into_list(), samples(&[(1, 0.0), (4, 4.0)]));
    }

    #[test]
    fn a_bucket_without_data_is_zero_where_the_method_fills_and_a_bucket_of_nan_is_not_one() {
        let found = samples(&[(19, 2.0), (29, f64::NAN)]);
        let check = |order, zero_fill, expected: &[(i64, f64)]| {
            let mut points = Points::new(9, order, NanInterpretation::None);
            points.add_evaluated(GRID, found.clone(), zero_fill).unwrap();
            assert!(points.found_data());
            assert_eq!(points.into_list(), samples(expected));
        };
        check(Order::OldestFirst, true, &[(9, 0.0), (19, 2.0), (39, 0.0)]);
        check(Order::NewestFirst, true, &[(39, 0.0), (19, 2.0), (9, 0.0)]);
        check(Order::OldestFirst, false, &[(19, 2.0)]);
    }

    #[test]
    fn zeros_alone_are_no_data() {
        let mut points = Points::new(9, Order::OldestFirst, NanInterpretation::None);
        points.add_evaluated(GRID, Vec::new(), true).unwrap();
        assert!(!points.found_data());
        assert_eq!(points.into_list().len(), 4);
    }

    #[test]
    fn a_sample_off_the_grid_is_refused() {
        for at in [8, 10, 49, -1] {
            let mut points = Points::new(9, Order::OldestFirst, NanInterpretation::None);
            assert_eq!(points.add_evaluated(GRID, samples(&[(at, 1.0)]), false), Err(OffGrid { at }));
        }
    }

    #[test]
    fn several_series_are_told_apart_by_the_labels_that_differ() {
        let mut seen = SeriesSeen::default();
        assert!(seen.only(SeriesSet::default()).is_ok());
        let one = found(&[("job", "a"), ("pod", "1")]);
        assert!(seen.only(one.clone()).is_ok());
        assert!(seen.only(one.clone()).is_ok());
        // Another series in a later call is another series all the same.
        let error = seen.only(found(&[("job", "a"), ("pod", "2"), ("zone", "z")])).unwrap_err();
        let differing = vec![("pod".into(), "2".into()), ("zone".into(), "z".into())];
        assert_eq!(error, TooMany { count: 2, differing });
        assert!(error.to_string().ends_with("they differ in pod, zone"), "{error}");
        let counted = TooMany { count: 70_000, differing: Vec::new() };
        assert_eq!(counted.to_string(), "70000 series where one list of points has room for one");
    }
}
