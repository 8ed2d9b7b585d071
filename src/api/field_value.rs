//! Field values: the values of a label, or the names of counters or gauges.

use crate::api::query::{MirrorQuery, QueryContext};
use crate::api::query_fields::{not_negative, time_range};
use crate::api::reply::json;
use crate::api::{condition, existence};
use crate::compute::matchers::{self, METRIC_NAME};
use crate::compute::metric_kind::{self, MetricKind};
use crate::error::Error;
use crate::log;
use crate::model::metric_type::Metadata;
use crate::model::query::Matcher;
use crate::model::texts::Texts;
use crate::model::time::TimeRange;
use crate::prometheus::Session;
use crate::wire::request::FieldValuesQuery;
use crate::wire::response::{CompleteValue, FieldValuesResponse};

/// Checks a query for the values of a field, of series that match the conditions on other fields.
///
/// # Errors
/// When the query is not valid.
pub(super) fn check(query: &FieldValuesQuery) -> Result<ValuesQuery, Error> {
    let field: &str = &query.field.field_name;
    if field.is_empty() {
        let details = "field.fieldName is empty: name the field whose values you query".to_owned();
        return Err(Error::invalid_query("invalid_query", details));
    }
    Ok(ValuesQuery {
        field: field.to_owned(),
        matchers: condition::matchers(&query.conditions, Some(field))?,
        prefix: condition::bounded_prefix(query.field_value_prefix.as_deref().unwrap_or_default())?.to_owned(),
        range: time_range(query.start_time, query.end_time)?,
        offset: not_negative(query.offset, "offset")?.unwrap_or(0),
        limit: not_negative(query.limit, "limit")?,
    })
}

/// A query for values of a field.
pub(super) struct ValuesQuery {
    field: String,
    matchers: Vec<Matcher>,
    prefix: String,
    range: TimeRange,
    offset: usize,
    limit: Option<usize>,
}

impl MirrorQuery for ValuesQuery {
    fn promql(&self) -> Option<String> {
        self.selector(&self.field)
    }

    fn run(&self, context: &mut QueryContext<'_>) -> Result<Vec<u8>, Error> {
        let session = &mut context.session;
        let values = match self.field.as_str() {
            condition::COUNTER => metrics(session, self, MetricKind::Counter)?,
            condition::GAUGE => metrics(session, self, MetricKind::Gauge)?,
            condition::EXPRESSION => Texts::default(),
            label => self.fetch(session, label)?,
        };
        Ok(json(&self.page(&values)))
    }
}

impl ValuesQuery {
    /// The page that the query wants of the whole list of values.
    fn page<'v>(&self, values: &'v Texts) -> FieldValuesResponse<'v> {
        let mut values: Vec<&str> = values.iter().filter(|value| value.starts_with(&self.prefix)).collect();
        values.sort_unstable();
        let limit = self.limit.unwrap_or(usize::MAX);
        let is_partial = values.len() > self.offset.saturating_add(limit);
        let page = values.into_iter().skip(self.offset).take(limit);
        FieldValuesResponse { values: page.map(|value| CompleteValue { value }).collect(), is_partial }
    }

    fn selector(&self, label: &str) -> Option<String> {
        matchers::match_selector(&self.matchers, Some((label, &self.prefix)))
    }

    /// All values. An upstream's own `limit` would not help: it returns any values, not the first ones.
    fn fetch(&self, session: &mut Session<'_>, label: &str) -> Result<Texts, Error> {
        let selector = self.selector(label);
        let fetched = existence::in_range(session, self.range, |session, start| {
            session.label_values(label, selector.as_deref(), start, self.range.end)
        });
        Ok(fetched?)
    }
}

fn metrics(session: &mut Session<'_>, query: &ValuesQuery, kind: MetricKind) -> Result<Texts, Error> {
    let names = query.fetch(session, METRIC_NAME)?;
    // The declared types are only a hint: many servers do not have this API.
    let metadata = session.metadata(None).unwrap_or_else(|error| {
        log::debug(|| log::Line::new("no metadata").text("error", &error));
        Metadata::new()
    });
    Ok(names.iter().filter(|name| metric_kind::is_offered(name, kind, &metadata)).collect())
}
