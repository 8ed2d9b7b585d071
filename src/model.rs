//! Queries, series and samples: plain data that every other folder may use. Imports no other folder.

pub mod aggregation;
pub mod calendar;
pub mod decimal;
pub mod duration;
pub mod metric_type;
pub mod query;
pub mod sample;
pub mod sample_kind;
pub mod texts;
pub mod time;
pub mod trace;
