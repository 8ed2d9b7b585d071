//! `max_in_flight`: no more requests to an upstream at a time than it allows, while requests to others go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Files, named, verdict};
use crate::support::stub::{self, After, Reply, Request, Stub};

#[test]
fn no_more_requests_are_in_flight_than_an_upstream_allows_and_others_do_not_wait() {
    const LASTS: Duration = Duration::from_millis(150);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&running), Arc::clone(&most));
    let bounded = Stub::start(move |request: &Request| {
        let (running, most) = &counts;
        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(LASTS);
        running.fetch_sub(1, Ordering::SeqCst);
        stub::good(request)
    });
    let (other, files) = (Stub::start(stub::good), Files::new());
    files.upstreams(&format!(
        "upstreams:\n- {{name: bounded, url: 'http://127.0.0.1:{}', max_in_flight: 2}}\n- {{name: other, url: 'http://127.0.0.1:{}'}}\n",
        bounded.port(),
        other.port()
    ));
    let mirror = files.mirror();
    let begun = Instant::now();
    thread::scope(|scope| {
        let askers: Vec<_> = (0..8).map(|_| scope.spawn(|| verdict(&mirror, &named("bounded")))).collect();
        thread::sleep(LASTS / 3);
        let asked = Instant::now();
        assert_eq!(verdict(&mirror, &named("other")), "OK");
        assert!(asked.elapsed() < LASTS * 2, "{:?}", asked.elapsed());
        for asker in askers {
            assert_eq!(asker.join().unwrap(), "OK");
        }
    });
    // Eight of them, two at a time.
    assert!(begun.elapsed() >= LASTS * 4, "{:?}", begun.elapsed());
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[test]
fn a_timeout_after_a_wait_for_other_queries_says_so() {
    const LASTS: Duration = Duration::from_millis(700);
    let asked = AtomicUsize::new(0);
    let slow_then_silent = Stub::start(move |request: &Request| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => stub::good(request).delayed(LASTS),
        _ => Reply::raw("").then(After::Hang),
    });
    let files = Files::new();
    let url = format!("http://127.0.0.1:{}", slow_then_silent.port());
    let mirror = super::with_one(&files, &url, "  max_in_flight: 1");
    thread::scope(|scope| {
        let first = scope.spawn(|| verdict(&mirror, &named("a")));
        thread::sleep(LASTS / 7);
        let second = verdict(&mirror, &json!({"upstream": "a", "requestTimeout": 1_000}));
        assert_eq!(first.join().unwrap(), "OK");
        let (before, after) = second
            .split_once(" ms for other queries to this upstream (max_in_flight allows 1 at a time); ")
            .unwrap_or_else(|| panic!("{second}"));
        let waited: u64 = before.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(
            (500..900).contains(&waited) && before.contains("that were left of the timeout of 1000 ms, after"),
            "{second}"
        );
        assert!(after.contains("so raise max_in_flight in the upstreams file, check that it is running"), "{second}");
    });
}
