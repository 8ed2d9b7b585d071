//! Metric values: raw samples, or buckets.

use crate::api::datasource::{Datasource, Directory};
use crate::api::query::{MirrorQuery, QueryContext, checked};
use crate::api::query_fields::{not_negative, time_range};
use crate::api::recording::Recording;
use crate::api::run::Run;
use crate::api::{condition, explain, expression, samples};
use crate::compute::matchers;
use crate::compute::points::Points;
use crate::compute::screen::Dropped;
use crate::error::Error;
use crate::log;
use crate::model::aggregation::Aggregation;
use crate::model::query::{MAX_POINTS, MetricQuery, Order, Source};
use crate::model::sample_kind::SampleKind;
use crate::wire::metrics_response::{body_bytes, metrics_response};
use crate::wire::request::MetricsQuery;

/// Checks a query for points.
///
/// # Errors
/// When the query is not valid.
pub(super) fn check(query: &MetricsQuery) -> Result<MetricQuery, Error> {
    let aggregation = query.aggregation.as_ref().map(|sent| Aggregation::new(&sent.method, sent.bucket_size_millis));
    Ok(MetricQuery {
        source: condition::source(&query.conditions)?,
        range: time_range(query.start_time, query.end_time)?,
        aggregation: aggregation.transpose().map_err(|details| Error::invalid_query("invalid_aggregation", details))?,
        limit: not_negative(query.limit, "limit")?.unwrap_or(MAX_POINTS).min(MAX_POINTS),
        order: if query.latest_first == Some(true) { Order::NewestFirst } else { Order::OldestFirst },
    })
}

impl MirrorQuery for MetricQuery {
    fn promql(&self) -> Option<String> {
        Some(match &self.source {
            Source::Gauge(of) | Source::Counter(of) => matchers::selector(of),
            Source::Expression(text) => text.clone(),
        })
    }

    fn run(&self, context: &mut QueryContext<'_>) -> Result<Vec<u8>, Error> {
        let QueryContext { metrics, nan, interval_ms, explains, .. } = *context;
        let recording = Recording::new(self, explains);
        let run = &mut Run { session: &mut context.session, query: self, nan, interval_ms, recording };
        let points = match &self.source {
            Source::Gauge(of) => samples::points(run, of, SampleKind::Gauge(nan)),
            Source::Counter(of) => samples::points(run, of, SampleKind::Counter(interval_ms)),
            Source::Expression(text) => expression::points(run, text),
        }?;
        let dropped = points.dropped;
        if dropped != Dropped::default() {
            log::info(|| {
                let line = log::Line::new("values dropped");
                let line =
                    dropped.by_reason().into_iter().fold(line, |line, (reason, count)| line.number(reason, count));
                line.text("promql", run.session.last_query().unwrap_or_default())
            });
        }
        context.explained = explains.then(|| explain::points_explanation(run, &points));
        metrics.count_points(points.count() as u64, dropped);
        let bytes = points.kept_bytes() + body_bytes(points.count(), self.aggregation.is_some());
        context.session.hold(bytes)?;
        Ok(body(points, self.aggregation))
    }
}

/// The datasource and the query of a body for `POST /api/metric`. A fuzz target uses this.
///
/// # Errors
/// When the request is not valid.
pub fn metric_query(body: &[u8]) -> Result<(Datasource, MetricQuery), Error> {
    checked(&Directory::default(), body, check)
}

/// The body of a response with points.
pub fn body(points: Points, aggregation: Option<Aggregation>) -> Vec<u8> {
    let is_partial = points.is_partial;
    let points = points.into_list().into_iter().map(|point| (point.value, point.at));
    metrics_response(points, aggregation.map(|aggregation| aggregation.bucket_ms), is_partial)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_query_has_a_million_points_at_most_and_the_oldest_first() {
        let check = |limit: serde_json::Value, latest_first: serde_json::Value, expected: (usize, Order)| {
            let conditions = json!([{"key": "__gauge__", "value": {"value": "m"}}]);
            let query = json!({"conditions": conditions, "limit": limit, "latestFirst": latest_first});
            let details = json!({"host": "p", "port": 9090});
            let body = json!({"connectionDetails": details, "query": query}).to_string();
            let (_, query) = metric_query(body.as_bytes()).unwrap();
            assert_eq!((query.limit, query.order), expected);
        };
        check(json!(null), json!(null), (1_000_000, Order::OldestFirst));
        check(json!(2_147_483_647), json!(false), (1_000_000, Order::OldestFirst));
        check(json!(999_999), json!(true), (999_999, Order::NewestFirst));
        check(json!(0), json!(true), (0, Order::NewestFirst));
    }
}
