//! The test connection, and the Connection Details of every request.

use serde_json::{Value, json};

use crate::support::ask::{Gateway, Query, assert_error, assert_points};
use crate::support::exporter;
use crate::support::oracle::{self, Nan};
use crate::support::process::free_port;
use crate::support::prometheus::{self, Prometheus, Samples};
use crate::support::samples::{HOUR, MINUTE, T0, one};

/// The test connection fails with HTTP 200, this type of error, and all these words.
fn check_failure(gateway: &Gateway, kind: &str, words: &[&str]) {
    let response = gateway.connection();
    assert_eq!(response.status, 200, "{}", response.text);
    let (status, error) = (&response.json["status"], &response.json["error"]);
    assert_eq!(
        (status, &response.json["_type"]),
        (&json!("FAILURE"), &json!("TestConnectionResponse")),
        "{}",
        response.text
    );
    assert_eq!(error["_type"], kind, "{}", response.text);
    assert!(words.iter().all(|word| error.to_string().contains(word)), "no {words:?} in: {error}");
}

fn check_ok(details: Value) {
    let gateway = Gateway::to(details);
    let response = gateway.connection();
    assert_eq!((response.status, &response.json), (200, &json!({"status": "OK", "_type": "TestConnectionResponse"})));
    let response = gateway.ask(&Query::gauge("room_celsius").between(T0, T0 + HOUR));
    assert_points(&response, &oracle::raw(one("room_celsius", &[]), T0, T0 + HOUR, Nan::None), 0.0, "room_celsius");
}

#[test]
fn a_prometheus_that_answers_queries_is_ok() {
    let prometheus = prometheus::shared();
    let port = &prometheus.details()["port"];
    check_ok(prometheus.details());
    check_ok(json!({"host": "localhost", "port": port}));
    check_ok(json!({"host": "127.0.0.1", "port": port.to_string()}));
    check_ok(json!({"host": "127.0.0.1", "port": port, "requestTimeout": 5000, "_unknown": {"a": 1}, "url": null}));
    check_ok(json!({"url": prometheus.url("")}));
    check_ok(json!({"url": prometheus.url("/")}));
}

#[test]
fn a_url_may_have_a_path_prefix() {
    // Another server, which has no page at the root.
    let prefixed = Prometheus::start(
        "",
        Samples::Loaded,
        &["--web.route-prefix=/some/prom", "--web.external-url=http://localhost/some/prom"],
    );
    check_ok(json!({"url": prefixed.url("")}));
    check_ok(json!({"url": prefixed.url("/")}));
    let gateway = Gateway::to(json!({"url": prefixed.url("")}));
    let (values, _) = gateway.field_values("room", json!({"conditions": []}));
    assert_eq!(values, ["attic"]);
    check_failure(&Gateway::to(prefixed.details()), "MetricStoreConnectionError", &["127.0.0.1"]);
}

#[test]
fn a_refused_connection_is_a_failure_that_says_where() {
    let port = free_port();
    let gateway = Gateway::to(json!({"host": "127.0.0.1", "port": port}));
    check_failure(&gateway, "MetricStoreConnectionError", &["127.0.0.1", &port.to_string()]);
    let response = gateway.ask(&Query::gauge("room_celsius").between(T0, T0 + HOUR));
    assert_error(&response, "MetricStoreConnectionError", &["127.0.0.1", &port.to_string()]);
}

#[test]
fn what_is_no_prometheus_is_a_failure() {
    let gateway = Gateway::to(json!({"host": "127.0.0.1", "port": exporter::serve()}));
    check_failure(&gateway, "MetricStoreConnectionError", &["127.0.0.1"]);
    // The mirror must not show the page of another server.
    assert!(!gateway.connection().text.contains("legacy_requests"));
}

#[test]
fn connection_details_that_make_no_sense_are_named() {
    let good = prometheus::shared().details();
    let check = |key: &str, value: Value| {
        let gateway = Gateway::to(good.clone()).with(key, value);
        check_failure(&gateway, "MetricStoreConnectionError", &[key]);
        let response = gateway.ask(&Query::gauge("room_celsius").between(T0, T0 + HOUR).aggregated("MEAN", MINUTE));
        assert_error(&response, "MetricStoreConnectionError", &[key]);
    };
    check("host", Value::Null);
    check("host", json!(""));
    check("host", json!(7));
    check("host", json!("a b"));
    check("host", json!("127.0.0.1/x?y=#"));
    check("port", Value::Null);
    check("port", json!(0));
    check("port", json!(65_536));
    check("port", json!(-1));
    check("port", json!(90.5));
    check("port", json!("http"));
    check("requestTimeout", json!(0));
    check("requestTimeout", json!(-5));
    check("requestTimeout", json!("soon"));
    check("nan_interpretation", json!("MAYBE"));
    check("scrapeInterval", json!(0));
    check("scrapeInterval", json!(-15_000));
    // Instead of host and port, not beside them.
    check("url", json!(prometheus::shared().url("")));
}

#[test]
fn a_url_that_is_none_is_named() {
    for url in ["127.0.0.1:9090", "ftp://127.0.0.1/", "http://", "not a url"] {
        let gateway = Gateway::to(json!({"url": url}));
        check_failure(&gateway, "MetricStoreConnectionError", &["url"]);
    }
}
