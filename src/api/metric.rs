//! Metric values: raw samples, or buckets.

use crate::api::datasource::{Datasource, Directory};
use crate::api::query::{CheckedQuery, MirrorQuery, QueryContext};
use crate::api::query_fields::{not_negative, time_range};
use crate::api::{condition, explain, expression, samples};
use crate::compute::matchers;
use crate::compute::points::Points;
use crate::compute::screen::SampleKind;
use crate::error::Error;
use crate::log;
use crate::model::aggregation::Aggregation;
use crate::model::query::{MAX_POINTS, MetricQuery, NanInterpretation, Order, Source};
use crate::wire::metrics_response::{body_bytes, metrics_response};
use crate::wire::request::{self, MetricsQuery, QueryRequest};

/// Checks a request for points.
///
/// # Errors
/// When the request is not valid.
pub(super) fn check(directory: &Directory<'_>, request: &QueryRequest<MetricsQuery>) -> Result<CheckedQuery, Error> {
    let (datasource, query) = datasource_and_query(directory, request)?;
    let (nan, interval_ms) = (datasource.nan, datasource.scrape_interval_ms);
    Ok((datasource, Box::new(PointsQuery { query, nan, interval_ms })))
}

/// A query for points.
struct PointsQuery {
    query: MetricQuery,
    nan: NanInterpretation,
    interval_ms: Option<i64>,
}

impl MirrorQuery for PointsQuery {
    fn promql(&self) -> Option<String> {
        Some(match &self.query.source {
            Source::Gauge(of) | Source::Counter(of) => matchers::selector(of),
            Source::Expression(text) => text.clone(),
        })
    }

    fn order(&self) -> Order {
        self.query.order
    }

    fn run(&self, context: &mut QueryContext<'_>) -> Result<Vec<u8>, Error> {
        let QueryContext { session, metrics, explained } = context;
        let PointsQuery { query, nan, interval_ms } = self;
        let points = match &query.source {
            Source::Gauge(of) => samples::points(session, of, SampleKind::Gauge(*nan), query),
            Source::Counter(of) => samples::points(session, of, SampleKind::Counter(*interval_ms), query),
            Source::Expression(text) => expression::points(session, text, query, *nan, *interval_ms),
        }?;
        let dropped = points.dropped;
        if dropped.nan + dropped.infinite > 0 {
            log::info(|| {
                log::Line::new("samples dropped")
                    .number("nan", dropped.nan)
                    .number("infinite", dropped.infinite)
                    .text("promql", session.last_query().unwrap_or_default())
            });
        }
        *explained = explain::points_explanation(session, query, *nan, *interval_ms, &points);
        metrics.count_points(points.count() as u64, dropped.nan, dropped.infinite);
        let bytes = points.kept_bytes() + body_bytes(points.count(), query.aggregation.is_some());
        session.hold(bytes)?;
        Ok(body(points, query.aggregation))
    }
}

/// The datasource and the query of a body for `POST /api/metric`. A fuzz target uses this.
///
/// # Errors
/// When the request is not valid.
pub fn metric_query(body: &[u8]) -> Result<(Datasource, MetricQuery), Error> {
    datasource_and_query(&Directory::default(), &request::parsed(body).map_err(Error::BadRequest)?)
}

/// The datasource and the query of a request.
///
/// # Errors
/// When the request is not valid.
fn datasource_and_query(
    directory: &Directory<'_>,
    request: &QueryRequest<MetricsQuery>,
) -> Result<(Datasource, MetricQuery), Error> {
    let datasource = Datasource::new(directory, &request.connection_details)?;
    let query = &request.query;
    let aggregation = query.aggregation.as_ref().map(|sent| Aggregation::new(&sent.method, sent.bucket_size_millis.0));
    let query = MetricQuery {
        source: condition::source(&query.conditions)?,
        range: time_range(query.start_time, query.end_time)?,
        aggregation: aggregation.transpose().map_err(|details| Error::invalid_query("invalid_aggregation", details))?,
        limit: not_negative(query.limit, "limit")?.unwrap_or(MAX_POINTS).min(MAX_POINTS),
        order: if query.latest_first == Some(true) { Order::NewestFirst } else { Order::OldestFirst },
    };
    Ok((datasource, query))
}

/// The body of a response with points.
pub fn body(points: Points, aggregation: Option<Aggregation>) -> Vec<u8> {
    let is_partial = points.is_partial();
    let points = points.into_list().into_iter().map(|point| (point.value, point.at));
    metrics_response(points, aggregation.map(|aggregation| aggregation.bucket_ms), is_partial)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::request::parsed;

    #[test]
    fn a_query_has_a_million_points_at_most_and_the_oldest_first() {
        let check = |limit: serde_json::Value, latest_first: serde_json::Value, expected: (usize, Order)| {
            let conditions = json!([{"key": "__gauge__", "value": {"value": "m"}}]);
            let query = json!({"conditions": conditions, "limit": limit, "latestFirst": latest_first});
            let details = json!({"host": "p", "port": 9090});
            let request = parsed(json!({"connectionDetails": details, "query": query}).to_string().as_bytes()).unwrap();
            let (_, query) = datasource_and_query(&Directory::default(), &request).unwrap();
            assert_eq!((query.limit, query.order), expected);
        };
        check(json!(null), json!(null), (1_000_000, Order::OldestFirst));
        check(json!(2_147_483_647), json!(false), (1_000_000, Order::OldestFirst));
        check(json!(999_999), json!(true), (999_999, Order::NewestFirst));
        check(json!(0), json!(true), (0, Order::NewestFirst));
    }
}
