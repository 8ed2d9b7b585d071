//! `/metrics`: the counts agree with what happened, with `/proc`, and with `promtool`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::page::Page;
use super::{Held, begin, check_ok, exchange_aside, get, post, stub_with, test_connection};
use crate::http::{address, exchange, header, read_one_response};
use crate::support::mirror::{Mirror, condition};
use crate::support::process::{free_port, proc_file, require, status_field};
use crate::support::stub::{After, Reply, Request, Stub, good};

const START: i64 = 1_700_000_000_000;

/// The timeout of reads from a mirror.
const PATIENCE: Duration = Duration::from_secs(30);

const REQUESTS: &str = "prometheusmirror_requests_total";
const UPSTREAM_REQUESTS: &str = "prometheusmirror_upstream_requests_total";
const REJECTED: &str = "prometheusmirror_rejected_requests_total";
const DROPPED: &str = "prometheusmirror_points_dropped_total";
const SAMPLE_READS: &str = "prometheusmirror_sample_reads_total";
const PARTIAL_RESPONSES: &str = "prometheusmirror_partial_responses_total";

/// Waits until this number of workers is busy and this number of requests waits.
pub fn is_busy(mirror: &Mirror, workers: usize, waiting: usize) {
    let what = format!("{workers} workers are busy and {waiting} requests wait");
    Page::wait(mirror, &what, |page| {
        page.only("prometheusmirror_busy_workers") == workers as f64
            && page.only("prometheusmirror_queue_length") == waiting as f64
    });
}

/// The complaints of `promtool check metrics` about a page.
fn complaints(page: &str) -> String {
    require("promtool", "prometheus");
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = promtool.spawn().unwrap();
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() || !said.is_empty(), "{}", output.status);
    String::from_utf8(said).unwrap()
}

/// A query of a metric at a stub.
fn query(details: &Value) -> Value {
    let conditions = json!([condition("__gauge__", "stub_metric")]);
    json!({"connectionDetails": details,
        "query": {"conditions": conditions, "startTime": START, "endTime": START + 60_000}})
}

/// A mirror whose counters have all counted.
fn used_mirror() -> Mirror {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    check_ok(&mirror.post("/api/connection", &json!({"connectionDetails": stub.details()})));
    assert_eq!(mirror.post("/api/metric", &query(&stub.details())).status, 200);
    assert_eq!(mirror.get("/nowhere").status, 404);
    mirror
}

#[test]
fn the_page_is_prometheus_text_without_fault() {
    let mirror = used_mirror();
    let page = Page::of(&mirror);
    assert_eq!(header(&page.response.headers, "content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(complaints(&page.response.text), "", "{}", page.response.text);
    // A check without complaints must be able to find some.
    assert!(complaints("# TYPE a_total counter\na_total 1\na_total 1\n").contains("a_total"));
}

#[test]
fn every_metric_is_there_under_its_name_and_type() {
    let mirror = used_mirror();
    let page = Page::of(&mirror);
    let all = [
        (REQUESTS, "counter"),
        ("prometheusmirror_request_duration_seconds", "histogram"),
        (UPSTREAM_REQUESTS, "counter"),
        ("prometheusmirror_upstream_request_duration_seconds", "histogram"),
        ("prometheusmirror_workers", "gauge"),
        ("prometheusmirror_busy_workers", "gauge"),
        ("prometheusmirror_queue_capacity", "gauge"),
        ("prometheusmirror_queue_length", "gauge"),
        ("prometheusmirror_requests_in_flight", "gauge"),
        ("prometheusmirror_memory_held_bytes", "gauge"),
        (REJECTED, "counter"),
        ("prometheusmirror_errors_total", "counter"),
        ("prometheusmirror_file_reloads_total", "counter"),
        (SAMPLE_READS, "counter"),
        (PARTIAL_RESPONSES, "counter"),
        ("prometheusmirror_points_sent_total", "counter"),
        (DROPPED, "counter"),
        ("prometheusmirror_panics_total", "counter"),
        ("prometheusmirror_accept_failures_total", "counter"),
        ("prometheusmirror_evicted_connections_total", "counter"),
        ("prometheusmirror_thread_shortages_total", "counter"),
        ("prometheusmirror_build_info", "gauge"),
        ("process_start_time_seconds", "gauge"),
        ("process_resident_memory_bytes", "gauge"),
        ("process_open_fds", "gauge"),
        ("process_max_fds", "gauge"),
    ];
    let listed: BTreeSet<&str> = all.iter().map(|(name, _)| *name).collect();
    let lines = page.response.text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    assert_eq!(lines.collect::<BTreeSet<_>>(), listed);
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    for (name, kind) in all {
        let documented = format!("`{}`", name.trim_start_matches("prometheusmirror_"));
        assert!(docs.contains(&documented), "docs/operations.md lacks {documented}");
        assert_eq!(page.type_of(name), Some(kind), "{name} in\n{}", page.response.text);
        let sample = if kind == "histogram" { format!("{name}_count") } else { name.to_owned() };
        assert!(page.samples.iter().any(|found| found.name == sample), "no {sample} in\n{}", page.response.text);
    }
    assert_eq!(page.sum("prometheusmirror_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    for name in [
        "prometheusmirror_panics_total",
        "prometheusmirror_accept_failures_total",
        "prometheusmirror_evicted_connections_total",
        "prometheusmirror_thread_shortages_total",
    ] {
        assert_eq!(page.only(name), 0.0, "{name}");
    }
}

#[test]
fn what_may_be_alerted_on_is_there_before_it_happens() {
    let mirror = Mirror::start();
    let page = Page::of(&mirror);
    let values = |name: &str, label: &str| -> BTreeSet<String> {
        let found = page.samples.iter().filter(|sample| sample.name == name);
        found.inspect(|sample| assert_eq!(sample.value, 0.0)).map(|sample| sample.labels[label].clone()).collect()
    };
    let reasons =
        ["bad_request", "body_not_received", "body_too_large", "head_too_large", "no_such_path", "overloaded"];
    let reasons = reasons.into_iter().chain(["cross_origin", "shutting_down", "unauthorized", "verb_not_allowed"]);
    assert_eq!(values(REJECTED, "reason"), reasons.map(str::to_owned).collect());
    assert_eq!(values(DROPPED, "reason"), ["infinite", "nan", "too_large"].map(str::to_owned).into());
    let sources = ["promql", "range_selector", "remote_read"];
    assert_eq!(values(SAMPLE_READS, "source"), sources.map(str::to_owned).into());
    assert_eq!(page.only(PARTIAL_RESPONSES), 0.0);
}

#[test]
fn requests_are_counted_by_route_and_status() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let details = stub.details();
    let no_listener = json!({"host": "127.0.0.1", "port": free_port(), "scrapeInterval": 15_000});
    let names = json!({"connectionDetails": details, "query": {}});
    let values = json!({"connectionDetails": details, "query": {"field": {"fieldName": "job"}}});
    let connection = json!({"connectionDetails": details});
    let none = json!(null);
    let mut expected: BTreeMap<(String, String), f64> = BTreeMap::new();
    for (times, verb, path, body, route, status) in [
        (3, "POST", "/api/connection", &connection, "connection", "200"),
        (2, "POST", "/api/connection/check", &connection, "connection_check", "200"),
        (2, "POST", "//api/field/name/?x=1", &names, "field_name", "200"),
        (1, "POST", "/api/field/value", &values, "field_value", "200"),
        (4, "POST", "/api/metric", &query(&details), "metric", "200"),
        (2, "POST", "/api/metric", &query(&no_listener), "metric", "500"),
        (1, "POST", "/api/metric", &none, "metric", "400"),
        (5, "GET", "/api/metric", &none, "metric", "405"),
        (2, "BREW", "/-/healthy", &none, "healthy", "405"),
        (1, "GET", "/", &none, "about", "200"),
        (2, "GET", "/explorer.json", &none, "explorer", "200"),
        (3, "GET", "/-/healthy", &none, "healthy", "200"),
        (1, "HEAD", "/-/healthy", &none, "healthy", "200"),
        (2, "GET", "/-/ready", &none, "ready", "200"),
        (3, "GET", "/nowhere", &none, "other", "404"),
        (1, "POST", "/api", &none, "other", "404"),
    ] {
        for _ in 0..times {
            let request = post(path, "Connection: close\r\n", body);
            let response = exchange(address(&mirror), &[verb.as_bytes(), &request["POST".len()..]].concat());
            assert_eq!(response.status.to_string(), status, "{verb} {path}: {}", response.text);
        }
        *expected.entry((route.to_owned(), status.to_owned())).or_default() += f64::from(times);
    }
    // The requests for these pages count, too. The requests that the mirror makes itself do not.
    let counted = |page: &Page| -> BTreeMap<(String, String), f64> {
        let found = page.samples.iter().filter(|sample| sample.name == REQUESTS && sample.labels["route"] != "metrics");
        found.map(|sample| ((sample.labels["route"].clone(), sample.labels["status"].clone()), sample.value)).collect()
    };
    let whole = expected.values().sum::<f64>();
    let page = Page::wait(&mirror, "all requests", |page| counted(page).values().sum::<f64>() >= whole);
    assert_eq!(counted(&page), expected);
    assert!(page.sum(REQUESTS, &[("route", "metrics"), ("status", "200")]) >= 1.0);
    for route in [
        "connection", "connection_check", "field_name", "field_value", "metric", "about", "explorer", "healthy",
        "ready", "other",
    ] {
        let count = page.sum("prometheusmirror_request_duration_seconds_count", &[("route", route)]);
        assert_eq!(count, page.sum(REQUESTS, &[("route", route)]), "{route}");
    }
}

#[test]
fn durations_are_those_that_passed() {
    const DELAY: Duration = Duration::from_millis(120);
    let (mirror, stub) = (Mirror::start(), Stub::start(|request| good(request).delayed(DELAY)));
    for _ in 0..3 {
        check_ok(&mirror.post("/api/connection", &json!({"connectionDetails": stub.details()})));
    }
    let count = "prometheusmirror_request_duration_seconds_count";
    let page = Page::wait(&mirror, "three requests", |page| page.sum(count, &[("route", "connection")]) == 3.0);
    for (name, label) in [
        ("prometheusmirror_request_duration_seconds", ("route", "connection")),
        ("prometheusmirror_upstream_request_duration_seconds", ("endpoint", "query")),
    ] {
        let sum = page.sum(&format!("{name}_sum"), &[label]);
        assert!((3.0 * DELAY.as_secs_f64()..30.0).contains(&sum), "{name}: {sum}");
        assert_eq!(page.sum(&format!("{name}_count"), &[label]), 3.0, "{name}");
        let is_it = |sample: &&super::page::Sample| {
            sample.name == format!("{name}_bucket") && sample.labels[label.0] == label.1
        };
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for sample in page.samples.iter().filter(is_it) {
            buckets.push((sample.labels["le"].parse().unwrap(), sample.value));
        }
        assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{name}: {buckets:?}");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, 3.0)), "{name}");
        let early: f64 = buckets.iter().filter(|(le, _)| *le < DELAY.as_secs_f64()).map(|(_, count)| count).sum();
        assert_eq!(early, 0.0, "{name}: {buckets:?}");
    }
}

/// The endpoint of a recorded request, as in the metrics.
fn endpoint_of(request: &Request) -> &'static str {
    match request.path.strip_prefix("/api/v1/").unwrap() {
        "query" => "query",
        "query_range" => "query_range",
        "labels" => "labels",
        "metadata" => "metadata",
        path if path.starts_with("label/") && path.ends_with("/values") => "label_values",
        path => panic!("an endpoint without a name: {path}"),
    }
}

#[test]
fn upstream_requests_are_counted_by_endpoint_as_the_upstream_saw_them() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let details = stub.details();
    check_ok(&mirror.post("/api/connection", &json!({"connectionDetails": details})));
    let field = |name: &str| json!({"field": {"fieldName": name}});
    let metric = |key: &str, aggregation: Value| {
        json!({"conditions": [condition(key, "stub_metric")], "startTime": START, "endTime": START + 600_000,
            "aggregation": aggregation})
    };
    let mean = || json!({"method": "MEAN", "bucketSizeMillis": 60_000});
    for (path, query) in [
        ("/api/field/name", json!({})),
        ("/api/field/value", field("job")),
        ("/api/field/value", field("../x")),
        ("/api/field/value", field("__counter__")),
        ("/api/metric", metric("__gauge__", json!(null))),
        ("/api/metric", metric("__gauge__", mean())),
        ("/api/metric", metric("__counter__", mean())),
        ("/api/metric", metric("~", json!(null))),
    ] {
        mirror.post(path, &json!({"connectionDetails": details, "query": query}));
    }
    let mut expected: BTreeMap<&str, f64> = BTreeMap::new();
    for request in stub.requests() {
        *expected.entry(endpoint_of(&request)).or_default() += 1.0;
    }
    expected.insert("read", stub.reads() as f64);
    assert_eq!((expected.len(), stub.reads()), (6, 1), "every endpoint was asked: {expected:?}");
    let page = Page::of(&mirror);
    for (endpoint, count) in &expected {
        let label = ("endpoint", *endpoint);
        assert_eq!(page.sum(UPSTREAM_REQUESTS, &[label]), *count, "{endpoint} in\n{}", page.response.text);
        let durations = "prometheusmirror_upstream_request_duration_seconds_count";
        assert_eq!(page.sum(durations, &[label]), *count, "{endpoint} in\n{}", page.response.text);
    }
    assert_eq!(page.sum(UPSTREAM_REQUESTS, &[]), expected.values().sum::<f64>());
}

#[test]
fn upstream_requests_are_counted_by_outcome() {
    let check_at = |flags: &[&str], details: Value, outcome: &str| {
        let mirror = Mirror::start_with(flags);
        mirror.post("/api/connection", &json!({"connectionDetails": details}));
        let page = Page::of(&mirror);
        let outcomes: BTreeSet<&str> = page
            .samples
            .iter()
            .filter(|sample| sample.name == UPSTREAM_REQUESTS && sample.value > 0.0)
            .map(|sample| sample.labels["outcome"].as_str())
            .collect();
        assert_eq!(outcomes, [outcome].into(), "{}", page.response.text);
    };
    let check = |reply: Reply, outcome: &str| {
        let stub = Stub::start(move |_| reply.clone());
        let mut details = stub.details();
        details["requestTimeout"] = json!(if outcome == "timeout" { 300 } else { 10_000 });
        check_at(&[], details, outcome);
    };
    let endless = || Reply::raw("HTTP/1.1 200 X\r\nContent-Type: application/json\r\n\r\n");
    check(Reply::success(json!({"resultType": "vector", "result": []})), "ok");
    check(Reply::raw("").then(After::Close), "closed");
    check(Reply::raw("").then(After::Hang), "timeout");
    check(Reply::error(503, "timeout", "too slow"), "evaluation_timeout");
    check(Reply::error(503, "unavailable", "TSDB not ready"), "unavailable");
    check(Reply::error(500, "internal", "broken"), "upstream_internal");
    check(Reply::http(401, "text/plain", "no"), "credentials_required");
    check(Reply::http(403, "text/plain", "no"), "access_denied");
    check(Reply::http(503, "text/plain", "no"), "unavailable");
    check(Reply::raw("HTTP/1.1 302 X\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n"), "redirected");
    check(Reply::http(200, "text/html", "<html>"), "not_prometheus");
    check(Reply::error(400, "bad_data", "no"), "api_error");
    check(endless().then(After::Repeat(vec![b' '; 1 << 16])), "too_large");
    check_at(&[], json!({"host": "127.0.0.1", "port": free_port()}), "unreachable");
    check_at(&[], json!({"host": "no-such-host.invalid", "port": 9090}), "name_not_found");
    let plain = Stub::start(|_| Reply::http(400, "text/plain", "this is no TLS").then(After::Close));
    check_at(&[], json!({"url": format!("https://127.0.0.1:{}/", plain.port())}), "tls");
    let stub = Stub::start(good);
    check_at(&["--allow-upstream", "prometheus.example"], stub.details(), "not_allowed");
    assert_eq!(stub.requests(), []);
}

#[test]
fn gauges_show_the_workers_and_the_queue() {
    let (mirror, held) = (Mirror::start_with(&["--workers", "2", "--queue-size", "7"]), Held::start());
    let page = Page::of(&mirror);
    assert_eq!(page.only("prometheusmirror_workers"), 2.0);
    assert_eq!(page.only("prometheusmirror_queue_capacity"), 7.0);
    is_busy(&mirror, 0, 0);
    let mut asked = Vec::new();
    for (workers, waiting) in [(1, 0), (2, 0), (2, 1), (2, 2), (2, 3)] {
        asked.push(exchange_aside(&mirror, test_connection(&held.stub.details())));
        is_busy(&mirror, workers, waiting);
    }
    held.release();
    asked.into_iter().for_each(|asked| check_ok(&asked.join().unwrap()));
    is_busy(&mirror, 0, 0);
    let usual = Mirror::start_with(&["--workers", "3"]);
    assert_eq!(Page::of(&usual).only("prometheusmirror_queue_capacity"), 30.0, "ten a worker");
}

/// Checks for one rejection with this reason, and none with another.
fn check_rejected(mirror: &Mirror, reason: &str) {
    let page = Page::wait(mirror, &format!("a rejection for {reason}"), |page| page.sum(REJECTED, &[]) > 0.0);
    assert_eq!(page.sum(REJECTED, &[("reason", reason)]), 1.0, "{reason} in\n{}", page.response.text);
    assert_eq!(page.sum(REJECTED, &[]), 1.0, "{reason} in\n{}", page.response.text);
}

#[test]
fn rejected_requests_are_counted_by_reason() {
    let check = |flags: &[&str], request: &[u8], status: u16, reason: &str| {
        let mirror = Mirror::start_with(flags);
        let mut stream = begin(&mirror, request, PATIENCE);
        // A rejection that has not been counted by now does not come.
        stream.shutdown(Shutdown::Write).unwrap();
        let response = read_one_response(&mut stream).unwrap();
        assert_eq!(response.status, status, "{reason}: {}", response.text);
        check_rejected(&mirror, reason);
    };
    let head = |line: &str| format!("POST /api/metric HTTP/1.1\r\nHost: m\r\n{line}\r\n\r\n").into_bytes();
    let stub = Stub::start(good);
    check(&[], &post("/api/metric", "", &json!({})), 400, "bad_request");
    check(&[], &get("/nowhere"), 404, "no_such_path");
    check(&[], &get("/api/metric"), 405, "verb_not_allowed");
    check(&[], &head("Content-Length: 2000000"), 413, "body_too_large");
    check(&[], &head("Content-Length: 2000"), 408, "body_not_received");
    check(&["--require-api-key", "true"], &test_connection(&stub.details()), 401, "unauthorized");
}

#[test]
fn requests_turned_away_for_the_state_of_the_mirror_are_counted_by_reason() {
    let busy = || {
        let (mirror, held) = (Mirror::start_with(&["--workers", "1", "--queue-size", "0"]), Held::start());
        let running = exchange_aside(&mirror, test_connection(&held.stub.details()));
        is_busy(&mirror, 1, 0);
        (mirror, held, running)
    };
    let (mirror, held, running) = busy();
    assert_eq!(exchange(address(&mirror), &test_connection(&held.stub.details())).status, 503);
    check_rejected(&mirror, "overloaded");
    held.release();
    check_ok(&running.join().unwrap());

    let (mirror, held, running) = busy();
    mirror.signal("TERM");
    // A request before the mirror notices the signal would find no room.
    let is_not_ready = |page: &Page| page.sum(REJECTED, &[("reason", "shutting_down")]) > 0.0;
    Page::wait(&mirror, "the page of readiness turns requests away", |page| {
        assert_eq!(exchange(address(&mirror), &get("/-/healthy")).status, 200);
        exchange(address(&mirror), &get("/-/ready"));
        is_not_ready(page)
    });
    let before = Page::of(&mirror).sum(REJECTED, &[("reason", "shutting_down")]);
    assert_eq!(exchange(address(&mirror), &test_connection(&held.stub.details())).status, 503);
    Page::wait(&mirror, "one more is turned away", |page| page.sum(REJECTED, &[("reason", "shutting_down")]) > before);
    assert_eq!(Page::of(&mirror).sum(REJECTED, &[("reason", "overloaded")]), 0.0);
    held.release();
    check_ok(&running.join().unwrap());
}

#[test]
fn points_are_counted_as_they_are_sent_and_dropped() {
    let stub = stub_with(&["1.5", "NaN", "+Inf", "2.5", "-Inf", "NaN", "3.5"], START);
    let check = |nan: &str, sent: usize, dropped: [f64; 2]| {
        let mirror = Mirror::start();
        let mut details = stub.details();
        details["nan_interpretation"] = json!(nan);
        for times in 1..=2 {
            let points = mirror.post("/api/metric", &query(&details)).points();
            assert_eq!(points.len(), sent, "{nan}: {points:?}");
            let page = Page::of(&mirror);
            assert_eq!(page.only("prometheusmirror_points_sent_total"), (times * sent) as f64, "{nan}");
            let found = ["nan", "infinite"].map(|reason| page.sum(DROPPED, &[("reason", reason)]));
            assert_eq!(found, dropped.map(|count| f64::from(times as u32) * count), "{nan}");
        }
    };
    check("NONE", 3, [2.0, 2.0]);
    check("ZERO", 5, [0.0, 2.0]);

    // Each sample is a number of JSON, but their sum exceeds its largest, 1.8e308.
    let (mirror, stub) = (Mirror::start(), stub_with(&["1e308", "1e308"], START));
    let mut query = query(&stub.details());
    query["query"]["aggregation"] = json!({"method": "SUM", "bucketSizeMillis": 60_000});
    let response = mirror.post_explained("/api/metric", &query);
    assert!(response.points().is_empty());
    assert_eq!(response.json["explanation"]["leftOut"], json!({"nan": 0, "infinite": 0, "tooLarge": 1}));
    let page = Page::of(&mirror);
    assert_eq!(
        ["nan", "infinite", "too_large"].map(|reason| page.sum(DROPPED, &[("reason", reason)])),
        [0.0, 0.0, 1.0]
    );
}

/// The seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

#[test]
fn the_figures_of_the_process_are_those_of_the_system() {
    let before = now();
    let mirror = Mirror::start();
    let started = Page::of(&mirror).only("process_start_time_seconds");
    // The system measures start times in hundredths of a second.
    assert!((before - 0.02..now() + 0.02).contains(&started), "{before} {started}");

    let limits = proc_file(mirror.pid(), "limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let soft: f64 = line.split_whitespace().next().unwrap().parse().unwrap();
    assert_eq!(Page::of(&mirror).only("process_max_fds"), soft);

    let page = Page::of(&mirror);
    let resident = status_field(mirror.pid(), "VmRSS");
    let resident = 1024.0 * resident.trim_end_matches(" kB").parse::<f64>().unwrap();
    let shown = page.only("process_resident_memory_bytes");
    assert!((shown / resident - 1.0).abs() < 0.25, "{shown} is shown, {resident} it is");

    // The request for the page has a descriptor, and the previous one may still have one.
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", mirror.pid())).unwrap().count() as f64;
    let agree = |page: &Page| (page.only("process_open_fds") - descriptors()).abs() <= 4.0;
    Page::wait(&mirror, "descriptors as in /proc", agree);
    let few = descriptors();
    let _open: Vec<TcpStream> = (0..50).map(|_| begin(&mirror, b"", PATIENCE)).collect();
    let page = Page::wait(&mirror, "more descriptors, as in /proc", |page| descriptors() >= few + 50.0 && agree(page));
    assert!(page.only("process_open_fds") >= few + 46.0, "{}", page.response.text);
}

#[test]
fn clients_cannot_make_up_series() {
    const ODDITIES: usize = 1_000;
    /// The series that any client can cause: bad paths and verbs, and one histogram of each.
    const FEW: usize = 20;
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    let series = |page: &Page| page.samples.iter().filter(|sample| !sample.labels.contains_key("le")).count();
    let before = series(&Page::of(&mirror));
    let mut stream = begin(&mirror, b"", PATIENCE);
    for nth in 0..ODDITIES {
        let (verb, path) = match nth % 5 {
            0 => ("GET".to_owned(), format!("/odd/{nth}")),
            1 => (format!("ODD{nth}"), format!("/{nth}")),
            2 => (format!("ODD{nth}"), "/api/metric".to_owned()),
            3 => ("GET".to_owned(), format!("/metrics/{nth}\"}}")),
            _ => (format!("O\"{nth}"), format!("/?q={nth}")),
        };
        let request = format!("{verb} {path} HTTP/1.1\r\nHost: h{nth}\r\nX-Request-Id: {nth}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        assert!(matches!(read_one_response(&mut stream).unwrap().status, 404 | 405), "{request}");
    }
    for nth in 0..50 {
        let field = json!({"fieldName": format!("odd_{nth}")});
        mirror.post("/api/field/value", &json!({"connectionDetails": stub.details(), "query": {"field": field}}));
    }
    let page = Page::wait(&mirror, "all of them", |page| page.sum(REQUESTS, &[]) >= (ODDITIES + 50) as f64);
    assert!(series(&page) <= before + FEW, "{before}, now {}:\n{}", series(&page), page.response.text);
    assert_eq!(complaints(&page.response.text), "");
}
