//! The exact shapes of all responses: every key with its type, and no other keys.

use serde_json::{Value, json};

use super::{connection_request, header, send};
use crate::support::mirror::{Mirror, Response, condition, typed_condition};
use crate::support::stub::{After, Reply, Stub, good};

const START: i64 = 1_700_000_000_000;
const END: i64 = START + 120_000;

/// Checks for exactly this response, as JSON and with the right content type.
fn check(response: &Response, status: u16, expected: &Value) {
    assert_eq!(response.status, status, "{}", response.text);
    assert_eq!(&response.json, expected);
    assert_eq!(header(&response.headers, "content-type"), Some("application/json"));
}

/// Checks for exactly these keys besides `_type`, all texts. (A query without a metric has no name to return.)
fn check_error(error: &Value, kind: &str, texts: &[&str]) {
    assert_eq!(error["_type"], kind, "{error}");
    let mut keys: Vec<&str> =
        error.as_object().unwrap().keys().map(String::as_str).filter(|key| *key != "_type").collect();
    keys.sort();
    assert_eq!(keys, texts, "{error}");
    for key in texts {
        assert!(error[*key].as_str().is_some_and(|text| *key == "metric" || !text.is_empty()), "{key} of {error}");
    }
}

fn metric(mirror: &Mirror, stub: &Stub, query: Value) -> Response {
    mirror.metric(&stub.details(), query)
}

fn gauge(aggregation: Value) -> Value {
    let conditions = json!([condition("__gauge__", "stub_metric")]);
    json!({"conditions": conditions, "startTime": START, "endTime": END, "aggregation": aggregation})
}

#[test]
fn a_test_connection_is_ok_or_a_failure_with_its_error() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let request = connection_request(&stub);
    let test = || send(&mirror, "POST", "/api/connection", &request);
    check(&test(), 200, &json!({"status": "OK", "_type": "TestConnectionResponse"}));

    stub.behave(|_| Reply::raw("").then(After::Close));
    let response = test();
    let error = response.json["error"].clone();
    check(&response, 200, &json!({"status": "FAILURE", "error": error, "_type": "TestConnectionResponse"}));
    check_error(&error, "MetricStoreConnectionError", &["details"]);
}

#[test]
fn field_names_have_their_shape() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let response = mirror.post("/api/field/name", &json!({"connectionDetails": stub.details(), "query": {}}));
    let fields = ["__counter__", "__gauge__", "~", "instance", "job"]
        .map(|name| json!({"fieldName": name, "fieldType": "STRING", "classified": false, "_type": "FieldDescriptor"}));
    check(&response, 200, &json!({"fields": fields, "isPartial": false, "_type": "FieldNamesResponse"}));
}

#[test]
fn field_values_have_their_shape() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let ask = |field: &str, limit: Option<u32>| {
        let query = json!({"field": {"fieldName": field}, "limit": limit});
        mirror.post("/api/field/value", &json!({"connectionDetails": stub.details(), "query": query}))
    };
    let response = |values: &[&str], partial: bool| {
        let values: Vec<Value> = values.iter().map(|value| json!({"value": value, "_type": "CompleteValue"})).collect();
        json!({"values": values, "isPartial": partial, "_type": "FieldValuesResponse"})
    };
    check(&ask("job", None), 200, &response(&["a", "b", "c"], false));
    check(&ask("job", Some(2)), 200, &response(&["a", "b"], true));
    check(&ask("~", None), 200, &response(&[], false));
}

#[test]
fn metric_values_have_their_shapes() {
    // A sample in each of two buckets.
    let sample = |at: i64| json!([at / 1000, "1.5"]);
    let samples = json!([sample(START + 1000), sample(END - 1000)]);
    let result = json!([{"metric": {"__name__": "stub_metric"}, "values": samples}]);
    let (mirror, stub) = (
        Mirror::start(),
        Stub::start(move |request| match request.promql().ends_with(']') {
            true => Reply::success(json!({"resultType": "matrix", "result": result})),
            false => good(request),
        }),
    );
    let response = |points: Value, format: &[&str], partial: bool, kind: &str| {
        let telemetry = json!({"points": points, "dataFormat": format, "isPartial": partial, "_type": kind});
        json!({"telemetry": telemetry, "_type": "MetricsResponse"})
    };
    let raw = |points, partial| response(points, &["value", "timestamp"], partial, "RawMetricTelemetry");
    let bucketed = |points, partial| {
        response(points, &["value", "startTimestamp", "endTimestamp"], partial, "AggregatedMetricTelemetry")
    };
    let limited = |aggregation| {
        let mut query = gauge(aggregation);
        query["limit"] = json!(1);
        query
    };
    let mean = json!({"method": "MEAN", "bucketSizeMillis": 60_000});
    let first = json!([1.5, START, START + 60_000]);
    let second = json!([1.5, START + 60_000, END]);

    let response = metric(&mirror, &stub, gauge(Value::Null));
    check(&response, 200, &raw(json!([[1.5, START + 1000], [1.5, END - 1000]]), false));
    let response = metric(&mirror, &stub, limited(Value::Null));
    check(&response, 200, &raw(json!([[1.5, START + 1000]]), true));
    let response = metric(&mirror, &stub, gauge(mean.clone()));
    check(&response, 200, &bucketed(json!([first, second]), false));
    let response = metric(&mirror, &stub, limited(mean));
    check(&response, 200, &bucketed(json!([first]), true));
}

#[test]
fn errors_have_their_shapes() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let check = |query: Value, kind: &str, texts: &[&str]| {
        let response = metric(&mirror, &stub, query);
        assert_eq!(response.status, 500, "{}", response.text);
        assert_eq!(header(&response.headers, "content-type"), Some("application/json"));
        check_error(&response.json, kind, texts);
        response.json
    };
    let mut two = gauge(Value::Null);
    two["conditions"] = json!([condition("__gauge__", "a"), condition("~", "b")]);
    check(two, "MetricNotFoundError", &["details", "metric"]);

    let mut null = gauge(Value::Null);
    null["conditions"] = json!([condition("__gauge__", "a"), typed_condition("job", Value::Null, "Odd")]);
    check(null, "UnsupportedFieldTypeError", &["mirrorType"]);

    let backwards = json!({"conditions": [condition("__gauge__", "a")], "startTime": END, "endTime": START});
    check(backwards, "RemoteMirrorError", &["details", "summary"]);

    stub.behave(|_| Reply::http(502, "text/html", "<html>"));
    check(gauge(Value::Null), "MetricStoreConnectionError", &["details"]);
}
