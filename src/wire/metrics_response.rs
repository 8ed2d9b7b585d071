//! `MetricsResponse`, written point by point.
//!
//! A serializer for any type takes several times as long for a point, and a response is nearly all points.

use std::io::Write;

use super::point_writer::PointWriter;

/// The most bytes that a point has, nearly always: a value of 17 digits with its sign and point, and 13 for each of its times.
const RAW_POINT_BYTES: usize = 36;
const BUCKET_POINT_BYTES: usize = 50;

/// What a body has besides its points.
const FRAME_BYTES: usize = 256;

/// A length in bytes that a body of this many points hardly ever exceeds.
pub fn body_bytes(points: usize, is_aggregated: bool) -> usize {
    FRAME_BYTES + points * if is_aggregated { BUCKET_POINT_BYTES } else { RAW_POINT_BYTES }
}

/// The body of a response. A point is a value, which is finite, and its time in milliseconds since 1970; if there are buckets,
/// the time at which one of `bucket_ms` milliseconds starts.
pub fn metrics_response(
    points: impl ExactSizeIterator<Item = (f64, i64)>,
    bucket_ms: Option<i64>,
    is_partial: bool,
) -> Vec<u8> {
    let (kind, format) = match bucket_ms {
        None => ("RawMetricTelemetry", r#"["value","timestamp"]"#),
        Some(_) => ("AggregatedMetricTelemetry", r#"["value","startTimestamp","endTimestamp"]"#),
    };
    // Allocated at once: a body that grows is copied, and the allocator returns each large old copy to the system.
    let mut body = Vec::with_capacity(body_bytes(points.len(), bucket_ms.is_some()));
    // Writing to memory does not fail, here and below.
    let _ = write!(body, r#"{{"_type":"MetricsResponse","telemetry":{{"_type":"{kind}","points":["#);
    let mut writer = PointWriter::new(body);
    for (value, time) in points {
        writer.point(value, time, bucket_ms.map(|bucket_ms| time + bucket_ms));
    }
    let mut body = writer.finish();
    let _ = write!(body, r#"],"dataFormat":{format},"isPartial":{is_partial}}}}}"#);
    body
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn written(points: &[(f64, i64)], bucket_ms: Option<i64>, is_partial: bool) -> Value {
        serde_json::from_slice(&metrics_response(points.iter().copied(), bucket_ms, is_partial)).unwrap()
    }

    #[test]
    fn points_have_the_form_of_the_mirror_api() {
        let raw = json!({"_type": "MetricsResponse", "telemetry": {
            "_type": "RawMetricTelemetry", "points": [[1.5, 1_000], [-2.0, 2_000]],
            "dataFormat": ["value", "timestamp"], "isPartial": false}});
        assert_eq!(written(&[(1.5, 1_000), (-2.0, 2_000)], None, false), raw);
        let buckets = json!({"_type": "MetricsResponse", "telemetry": {
            "_type": "AggregatedMetricTelemetry", "points": [[1.5, 1_000, 61_000]],
            "dataFormat": ["value", "startTimestamp", "endTimestamp"], "isPartial": true}});
        assert_eq!(written(&[(1.5, 1_000)], Some(60_000), true), buckets);
        assert_eq!(written(&[], None, false)["telemetry"]["points"], json!([]));
    }
}
