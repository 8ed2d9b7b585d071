//! The types that exporters declare for their metrics.

use std::collections::HashMap;

/// The type that a metric's exporter declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricType {
    /// Only goes up, or starts anew at zero.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, a count and a sum.
    Histogram,
    /// A histogram whose buckets are gauges.
    GaugeHistogram,
    /// Quantiles, a count and a sum.
    Summary,
    /// Labels that say something; its value is always 1.
    Info,
    /// Untyped, or a type that tells nothing about how to read its values.
    Unknown,
}

/// The declared types by metric family: several when targets disagree, each of them once.
pub type Metadata = HashMap<String, Vec<MetricType>>;
