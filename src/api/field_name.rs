//! Field names: the keys that name what to fetch, then the labels.

use crate::api::datasource::{Datasource, Directory};
use crate::api::query::{CheckedQuery, MirrorQuery, QueryContext};
use crate::api::query_fields::{not_negative, time_range};
use crate::api::reply::json;
use crate::api::{condition, existence};
use crate::compute::promql::{self, METRIC_NAME};
use crate::error::Error;
use crate::model::time::TimeRange;
use crate::wire::request::{FieldNamesQuery, QueryRequest};
use crate::wire::response::{FieldDescriptor, FieldNamesResponse};

/// Checks a request for the names of fields: `__counter__`, `__gauge__` and `~`, then the names of the labels that go with the
/// conditions.
///
/// # Errors
/// When it is not valid.
pub(super) fn prepare(
    directory: &Directory<'_>,
    request: &QueryRequest<FieldNamesQuery>,
) -> Result<CheckedQuery, Error> {
    let datasource = Datasource::new(directory, &request.connection_details)?;
    let query = &request.query;
    let matchers = condition::matchers(&query.conditions, None)?;
    let names = NamesQuery {
        selector: promql::match_selector(&matchers, None),
        range: time_range(query.start_time, query.end_time)?,
        limit: not_negative(query.limit, "limit")?,
    };
    Ok((datasource, Box::new(names)))
}

/// Which field names are asked for.
struct NamesQuery {
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
        let mut fields: Vec<FieldDescriptor<'_>> =
            condition::SOURCE_KEYS.into_iter().chain(labels).map(descriptor).collect();
        let is_partial = fields.len() > limit;
        fields.truncate(limit);
        json(&FieldNamesResponse { fields, is_partial })
    }
}

fn descriptor(field_name: &str) -> FieldDescriptor<'_> {
    FieldDescriptor { field_name, field_type: "STRING", classified: false }
}
