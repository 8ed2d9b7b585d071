//! Field names: the keys that name what to fetch, then the labels.

use crate::api::datasource::Datasource;
use crate::api::{Call, condition, existence, not_negative, time_range};
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
    let range = time_range(query.start_time, query.end_time)?;
    let limit = not_negative(query.limit, "limit")?;

    let selector = promql::match_selector(&matchers, None);
    let mut labels = existence::in_range(call.open(&datasource), range, |session, start| {
        session.labels(selector.as_deref(), start, range.end)
    })?;
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
