//! The interface of aggregation methods: they take samples, and return the values of buckets.

use crate::model::sample::Sample;

/// The most buckets without an interval of their own that get a rate last known: ten times as many as a response has points. There
/// are many of them if buckets are much shorter than the scrape interval.
pub const MAX_CARRIED_BUCKETS: u64 = 10_000_000;

/// The values of buckets in the order of the query, each with the index of its bucket.
pub(super) type BucketValues = Box<dyn Iterator<Item = (i64, f64)>>;

/// More buckets than [`MAX_CARRIED_BUCKETS`] need a rate last known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyBuckets;

/// What a method keeps of the samples. They come series after series, and their values are finite.
pub(super) trait BucketMethod {
    /// Takes samples of a series, each later than the one before it.
    fn take(&mut self, samples: &[Sample]);

    /// Ends a series.
    fn end_series(&mut self) {}

    /// About how many bytes it keeps, and needs to compute the values.
    fn kept_bytes(&self) -> usize;

    /// How far before the range samples should have been read, in milliseconds, if they were not read far enough.
    fn further_ms(&self) -> Option<i64> {
        None
    }

    /// The values of the buckets that have one.
    fn values(self: Box<Self>) -> Result<BucketValues, TooManyBuckets>;
}
