//! What the mirror keeps from one request to the next, such as connections that die, and what it does not keep, such as how an
//! engine responds. Also responses with more than one series.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Query, START, error_of, in_time, is_good};
use crate::support::mirror::{Mirror, condition};
use crate::support::process::{open_descriptors, wait_until};
use crate::support::stub::{After, Reply, Request, Stub, good};

#[test]
fn of_several_dead_connections_only_one_costs_a_try() {
    let mirror = Mirror::start();
    // The stub closes every connection on its second request, when the mirror trusts the connection.
    let stub = Stub::start(|request: &Request| match request.nth {
        0 => good(request).delayed(Duration::from_millis(300)),
        _ => Reply::raw("").then(After::Close),
    });
    let query = Query::values("job");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(is_good(&query.ask(&mirror, &stub.details()))));
        }
    });
    // One that started late may have met a dead connection already.
    assert!(stub.requests().len() >= 4);
    let response = query.ask(&mirror, &stub.details());
    assert!(is_good(&response), "{}", response.text);
}

#[test]
fn faults_leave_no_connection_open() {
    /// The number of parallel queries.
    const CLIENTS: usize = 8;
    let mirror = Mirror::start();
    let stub = Stub::start(good);
    let ask_at_once = |details: &Value| {
        let responses = std::thread::scope(|scope| {
            let ask = || Query::values("job").ask(&mirror, details);
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
        });
        responses.iter().filter(|response| is_good(response)).count()
    };
    // Each of them has a connection of its own then.
    stub.behave(|request| good(request).delayed(Duration::from_millis(200)));
    assert_eq!(ask_at_once(&stub.details()), CLIENTS);
    let before = open_descriptors(mirror.pid());

    let begun = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{";
    for (fault, reply) in [
        ("no response", Reply::raw("").then(After::Close)),
        ("a reset", Reply::raw("").then(After::Reset)),
        ("silence", Reply::raw("").then(After::Hang)),
        ("half a response, closed", Reply::raw(begun).then(After::Close)),
        ("half a response, reset", Reply::raw(begun).then(After::Reset)),
        ("half a response, silent", Reply::raw(begun).then(After::Hang)),
        ("garbage", Reply::raw("garbage").then(After::Hang)),
        ("HTML without an end", Reply::raw("HTTP/1.1 200 OK\r\n\r\n").then(After::Repeat(vec![b'<'; 1 << 16]))),
        ("a refusal", Reply::http(403, "text/plain", "no")),
        ("a refusal without an end", Reply::raw("HTTP/1.1 401 X\r\n\r\n").then(After::Repeat(vec![b' '; 1 << 16]))),
        ("a redirect", Reply::http(302, "text/plain", "elsewhere")),
    ] {
        stub.behave(move |_| reply.clone());
        assert_eq!(ask_at_once(&in_time(stub.details())), 0, "{fault}");
    }
    stub.behave(|request| good(request).delayed(Duration::from_millis(200)));
    assert_eq!(ask_at_once(&stub.details()), CLIENTS);
    // Threads of clients end some time after their last reply. One connection for each fault would be eleven too many.
    let (most, now) = (before + 4, || open_descriptors(mirror.pid()));
    wait_until(|| format!("of {} descriptors no more than {most} are open", now()), || now() <= most);
}

/// The response to a probe of range bounds: how many evaluations this number of engines counts.
fn counts(counts: &[&str]) -> Reply {
    let result: Vec<Value> =
        counts.iter().map(|count| json!({"metric": {"engine": count}, "value": [1_200_000_000, count]})).collect();
    Reply::success(json!({"resultType": "vector", "result": result}))
}

/// A stub that responds to the probe of range bounds like this, and to all else well.
fn probed(probe: &Reply) -> Stub {
    let probe = probe.clone();
    Stub::start(move |request| if is_probe(request) { probe.clone() } else { good(request) })
}

fn is_probe(request: &Request) -> bool {
    request.promql().contains("vector(0)")
}

/// An expression in buckets of a minute, evaluated every 15 s, that starts this much after a whole minute.
fn in_minutes_from(later_ms: i64) -> Query {
    let mut query = Query::metric("~", "avg(stub_metric)", Some("SUM"));
    let start = START / 60_000 * 60_000 + later_ms;
    query.fields["startTime"] = json!(start);
    query.fields["endTime"] = json!(start + 120_000);
    query
}

#[test]
fn the_range_bounds_are_probed_where_they_matter_and_never_remembered() {
    let mirror = Mirror::start();
    let refused = |status| Reply::error(status, "bad_data", "no subqueries here");
    for (probe, width) in [
        (counts(&["4"]), "59s999ms"),
        (counts(&["4", "4"]), "59s999ms"),
        (counts(&["3"]), "60s"),
        (counts(&["3", "3"]), "60s"),
        // An engine that refuses the probe is treated as a newer one.
        (refused(400), "60s"),
        (refused(422), "60s"),
    ] {
        // Only buckets that begin a millisecond after an evaluation could have one more.
        for (later_ms, matters) in [(1, true), (15_001, true), (0, false), (2, false), (14_999, false), (123, false)] {
            let stub = probed(&probe);
            for _ in 0..2 {
                let response = in_minutes_from(later_ms).ask(&mirror, &stub.details());
                assert!(is_good(&response), "{later_ms}: {}", response.text);
            }
            let width = if matters { width } else { "60s" };
            let query = format!("sum_over_time(((avg(stub_metric)) > -Inf < Inf)[{width}:15s])");
            let probes = stub.requests().iter().filter(|request| is_probe(request)).count();
            assert_eq!(probes, if matters { 2 } else { 0 }, "{later_ms} {probe:?}");
            assert_eq!(stub.queries(&query).len(), 2, "{later_ms} {probe:?}: no {query} in {:?}", stub.requests());
        }
    }
}

#[test]
fn a_probe_that_fails_is_an_error_of_the_expression_and_is_repeated() {
    let mirror = Mirror::start();
    for (probe, kind, says) in [
        (Reply::error(500, "internal", "not now"), "RemoteMirrorError", "not now"),
        (Reply::error(503, "timeout", "not now"), "MetricStoreConnectionError", "not now"),
        (Reply::raw("").then(After::Close), "MetricStoreConnectionError", "closed the connection"),
        (Reply::http(200, "text/html", "<html>"), "MetricStoreConnectionError", "an HTML page"),
        // A proxy over two versions responds as both at once.
        (counts(&["4", "3"]), "RemoteMirrorError", "engines of different versions"),
        (counts(&["3", "4"]), "RemoteMirrorError", "engines of different versions"),
    ] {
        let stub = probed(&probe);
        let response = in_minutes_from(1).ask(&mirror, &stub.details());
        let error = error_of(&response);
        assert_eq!(error["_type"], kind, "{probe:?}: {}", response.text);
        let details = error["details"].as_str().unwrap();
        // The admin knows the query, but not the probe.
        for part in [says, "[60s:15s]", "avg(stub_metric)", "127.0.0.1"] {
            assert!(details.contains(part), "{part} is not in {details}");
        }
        assert!(!details.contains("vector(0)"), "{details}");
        assert_eq!(stub.queries("stub_metric"), [], "{probe:?}: nothing was evaluated");
        // If it does not matter, there is no probe.
        assert!(is_good(&in_minutes_from(2).ask(&mirror, &stub.details())), "{probe:?}");
        stub.behave(|request| if is_probe(request) { counts(&["4"]) } else { good(request) });
        assert!(is_good(&in_minutes_from(1).ask(&mirror, &stub.details())), "{probe:?}");
        assert_eq!(stub.queries("[59s999ms:15s]").len(), 1, "{probe:?}");
    }
}

/// A server whose ranges include their left end, or not, for the queries of these tests. The metric has a sample at each multiple
/// of 15 s.
fn engine(is_closed: bool) -> impl Fn(&Request) -> Reply {
    const EVERY_MS: i64 = 15_000;
    move |request| {
        let promql = request.promql();
        // The samples of the last `length_ms` before a time.
        let times = |length_ms: i64, at: i64| {
            let first = if is_closed { at - length_ms } else { at - length_ms + 1 };
            (first..=at).filter(|time| time % EVERY_MS == 0)
        };
        let second = |ms: i64| ms as f64 / 1000.0;
        match request.path.as_str() {
            _ if is_probe(request) => counts(&[if is_closed { "4" } else { "3" }]),
            "/api/v1/query" => {
                let values: Value =
                    times(range_ms(promql), request.millis("time")).map(|time| json!([second(time), "1"])).collect();
                Reply::success(json!({"resultType": "matrix", "result": [{"metric": {}, "values": values}]}))
            }
            "/api/v1/query_range" => {
                let steps = (request.millis("start")..=request.millis("end")).step_by(request.millis("step") as usize);
                let count = |at: i64| times(range_ms(promql), at).count().to_string();
                let values: Value = steps.map(|at| json!([second(at), count(at)])).collect();
                Reply::success(json!({"resultType": "matrix", "result": [{"metric": {}, "values": values}]}))
            }
            _ => good(request),
        }
    }
}

/// The length of the range that a query ends with: `[60s]`, `[59s999ms:15s]`.
fn range_ms(promql: &str) -> i64 {
    let (_, range) = promql.rsplit_once('[').unwrap_or_else(|| panic!("no range in {promql}"));
    let length = range.split([':', ']']).next().unwrap();
    let (seconds, ms) = length.split_once('s').unwrap_or_else(|| panic!("no seconds in {promql}"));
    let ms = ms.strip_suffix("ms").map_or(0, |ms| ms.parse().unwrap());
    seconds.parse::<i64>().unwrap() * 1000 + ms
}

#[test]
fn another_version_at_the_same_address_changes_no_count() {
    let mirror = Mirror::start();
    let stub = Stub::start(engine(true));
    for is_closed in [true, false, true, false, false, true] {
        stub.behave(engine(is_closed));
        for later_ms in [0, 1, 2, 15_001, 7_123] {
            for (key, value) in
                [("~", "avg(stub_metric)"), ("__gauge__", "stub_metric"), ("__counter__", "stub_metric")]
            {
                let mut query = Query::metric(key, value, Some("EVENT_COUNT"));
                let start = START / 60_000 * 60_000 + later_ms;
                (query.fields["startTime"], query.fields["endTime"]) = (json!(start), json!(start + 120_000));
                let points = query.ask(&mirror, &stub.details()).points();
                let expected = [0, 60_000].map(|at| vec![4.0, (start + at) as f64, (start + at + 60_000) as f64]);
                assert_eq!(points, expected, "{key} {later_ms}, closed {is_closed}: {:?}", stub.requests());
            }
        }
    }
}

/// The matrix of an instant query, with this number of series.
fn matrix(series: usize) -> Value {
    let one = |nth| json!({"metric": {"job": "a", "pod": format!("p{nth}")}, "values": [[1_700_000_100, "1"]]});
    json!({"resultType": "matrix", "result": (0..series).map(one).collect::<Vec<_>>()})
}

#[test]
fn too_many_metrics_says_how_many_however_many() {
    let mirror = Mirror::start();
    for query in [Query::metric("__gauge__", "stub_metric", None), Query::metric("~", "stub_metric", None)] {
        for count in [2, 100, 101, 5_000] {
            let stub = Stub::start(move |_| Reply::success(matrix(count)));
            let error = query.ask(&mirror, &stub.details()).json;
            assert_eq!(error["summary"], "Too many metrics.", "{error}");
            let details = error["details"].as_str().unwrap();
            assert!(details.starts_with(&format!("{count} series")) && details.contains("differ in pod:"), "{details}");
        }
    }
}

#[test]
fn series_that_ended_before_the_range_are_none_of_its_series_however_many() {
    let mirror = Mirror::start();
    // A counter whose earlier series have ended in the five minutes before the range, and those that live.
    let (start, at) = (1_700_000_000_000_i64, |second: i64| 1_700_000_000 + second);
    let query = json!({"conditions": [condition("__counter__", "c")], "startTime": start, "endTime": start + 60_000});
    for ended in [0, 1, 99, 100, 101, 150, 5_000] {
        for living in [1, 2, 150] {
            let series = |pod: String, samples: Value| json!({"metric": {"pod": pod}, "values": samples});
            let old = |nth| series(format!("old{nth}"), json!([[at(-200), "1"], [at(-100), "2"]]));
            let live = |nth| series(format!("living{nth}"), json!([[at(10), "10"], [at(20), "40"]]));
            let result: Vec<Value> = (0..ended).map(old).chain((0..living).map(live)).collect();
            let stub = Stub::start(move |_| Reply::success(json!({"resultType": "matrix", "result": result})));
            let response = mirror.post("/api/metric", &json!({"connectionDetails": stub.details(), "query": query}));
            let context = format!("{ended} ended, {living} live: {}", response.text);
            if living == 1 {
                assert_eq!(response.json["telemetry"]["points"], json!([[3.0, start + 20_000]]), "{context}");
            } else {
                assert_eq!(response.json["summary"], "Too many metrics.", "{context}");
                let details = response.json["details"].as_str().unwrap();
                assert!(details.starts_with(&format!("{living} series match")), "{context}");
            }
        }
    }
}

#[test]
fn a_response_too_large_of_which_no_sample_is_seen_says_so() {
    let mirror = Mirror::start();
    let stub =
        Stub::start(|_| Reply::raw("HTTP/1.1 200 OK\r\n\r\n{\"status\":").then(After::Repeat(vec![b' '; 1 << 16])));
    let error = Query::metric("__gauge__", "stub_metric", None).ask(&mirror, &stub.details()).json;
    assert_eq!(error["summary"], "The query failed.", "{error}");
    let details = error["details"].as_str().unwrap();
    assert!(details.contains("more than 33554432 bytes; choose a shorter time range"), "{details}");
    // One call, not ever smaller ones.
    assert_eq!(stub.queries("stub_metric").len(), 1);
}
