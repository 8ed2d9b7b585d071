//! Which samples are wanted, and what was read of them.

use crate::model::time::TimeRange;
use crate::prometheus::error::Error;

/// Which samples are read.
#[derive(Debug, Clone, Copy)]
pub struct SampleQuery<'a> {
    /// A range selector that covers the range when it is evaluated at its end, and may cover a sample before it.
    pub promql: &'a str,
    /// The metric's name.
    pub metric: &'a str,
    /// Labels and the patterns that they match (RE2, anchored at both ends).
    pub label_patterns: &'a [(String, String)],
    /// From when to when, both ends included.
    pub range: TimeRange,
}

/// Samples that were read.
#[derive(Debug)]
pub struct SamplesRead<S> {
    /// What they were handed to.
    pub sink: S,
    /// That the response was larger than what is read of one, so that samples are missing.
    pub too_large: Option<Error>,
}
