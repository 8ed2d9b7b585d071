//! Field names: the keys that name what to fetch, then the labels.

use crate::api::datasource::Datasource;
use crate::api::{Call, condition, field_range, not_negative};
use crate::compute::promql::{self, METRIC_NAME};
use crate::error::Error;
use crate::wire::request::{FieldNamesQuery, QueryRequest};
use crate::wire::response::{FieldDescriptor, FieldNamesResponse};

/// Answers with `__counter__`, `__gauge__` and `~`, then the names of the labels that go with the conditions.
///
/// # Errors
/// When the request is invalid or Prometheus does not answer it.
pub(super) fn answer(
    call: &mut Call<'_>,
    request: &QueryRequest<FieldNamesQuery>,
) -> Result<FieldNamesResponse, Error> {
    let datasource = Datasource::new(&request.connection_details)?;
    let query = &request.query;
    let matchers = condition::matchers(query.conditions.iter().flatten())?;
    let (start, end) = field_range(query.start_time, query.end_time)?;
    let limit = not_negative(query.limit, "limit")?;

    // The server's list holds the metric's name, which is left out here; one more tells whether the limit cuts.
    let needed = limit.map(|limit| limit.saturating_add(2));
    let selector = promql::match_selector(&matchers, None);
    let mut labels = call.open(&datasource).labels(selector.as_deref(), start, end, needed)?;
    labels.retain(|label| label != METRIC_NAME);
    labels.sort_unstable();

    let limit = limit.unwrap_or(usize::MAX);
    let keys = condition::SOURCE_KEYS.into_iter().map(str::to_owned);
    let mut fields: Vec<FieldDescriptor> = keys.chain(labels).map(descriptor).collect();
    let is_partial = fields.len() > limit;
    fields.truncate(limit);
    Ok(FieldNamesResponse { fields, is_partial })
}

fn descriptor(field_name: String) -> FieldDescriptor {
    FieldDescriptor { field_name, field_type: "STRING", classified: false }
}
