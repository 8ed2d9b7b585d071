//! Queries that must match one series: which series matched, and the labels in which they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::sample::Labels;

/// The labels of at most this many series are kept.
const MAX_KEPT_SERIES: usize = 100;

/// The most labels that an error names.
const MAX_NAMED_LABELS: usize = 10;

/// The series that a query has matched so far. A list of points shows only one.
#[derive(Debug, Default)]
pub struct SeriesSeen {
    label_sets: BTreeSet<Labels>,
    /// The most series in one result, which may be more than `label_sets` has.
    in_one_result: usize,
    /// Whether there may be more that were not read.
    may_have_more: bool,
}

/// More than one series matches, but a list of points shows only one.
#[derive(Debug, PartialEq, Eq)]
pub struct TooMany {
    /// How many series there are.
    pub count: usize,
    /// Whether there may be more.
    pub or_more: bool,
    /// The labels in which they differ, each with one of its values, which is not empty.
    pub differing: Vec<(String, String)>,
    /// Labels that one series lacks, if all its labels are also labels of others. Only conditions such as `label = ""` select that
    /// series.
    pub to_require_empty: Vec<String>,
}

impl SeriesSeen {
    /// Adds a series.
    pub fn add(&mut self, labels: Labels) {
        if self.label_sets.len() < MAX_KEPT_SERIES {
            self.label_sets.insert(labels);
        }
    }

    /// Notes the number of series in one result, even if not all of them are passed to [`SeriesSeen::add`].
    pub fn note_result_size(&mut self, in_one_result: usize) {
        self.in_one_result = self.in_one_result.max(in_one_result);
    }

    /// Notes that there may be more series, which were not read.
    pub fn note_more(&mut self) {
        self.may_have_more = true;
    }

    /// Adds the series of another one.
    pub fn add_all(&mut self, other: &SeriesSeen) {
        other.label_sets.iter().for_each(|labels| self.add(labels.clone()));
        self.note_result_size(other.in_one_result);
        self.may_have_more |= other.may_have_more;
    }

    /// The number of series that are known.
    pub fn len(&self) -> usize {
        self.label_sets.len().max(self.in_one_result)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks that there is at most one series.
    ///
    /// # Errors
    /// When there are more.
    pub fn at_most_one(&self) -> Result<(), TooMany> {
        if self.len() <= 1 {
            return Ok(());
        }
        Err(TooMany {
            count: self.len(),
            or_more: self.may_have_more,
            differing: differing_labels(&self.label_sets),
            to_require_empty: missing_labels(&self.label_sets),
        })
    }
}

/// The labels whose values are not the same in all label sets. An absent label counts as empty.
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

/// If all labels of one series are also labels of others, no condition on them selects it alone. Returns a label of each of the
/// others that it lacks.
fn missing_labels(sets: &BTreeSet<Labels>) -> Vec<String> {
    let has_all = |set: &Labels, of: &Labels| of.iter().all(|(name, value)| set.get(name) == Some(value));
    let contained = sets.iter().find_map(|set| {
        let others = sets.iter().filter(|other| *other != set && has_all(other, set));
        let missing: BTreeSet<&String> =
            others.filter_map(|other| other.keys().find(|name| !set.contains_key(*name))).collect();
        (!missing.is_empty()).then_some(missing)
    });
    contained.into_iter().flatten().take(MAX_NAMED_LABELS).cloned().collect()
}

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.differing.iter().map(|(name, _)| name.as_str()).collect();
        let or_more = if self.or_more { " or more" } else { "" };
        write!(f, "{}{or_more} series match, but a response shows one", self.count)?;
        if names.is_empty() { Ok(()) } else { write!(f, "; they differ in {}", names.join(", ")) }
    }
}

impl std::error::Error for TooMany {}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(list: &[(&str, &str)]) -> Labels {
        list.iter().map(|&(name, value)| (name.into(), value.into())).collect()
    }

    fn too_many(sets: &[&[(&str, &str)]]) -> Option<TooMany> {
        let mut seen = SeriesSeen::default();
        sets.iter().for_each(|set| seen.add(labels(set)));
        seen.at_most_one().err()
    }

    #[test]
    fn one_series_is_one_however_often_it_is_met() {
        assert_eq!(too_many(&[]), None);
        assert_eq!(too_many(&[&[("job", "a")], &[("job", "a")]]), None);
    }

    #[test]
    fn several_series_are_told_apart_by_the_labels_that_differ() {
        let check = |sets: &[&[(&str, &str)]], differing: &[(&str, &str)], to_require_empty: &[&str]| {
            let found = too_many(sets).unwrap();
            let differing: Vec<_> =
                differing.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
            assert_eq!((found.count, found.differing), (sets.len(), differing));
            assert_eq!(found.to_require_empty, to_require_empty);
        };
        check(
            &[&[("job", "a"), ("pod", "1")], &[("job", "a"), ("pod", "2"), ("zone", "z")]],
            &[("pod", "2"), ("zone", "z")],
            &[],
        );
        check(&[&[("job", "a")], &[("job", "a"), ("method", "GET")]], &[("method", "GET")], &["method"]);
        check(
            &[&[("job", "a")], &[("job", "a"), ("method", "GET")], &[("job", "a"), ("code", "5")]],
            &[("code", "5"), ("method", "GET")],
            &["code", "method"],
        );
        let error = too_many(&[&[("pod", "1")], &[("pod", "2")]]).unwrap().to_string();
        assert!(error.ends_with("they differ in pod"), "{error}");
    }

    #[test]
    fn of_very_many_series_all_are_counted() {
        let mut seen = SeriesSeen::default();
        (0..2 * MAX_KEPT_SERIES).for_each(|nth| seen.add(labels(&[("nth", &nth.to_string())])));
        seen.note_result_size(70_000);
        let says = |seen: &SeriesSeen| seen.at_most_one().unwrap_err().to_string();
        assert!(says(&seen).starts_with("70000 series match"), "{}", says(&seen));
        seen.note_more();
        assert!(says(&seen).starts_with("70000 or more series match"), "{}", says(&seen));
    }
}
