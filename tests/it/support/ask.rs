//! Sends queries to a mirror as StackState does, and judges the responses.

use serde_json::{Value, json};

use super::engine::Engine;
use super::mirror::{API_KEY, Mirror, Response, condition};
use super::oracle::{Nan, close};
use super::{prometheus, victoria};

/// All aggregation methods.
pub const METHODS: [&str; 14] = [
    "MEAN", "PERCENTILE_25", "PERCENTILE_50", "PERCENTILE_75", "PERCENTILE_90", "PERCENTILE_95", "PERCENTILE_98",
    "PERCENTILE_99", "MAX", "MIN", "SUM", "EVENT_COUNT", "SUM_NO_ZEROS", "EVENT_COUNT_NO_ZEROS",
];

/// A mirror, and the upstream that the requests name.
pub struct Gateway {
    pub mirror: Mirror,
    pub details: Value,
}

impl Gateway {
    /// In front of the Prometheus with the samples of the tests.
    pub fn to_prometheus() -> Gateway {
        Gateway::to(prometheus::shared().details())
    }

    /// In front of the VictoriaMetrics with the samples of the tests.
    pub fn to_victoria() -> Gateway {
        Gateway::to(victoria::shared().details())
    }

    /// In front of an engine with the samples of the tests.
    pub fn to_engine(engine: Engine) -> Gateway {
        Gateway::to(engine.details())
    }

    /// With any Connection Details.
    pub fn to(details: Value) -> Gateway {
        Gateway { mirror: Mirror::start(), details }
    }

    /// The same mirror with one more field of Connection Details.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Gateway {
        self.details[key] = value.into();
        self
    }

    /// The same mirror with this `nan_interpretation`.
    pub fn with_nan(self, nan: Nan) -> Gateway {
        self.with("nan_interpretation", if nan == Nan::Zero { "ZERO" } else { "NONE" })
    }

    /// Queries metric values.
    pub fn ask(&self, query: &Query) -> Response {
        self.mirror.metric(&self.details, query.0.clone())
    }

    /// Queries field names: the names, and whether some were left out.
    pub fn field_names(&self, query: Value) -> (Vec<String>, bool) {
        self.fields("FieldNames", "/api/field/name", query, "fields", "fieldName")
    }

    /// Queries the values of a field: the values, and whether some were left out.
    pub fn field_values(&self, field: &str, mut query: Value) -> (Vec<String>, bool) {
        query["field"] =
            json!({"fieldName": field, "fieldType": "STRING", "classified": false, "_type": "FieldDescriptor"});
        self.fields("FieldValues", "/api/field/value", query, "values", "value")
    }

    /// Tests the connection.
    pub fn connection(&self) -> Response {
        let request = json!({"_type": "TestConnectionRequest", "connectionDetails": self.details});
        self.mirror.post("/api/connection", &request)
    }

    fn fields(&self, kind: &str, path: &str, mut query: Value, list: &str, item: &str) -> (Vec<String>, bool) {
        query["_type"] = json!(format!("{kind}Query"));
        let request = json!({"_type": format!("{kind}Request"), "connectionDetails": self.details, "query": query});
        let response = self.mirror.post(path, &request);
        let items = response.json[list].as_array().unwrap_or_else(|| panic!("{}: {}", response.status, response.text));
        assert_eq!(response.json["_type"], format!("{kind}Response"));
        (items.iter().map(|entry| entry[item].as_str().unwrap().to_owned()).collect(), response.is_partial())
    }
}

/// A metrics query under construction.
#[derive(Debug, Clone)]
pub struct Query(pub Value);

impl Query {
    /// The samples of a metric.
    pub fn gauge(name: &str) -> Query {
        Query::of(vec![condition("__gauge__", name)])
    }

    /// The rate of a metric.
    pub fn counter(name: &str) -> Query {
        Query::of(vec![condition("__counter__", name)])
    }

    /// An expression.
    pub fn expression(promql: &str) -> Query {
        Query::of(vec![condition("~", promql)])
    }

    /// Any conditions.
    pub fn of(conditions: Vec<Value>) -> Query {
        Query(json!({"conditions": conditions}))
    }

    /// One more condition: a label has this text.
    pub fn label(self, key: &str, value: &str) -> Query {
        self.and(condition(key, value))
    }

    /// One more condition.
    pub fn and(mut self, condition: Value) -> Query {
        self.0["conditions"].as_array_mut().unwrap().push(condition);
        self
    }

    /// From `start` to `end`, in milliseconds since 1970.
    pub fn between(self, start: i64, end: i64) -> Query {
        self.set("startTime", start).set("endTime", end)
    }

    /// In buckets.
    pub fn aggregated(self, method: &str, bucket: i64) -> Query {
        self.set("aggregation", json!({"method": method, "bucketSizeMillis": bucket, "_type": "Aggregation"}))
    }

    /// At most this number of points.
    pub fn limit(self, limit: usize) -> Query {
        self.set("limit", limit)
    }

    /// Newest first, or not.
    pub fn latest_first(self, latest_first: bool) -> Query {
        self.set("latestFirst", latest_first)
    }

    fn set(mut self, key: &str, value: impl Into<Value>) -> Query {
        self.0[key] = value.into();
        self
    }
}

/// The response has exactly these points, with values up to a relative error, and none was left out.
pub fn assert_points(response: &Response, expected: &[Vec<f64>], tolerance: f64, what: &str) {
    assert_cut(response, &(expected.to_vec(), false), tolerance, what);
}

/// The response has exactly these points, with values up to a relative error, and this `isPartial`.
pub fn assert_cut(response: &Response, expected: &(Vec<Vec<f64>>, bool), tolerance: f64, what: &str) {
    let points = response.points();
    let (expected, partial) = expected;
    for (index, (point, expected)) in points.iter().zip(expected).enumerate() {
        let same = point[1..] == expected[1..] && close(point[0], expected[0], tolerance);
        assert!(same, "{what}: point {index} is {point:?}, expected {expected:?}");
    }
    assert_eq!(points.len(), expected.len(), "{what}: number of points; the first: {:?}", points.first());
    assert_eq!(response.is_partial(), *partial, "{what}: isPartial");
}

/// The response is this error, with the API key, and its text has all these parts.
pub fn assert_error(response: &Response, kind: &str, parts: &[&str]) {
    assert_eq!((response.status, &response.json["_type"]), (500, &json!(kind)), "{}", response.text);
    assert_eq!(response.key.as_deref(), Some(API_KEY));
    let text = error_text(&response.json);
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

/// The texts of an error.
pub fn error_text(error: &Value) -> String {
    let fields = ["summary", "metric", "mirrorType", "details"];
    fields.iter().filter_map(|field| error[field].as_str()).collect::<Vec<_>>().join("\n")
}
