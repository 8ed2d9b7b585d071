//! Which samples to read, and what was read.

use crate::metrics::SampleSource;
use crate::model::time::TimeRange;
use crate::prometheus::error::Error;

/// Which samples to read.
#[derive(Debug, Clone, Copy)]
pub struct SampleQuery<'a> {
    /// A range selector that covers the range if it is evaluated at the end of the range. It may also return a sample before the
    /// range.
    pub promql: &'a str,
    /// The name of the metric.
    pub metric: &'a str,
    /// Labels and the regular expressions that they must match (RE2, anchored at both ends).
    pub label_patterns: &'a [(String, String)],
    /// The range of time, both ends included.
    pub range: TimeRange,
    /// How many bytes the request holds already.
    pub held_bytes: usize,
}

/// Samples that were read.
#[derive(Debug)]
pub struct SamplesRead<S> {
    /// The sink that received them.
    pub sink: S,
    /// How they were read.
    pub source: SampleSource,
    /// The error of a response that was too large to read, so that samples are missing.
    pub too_large: Option<Error>,
}
