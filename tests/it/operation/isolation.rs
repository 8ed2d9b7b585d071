//! Upstreams that do not answer leave workers to those that do.

use std::net::{Ipv4Addr, TcpListener};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{AT_ONCE, Held, check_ok, exchange_aside, post, test_connection};
use crate::http::{address, check_refusal, exchange};
use crate::operation::metrics::is_busy;
use crate::support::mirror::{Mirror, Response};
use crate::support::stub::{Stub, good};

/// Connection Details with another timeout.
fn within(mut details: Value, timeout_ms: u64) -> Value {
    details["requestTimeout"] = json!(timeout_ms);
    details
}

/// Checks for a good response without delay.
fn check_answered(mirror: &Mirror, details: &Value) {
    let now = Instant::now();
    check_ok(&exchange(address(mirror), &test_connection(&within(details.clone(), 1_000))));
    assert!(now.elapsed() < AT_ONCE, "it took {:?}", now.elapsed());
}

/// Checks for a failed test connection, with this reason.
fn check_failed(response: &Response, reason: &[&str]) {
    assert_eq!((response.status, &response.json["status"]), (200, &json!("FAILURE")), "{}", response.text);
    let error = &response.json["error"];
    assert_eq!(error["_type"], "MetricStoreConnectionError", "{error}");
    for part in reason {
        assert!(error["details"].as_str().unwrap().contains(part), "{part}: {error}");
    }
}

#[test]
fn a_silent_upstream_leaves_workers_and_room_in_the_queue_to_the_others() {
    let mirror = Mirror::start_with(&["--workers", "8", "--queue-size", "24"]);
    let (silent, good) = (Held::start(), Stub::start(good));
    let asked: Vec<JoinHandle<Response>> =
        (0..40).map(|_| exchange_aside(&mirror, test_connection(&within(silent.stub.details(), 25_000)))).collect();
    // Six of eight workers, and three quarters of all places: of 32, 24.
    is_busy(&mirror, 6, 18);
    for _ in 0..5 {
        check_answered(&mirror, &good.details());
    }
    silent.release();
    let responses: Vec<Response> = asked.into_iter().map(|asked| asked.join().unwrap()).collect();
    let (taken, away): (Vec<&Response>, Vec<&Response>) = responses.iter().partition(|response| response.status == 200);
    assert_eq!(taken.len(), 24);
    taken.into_iter().for_each(check_ok);
    for response in away {
        check_refusal(response, 503, "one of many");
        let details = response.json["details"].as_str().unwrap();
        let says = "of at most 32 for all upstreams (--workers 8, --queue-size 24), of which one upstream may have three quarters; ";
        assert!(details.contains(&silent.stub.port().to_string()) && details.contains(says), "{details}");
        assert!(details.contains("raise --queue-size, or --workers if"), "{details}");
    }
}

#[test]
fn many_silent_upstreams_leave_workers_to_one_that_has_answered() {
    let mirror = Mirror::start_with(&["--workers", "8", "--queue-size", "40"]);
    let good = Stub::start(good);
    check_answered(&mirror, &good.details());
    let silent = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let asked: Vec<JoinHandle<Response>> = (2..22)
        .map(|nth| {
            let details = json!({"host": format!("127.0.0.{nth}"), "port": port, "requestTimeout": 2_000});
            exchange_aside(&mirror, test_connection(&details))
        })
        .collect();
    is_busy(&mirror, 7, 13);
    for _ in 0..5 {
        check_answered(&mirror, &good.details());
    }
    for asked in asked {
        check_failed(&asked.join().unwrap(), &["2000 ms", "127.0.0.", &port.to_string()]);
    }
}

#[test]
fn a_request_fails_at_its_own_deadline_while_it_waits_for_a_worker() {
    let (mirror, held) = (Mirror::start_with(&["--workers", "4"]), Held::start());
    let busy: Vec<JoinHandle<Response>> =
        (0..3).map(|_| exchange_aside(&mirror, test_connection(&held.stub.details()))).collect();
    is_busy(&mirror, 3, 0);
    let details = within(held.stub.details(), 300);
    let began = Instant::now();
    let condition = json!({"key": "job", "value": {"value": "x"}});
    let names = json!({"connectionDetails": details, "query": {"conditions": [condition]}});
    let connection = exchange_aside(&mirror, test_connection(&details));
    let names = exchange(address(&mirror), &post("/api/field/name", "Connection: close\r\n", &names));
    let connection = connection.join().unwrap();
    let took = began.elapsed();
    assert!((300..1_300).contains(&took.as_millis()), "{took:?}");
    let reason =
        ["was not queried", "300 ms", "3 of 4 workers were busy with this upstream", &held.stub.port().to_string()];
    check_failed(&connection, &reason);
    assert_eq!((names.status, &names.json["_type"]), (500, &json!("MetricStoreConnectionError")), "{}", names.text);
    for part in reason.into_iter().chain(["{job=\"x\"}"]) {
        assert!(names.json["details"].as_str().unwrap().contains(part), "{part}: {}", names.text);
    }
    held.release();
    busy.into_iter().for_each(|asked| check_ok(&asked.join().unwrap()));
    assert_eq!(held.stub.requests().len(), 3);
}

#[test]
fn an_upstream_that_stays_silent_gets_one_call_at_a_time_until_it_answers() {
    const TIMEOUT_MS: u64 = 800;
    let (mirror, held) = (Mirror::start_with(&["--workers", "8"]), Held::start());
    let details = within(held.stub.details(), TIMEOUT_MS);
    let asked: Vec<JoinHandle<Response>> = (0..3).map(|_| exchange_aside(&mirror, test_connection(&details))).collect();
    for asked in asked {
        check_failed(&asked.join().unwrap(), &["800 ms"]);
    }
    let seen = held.stub.requests().len();
    let probing = exchange_aside(&mirror, test_connection(&within(held.stub.details(), 20_000)));
    held.wait_for(seen + 1);
    let silence =
        ["was not queried", "the last 3 calls were not answered", "one query at a time", &held.stub.port().to_string()];
    for _ in 0..5 {
        let now = Instant::now();
        check_failed(&exchange(address(&mirror), &test_connection(&details)), &silence);
        assert!(now.elapsed() < Duration::from_millis(TIMEOUT_MS / 2), "it took {:?}", now.elapsed());
    }
    assert_eq!(held.stub.requests().len(), seen + 1);
    held.release();
    check_ok(&probing.join().unwrap());
    check_ok(&exchange(address(&mirror), &test_connection(&details)));
}

#[test]
fn queries_that_take_too_long_do_not_silence_an_upstream_that_answers() {
    const TIMEOUT_MS: u64 = 800;
    let (mirror, stub) = (Mirror::start_with(&["--workers", "8"]), Stub::start(good));
    stub.behave(|request| match request.promql() {
        "1" => good(request),
        _ => good(request).delayed(Duration::from_secs(3)),
    });
    let details = within(stub.details(), TIMEOUT_MS);
    for _ in 0..5 {
        let condition = json!({"key": "~", "value": {"value": "heavy"}});
        let end = json!({"conditions": [condition], "startTime": 1_000, "endTime": 2_000});
        let heavy = mirror.post("/api/metric", &json!({"connectionDetails": details, "query": end}));
        assert!(heavy.json["details"].as_str().unwrap().contains("did not answer"), "{}", heavy.text);
    }
    check_answered(&mirror, &stub.details());
}
