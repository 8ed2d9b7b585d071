//! Servers that differ without being wrong: without metadata, or with `limit` honoured or ignored.

use std::time::Instant;

use serde_json::{Value, json};

use super::{GRACE, Query, TIMEOUT, error_of, in_time};
use crate::support::mirror::Mirror;
use crate::support::stub::{After, Reply, Request, Stub, good};

#[test]
fn metadata_that_is_missing_or_broken_changes_nothing() {
    let names = ["a_total", "b_bucket", "c_count", "d_sum", "e"];
    for (fault, metadata) in [
        ("{}", Reply::json(&json!({}))),
        ("no families", Reply::success(json!({}))),
        ("404", Reply::http(404, "text/plain", "404 page not found")),
        ("500", Reply::error(500, "internal", "no")),
        ("garbage", Reply::success(json!([5]))),
        ("a reset", Reply::raw("").then(After::Reset)),
        ("silence", Reply::raw("").then(After::Hang)),
    ] {
        let mirror = Mirror::start();
        let stub = Stub::start(move |request| match request.path.as_str() {
            "/api/v1/metadata" => metadata.clone(),
            "/api/v1/label/__name__/values" => Reply::success(json!(names)),
            _ => good(request),
        });
        for field in ["__counter__", "__gauge__"] {
            let begin = Instant::now();
            let response = Query::values(field).ask(&mirror, &in_time(stub.details()));
            assert!(begin.elapsed() < TIMEOUT + GRACE, "{fault}: took {:?}", begin.elapsed());
            assert_eq!(values(&response.json), names, "metadata gives {fault}: {}", response.text);
        }
    }
}

#[test]
fn an_unknown_metric_is_told_as_one_whether_or_not_the_names_can_be_listed() {
    let mirror = Mirror::start();
    let check = |fault: &str, names: Reply, says: &str| {
        let stub = Stub::start(move |request| match request.path.as_str() {
            "/api/v1/label/__name__/values" if request.parameter("match[]").is_none() => names.clone(),
            "/api/v1/label/__name__/values" => Reply::success(json!([])),
            "/api/v1/query" => Reply::success(json!({"resultType": "matrix", "result": []})),
            _ => good(request),
        });
        let begin = Instant::now();
        let response = Query::metric("__gauge__", "stub_metrik", None).ask(&mirror, &in_time(stub.details()));
        assert!(begin.elapsed() < TIMEOUT, "{fault}: took {:?}", begin.elapsed());
        let error = error_of(&response);
        assert_eq!(error["_type"], "MetricNotFoundError", "{fault}: {}", response.text);
        assert!(error["details"].as_str().unwrap().contains(says), "{fault}: {}", response.text);
        let listed = stub.requests().iter().filter(|request| request.path.ends_with("values")).count();
        // One for the hint and one for whether it exists; where a kept connection stays silent, one more on a new one.
        assert!((2..=3).contains(&listed), "{fault}: {listed}");
    };
    check("a list", Reply::success(json!(["x", "stub_metric", "up"])), "did you mean stub_metric?");
    check("an error", Reply::error(422, "execution", "no"), "check its spelling");
    check("silence", Reply::raw("").then(After::Hang), "check its spelling");
    check("no Prometheus", Reply::http(200, "text/html", "<html>"), "check its spelling");
    let many: Vec<String> = (0..250_001).map(|nth| nth.to_string()).collect();
    check("too many", Reply::success(json!(many)).then(After::Close), "check its spelling");
}

#[test]
fn a_metric_that_metadata_calls_a_histogram_is_not_found_with_advice() {
    for kind in ["histogram", "summary"] {
        let mirror = Mirror::start();
        let stub = Stub::start(move |request| match request.path.as_str() {
            "/api/v1/metadata" => Reply::success(json!({"stub_metric": [{"type": kind, "help": "", "unit": ""}]})),
            "/api/v1/label/__name__/values" if request.parameter("match[]").is_none() => {
                Reply::success(json!(["stub_metric_count", "stub_metric_sum"]))
            }
            "/api/v1/series" => Reply::success(json!([])),
            "/api/v1/query" | "/api/v1/query_range" if request.promql().contains("stub_metric") => {
                let matrix = request.path.ends_with("range") || request.promql().ends_with(']');
                let kind = if matrix { "matrix" } else { "vector" };
                Reply::success(json!({"resultType": kind, "result": []}))
            }
            path if path.starts_with("/api/v1/label/") => Reply::success(json!([])),
            _ => good(request),
        });
        for (key, method) in [("__gauge__", None), ("__gauge__", Some("MEAN")), ("__counter__", None)] {
            let response = Query::metric(key, "stub_metric", method).ask(&mirror, &stub.details());
            let error = error_of(&response);
            assert_eq!(error["_type"], "MetricNotFoundError", "{}", response.text);
            assert_eq!(error["metric"], "stub_metric", "{}", response.text);
            assert!(error["details"].as_str().unwrap().contains("histogram_quantile"), "{}", response.text);
        }
    }
}

/// The values of a `FieldValuesResponse`.
fn values(response: &Value) -> Vec<&str> {
    let values = response["values"].as_array().unwrap_or_else(|| panic!("no values in {response}"));
    values.iter().map(|value| value["value"].as_str().unwrap()).collect()
}

/// The response of a server to a list request, in random order. To some servers, `limit` means any items of this number, to others
/// nothing.
fn list(request: &Request, honours: bool, all: &[&str]) -> Reply {
    let limit = request.parameter("limit").map_or(0, |limit| limit.parse().unwrap());
    let cut = honours && limit > 0;
    Reply::success(json!(&all[..if cut { all.len().min(limit) } else { all.len() }]))
}

/// No request limited a list: the items would be random.
fn check_unlimited(stub: &Stub) {
    for request in stub.requests() {
        assert_eq!(request.parameter("limit"), None, "{request:?}");
    }
}

#[test]
fn servers_that_honour_limit_and_those_that_ignore_it_lead_to_the_same_values() {
    const JOBS: [&str; 5] = ["cc", "b", "ca", "a", "cb"];
    const NAMES: [&str; 5] = ["c", "a_total", "e", "d_total", "b_total"];
    let stub_of = |honours| {
        Stub::start(move |request| match request.path.as_str() {
            "/api/v1/label/job/values" => list(request, honours, &JOBS),
            "/api/v1/label/__name__/values" => list(request, honours, &NAMES),
            _ => good(request),
        })
    };
    let mirror = Mirror::start();
    for stub in [true, false].map(stub_of) {
        for (field, prefix, all) in [
            ("job", "", &["a", "b", "ca", "cb", "cc"][..]),
            ("job", "c", &["ca", "cb", "cc"]),
            ("__counter__", "", &["a_total", "b_total", "c", "d_total", "e"]),
            ("__gauge__", "", &["a_total", "b_total", "c", "d_total", "e"]),
            ("__gauge__", "e", &["e"]),
        ] {
            for offset in 0..4 {
                for limit in [1, 2, 3, 5, 6, 2_147_483_647_usize] {
                    let mut query = Query::values(field);
                    query.fields["fieldValuePrefix"] = json!(prefix);
                    query.fields["offset"] = json!(offset);
                    query.fields["limit"] = json!(limit);
                    let response = query.ask(&mirror, &stub.details());
                    let rest = all.get(offset..).unwrap_or_default();
                    assert_eq!(values(&response.json), rest[..rest.len().min(limit)], "{query:?}");
                    assert_eq!(response.is_partial(), rest.len() > limit, "{query:?}: {}", response.text);
                }
            }
        }
        check_unlimited(&stub);
    }
}

#[test]
fn field_names_are_the_same_whether_the_server_honours_limit_or_not() {
    const LABELS: [&str; 5] = ["d", "b", "__name__", "c", "a"];
    let mirror = Mirror::start();
    for honours in [true, false] {
        let stub = Stub::start(move |request| match request.path.as_str() {
            "/api/v1/labels" => list(request, honours, &LABELS),
            _ => good(request),
        });
        let all = ["__counter__", "__gauge__", "~", "a", "b", "c", "d"];
        for limit in 1..=8 {
            let query = Query { path: "/api/field/name", fields: json!({"limit": limit}), promql: "" };
            let response = query.ask(&mirror, &stub.details());
            let names: Vec<&Value> =
                response.json["fields"].as_array().unwrap().iter().map(|f| &f["fieldName"]).collect();
            assert_eq!(names, all[..all.len().min(limit)], "limit {limit}: {}", response.text);
            assert_eq!(response.is_partial(), all.len() > limit, "limit {limit}: {}", response.text);
        }
        check_unlimited(&stub);
    }
}
