//! Field names: the keys that say what to fetch, and the names of labels.

use crate::api::query::{MirrorQuery, QueryContext};
use crate::api::query_fields::{not_negative, time_range};
use crate::api::reply::json;
use crate::api::{condition, existence};
use crate::compute::matchers::{self, METRIC_NAME};
use crate::error::Error;
use crate::model::time::TimeRange;
use crate::wire::request::FieldNamesQuery;
use crate::wire::response::{FieldDescriptor, FieldNamesResponse};

/// Checks a query for field names. The response lists `__counter__`, `__gauge__` and `~`, and then the labels of the series that
/// match the conditions.
///
/// # Errors
/// When the query is not valid.
pub(super) fn check(query: &FieldNamesQuery) -> Result<NamesQuery, Error> {
    let matchers = condition::matchers(&query.conditions, None)?;
    Ok(NamesQuery {
        selector: matchers::match_selector(&matchers, None),
        range: time_range(query.start_time, query.end_time)?,
        limit: not_negative(query.limit, "limit")?,
    })
}

/// A query for field names.
pub(super) struct NamesQuery {
    selector: Option<String>,
    range: TimeRange,
    limit: Option<usize>,
}

impl MirrorQuery for NamesQuery {
    fn promql(&self) -> Option<String> {
        self.selector.clone()
    }

    fn run(&self, context: &mut QueryContext<'_>) -> Result<Vec<u8>, Error> {
        let NamesQuery { selector, range, limit } = self;
        let labels = existence::in_range(&mut context.session, *range, |session, start| {
            session.labels(selector.as_deref(), start, range.end)
        })?;
        let mut labels: Vec<&str> = labels.iter().filter(|&label| label != METRIC_NAME).collect();
        labels.sort_unstable();

        let limit = limit.unwrap_or(usize::MAX);
        let descriptor = |field_name| FieldDescriptor { field_name, field_type: "STRING", classified: false };
        let mut fields: Vec<_> = condition::SOURCE_KEYS.into_iter().chain(labels).map(descriptor).collect();
        let is_partial = fields.len() > limit;
        fields.truncate(limit);
        Ok(json(&FieldNamesResponse { fields, is_partial }))
    }
}
