//! No client and no upstream can stop the mirror, or make it respond late.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::{START, for_any, label_value};
use crate::support::mirror::{API_KEY, Mirror, Response, condition, typed_condition};
use crate::support::stub::{Reply, Request, Stub, good};

/// The `requestTimeout` for random inputs, and how much later the response may arrive.
const TIMEOUT: Duration = Duration::from_millis(500);
const GRACE: Duration = Duration::from_millis(500);

/// Any JSON. Its keys and texts often have a meaning here.
fn any_json() -> impl Strategy<Value = Value> {
    let words =
        ["", "success", "error", "matrix", "vector", "scalar", "string", "1", "NaN", "+Inf", "MEAN", "job", "~"];
    let keys = ["status", "data", "result", "resultType", "metric", "value", "values", "histograms", "key", "_type"];
    let numbers = [0.0, -0.0, 0.5, 1e300, -1e300, 9.3e15, 1e-300, 253_402_300_800.0];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        select(vec![0, 1, -1, i64::MAX, i64::MIN, START, START + 1, 1 << 53]).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        select(numbers.to_vec()).prop_map(Value::from),
        select(words.to_vec()).prop_map(Value::from),
        label_value().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let key = prop_oneof![select(keys.to_vec()).prop_map(str::to_owned), label_value()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A good value with one of its nodes replaced.
fn spoilt(mut good: Value, which: Index, by: &Value) -> Value {
    fn count(value: &Value) -> usize {
        1 + match value {
            Value::Array(items) => items.iter().map(count).sum::<usize>(),
            Value::Object(fields) => fields.values().map(count).sum(),
            _ => 0,
        }
    }
    fn replace(value: &mut Value, nth: usize, by: &Value) {
        if nth == 0 {
            *value = by.clone();
            return;
        }
        let children: Vec<&mut Value> = match value {
            Value::Array(items) => items.iter_mut().collect(),
            Value::Object(fields) => fields.values_mut().collect(),
            _ => vec![],
        };
        let mut before = 1;
        for child in children {
            let nodes = count(child);
            if nth < before + nodes {
                return replace(child, nth - before, by);
            }
            before += nodes;
        }
    }
    let nth = which.index(count(&good));
    replace(&mut good, nth, by);
    good
}

/// Checks for a response or a typed error of the Mirror API or of HTTP, and never an internal error.
fn check_response(response: &Response, context: &str) {
    assert_eq!(response.key.as_deref(), Some(API_KEY), "{context}: {response:?}");
    assert!([200, 400, 500].contains(&response.status), "{context}: {response:?}");
    assert!(response.json["_type"].is_string(), "{context}: {response:?}");
    assert_ne!(response.json["summary"], "Internal error.", "{context}: {response:?}");
}

fn check_unharmed(mirror: &Mirror) {
    assert_eq!(mirror.get("/-/healthy").status, 200);
    assert!(!mirror.log().contains("panic"), "{}", mirror.log());
}

/// A good request of every method. Only its query may be changed, since a test must not reach other addresses.
fn requests() -> [(&'static str, Value); 4] {
    let conditions = json!([typed_condition("job", json!(["a", 1]), "InSetValue"), condition("x", "y")]);
    let metric = json!([condition("__gauge__", "stub_metric"), typed_condition("le", json!(0.5), "DoubleValue")]);
    let aggregation = json!({"method": "MEAN", "bucketSizeMillis": 60_000, "_type": "Aggregation"});
    let range = |query: Value| {
        let mut query = query;
        query["startTime"] = json!(START);
        query["endTime"] = json!(START + 600_000);
        query["limit"] = json!(100);
        query["latestFirst"] = json!(false);
        query
    };
    let field = json!({"fieldName": "job", "fieldType": "STRING", "classified": false, "_type": "FieldDescriptor"});
    [
        ("/api/field/name", range(json!({"conditions": conditions}))),
        (
            "/api/field/value",
            range(json!({"conditions": conditions, "field": field, "fieldValuePrefix": "a", "offset": 0})),
        ),
        ("/api/metric", range(json!({"conditions": metric}))),
        ("/api/metric", range(json!({"conditions": metric, "aggregation": aggregation}))),
    ]
}

/// A small upstream without data, fast for any range.
fn empty(request: &Request) -> Reply {
    match request.path.as_str() {
        "/api/v1/query_range" => Reply::success(json!({"resultType": "matrix", "result": []})),
        "/api/v1/query" if request.promql().ends_with(']') => {
            Reply::success(json!({"resultType": "matrix", "result": []}))
        }
        "/api/v1/query" => Reply::success(json!({"resultType": "vector", "result": []})),
        _ => Reply::success(json!([])),
    }
}

#[test]
fn any_bytes_as_a_body_are_answered() {
    let (mirror, stub) = (Mirror::start(), Stub::start(empty));
    let bytes = prop::collection::vec(any::<u8>(), 0..200);
    // A good request with such bytes in it is parsed further than noise.
    let inputs = (select(vec![0, 1, 2, 3]), bytes, any::<Index>(), any::<bool>());
    for_any(1000, inputs, |(which, bytes, place, alone)| {
        let (path, query) = &requests()[which];
        let mut body = json!({"connectionDetails": stub.details(), "query": query}).to_string().into_bytes();
        let place = place.index(body.len());
        if alone {
            body = bytes;
        } else {
            // After the Connection Details, so that they do not get another address.
            let query_begins = body.windows(8).position(|window| window == b"\"query\":").unwrap();
            body.splice(place.max(query_begins)..place.max(query_begins), bytes.into_iter().take(3));
        }
        check_response(&mirror.post_bytes(path, &body), &format!("{path} {:?}", String::from_utf8_lossy(&body)));
    });
    check_unharmed(&mirror);
}

#[test]
fn any_json_in_a_request_is_answered_in_time() {
    let (mirror, stub) = (Mirror::start(), Stub::start(empty));
    let mut details = stub.details();
    details["requestTimeout"] = json!(TIMEOUT.as_millis() as u64);
    for_any(1500, (select(vec![0, 1, 2, 3]), any::<Index>(), any_json()), |(which, node, json)| {
        let (path, query) = requests()[which].clone();
        let body = json!({"connectionDetails": details, "query": spoilt(query, node, &json)});
        let begin = Instant::now();
        let response = mirror.post(path, &body);
        check_response(&response, &format!("{path} {body}"));
        assert!(begin.elapsed() < TIMEOUT + GRACE, "took {:?}: {path} {body}", begin.elapsed());
    });
    check_unharmed(&mirror);
}

#[test]
fn any_json_as_a_response_of_the_upstream_is_dealt_with() {
    let mirror = Mirror::start();
    let stub = Stub::start(good);
    let label = json!({"__name__": "stub_metric"});
    let series = |name: &str, samples: Value| json!([{"metric": label, name: samples}]);
    let success = |data: Value| json!({"status": "success", "data": data});
    let at = START / 1000 + 1;
    let responses = vec![
        success(json!({"resultType": "matrix", "result": series("values", json!([[at, "1"], [at + 1, "NaN"]]))})),
        success(json!({"resultType": "vector", "result": series("value", json!([at, "1"]))})),
        success(json!({"resultType": "scalar", "result": [at, "1"]})),
        success(json!({"resultType": "matrix", "result": series("histograms", json!([[at, {"count": "1"}]]))})),
        success(json!(["a", "b"])),
        success(json!([{"__name__": "stub_metric", "job": "a"}])),
        success(json!({"stub_metric": [{"type": "gauge", "help": "", "unit": ""}]})),
        json!({"status": "error", "errorType": "bad_data", "error": "no"}),
    ];
    let inputs = (select(responses), any::<Index>(), any_json(), select(vec![200, 400, 422, 503]));
    for_any(800, inputs, |(response, node, json, status)| {
        let body = spoilt(response, node, &json);
        let text = body.to_string();
        stub.behave(move |_| Reply::http(status, "application/json", &text));
        let test = [("/api/connection", json!({}))];
        for (path, query) in requests().into_iter().chain(test) {
            let response = mirror.post(path, &json!({"connectionDetails": stub.details(), "query": query}));
            check_response(&response, &format!("{path}, upstream {status} {body}"));
        }
    });
    check_unharmed(&mirror);
}
