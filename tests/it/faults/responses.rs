//! Wrong responses: no Prometheus at all, a Prometheus that refuses, and JSON that is wrong in some place.

use serde_json::{Value, json};

use super::{END, MARKER, Query, START, check_errors, check_fault, error_of, is_good, mirrors, queries};
use crate::support::mirror::Mirror;
use crate::support::stub::{Reply, Stub, good};

#[test]
fn a_response_without_the_envelope_is_a_connection_error_at_every_status() {
    let mirrors = mirrors();
    for status in [200, 204, 300, 304, 400, 401, 403, 404, 405, 422, 429, 500, 501, 502, 503, 504] {
        for (kind, body) in [
            ("text/html", format!("<html><title>{MARKER}</title></html>")),
            ("application/json", json!({"error": MARKER, "code": 7}).to_string()),
            ("application/json", String::new()),
        ] {
            // These two have no body by definition.
            let body = if matches!(status, 204 | 304) { String::new() } else { body };
            let reply = Reply::http(status, kind, &body);
            let fault = format!("status {status} with {body}");
            check_fault(&mirrors, &fault, move |_| reply.clone(), "MetricStoreConnectionError");
        }
    }
}

#[test]
fn a_redirect_is_a_connection_error_and_not_followed() {
    let mirrors = mirrors();
    let elsewhere = Stub::start(good);
    for status in [301, 302, 303, 307, 308] {
        let location = format!("http://127.0.0.1:{}/", elsewhere.port());
        let head = format!("HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: {}\r\n\r\n", MARKER.len());
        let reply = Reply::raw(head + MARKER);
        let fault = format!("a redirect of status {status}");
        check_fault(&mirrors, &fault, move |_| reply.clone(), "MetricStoreConnectionError");
    }
    assert_eq!(elsewhere.requests(), [], "a redirect was followed");
}

#[test]
fn an_error_of_prometheus_is_passed_on_with_its_own_message() {
    let mirrors = mirrors();
    let check = |status: u16, kind: &'static str, expected: &str| {
        let behaviour = move |_: &_| Reply::error(status, kind, "the reason given");
        check_fault(&mirrors, &format!("{status} {kind}"), behaviour, expected);
        let stub = Stub::start(behaviour);
        for query in queries().iter().filter(|_| expected == "RemoteMirrorError") {
            let response = query.ask(&mirrors[0], &stub.details());
            assert!(error_of(&response)["details"].as_str().unwrap().contains("the reason given"), "{}", response.text);
        }
    };
    check(400, "bad_data", "RemoteMirrorError");
    check(422, "execution", "RemoteMirrorError");
    check(422, "422", "RemoteMirrorError");
    check(500, "internal", "RemoteMirrorError");
    check(503, "timeout", "MetricStoreConnectionError");
    check(503, "execution", "MetricStoreConnectionError");
    check(504, "internal", "MetricStoreConnectionError");
    check(422, "timeout", "MetricStoreConnectionError");
    check(422, "canceled", "MetricStoreConnectionError");
    check(500, "unavailable", "MetricStoreConnectionError");
    check(401, "unauthorized", "MetricStoreConnectionError");
    check(403, "forbidden", "MetricStoreConnectionError");
    check(429, "too_many_requests", "MetricStoreConnectionError");
}

/// Responds to one path of the API with a body and status 200, and well to the others. Sends the queries that need that path.
fn check_body(mirrors: &[Mirror], path: &'static str, body: impl Into<Vec<u8>>) {
    let body = body.into();
    let fault = format!("{path}: {:.200}", String::from_utf8_lossy(&body));
    let stub = Stub::start(move |request| match request.path.as_str() {
        // The mirror calls this path only for hints.
        _ if request.promql().contains("vector(0)") => good(request),
        asked if asked == path => Reply::http(200, "application/json", &body),
        _ => good(request),
    });
    check_errors(mirrors, &stub.details(), &queries_for(path), &fault, "MetricStoreConnectionError");
    stub.behave(good);
    for query in queries_for(path) {
        assert!(is_good(&query.ask(&mirrors[0], &stub.details())), "after {fault}");
    }
}

fn queries_for(path: &str) -> Vec<Query> {
    match path {
        "/api/v1/query" => vec![
            Query::metric("__gauge__", "stub_metric", None),
            Query::metric("__gauge__", "stub_metric", Some("MEAN")),
        ],
        "/api/v1/query_range" => {
            vec![Query::metric("~", "avg(stub_metric)", None), Query::metric("~", "avg(stub_metric)", Some("MEAN"))]
        }
        "/api/v1/labels" => vec![Query { path: "/api/field/name", fields: json!({"conditions": []}), promql: "" }],
        _ => vec![Query::values("job")],
    }
}

const RESULTS: [&str; 2] = ["/api/v1/query", "/api/v1/query_range"];
const LISTS: [&str; 2] = ["/api/v1/labels", "/api/v1/label/job/values"];

#[test]
fn what_is_no_envelope_at_all_is_a_connection_error() {
    let mirrors = mirrors();
    let good_data = r#"{"resultType":"matrix","result":[]}"#;
    let deep = "[".repeat(100_000);
    for path in RESULTS.into_iter().chain(LISTS) {
        for body in [
            "null",
            "[]",
            "5",
            "true",
            "{}",
            "not JSON: MARKER-5ca1ab1e",
            r#""MARKER-5ca1ab1e""#,
            r#"{"MARKER-5ca1ab1e":1}"#,
            r#"{"status":"success","data":5}"#,
            r#"{"status":"success","data":"MARKER-5ca1ab1e"}"#,
            r#"{"status":"success","data":{"MARKER-5ca1ab1e":1}}"#,
            r#"{"status":"success","data":{"resultType":"matrix","result":["#,
            r#"{"status":"success","data":"\ud800 MARKER-5ca1ab1e"}"#,
            &format!(r#"{{"status":5,"data":{good_data}}}"#),
            &format!(r#"{{"status":"MARKER-5ca1ab1e","data":{good_data}}}"#),
            &format!(r#"{{"status":"success","data":{good_data}}} MARKER-5ca1ab1e"#),
            &format!(r#"{{"status":"success","data":{deep}"#),
            &deep,
        ] {
            check_body(&mirrors, path, body);
        }
        check_body(&mirrors, path, *b"{\"status\":\"success\",\"data\":\"\xff MARKER-5ca1ab1e\"}");
    }
}

#[test]
fn json_of_the_wrong_type_is_a_connection_error_wherever_it_stands() {
    let mirrors = mirrors();
    for data in ["{}", "[5]", "[null]", "[[]]", r#"["a",["MARKER-5ca1ab1e"]]"#, r#"[{"MARKER-5ca1ab1e":1}]"#] {
        for path in LISTS {
            check_body(&mirrors, path, format!(r#"{{"status":"success","data":{data}}}"#));
        }
    }

    let mut datas: Vec<String> = [
        "null",
        "[]",
        r#"{"resultType":"matrix"}"#,
        r#"{"result":[]}"#,
        r#"{"resultType":5,"result":[]}"#,
        r#"{"resultType":"MARKER-5ca1ab1e","result":[]}"#,
        r#"{"resultType":"string","result":[1,"MARKER-5ca1ab1e"]}"#,
        r#"{"resultType":"streams","result":[{"stream":{},"values":[["1","MARKER-5ca1ab1e"]]}]}"#,
    ]
    .map(str::to_owned)
    .to_vec();
    let matrix = |result: &str| format!(r#"{{"resultType":"matrix","result":{result}}}"#);
    datas.extend(["5", "{}", r#""MARKER-5ca1ab1e""#].map(matrix));
    let series = |series: &str| matrix(&format!("[{series}]"));
    datas.extend(["null", "5", "[]", r#""MARKER-5ca1ab1e""#].map(series));
    let labels = |labels: &str| series(&format!(r#"{{"metric":{labels},"values":[[1,"1"]]}}"#));
    datas.extend(["5", r#""MARKER-5ca1ab1e""#, r#"["MARKER-5ca1ab1e"]"#, r#"{"a":5}"#, r#"{"a":["b"]}"#].map(labels));
    let samples = |samples: &str| series(&format!(r#"{{"metric":{{}},"values":{samples}}}"#));
    datas.extend(["5", "{}", r#""MARKER-5ca1ab1e""#, "[5]", "[null]", r#"[1,"1"]"#].map(samples));
    let sample = |sample: &str| samples(&format!("[{sample}]"));
    datas.extend(["[]", "[1]", r#"[1,"1",1]"#, "{}", r#"{"1":"MARKER-5ca1ab1e"}"#].map(sample));
    let timestamp = |timestamp: &str| sample(&format!(r#"[{timestamp},"1"]"#));
    datas.extend([r#""MARKER-5ca1ab1e""#, r#""1""#, "null", "[1]", "1e999", "1.2.3"].map(timestamp));
    let value = |value: &str| sample(&format!("[1,{value}]"));
    datas.extend([r#""MARKER-5ca1ab1e""#, r#""""#, r#""1 2""#, "null", "true", "[1]", "{}"].map(value));
    for data in datas {
        for path in RESULTS {
            check_body(&mirrors, path, format!(r#"{{"status":"success","data":{data}}}"#));
        }
    }
}

#[test]
fn a_result_type_that_does_not_fit_the_query_is_a_connection_error() {
    let mirrors = mirrors();
    for path in RESULTS {
        check_body(&mirrors, path, r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#);
        check_body(
            &mirrors,
            path,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}"#,
        );
    }
}

#[test]
fn extreme_numbers_are_points_of_the_range_or_a_typed_error() {
    let mirror = Mirror::start();
    let seconds = (START as f64 / 1000.0).ceil();
    let digits = "9".repeat(400);
    let values = ["1e999", "-1e999", "1e-999", "0x10", "1_0", "inf", "+Inf", "-Inf", "NaN", "nan", "-0", &digits];
    let timestamps = [1e300, -1e300, 9.3e15, -9.3e15, 1e18, 0.0, -1.0, 1e-300];
    let samples = values.iter().map(|value| json!([seconds, value])).chain(timestamps.iter().map(|t| json!([t, "1"])));
    for sample in samples {
        let result = json!([{"metric": {"job": "a"}, "values": [sample]}]);
        let stub = Stub::start(move |request| match request.path.as_str() {
            path if RESULTS.contains(&path) => Reply::success(json!({"resultType": "matrix", "result": result})),
            _ => good(request),
        });
        for query in queries().iter().filter(|query| query.path == "/api/metric") {
            let response = query.ask(&mirror, &stub.details());
            if is_good(&response) {
                let inside = |point: &[f64]| point[1] >= START as f64 && point[1] <= END as f64;
                assert!(response.points().iter().all(|point| inside(point)), "{sample} gave {}", response.text);
            } else {
                assert!(error_of(&response)["_type"].is_string(), "{sample} gave {}", response.text);
            }
        }
    }
}

#[test]
fn keys_in_another_order_and_further_keys_are_understood() {
    let mirror = Mirror::start();
    let result = format!(r#"[{{"values":[[{}.5,"2.5"]],"more":[],"metric":{{"job":"a"}}}}]"#, START / 1000 + 1);
    let body = format!(
        " {{\"warnings\":[\"PromQL warning: w\"],\"data\":{{\"stats\":{{\"a\":[1]}},\"result\":{result},\"resultType\":\"matrix\"}},\
         \"infos\":[],\"status\":\"success\"}} "
    );
    let stub = Stub::start(move |request| match request.path.as_str() {
        "/api/v1/query" if request.promql().contains("stub_metric") => Reply::http(200, "text/plain", &body),
        _ => good(request),
    });
    let response = Query::metric("__gauge__", "stub_metric", None).ask(&mirror, &stub.details());
    assert_eq!(response.points(), [[2.5, (START / 1000 * 1000 + 1500) as f64]]);
}

#[test]
fn headers_of_two_megabytes_are_an_error() {
    let mirrors = mirrors();
    let padding = format!("X-Padding: {}\r\n", MARKER.repeat(10)).repeat(12_500);
    assert!(padding.len() > 2_000_000);
    let reply = Reply::raw(format!("HTTP/1.1 200 OK\r\n{padding}Content-Length: 2\r\n\r\n{{}}"));
    check_fault(&mirrors, "large headers", move |_| reply.clone(), "MetricStoreConnectionError");
}

#[test]
fn a_native_histogram_is_an_unsupported_field_type() {
    let mirror = Mirror::start();
    let histogram = json!({"count": "3", "sum": "6", "buckets": [[1, "0", "1", "3"]]});
    let at = json!(START / 1000 + 30);
    let with = |name: &str, value: Value| {
        let mut series = json!({"metric": {"__name__": "stub_metric"}});
        series[name] = value;
        series
    };
    let both = {
        let mut series = with("histograms", json!([[at, histogram]]));
        series["values"] = json!([[at, "1"]]);
        series
    };
    for series in [with("histograms", json!([[at, histogram]])), both] {
        let stub = Stub::start(move |request| match request.promql() {
            promql if promql.contains("stub_metric") => {
                Reply::success(json!({"resultType": "matrix", "result": [series]}))
            }
            _ => good(request),
        });
        for query in queries().iter().filter(|query| query.path == "/api/metric") {
            let response = query.ask(&mirror, &stub.details());
            let error = error_of(&response);
            assert_eq!(error["_type"], "UnsupportedFieldTypeError", "{query:?} {}", response.text);
            assert!(error["mirrorType"].as_str().unwrap().to_lowercase().contains("histogram"), "{}", response.text);
        }
    }
}
