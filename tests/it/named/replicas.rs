//! Replicas of one Prometheus: the mirror queries the first that answers, and stays with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Files, named};
use crate::support::ask::{Gateway, Query, assert_points};
use crate::support::oracle::{self, Nan};
use crate::support::process::wait_until;
use crate::support::prometheus::{self, Prometheus, Samples};
use crate::support::samples::{HOUR, T0, one};
use crate::support::stub::{self, Reply, Request, Stub};

/// A mirror whose upstream `a` has replicas at these URLs, with a timeout.
fn gateway(files: &Files, urls: &[String], timeout: &str) -> Gateway {
    files.upstreams(&format!("upstreams:\n- name: a\n  urls: {}\n  timeout: {timeout}\n", json!(urls)));
    Gateway { mirror: files.mirror(), details: named("a") }
}

/// A query whose right response is known, and that needs several samples.
fn check_right(gateway: &Gateway) {
    let response = gateway.ask(&Query::gauge("room_celsius").between(T0, T0 + HOUR));
    let expected = oracle::raw(one("room_celsius", &[]), T0, T0 + HOUR, Nan::None);
    assert_points(&response, &expected, 0.0, "the response of a replica");
}

#[test]
fn when_one_is_killed_the_next_answers_until_it_has_been_back_for_a_minute() {
    let (first, files) = (Prometheus::start("", Samples::Loaded, &[]), Files::new());
    let gateway = gateway(&files, &[first.url(""), prometheus::shared().url("")], "20s");
    let address = |prometheus: &Prometheus| format!("replica=127.0.0.1:{}", prometheus.details()["port"]);
    // The line is written after the response.
    let last_replica = |is: &Prometheus| {
        let last = || {
            let log = gateway.mirror.log();
            log.lines().rev().find(|line| line.contains("msg=request")).unwrap_or_default().to_owned()
        };
        wait_until(|| format!("the last one is {}: {}", address(is), last()), || last().contains(&address(is)));
    };
    check_right(&gateway);
    last_replica(&first);
    first.signal("KILL");
    for _ in 0..3 {
        check_right(&gateway);
        last_replica(prometheus::shared());
    }
    assert_eq!(gateway.mirror.log().matches("another replica is queried").count(), 1, "{}", gateway.mirror.log());
    let page = gateway.mirror.get("/metrics").text;
    assert!(
        page.contains(&format!("upstream=\"a\",{}\"", address(prometheus::shared()).replace('=', "=\""))),
        "{page}"
    );
    first.start_again();
    let back = Instant::now();
    check_right(&gateway);
    last_replica(prometheus::shared());
    let returns = || gateway.mirror.log().matches("another replica is queried").count() == 2;
    let deadline = back + Duration::from_secs(75);
    while !returns() {
        assert!(Instant::now() < deadline, "it is not returned to: {}", gateway.mirror.log());
        check_right(&gateway);
        thread::sleep(Duration::from_millis(500));
    }
    assert!(back.elapsed() > Duration::from_secs(55), "{:?}", back.elapsed());
    check_right(&gateway);
    last_replica(&first);
}

#[test]
fn one_that_falls_silent_under_load_costs_seconds_and_no_response() {
    let (first, files) = (Prometheus::start("", Samples::Loaded, &[]), Files::new());
    let gateway = gateway(&files, &[first.url(""), prometheus::shared().url("")], "20s");
    check_right(&gateway);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let askers: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    let mut longest = Duration::ZERO;
                    while !is_over.load(Ordering::Relaxed) {
                        let begun = Instant::now();
                        check_right(&gateway);
                        longest = longest.max(begun.elapsed());
                        thread::sleep(Duration::from_millis(20));
                    }
                    longest
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(500));
        first.signal("STOP");
        wait_until(
            || format!("another replica is queried: {}", gateway.mirror.log()),
            || gateway.mirror.log().contains("another replica is queried"),
        );
        thread::sleep(Duration::from_secs(1));
        is_over.store(true, Ordering::Relaxed);
        for asker in askers {
            let longest = asker.join().unwrap();
            // Two probes of 1.5 s each, and a second before each.
            assert!(longest < Duration::from_secs(9), "{longest:?}");
        }
    });
    first.signal("CONT");
    assert_eq!(gateway.mirror.log().matches("another replica is queried").count(), 1);
}

#[test]
fn a_replica_that_is_unavailable_is_left_and_one_that_refuses_is_not() {
    let check = |reply: Reply, is_left: bool| {
        let files = Files::new();
        let first = Stub::start(move |_: &Request| reply.clone());
        let gateway =
            gateway(&files, &[format!("http://127.0.0.1:{}", first.port()), prometheus::shared().url("")], "10s");
        let response = gateway.connection();
        assert_eq!(response.json["status"] == "OK", is_left, "{}", response.text);
        // A change is logged before the response, but another thread of the test reads the log.
        let has_changed = || gateway.mirror.log().contains("another replica is queried");
        if is_left {
            wait_until(|| format!("a change is logged: {}", gateway.mirror.log()), has_changed);
        }
        assert_eq!(has_changed(), is_left);
    };
    for status in [502, 503, 504] {
        check(Reply::http(status, "text/html", "<html>"), true);
    }
    check(Reply::raw("").then(stub::After::Close), true);
    check(Reply::error(400, "bad_data", "why"), false);
    check(Reply::http(500, "text/html", "<html>"), false);
    check(Reply::http(401, "text/plain", ""), false);
}

#[test]
fn a_response_never_mixes_two_replicas() {
    let files = Files::new();
    // It responds to the range selector; then it fails in the middle of the query.
    let first = Stub::start(|request: &Request| match request.path.as_str() {
        "/api/v1/query" => Reply::success(json!({"resultType": "matrix", "result": []})),
        _ => Reply::http(503, "text/plain", ""),
    });
    let second = Stub::start(stub::good);
    let url = |stub: &Stub| format!("http://127.0.0.1:{}", stub.port());
    let gateway = gateway(&files, &[url(&first), url(&second)], "10s");
    let response = gateway.ask(&Query::gauge("stub_metric").between(1_700_000_000_000, 1_700_000_060_000));
    // The first has no samples, so the mirror queries it again: did the metric ever exist? That fails, and the second has samples.
    assert!(!response.points().is_empty(), "{}", response.text);
    assert!(response.points().iter().all(|point| point[0] == 1.5), "{}", response.text);
    assert!(first.requests().len() >= 2 && !second.queries("stub_metric").is_empty());
}

#[test]
fn if_all_replicas_are_slow_a_query_changes_once_and_succeeds() {
    let files = Files::new();
    // Slower than a probe may be, but not too slow for a query.
    let slow = || Stub::start(|request: &Request| stub::good(request).delayed(Duration::from_secs(4)));
    let stubs = [slow(), slow(), slow(), slow()];
    let urls: Vec<String> = stubs.iter().map(|stub| format!("http://127.0.0.1:{}", stub.port())).collect();
    let gateway = gateway(&files, &urls, "15s");
    // One after the other would take 5 seconds each, which is more than the timeout. The first query takes as long as the next.
    for _ in 0..2 {
        let response = gateway.connection();
        assert_eq!(response.json["status"], "OK", "{}", response.text);
    }
    assert!(gateway.mirror.log().matches("another replica is queried").count() <= 1, "{}", gateway.mirror.log());
}

#[test]
fn the_log_says_which_replicas_failed() {
    let (down, up, files) = ("http://127.0.0.1:1".to_owned(), Stub::start(stub::good), Files::new());
    let good = format!("http://127.0.0.1:{}", up.port());
    let last = |gateway: &Gateway| {
        let find = || {
            let log = gateway.mirror.log();
            log.lines().find(|line| line.contains("msg=request")).unwrap_or_default().to_owned()
        };
        wait_until(|| format!("a request is logged: {}", gateway.mirror.log()), || !find().is_empty());
        find()
    };
    let both_down = gateway(&files, &[down.clone(), "http://127.0.0.1:2".to_owned()], "10s").connection().text;
    let tried = "; before it, the mirror tried 127.0.0.1:1 (Connection refused); query: 1";
    assert!(both_down.contains("a (127.0.0.1:2) cannot be reached: ") && both_down.contains(tried), "{both_down}");
    let answered = gateway(&files, &[down.clone(), good.clone()], "10s");
    assert_eq!(answered.connection().json["status"], "OK");
    let line = last(&answered);
    assert!(line.contains(&format!("replica=127.0.0.1:{} failed_replicas=127.0.0.1:1 ", up.port())), "{line}");
    // The first fails when almost no time is left; then the second is not to blame.
    let late = Stub::start(|_: &Request| Reply::http(503, "text/plain", "").delayed(Duration::from_millis(2_800)));
    up.behave(|request: &Request| stub::good(request).delayed(Duration::from_secs(5)));
    let address = format!("127.0.0.1:{}", late.port());
    let failed = gateway(&files, &[format!("http://{address}"), good], "3s");
    let response = failed.connection();
    assert!(response.text.contains(&format!("a ({address}) is reachable, but unavailable")), "{}", response.text);
    let line = last(&failed);
    assert!(line.contains(&format!("failed_replicas={address} ")), "{line}");
}

#[test]
fn when_all_fail_each_is_tried_once_within_the_deadline() {
    let files = Files::new();
    let stubs: Vec<Stub> = (0..3).map(|_| Stub::start(|_: &Request| Reply::http(503, "text/plain", ""))).collect();
    let urls: Vec<String> = stubs.iter().map(|stub| format!("http://127.0.0.1:{}", stub.port())).collect();
    let gateway = gateway(&files, &urls, "5s");
    let response = gateway.connection();
    assert!(response.text.contains("is reachable, but unavailable (HTTP status 503"), "{}", response.text);
    let [first, second] = [0, 1].map(|nth: usize| format!("127.0.0.1:{} (HTTP status 503)", stubs[nth].port()));
    assert!(
        response.text.contains(&format!("; before it, the mirror tried {first}, {second}; query")),
        "{}",
        response.text
    );
    let asked: Vec<usize> =
        stubs.iter().map(|stub| stub.requests().iter().filter(|request| request.method == "POST").count()).collect();
    assert_eq!(asked, [1, 1, 1]);
}
