//! What the methods of aggregation have in common: samples in, values of buckets out.

use std::fmt::Debug;

use crate::model::sample::Sample;

/// The most buckets that a rate last known is carried into: several times as many as a response has points. Short buckets lie densely
/// between two samples.
pub const MAX_CARRIED_BUCKETS: u64 = 10_000_000;

/// The values of buckets in the order that was asked for, each with the number of its bucket.
pub(super) type BucketValues = Box<dyn Iterator<Item = (i64, f64)>>;

/// More buckets than [`MAX_CARRIED_BUCKETS`] have a rate last known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyBuckets;

/// What a method keeps of samples. They come series after series; their values are finite.
pub(super) trait BucketMethod: Debug {
    /// Takes samples of a series, each later than those before.
    fn take(&mut self, samples: &[Sample]);

    /// The series is at its end.
    fn end_series(&mut self);

    /// How many bytes it keeps, and needs to go through them, roughly.
    fn kept_bytes(&self) -> usize;

    /// How far before the range samples should have been read, in milliseconds, if farther than they were.
    fn further_ms(&self) -> Option<i64> {
        None
    }

    /// The values of the buckets that have one.
    fn values(self: Box<Self>) -> Result<BucketValues, TooManyBuckets>;
}
