//! Metric values: raw samples, or buckets.

use crate::api::datasource::Datasource;
use crate::api::{Call, condition, expression, not_negative, samples, time_range};
use crate::compute::points::Points;
use crate::compute::screen::{Dropped, Kind};
use crate::error::Error;
use crate::log;
use crate::model::query::{Aggregation, MAX_POINTS, MetricQuery, Order, Source};
use crate::wire::metrics_response::metrics_response;
use crate::wire::request::{MetricsQuery, QueryRequest};

/// What a query finds.
#[derive(Debug)]
pub(super) struct Found {
    /// The points.
    pub(super) points: Points,
    /// What became no point for its value.
    pub(super) dropped: Dropped,
    /// Whether there was any series, whatever became of its samples.
    pub(super) has_series: bool,
}

/// Answers with the points of a query.
///
/// # Errors
/// When the request is invalid, Prometheus does not answer it, several series match, or no such metric ever existed.
pub(super) fn answer(call: &mut Call<'_>, request: &QueryRequest<MetricsQuery>) -> Result<Vec<u8>, Error> {
    let (datasource, query) = checked(request)?;
    let metrics = call.metrics;
    let (nan, interval_ms) = (datasource.nan, datasource.scrape_interval_ms);
    let session = call.open(&datasource);
    let Found { points, dropped, .. } = match &query.source {
        Source::Gauge(of) => samples::found(session, of, Kind::Gauge(nan), &query)?,
        Source::Counter(of) => samples::found(session, of, Kind::Counter(interval_ms), &query)?,
        Source::Expression(text) => expression::found(session, text, &query, nan, interval_ms)?,
    };
    let dropped = Dropped { infinite: dropped.infinite + points.overflows(), ..dropped };
    if dropped.nan + dropped.infinite > 0 {
        log::info(|| {
            log::Line::new("samples dropped")
                .number("nan", dropped.nan)
                .number("infinite", dropped.infinite)
                .text("promql", session.last_query().unwrap_or_default())
        });
    }
    metrics.points(points.count() as u64, dropped.nan, dropped.infinite);
    Ok(body(points, query.aggregation))
}

/// Whom a request asks, and what.
///
/// # Errors
/// When it is invalid.
pub(super) fn checked(request: &QueryRequest<MetricsQuery>) -> Result<(Datasource, MetricQuery), Error> {
    let datasource = Datasource::new(&request.connection_details)?;
    Ok((datasource, validated(&request.query)?))
}

fn validated(query: &MetricsQuery) -> Result<MetricQuery, Error> {
    let conditions = query.conditions.as_deref().unwrap_or_default();
    let aggregation = query.aggregation.as_ref();
    Ok(MetricQuery {
        source: condition::source(conditions)?,
        range: time_range(query.start_time, query.end_time)?,
        aggregation: aggregation.map(|a| Aggregation::new(&a.method, a.bucket_size_millis.0)).transpose()?,
        limit: not_negative(query.limit, "limit")?.unwrap_or(MAX_POINTS).min(MAX_POINTS),
        order: if query.latest_first == Some(true) { Order::NewestFirst } else { Order::OldestFirst },
    })
}

/// The body that points are answered with.
pub fn body(points: Points, aggregation: Option<Aggregation>) -> Vec<u8> {
    let is_partial = points.is_partial();
    let points = points.into_list().into_iter().map(|point| (point.value, point.at));
    metrics_response(points, aggregation.map(|aggregation| aggregation.bucket_ms), is_partial)
}
