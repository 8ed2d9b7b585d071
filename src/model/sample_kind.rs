//! What the samples of a query are, which decides how they become points.

use crate::model::query::NanInterpretation;

/// What the samples are: those of gauges or of counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleKind {
    /// Samples of gauges, or values of an expression, and what a NaN becomes.
    Gauge(NanInterpretation),
    /// Samples of counters, and their scrape interval in milliseconds, if it is given.
    Counter(Option<i64>),
}
