//! The arithmetic between the two sides: from a query to what is asked of Prometheus, and from samples to points.
//!
//! Pure: no I/O, no clock, no log. The same samples give the same answer, whatever was asked before.

pub mod aggregate;
pub mod at_modifier;
pub mod bucket_method;
pub mod buckets;
mod counters;
pub mod distinct;
mod gauges;
pub mod metric_kind;
pub mod origins;
pub mod plan;
pub mod points;
pub mod promql;
pub mod rate;
mod rate_sweep;
pub mod raw;
pub mod screen;
mod sum;
pub mod tokens;
