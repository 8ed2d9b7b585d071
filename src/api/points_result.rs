//! The result of a query for points.

use crate::compute::points::Points;
use crate::compute::screen::Dropped;

/// Points, and facts about the samples that they were made of.
#[derive(Debug)]
pub(super) struct PointsResult {
    /// The points.
    pub(super) points: Points,
    /// How many values were left out because JSON has no such number.
    pub(super) dropped: Dropped,
    /// Whether any series was found, even if all of its samples were left out.
    pub(super) has_series: bool,
}
