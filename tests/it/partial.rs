//! A response that an upstream calls partial is an error, unless the Connection Details allow it, and never means that
//! something does not exist. The same holds for servers that refuse to search all of their data.

use serde_json::{Value, json};

use crate::operation::page::Page;
use crate::support::ask::{assert_error, error_text};
use crate::support::mirror::{Mirror, Response, condition};
use crate::support::stub::{Reply, Request, Stub, good};

const START: i64 = 1_700_000_000_000;
const PARTIAL_RESPONSES: &str = "prometheusmirror_partial_responses_total";

/// A path of the Mirror API and a query.
type Query = (&'static str, Value);

fn metric(key: &str, value: &str, method: Option<&str>) -> Query {
    let aggregation = method.map(|method| json!({"method": method, "bucketSizeMillis": 60_000}));
    let query = json!({"conditions": [condition(key, value)], "startTime": START, "endTime": START + 120_000,
        "aggregation": aggregation});
    ("/api/metric", query)
}

/// A query of every kind.
fn queries() -> Vec<Query> {
    vec![
        metric("__gauge__", "stub_metric", None),
        metric("__gauge__", "stub_metric", Some("MEAN")),
        metric("__counter__", "stub_metric", Some("SUM")),
        metric("~", "avg(stub_metric)", None),
        metric("~", "avg(stub_metric)", Some("MAX")),
        ("/api/field/name", json!({})),
        ("/api/field/value", json!({"field": {"fieldName": "job"}})),
        ("/api/field/value", json!({"field": {"fieldName": "__gauge__"}})),
    ]
}

fn ask(mirror: &Mirror, stub: &Stub, (path, query): &Query, partial: Option<&str>) -> Response {
    let mut details = stub.details();
    details["partialResponse"] = json!(partial);
    mirror.post(path, &json!({"connectionDetails": details, "query": query}))
}

/// The response of the good stub with one more field of the envelope.
fn with(request: &Request, field: &str, value: Value) -> Reply {
    good(request).edited(|body| body[field] = value)
}

/// How an upstream reports missing data: the field, its value, and the part that an error repeats.
fn signs() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("isPartial", json!(true), "isPartial"),
        ("warnings", json!(["No StoreAPIs matched for this query"]), "No StoreAPIs matched"),
        ("warnings", json!(["PromQL info: metric might not be a counter", "store a:10901 is down"]), "store a:10901"),
    ]
}

#[test]
fn a_response_that_says_it_is_partial_is_an_error_with_a_remedy() {
    for (field, value, says) in signs() {
        let (mirror, stub) = (Mirror::start(), Stub::start(good));
        stub.behave(move |request| with(request, field, value.clone()));
        for query in queries() {
            for partial in [None, Some("deny"), Some("DENY")] {
                let response = ask(&mirror, &stub, &query, partial);
                let parts = ["missing data", says, "partialResponse", "\"allow\"", "127.0.0.1"];
                assert_error(&response, "MetricStoreConnectionError", &parts);
            }
        }
        assert_eq!(Page::of(&mirror).only(PARTIAL_RESPONSES), 0.0, "none was taken");
    }
}

#[test]
fn where_it_is_allowed_a_partial_response_is_taken_logged_and_counted() {
    for (field, value, says) in signs() {
        for query in queries() {
            let (mirror, stub) = (Mirror::start(), Stub::start(good));
            let whole = ask(&mirror, &stub, &query, Some("allow"));
            assert_eq!(Page::of(&mirror).only(PARTIAL_RESPONSES), 0.0);
            let value = value.clone();
            stub.behave(move |request| with(request, field, value.clone()));
            let response = ask(&mirror, &stub, &query, Some("allow"));
            assert_eq!((response.status, &response.text), (200, &whole.text), "{query:?}");
            // Metadata is only a hint, so missing metadata does not make a response partial.
            let calls = stub.requests().iter().filter(|request| request.path != "/api/v1/metadata").count();
            let counted = Page::of(&mirror).only(PARTIAL_RESPONSES);
            assert!(counted >= calls as f64 && counted <= stub.requests().len() as f64, "{counted} of {calls}");
            let line = mirror.line_with(says);
            assert!(line.contains("level=warn") && line.contains("127.0.0.1"), "{query:?}: {line}");
        }
    }
}

#[test]
fn warnings_about_the_expression_and_is_partial_false_are_no_matter() {
    for (field, value) in [
        ("warnings", json!(["PromQL info: metric might not be a counter, name does not end in _total: \"x\""])),
        ("warnings", json!(["PromQL warning: a vector contains a mix of histograms and floats"])),
        ("warnings", json!([])),
        ("warnings", json!(null)),
        ("infos", json!(["anything"])),
        ("isPartial", json!(false)),
    ] {
        let (mirror, stub) = (Mirror::start(), Stub::start(good));
        stub.behave(move |request| with(request, field, value.clone()));
        for query in queries() {
            let response = ask(&mirror, &stub, &query, None);
            assert_eq!(response.status, 200, "{query:?}: {}", response.text);
        }
        assert_eq!(Page::of(&mirror).only(PARTIAL_RESPONSES), 0.0);
    }
}

#[test]
fn every_call_for_data_says_whether_a_part_is_welcome() {
    for (partial, expected) in [
        (None, [Some("1"), Some("false")]),
        (Some("deny"), [Some("1"), Some("false")]),
        (Some("allow"), [None, Some("true")]),
    ] {
        let (mirror, stub) = (Mirror::start(), Stub::start(good));
        for query in queries() {
            assert_eq!(ask(&mirror, &stub, &query, partial).status, 200);
        }
        let requests = stub.requests();
        let data: Vec<_> = requests.iter().filter(|request| request.path != "/api/v1/metadata").collect();
        for path in ["query", "query_range", "labels", "label/job/values"] {
            assert!(data.iter().any(|request| request.path == format!("/api/v1/{path}")), "{path} was not asked");
        }
        for request in data {
            let sent = ["deny_partial_response", "partial_response"].map(|name| request.parameter(name));
            assert_eq!(sent, expected, "{partial:?}: {request:?}");
        }
    }
}

/// An upstream that finds nothing, and adds this to its response.
fn finds_nothing(field: &'static str, value: Value) -> impl Fn(&Request) -> Reply {
    move |request| {
        let data = match request.path.as_str() {
            "/api/v1/query" | "/api/v1/query_range" => json!({"resultType": "matrix", "result": []}),
            "/api/v1/metadata" => json!({}),
            _ => json!([]),
        };
        Reply::json(&json!({"status": "success", "data": data, field: value}))
    }
}

/// Queries of metrics that find nothing: the key, the method, and the number of points anyway.
const NOTHING: [(&str, Option<&str>, usize); 4] =
    [("__gauge__", None, 0), ("__gauge__", Some("MEAN"), 0), ("__counter__", Some("SUM"), 2), ("__counter__", None, 0)];

#[test]
fn of_a_part_of_the_data_nobody_concludes_that_a_metric_never_existed() {
    let mirror = Mirror::start();
    let stub = Stub::start(good);
    for (key, method, _) in NOTHING {
        stub.behave(finds_nothing("infos", json!([])));
        let response = ask(&mirror, &stub, &metric(key, "stub_metric", method), Some("allow"));
        assert_error(&response, "MetricNotFoundError", &["has never had a metric"]);
    }
    for (field, value, _) in signs() {
        for (key, method, points) in NOTHING {
            stub.behave(finds_nothing(field, value.clone()));
            let response = ask(&mirror, &stub, &metric(key, "stub_metric", method), Some("allow"));
            assert_eq!(response.points().len(), points, "{key} {method:?}: {}", response.text);
        }
    }
    // Also if only the call whether the metric exists had a partial response.
    for (field, value, _) in signs() {
        stub.behave(move |request| match request.path.as_str() {
            path if path.starts_with("/api/v1/label/") => finds_nothing(field, value.clone())(request),
            _ => finds_nothing("infos", json!([]))(request),
        });
        let response = ask(&mirror, &stub, &metric("__gauge__", "stub_metric", None), Some("allow"));
        assert_eq!(response.points().len(), 0, "{}", response.text);
        let denied = ask(&mirror, &stub, &metric("__gauge__", "stub_metric", None), None);
        assert_error(&denied, "MetricStoreConnectionError", &["missing data", "partialResponse"]);
    }
}

/// A server that refuses lists over too long a range, as Cortex and Mimir do with a limit on the length of queries, and searches
/// only its newest data without a start.
fn refuses_long_lists(newest: Value) -> impl Fn(&Request) -> Reply {
    move |request| match request.path.as_str() {
        "/api/v1/labels" | "/api/v1/label/job/values" | "/api/v1/label/__name__/values" => {
            match request.parameter("start") {
                Some("0.001") => {
                    Reply::error(422, "execution", "the query time range exceeds the limit (query length: 480000h)")
                }
                Some(_) => Reply::error(422, "execution", "another reason"),
                None => Reply::success(newest.clone()),
            }
        }
        "/api/v1/query" => Reply::success(json!({"resultType": "matrix", "result": []})),
        _ => good(request),
    }
}

#[test]
fn a_list_since_the_beginning_that_is_refused_is_requested_again_without_a_start() {
    let mirror = Mirror::start();
    let stub = Stub::start(good);
    for (path, query, found) in [
        ("/api/field/name", json!({}), json!(["__counter__", "__gauge__", "~", "a", "b"])),
        ("/api/field/value", json!({"field": {"fieldName": "job"}}), json!(["a", "b"])),
        ("/api/field/value", json!({"field": {"fieldName": "__gauge__"}}), json!(["a", "b"])),
        ("/api/field/value", json!({"field": {"fieldName": "job"}, "startTime": 0, "endTime": 0}), json!(["a", "b"])),
    ] {
        stub.behave(refuses_long_lists(json!(["b", "a"])));
        let response = ask(&mirror, &stub, &(path, query.clone()), None);
        let list = if path.ends_with("name") { ("fields", "fieldName") } else { ("values", "value") };
        let names = response.json[list.0].as_array().unwrap_or_else(|| panic!("{}", response.text));
        assert_eq!(names.iter().map(|name| name[list.1].clone()).collect::<Value>(), found, "{query}");
        let asked: Vec<_> = stub.requests().into_iter().filter(|request| request.path != "/api/v1/metadata").collect();
        let starts: Vec<_> = asked.iter().map(|request| request.parameter("start")).collect();
        assert_eq!(starts, [Some("0.001"), None], "{query}");
        assert!(asked.iter().all(|request| request.parameter("end").is_some()), "{query}");
        // If the admin gives a start, a refusal is the response.
        let mut since = query;
        (since["startTime"], since["endTime"]) = (json!(START), json!(START + 1000));
        let response = ask(&mirror, &stub, &(path, since), None);
        assert_error(&response, "RemoteMirrorError", &["another reason", "422"]);
    }
}

#[test]
fn a_server_that_refuses_to_look_at_all_of_its_data_does_not_say_that_a_metric_never_existed() {
    let mirror = Mirror::start();
    let stub = Stub::start(good);
    for (key, method, points) in NOTHING {
        for newest in [json!([]), json!(["stub_metric"])] {
            stub.behave(refuses_long_lists(newest));
            let response = ask(&mirror, &stub, &metric(key, "stub_metric", method), None);
            assert_eq!(response.points().len(), points, "{key} {method:?}: {}", response.text);
            assert!(!error_text(&response.json).contains("never had"), "{}", response.text);
        }
    }
}
