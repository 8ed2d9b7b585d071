//! One run of a query for points, on one replica.

use crate::api::recording::Recording;
use crate::model::query::{MetricQuery, NanInterpretation};
use crate::prometheus::Session;

/// What a query for points needs to run.
pub(super) struct Run<'a, 's> {
    pub(super) session: &'a mut Session<'s>,
    pub(super) query: &'a MetricQuery,
    /// What a NaN sample becomes.
    pub(super) nan: NanInterpretation,
    /// How often metrics are scraped, in milliseconds; measured if not given.
    pub(super) interval_ms: Option<i64>,
    pub(super) recording: Recording,
}
