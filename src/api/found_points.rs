//! What a query for points finds.

use crate::compute::points::Points;
use crate::compute::screen::Dropped;

/// Points, and what is known of the samples that they were made of.
#[derive(Debug)]
pub(super) struct FoundPoints {
    /// The points.
    pub(super) points: Points,
    /// What became no point for its value.
    pub(super) dropped: Dropped,
    /// Whether there was any series, whatever became of its samples.
    pub(super) has_series: bool,
}
