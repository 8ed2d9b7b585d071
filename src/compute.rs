//! The arithmetic between StackState and Prometheus: which samples a query needs, and which points they make.
//!
//! Pure: no I/O, no clock, no log. The same samples always give the same points.

pub mod aggregate;
pub mod bucket_method;
pub mod buckets;
mod counters;
pub mod distinct;
mod gauges;
pub mod look_back;
pub mod matchers;
pub mod metric_kind;
pub mod origin_recorder;
pub mod origins;
pub mod points;
pub mod promql;
pub mod rate;
mod rate_sweep;
pub mod raw;
pub mod read_windows;
pub mod screen;
pub mod spacing;
pub mod start_and_end;
pub mod steps;
pub mod subquery;
mod sum;
pub mod tokens;
