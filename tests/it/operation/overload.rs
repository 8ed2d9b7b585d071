//! More requests than workers: a bounded queue, and immediate refusals beyond it.

use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::json;

use super::page::Page;
use super::{AT_ONCE, Held, check_ok, exchange_aside, get, post, test_connection};
use crate::http::settings::check_refused;
use crate::http::{address, check_refusal, exchange, header};
use crate::operation::metrics::is_busy;
use crate::support::mirror::{API_KEY, Mirror, Response};
use crate::support::stub::{Stub, good};

/// Checks for a refusal because the queue is full.
fn check_turned_away(response: &Response, context: &str) {
    check_refusal(response, 503, context);
    assert_eq!(response.key.as_deref(), Some(API_KEY), "{context}");
    let seconds = header(&response.headers, "retry-after").and_then(|seconds| seconds.parse::<u32>().ok());
    assert!(seconds.is_some_and(|seconds| (1..=60).contains(&seconds)), "{context}: {response:?}");
}

/// Fills workers and queue, and then sends more requests.
fn check_bounded(flags: &[&str], workers: usize, queue: usize) {
    const BEYOND: usize = 10;
    let (mirror, held) = (Mirror::start_with(flags), Held::start());
    let taken: Vec<JoinHandle<Response>> = (0..workers + queue)
        .map(|nth| {
            let asked = exchange_aside(&mirror, test_connection(&held.stub.details()));
            // One after the other: a request that arrives while another is handed over may find less room.
            is_busy(&mirror, (nth + 1).min(workers), (nth + 1).saturating_sub(workers));
            asked
        })
        .collect();
    for nth in 0..BEYOND {
        let now = Instant::now();
        let response = exchange(address(&mirror), &test_connection(&held.stub.details()));
        check_turned_away(&response, &format!("{flags:?}, {nth} beyond"));
        let says = format!(
            "this mirror has {} requests, as many as it holds (--workers {workers}, --queue-size {queue}); try again later, or \
             raise --queue-size",
            workers + queue
        );
        assert!(
            response.json["details"].as_str().is_some_and(|details| details.starts_with(&says)),
            "{}",
            response.text
        );
        assert!(now.elapsed() < AT_ONCE, "{flags:?}: turned away after {:?}", now.elapsed());
    }
    held.wait_for(workers);
    assert_eq!(held.stub.requests().len(), workers, "as many as there are workers are asked upstream at a time");
    held.release();
    taken.into_iter().for_each(|asked| check_ok(&asked.join().unwrap()));
    // There is room again.
    is_busy(&mirror, 0, 0);
    check_ok(&exchange(address(&mirror), &test_connection(&held.stub.details())));
    assert_eq!(held.stub.requests().len(), workers + queue + 1, "who is turned away is not sent upstream");
}

#[test]
fn the_queue_holds_what_is_set_and_who_comes_then_is_turned_away_at_once() {
    check_bounded(&["--workers", "1", "--queue-size", "0"], 1, 0);
    check_bounded(&["--workers", "1", "--queue-size", "1"], 1, 1);
    check_bounded(&["--workers", "3", "--queue-size", "5"], 3, 5);
    check_bounded(&["--workers", "2"], 2, 20);
}

#[test]
fn requests_that_come_together_exceed_no_bound() {
    const REQUESTS: usize = 40;
    let (mirror, held) = (Mirror::start_with(&["--workers", "2", "--queue-size", "3"]), Held::start());
    let asked: Vec<JoinHandle<Response>> =
        (0..REQUESTS).map(|_| exchange_aside(&mirror, test_connection(&held.stub.details()))).collect();
    Page::wait(&mirror, "all but five are turned away", |page| {
        page.sum("prometheusmirror_rejected_requests_total", &[("reason", "overloaded")]) >= (REQUESTS - 5) as f64
    });
    is_busy(&mirror, 2, 3);
    held.release();
    let responses: Vec<Response> = asked.into_iter().map(|asked| asked.join().unwrap()).collect();
    let (taken, away): (Vec<&Response>, Vec<&Response>) = responses.iter().partition(|response| response.status == 200);
    assert_eq!(taken.len(), 5);
    taken.into_iter().for_each(check_ok);
    away.into_iter().for_each(|response| check_turned_away(response, "one of many"));
}

#[test]
fn pages_answer_while_all_workers_are_busy_and_the_queue_is_full() {
    let (mirror, held) = (Mirror::start_with(&["--workers", "1", "--queue-size", "1"]), Held::start());
    let taken: Vec<JoinHandle<Response>> =
        (1..=2).map(|_| exchange_aside(&mirror, test_connection(&held.stub.details()))).collect();
    is_busy(&mirror, 1, 1);
    for path in ["/-/healthy", "/-/ready", "/healthcheck", "/metrics", "/"] {
        let now = Instant::now();
        assert_eq!(exchange(address(&mirror), &get(path)).status, 200, "{path}");
        assert!(now.elapsed() < AT_ONCE, "{path} took {:?}", now.elapsed());
    }
    held.release();
    taken.into_iter().for_each(|asked| check_ok(&asked.join().unwrap()));
}

#[test]
fn a_request_whose_time_ran_out_in_the_queue_is_not_sent_upstream() {
    let (mirror, held, idle) = (Mirror::start_with(&["--workers", "1"]), Held::start(), Stub::start(good));
    let first = exchange_aside(&mirror, test_connection(&held.stub.details()));
    is_busy(&mirror, 1, 0);
    let mut details = idle.details();
    details["requestTimeout"] = json!(300);
    let late = [
        test_connection(&details),
        post("/api/field/name", "Connection: close\r\n", &json!({"connectionDetails": details, "query": {}})),
    ]
    .map(|request| exchange_aside(&mirror, request));
    is_busy(&mirror, 1, 2);
    // They fail at their deadline, while the worker is still busy.
    let [connection, names] = late.map(|asked| asked.join().unwrap());
    held.release();
    check_ok(&first.join().unwrap());
    assert_eq!((connection.status, &connection.json["status"]), (200, &json!("FAILURE")), "{}", connection.text);
    assert_eq!(names.status, 500, "{}", names.text);
    for error in [&connection.json["error"], &names.json] {
        assert_eq!(error["_type"], "MetricStoreConnectionError", "{error}");
        assert!(error["details"].as_str().unwrap().contains("requestTimeout"), "{error}");
    }
    assert_eq!(idle.requests(), []);
}

#[test]
fn the_queue_is_a_number_of_requests() {
    let key = [("API_KEY", API_KEY)];
    for value in ["-1", "ten", "1.5", "99999999999999999999"] {
        check_refused(&["--queue-size", value], &key, &["--queue-size", value, "0"]);
    }
    check_refused(&[], &[key[0], ("QUEUE_SIZE", "much")], &["QUEUE_SIZE", "much"]);
}
