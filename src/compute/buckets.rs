//! The buckets of an aggregated query: where they lie, and a map that keeps an entry for each bucket in use.
//!
//! `gauges` and `counters` decide what an entry is.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::model::query::Order;
use crate::model::sample::Sample;
use crate::model::time::TimeRange;

/// Up to this many buckets, the entries are in a list with a place for each bucket. If there are more buckets, a tree keeps the
/// entries of those in use.
const MAX_LISTED: i64 = 1 << 16;

/// The whole buckets `[start, start + bucket)`, `[start + bucket, start + 2 bucket)`, ... of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketGrid {
    start: i64,
    bucket_ms: i64,
    count: i64,
}

impl BucketGrid {
    /// The buckets that lie within a range; `bucket_ms`, the length of each in milliseconds, is at least 1.
    pub fn of(range: TimeRange, bucket_ms: i64) -> BucketGrid {
        BucketGrid { start: range.start, bucket_ms, count: range.length() / bucket_ms }
    }

    /// The first buckets in an order, at most `max_buckets` of them.
    pub fn limited_to(self, max_buckets: usize, order: Order) -> BucketGrid {
        let count = self.count.min(i64::try_from(max_buckets).unwrap_or(i64::MAX));
        match order {
            Order::OldestFirst => BucketGrid { count, ..self },
            Order::NewestFirst => BucketGrid { start: self.start_of(self.count - count), count, ..self },
        }
    }

    /// How many buckets there are.
    pub fn count(self) -> i64 {
        self.count
    }

    /// The first instant of a bucket, which belongs to it.
    pub fn start_of(self, index: i64) -> i64 {
        self.start + index * self.bucket_ms
    }

    /// The last millisecond of a bucket.
    pub fn last_of(self, index: i64) -> i64 {
        self.start_of(index + 1) - 1
    }

    /// The bucket that an instant lies in, if it lies in one.
    pub fn index_of(self, at: i64) -> Option<i64> {
        let index = (at - self.start).div_euclid(self.bucket_ms);
        (0..self.count).contains(&index).then_some(index)
    }

    /// Splits samples in the order of time into those before the first bucket, which have no index, and those of each bucket with its
    /// index. Samples after the last bucket are left out.
    pub fn split(self, samples: &[Sample]) -> impl Iterator<Item = (Option<i64>, &[Sample])> {
        let mut rest = samples;
        std::iter::from_fn(move || {
            let first = rest.first()?.at;
            let index = if first < self.start { None } else { Some(self.index_of(first)?) };
            let last = self.last_of(index.unwrap_or(-1));
            let count = rest.iter().take_while(|sample| sample.at <= last).count();
            let (inside, later) = rest.split_at(count);
            rest = later;
            Some((index, inside))
        })
    }

    /// From the first instant of the first bucket to the last one of the last bucket; `None` if there are no buckets.
    pub fn span(self) -> Option<TimeRange> {
        (self.count > 0).then(|| TimeRange { start: self.start, end: self.last_of(self.count - 1) })
    }
}

/// The buckets of a query, and how many of them can become points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketSpec {
    /// Where the buckets lie.
    pub grid: BucketGrid,
    /// The most points, at least 1.
    pub max_points: usize,
    /// From which end of the grid the points are taken.
    pub order: Order,
}

/// An entry for each bucket that is in use.
///
/// The memory is bounded, however many buckets there are: a list has a place for each, but is used only if they are few. A tree drops
/// those that come last in the order, if more buckets come into use than can become points.
#[derive(Debug)]
pub struct BucketMap<A> {
    spec: BucketSpec,
    entries: Entries<A>,
    /// The indices of the buckets that can still become points.
    wanted: Range<i64>,
}

#[derive(Debug)]
enum Entries<A> {
    List(Vec<Option<A>>),
    Tree(BTreeMap<i64, A>),
}

impl<A: Default> BucketMap<A> {
    /// A map without entries.
    pub fn new(spec: BucketSpec) -> BucketMap<A> {
        let count = spec.grid.count;
        let entries = if count <= MAX_LISTED {
            Entries::List((0..count).map(|_| None).collect())
        } else {
            Entries::Tree(BTreeMap::new())
        };
        BucketMap { spec, entries, wanted: 0..count }
    }

    /// Where the buckets lie.
    pub fn grid(&self) -> BucketGrid {
        self.spec.grid
    }

    /// The indices of the buckets that can still become points: fewer and fewer as buckets come into use.
    pub fn wanted(&self) -> Range<i64> {
        self.wanted.clone()
    }

    /// The entry of a bucket, which is made if there is none; `None` if the bucket cannot become a point.
    pub fn entry(&mut self, index: i64) -> Option<&mut A> {
        if !self.wanted.contains(&index) {
            return None;
        }
        match &mut self.entries {
            Entries::List(list) => Some(list.get_mut(index as usize)?.get_or_insert_default()),
            Entries::Tree(tree) => {
                if tree.len() >= self.spec.max_points && !tree.contains_key(&index) {
                    // The map is full: the bucket that comes last in the order leaves.
                    match self.spec.order {
                        Order::OldestFirst => {
                            let newest = *tree.last_key_value()?.0;
                            self.wanted.end = newest.max(index);
                            tree.remove(&self.wanted.end);
                        }
                        Order::NewestFirst => {
                            let oldest = *tree.first_key_value()?.0;
                            self.wanted.start = oldest.min(index) + 1;
                            tree.remove(&(self.wanted.start - 1));
                        }
                    }
                    if !self.wanted.contains(&index) {
                        return None;
                    }
                }
                Some(tree.entry(index).or_default())
            }
        }
    }

    /// About how many bytes the map takes.
    pub fn kept_bytes(&self) -> usize {
        match &self.entries {
            Entries::List(list) => list.capacity() * size_of::<Option<A>>(),
            // A tree's nodes are two thirds full on average, and have links.
            Entries::Tree(tree) => tree.len() * 2 * size_of::<(i64, A)>(),
        }
    }

    /// The indices and the entries of the buckets in use, in the order of the query.
    pub fn into_entries(self) -> Box<dyn Iterator<Item = (i64, A)>>
    where
        A: 'static,
    {
        let order = self.spec.order;
        match self.entries {
            Entries::List(list) => {
                let used = (0..).zip(list).filter_map(|(index, entry)| Some((index, entry?)));
                in_order(used.collect::<Vec<_>>().into_iter(), order)
            }
            Entries::Tree(tree) => in_order(tree.into_iter(), order),
        }
    }
}

/// The items of an ascending iterator, in an order.
pub(super) fn in_order<T>(
    ascending: impl DoubleEndedIterator<Item = T> + 'static,
    order: Order,
) -> Box<dyn Iterator<Item = T>> {
    match order {
        Order::OldestFirst => Box::new(ascending),
        Order::NewestFirst => Box::new(ascending.rev()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(start: i64, end: i64, bucket: i64) -> BucketGrid {
        BucketGrid::of(TimeRange::new(start, end).unwrap(), bucket)
    }

    #[test]
    fn only_whole_buckets_count_and_each_instant_lies_in_one() {
        let check = |start, end, bucket, starts: &[i64]| {
            let grid = grid(start, end, bucket);
            assert_eq!((0..grid.count()).map(|index| grid.start_of(index)).collect::<Vec<_>>(), starts);
            for at in start - 2..=end + 2 {
                let expected = starts.iter().position(|&from| (from..from + bucket).contains(&at));
                assert_eq!(grid.index_of(at), expected.map(|index| index as i64), "{at} in {starts:?}");
            }
        };
        check(1_000, 1_000, 10, &[]);
        check(1_000, 1_009, 10, &[]);
        check(1_000, 1_010, 10, &[1_000]);
        check(1_000, 1_029, 10, &[1_000, 1_010]);
        check(1_000, 1_003, 1, &[1_000, 1_001, 1_002]);
        assert_eq!(grid(5, 5, 1).span(), None);
        assert_eq!(grid(5, 27, 10).span(), Some(TimeRange { start: 5, end: 24 }));
    }

    #[test]
    fn the_first_buckets_are_those_of_one_end() {
        let all = grid(7, 47, 10);
        let starts = |max_buckets, order: Order| -> Vec<i64> {
            let first = all.limited_to(max_buckets, order);
            order.indices(first.count()).map(|index| first.start_of(index)).collect()
        };
        assert_eq!(starts(2, Order::OldestFirst), [7, 17]);
        assert_eq!(starts(2, Order::NewestFirst), [37, 27]);
        assert_eq!(starts(9, Order::OldestFirst), [7, 17, 27, 37]);
        assert_eq!(starts(usize::MAX, Order::NewestFirst), [37, 27, 17, 7]);
    }

    #[test]
    fn of_more_buckets_than_can_become_points_the_first_are_kept() {
        // The same in a list and in a tree, in whatever order the buckets come into use.
        for count in [100, MAX_LISTED + 100] {
            for (order, expected) in [(Order::OldestFirst, [3, 5, 8]), (Order::NewestFirst, [99, 70, 41])] {
                for used in [[3, 5, 8, 41, 70, 99], [99, 70, 41, 8, 5, 3], [41, 3, 99, 8, 70, 5]] {
                    let mut map = BucketMap::<u32>::new(BucketSpec { grid: grid(0, count, 1), max_points: 3, order });
                    for index in used.into_iter().chain(used) {
                        if let Some(entry) = map.entry(index) {
                            *entry += 1;
                        }
                    }
                    let entries: Vec<(i64, u32)> = map.into_entries().take(3).collect();
                    assert_eq!(entries, expected.map(|index| (index, 2)), "{count} {order:?} {used:?}");
                }
            }
        }
    }

    #[test]
    fn a_tree_keeps_no_more_than_it_has_to() {
        let spec = BucketSpec { grid: grid(0, 1 << 40, 1), max_points: 3, order: Order::OldestFirst };
        let mut map = BucketMap::<u32>::new(spec);
        for index in (0..1_000).rev() {
            map.entry(index << 20);
        }
        assert_eq!(map.wanted(), 0..3 << 20);
        assert!(map.entry(3 << 20).is_none());
        assert!(matches!(map.entries, Entries::Tree(tree) if tree.len() == 3));
    }
}
