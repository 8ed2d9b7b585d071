//! What is asked and what was found: plain data that every other folder may use. Imports nothing of ours.

pub mod aggregation;
pub mod calendar;
pub mod decimal;
pub mod duration;
pub mod invalid_query;
pub mod metric_type;
pub mod query;
pub mod sample;
pub mod texts;
pub mod time;
pub mod trace;
