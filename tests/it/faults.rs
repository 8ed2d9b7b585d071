//! Faulty upstreams: the mirror always responds with the right typed error, within `requestTimeout` and half a second. It repeats
//! nothing that a server other than a Prometheus sent, and then serves the next good request.
//!
//! This file has faults of the connection. `advice` has the remedies in errors, `responses` wrong responses, `long` faults in
//! responses that are decoded while they arrive, and `endless` responses without an end. `client` tests how the mirror makes calls,
//! `recovery` what it keeps between requests, and `lists` servers that differ without being wrong.

mod advice;
mod client;
mod endless;
mod lists;
mod long;
mod reads;
mod recovery;
mod responses;
mod restart;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::mirror::{API_KEY, Mirror, Response, condition};
use crate::support::stub::{After, Reply, Request, Stub, good};

/// The `requestTimeout` of these tests.
const TIMEOUT: Duration = Duration::from_millis(600);

/// How much later than `requestTimeout` a response may arrive.
const GRACE: Duration = Duration::from_millis(500);

/// A text in every body that the mirror must not repeat.
const MARKER: &str = "MARKER-5ca1ab1e";

/// The range of the metrics queries, in milliseconds.
const START: i64 = 1_700_000_000_123;
const END: i64 = START + 600_000;

/// A request to the mirror.
#[derive(Debug, Clone)]
struct Query {
    path: &'static str,
    /// The `query` of its body.
    fields: Value,
    /// The piece of PromQL that the details of an error must contain.
    promql: &'static str,
}

impl Query {
    /// A metrics query with one condition over [START, END], aggregated in buckets of a minute.
    fn metric(key: &str, value: &'static str, method: Option<&str>) -> Query {
        let aggregation = method.map(|method| json!({"method": method, "bucketSizeMillis": 60_000}));
        let fields = json!({
            "conditions": [condition(key, value)], "startTime": START, "endTime": END, "aggregation": aggregation
        });
        Query { path: "/api/metric", fields, promql: value }
    }

    /// A query for the values of a field.
    fn values(field: &str) -> Query {
        let fields = json!({"conditions": [], "field": {"fieldName": field}});
        Query { path: "/api/field/value", fields, promql: "" }
    }

    /// Sends it.
    fn ask(&self, mirror: &Mirror, details: &Value) -> Response {
        mirror.post(self.path, &json!({"connectionDetails": details, "query": self.fields}))
    }
}

/// One query of every kind for which the mirror needs its upstream.
fn queries() -> Vec<Query> {
    let names = json!({"conditions": [condition("job", "a")]});
    vec![
        Query { path: "/api/connection", fields: json!({}), promql: "" },
        Query { path: "/api/field/name", fields: json!({"conditions": []}), promql: "" },
        Query { path: "/api/field/name", fields: names, promql: "" },
        Query::values("job"),
        Query::values("__counter__"),
        Query::metric("__gauge__", "stub_metric", None),
        Query::metric("__counter__", "stub_metric", None),
        Query::metric("~", "avg(stub_metric)", None),
        Query::metric("__gauge__", "stub_metric", Some("MEAN")),
        Query::metric("__counter__", "stub_metric", Some("SUM")),
        Query::metric("~", "avg(stub_metric)", Some("PERCENTILE_95")),
    ]
}

/// A mirror for each of the queries, so that all can run at once and none waits for another.
fn mirrors() -> Vec<Mirror> {
    queries().iter().map(|_| Mirror::start()).collect()
}

/// Connection Details with the timeout of these tests.
fn in_time(details: Value) -> Value {
    let mut details = details;
    details["requestTimeout"] = json!(TIMEOUT.as_millis() as u64);
    details
}

/// Host and port of Connection Details.
fn address(details: &Value) -> Vec<String> {
    match details["url"].as_str() {
        Some(url) => url.trim_start_matches("https://").trim_end_matches('/').split(':').map(str::to_owned).collect(),
        None => vec![details["host"].as_str().unwrap().to_owned(), details["port"].to_string()],
    }
}

/// The error of a response of any method.
fn error_of(response: &Response) -> &Value {
    assert_eq!(response.key.as_deref(), Some(API_KEY), "{response:?}");
    match response.status {
        200 => {
            assert_eq!(response.json["status"], "FAILURE", "no error: {}", response.text);
            &response.json["error"]
        }
        status => {
            assert_eq!(status, 500, "{}", response.text);
            &response.json
        }
    }
}

/// Whether a response is not an error.
fn is_good(response: &Response) -> bool {
    response.status == 200 && response.json["status"] != "FAILURE"
}

/// Sends a query that must end in a typed error in time.
fn check_error(mirror: &Mirror, details: &Value, query: &Query, fault: &str, expected: &str) {
    let begin = Instant::now();
    let response = query.ask(mirror, details);
    let took = begin.elapsed();
    let context = format!("{fault}: {query:?}\n{} {}", response.status, response.text);
    assert!(!is_good(&response), "no error: {context}");
    assert!(took < TIMEOUT + GRACE, "took {took:?}: {context}");
    let error = error_of(&response);
    assert_eq!(error["_type"], expected, "{context}");
    assert!(!response.text.contains(MARKER), "repeats the body: {context}");
    let text = error["details"].as_str().unwrap_or_else(|| panic!("no details: {context}"));
    for part in address(details) {
        assert!(text.contains(&part), "does not name {part}: {context}");
    }
    assert!(text.contains(query.promql), "does not name the PromQL: {context}");
}

/// Sends all these queries at once. Each must end in a typed error in time.
fn check_errors(mirrors: &[Mirror], details: &Value, queries: &[Query], fault: &str, expected: &str) {
    let details = &in_time(details.clone());
    std::thread::scope(|scope| {
        for (query, mirror) in queries.iter().zip(mirrors) {
            scope.spawn(move || check_error(mirror, details, query, fault, expected));
        }
    });
}

/// Sends all queries to an upstream with a fault, and then to the same upstream without it.
fn check_fault(
    mirrors: &[Mirror],
    fault: &str,
    behaviour: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    expected: &str,
) {
    let stub = Stub::start(behaviour);
    check_errors(mirrors, &stub.details(), &queries(), fault, expected);
    stub.behave(good);
    for (query, mirror) in queries().iter().zip(mirrors) {
        let response = query.ask(mirror, &stub.details());
        assert!(is_good(&response), "after {fault}: {query:?}\n{} {}", response.status, response.text);
    }
}

/// Makes every connection fail in one way.
fn check_reply(mirrors: &[Mirror], fault: &str, reply: Reply) {
    check_fault(mirrors, fault, move |_| reply.clone(), "MetricStoreConnectionError");
}

fn head(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{lines}")
}

#[test]
fn a_connection_that_fails_is_a_connection_error_in_time() {
    let mirrors = mirrors();
    let head = head("Content-Length: 1000\r\n\r\n");
    let begun = format!(r#"{{"status":"success","data":"{MARKER}"#);
    for (fault, bytes) in [
        ("no response at all", String::new()),
        ("half a status line", "HTTP/1.1 20".to_owned()),
        ("a head without a body", head.clone()),
        ("a body cut short", format!("{head}{begun}")),
        ("chunks cut short", format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{begun}")),
    ] {
        for after in [After::Reset, After::Close, After::Hang] {
            check_reply(&mirrors, &format!("{fault}, then {after:?}"), Reply::raw(bytes.clone()).then(after));
        }
    }
}

#[test]
fn an_upstream_that_is_too_slow_is_a_connection_error_in_time() {
    let mirrors = mirrors();
    let response = Reply::success(json!({"resultType": "vector", "result": []}));
    check_reply(&mirrors, "a byte every 100 ms", response.clone().dripping(Duration::from_millis(100)));
    check_reply(&mirrors, "a right response too late", response.delayed(TIMEOUT + GRACE));
    for (fault, begin, piece) in [
        ("a byte of the head every 200 ms", "HTTP/1.1 200 O".to_owned(), "K"),
        ("a byte of the body every 200 ms", head("\r\n"), " "),
        ("a chunk every 200 ms", head("Transfer-Encoding: chunked\r\n\r\n"), "1\r\n \r\n"),
    ] {
        let trickle = After::Trickle(piece.as_bytes().to_vec(), Duration::from_millis(200));
        check_reply(&mirrors, fault, Reply::raw(begin).then(trickle));
    }
}

#[test]
fn an_upstream_that_never_ends_is_a_connection_error_in_time() {
    let mirrors = mirrors();
    for (fault, begin, over_and_over) in [
        ("endless headers", head(""), format!("X-Padding: {MARKER}\r\n")),
        ("an endless header", head("X-Padding: "), MARKER.to_owned()),
        ("an endless status line", "HTTP/1.1 200 ".to_owned(), MARKER.to_owned()),
        ("continue, for ever", String::new(), "HTTP/1.1 100 Continue\r\n\r\n".to_owned()),
        ("endless garbage", String::new(), format!("{MARKER}\n")),
    ] {
        check_reply(&mirrors, fault, Reply::raw(begin).then(After::Repeat(over_and_over.repeat(100).into_bytes())));
    }
}

#[test]
fn a_result_that_never_ends_is_refused_at_a_bound_with_advice() {
    let mirror = Mirror::start();
    let stub = Stub::start(|request| match request.path.as_str() {
        "/api/v1/query_range" => {
            let begin = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]"#;
            let samples = r#",[1,"1"]"#.repeat(10_000).into_bytes();
            Reply::raw(format!("{}\r\n{begin}", head(""))).then(After::Repeat(samples))
        }
        _ => good(request),
    });
    let query = Query::metric("~", "avg(stub_metric)", Some("MEAN"));
    let response = query.ask(&mirror, &stub.details());
    let error = error_of(&response);
    assert_eq!(error["_type"], "RemoteMirrorError", "{}", response.text);
    let details = error["details"].as_str().unwrap();
    for part in ["shorter time range", "stub_metric", "127.0.0.1", &stub.port().to_string()] {
        assert!(details.contains(part), "{part} is not in {details}");
    }
    stub.behave(good);
    assert!(is_good(&query.ask(&mirror, &stub.details())));
}

#[test]
fn an_address_where_no_prometheus_answers_is_a_connection_error_in_time() {
    let mirrors = mirrors();
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let unaccepted = TcpListener::bind("127.0.0.1:0").unwrap();
    for details in [
        json!({"host": "127.0.0.1", "port": refused, "scrapeInterval": 15_000}),
        json!({"host": "127.0.0.1", "port": unaccepted.local_addr().unwrap().port(), "scrapeInterval": 15_000}),
        json!({"host": "no-such-host.invalid", "port": 9090, "scrapeInterval": 15_000}),
    ] {
        check_errors(&mirrors, &details, &queries(), "a wrong address", "MetricStoreConnectionError");
    }
}

#[test]
fn tls_where_none_is_expected_and_the_reverse_are_connection_errors_in_time() {
    let mirrors = mirrors();
    // An alert of level fatal: unexpected message.
    let alert = Reply::raw(*b"\x15\x03\x01\x00\x02\x02\x0a");
    check_reply(&mirrors, "a TLS alert, open", alert.clone().then(After::Hang));
    check_reply(&mirrors, "a TLS alert, closed", alert.clone().then(After::Close));

    let drip = After::Trickle(vec![0], Duration::from_millis(200));
    let plain = Reply::http(400, "text/plain", format!("{MARKER}: an HTTP request was expected")).then(After::Close);
    for (fault, reply) in [
        ("plain HTTP", plain),
        ("an alert", alert.then(After::Close)),
        ("silence", Reply::raw("").then(After::Hang)),
        ("a reset", Reply::raw("").then(After::Reset)),
        // A record that announces 16 KiB.
        ("a byte every 200 ms", Reply::raw(*b"\x16\x03\x03\x40\x00").then(drip)),
    ] {
        let stub = Stub::start(move |_| reply.clone());
        let details = json!({"url": format!("https://127.0.0.1:{}/", stub.port()), "scrapeInterval": 15_000});
        check_errors(&mirrors, &details, &queries(), &format!("https to {fault}"), "MetricStoreConnectionError");
        assert!(stub.requests().iter().all(|request| request.method.is_empty()), "a request went out in plain text");
    }
}

/// Sends a test connection, which must end in an error with this text.
fn check_says(mirror: &Mirror, details: Value, says: &str) {
    let query = Query { path: "/api/connection", fields: json!({}), promql: "" };
    let response = query.ask(mirror, &in_time(details));
    let text = error_of(&response)["details"].as_str().unwrap_or_default();
    assert!(text.contains(says) && !text.contains(MARKER), "does not say {says:?}: {text}");
}

#[test]
fn each_fault_is_called_by_its_name() {
    let mirror = Mirror::start();
    let html = |status| Reply::http(status, "text/html", format!("<html>{MARKER}</html>"));
    let api = |status, kind| Reply::error(status, kind, "the reason given");
    let (json_type, words) = ("Content-Type: application/json\r\n", r#"{"message":"no key"}"#);
    for (reply, says) in [
        (
            Reply::raw("").then(After::Close),
            "closed the connection before the response was complete; check that it is running",
        ),
        (Reply::raw("").then(After::Reset), "closed the connection before the response was complete"),
        (
            Reply::raw("").then(After::Hang),
            "did not answer within the timeout of 600 ms; this query takes almost no time",
        ),
        (
            Reply::raw(MARKER).then(After::Close),
            "did not respond like a Prometheus: its response is not HTTP; check host",
        ),
        (
            Reply::raw(*b"\x15\x03\x01\x00\x02\x02\x0a").then(After::Close),
            "so its port uses https; give its address as url",
        ),
        (
            Reply::raw(head("X-Padding: ")).then(After::Repeat(vec![b'x'; 1 << 16])),
            "the header of its response is too large",
        ),
        (
            Reply::raw(format!("{}5;{}", head("Transfer-Encoding: chunked\r\n\r\n"), "x".repeat(200_000))),
            "did not respond like a Prometheus: the body of its response is not HTTP as this mirror accepts it",
        ),
        (html(200), "its response is an HTML page (HTTP status 200); it may be a login page"),
        (
            Reply::json(&json!({})),
            "its response is JSON, but not that of the Prometheus HTTP API (HTTP status 200); it may be another",
        ),
        (
            Reply::http(200, "text/plain", ""),
            "its response is empty (HTTP status 200); it may be another program: check host, port",
        ),
        (Reply::http(200, "text/plain", MARKER), "its response is of type text/plain, not JSON (HTTP status 200)"),
        (html(404), "has no Prometheus API at this path (HTTP status 404)"),
        (html(502), "is reachable, but unavailable (HTTP status 502)"),
        (html(302), "redirects elsewhere (HTTP status 302), which is not followed"),
        (html(401), "requires credentials, but the mirror sent no header Authorization (HTTP status 401)"),
        (html(403), "denies access (HTTP status 403); allow this mirror to query it"),
        // The head says everything, so the mirror does not wait for the body.
        (Reply::raw("HTTP/1.1 401 X\r\nContent-Length: 9\r\n\r\n").then(After::Hang), "requires credentials"),
        (Reply::raw("HTTP/1.1 302 X\r\nContent-Length: 9\r\n\r\n").then(After::Hang), "redirects elsewhere"),
        // The error keeps the text of a gateway, regardless of how its end is announced.
        (Reply::raw(format!("HTTP/1.1 401 X\r\n{json_type}\r\n{{\"mess")).then(After::Hang), "requires credentials"),
        (
            Reply::raw(format!("HTTP/1.0 401 X\r\n{json_type}\r\n{words}")).then(After::Close),
            "(HTTP status 401): no key",
        ),
        (
            Reply::raw(format!(
                "HTTP/1.1 401 X\r\n{json_type}Transfer-Encoding: chunked\r\n\r\n14\r\n{words}\r\n0\r\n\r\n"
            )),
            "(HTTP status 401): no key",
        ),
        (html(429), "refuses the query because of a rate limit (HTTP status 429)"),
        (api(422, "execution"), "refuses the query (execution, HTTP status 422): the reason given"),
        (
            api(503, "timeout"),
            "gave up on the query because it took longer than its timeout (timeout, HTTP status 503): the reason given; this \
             query takes almost no time, so check the load",
        ),
        (
            api(503, "unavailable"),
            "is reachable, but unavailable (unavailable, HTTP status 503): the reason given; it may be starting",
        ),
        (
            api(499, "canceled"),
            "canceled the query (canceled, HTTP status 499): the reason given; it may be shutting down",
        ),
        (
            api(500, "internal"),
            "failed to answer because of an internal error (internal, HTTP status 500): the reason given; look at the log",
        ),
        (
            api(406, "not_acceptable"),
            "cannot send a response in any format that the mirror accepts (not_acceptable, HTTP status 406): the reason given; check \
             whether a proxy between this mirror and it changes the header Accept",
        ),
    ] {
        let stub = Stub::start(move |_| reply.clone());
        check_says(&mirror, stub.details(), says);
    }

    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    check_says(&mirror, json!({"host": "127.0.0.1", "port": nowhere}), "cannot be reached: Connection refused");
    check_says(
        &mirror,
        json!({"host": "no-such-host.invalid", "port": 1}),
        "cannot be reached: the name server of this mirror has no address for the name no-such-host.invalid",
    );
    let plain = Stub::start(|_| Reply::http(400, "text/plain", MARKER).then(After::Close));
    let url = format!("https://127.0.0.1:{}/", plain.port());
    check_says(&mirror, json!({"url": url}), "cannot be reached: it does not speak TLS on this port; begin url");
}

#[test]
fn the_address_is_not_doubted_once_a_prometheus_has_answered() {
    let mirror = Mirror::start();
    let stub = Stub::start(good);
    let query = Query { path: "/api/connection", fields: json!({}), promql: "" };
    let response = query.ask(&mirror, &in_time(stub.details()));
    assert_eq!(response.json["status"], "OK", "{}", response.text);
    for (reply, says) in [
        (
            Reply::http(200, "text/html", "<html>"),
            "a Prometheus has answered at this address before, so this may be the login",
        ),
        (Reply::json(&json!({})), "a Prometheus has answered at this address before: look at the log of the proxy"),
        (
            Reply::raw(MARKER).then(After::Close),
            "its response is not HTTP; a Prometheus has answered at this address before",
        ),
    ] {
        stub.behave(move |_| reply.clone());
        let response = query.ask(&mirror, &in_time(stub.details()));
        let text = error_of(&response)["details"].as_str().unwrap_or_default();
        assert!(text.contains(says) && !text.contains("check host") && !text.contains(MARKER), "{says:?}: {text}");
    }
}
