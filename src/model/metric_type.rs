//! The metric types that exporters declare.

use std::collections::HashMap;

/// The type that a metric's exporter declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricType {
    /// Only goes up, or restarts at zero.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, a count and a sum.
    Histogram,
    /// A histogram whose buckets are gauges.
    GaugeHistogram,
    /// Quantiles, a count and a sum.
    Summary,
    /// Labels with information; the value is always 1.
    Info,
    /// Untyped, or a type that says nothing about its values.
    Unknown,
}

/// The declared types by metric family. If targets disagree, each type is listed once.
pub type Metadata = HashMap<String, Vec<MetricType>>;
