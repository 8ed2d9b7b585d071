//! Metric values: raw samples, or buckets.

use crate::api::datasource::Datasource;
use crate::api::probe::Probes;
use crate::api::search::Search;
use crate::api::{Call, condition, not_negative};
use crate::compute::points::Points;
use crate::error::Error;
use crate::model::query::{Aggregation, Invalid, MAX_POINTS, MetricQuery, Order};
use crate::model::time::TimeRange;
use crate::wire::request::{MetricsQuery, QueryRequest};
use crate::wire::response::{AGGREGATED_FORMAT, MetricsResponse, RAW_FORMAT, Telemetry};

/// The most bytes that a point has, nearly always: a value of 17 digits with its sign and point, and 13 for each of its times.
const RAW_POINT_BYTES: usize = 36;
const AGGREGATED_POINT_BYTES: usize = 50;

/// What a body has besides its points.
const FRAME_BYTES: usize = 256;

/// Answers with the points of a query.
///
/// # Errors
/// When the request is invalid, Prometheus does not answer it, several series match, or no such metric ever existed.
pub(super) fn answer(
    probes: &Probes,
    call: &mut Call<'_>,
    request: &QueryRequest<MetricsQuery>,
) -> Result<Vec<u8>, Error> {
    let (datasource, query) = checked(request)?;
    let metrics = call.metrics;
    let nan = datasource.nan;
    let interval_ms = datasource.scrape_interval_ms;
    let mut search = Search::new(call.open(&datasource), &query, nan);
    match query.aggregation {
        None => search.raw(&query.source, interval_ms)?,
        Some(aggregation) => search.buckets(probes, &query.source, aggregation, interval_ms)?,
    }
    let points = search.finish(&query.source)?;
    let dropped = points.dropped();
    metrics.points(points.count() as u64, dropped.nan, dropped.infinite);
    body(points, query.aggregation)
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
        range: TimeRange::new(query.start_time.0, query.end_time.0).map_err(Invalid::from)?,
        aggregation: aggregation.map(|a| Aggregation::new(&a.method, a.bucket_size_millis.0)).transpose()?,
        limit: not_negative(query.limit, "limit")?.unwrap_or(MAX_POINTS).min(MAX_POINTS),
        order: if query.latest_first == Some(true) { Order::NewestFirst } else { Order::OldestFirst },
    })
}

/// The body that points are answered with. It is written into memory that has room for all of it: half a megabyte that grows
/// is copied and given back to the system on the way, which takes longer than to write it.
///
/// # Errors
/// Never, for a point is a number.
pub fn body(points: Points, aggregation: Option<Aggregation>) -> Result<Vec<u8>, Error> {
    let point_bytes = if aggregation.is_none() { RAW_POINT_BYTES } else { AGGREGATED_POINT_BYTES };
    let mut body = Vec::with_capacity(FRAME_BYTES + points.count() * point_bytes);
    let response = MetricsResponse { telemetry: telemetry(points, aggregation) };
    serde_json::to_writer(&mut body, &response).map_err(|_| Error::Internal)?;
    Ok(body)
}

fn telemetry(points: Points, aggregation: Option<Aggregation>) -> Telemetry {
    let is_partial = points.is_partial();
    let samples = points.into_list().into_iter();
    match aggregation {
        None => Telemetry::RawMetricTelemetry {
            points: samples.map(|sample| (sample.value, sample.at)).collect(),
            data_format: RAW_FORMAT,
            is_partial,
        },
        // A bucket is evaluated at its last millisecond.
        Some(Aggregation { bucket_ms, .. }) => Telemetry::AggregatedMetricTelemetry {
            points: samples.map(|sample| (sample.value, sample.at + 1 - bucket_ms, sample.at + 1)).collect(),
            data_format: AGGREGATED_FORMAT,
            is_partial,
        },
    }
}
