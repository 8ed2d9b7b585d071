//! A real Prometheus that dies, hangs and comes back during queries.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{GRACE, Query, error_of, in_time, is_good};
use crate::support::mirror::Mirror;
use crate::support::process::wait_until;
use crate::support::prometheus::{Prometheus, Samples};

const CLIENTS: usize = 6;

/// The minimum duration of each state of the upstream.
const WHILE: Duration = Duration::from_millis(1_000);

/// The outcomes of the clients since the last reset of the counts.
#[derive(Default)]
struct Seen {
    good: AtomicUsize,
    bad: AtomicUsize,
}

impl Seen {
    fn take(&self) -> (usize, usize) {
        (self.good.swap(0, Ordering::SeqCst), self.bad.swap(0, Ordering::SeqCst))
    }
}

/// Ends the clients, even if the test fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Queries 42 once and checks the outcome: 42 everywhere or a connection error, in time.
fn ask(mirror: &Mirror, details: &Value, seen: &Seen) {
    let query = Query::metric("~", "vector(42)", None);
    let begin = Instant::now();
    let response = query.ask(mirror, details);
    let (took, timeout) = (begin.elapsed(), Duration::from_millis(details["requestTimeout"].as_u64().unwrap()));
    assert!(took < timeout + GRACE, "took {took:?}: {}", response.text);
    if is_good(&response) {
        let points = response.json["telemetry"]["points"].as_array().unwrap();
        assert!(!points.is_empty() && points.iter().all(|point| point[0] == 42.0), "{}", response.text);
        seen.good.fetch_add(1, Ordering::SeqCst);
    } else {
        let error = error_of(&response);
        assert_eq!(error["_type"], "MetricStoreConnectionError", "{}", response.text);
        let text = error["details"].as_str().unwrap();
        assert!(text.contains(&details["port"].to_string()) && text.contains("vector(42)"), "{text}");
        seen.bad.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_prometheus_that_dies_or_hangs_under_requests_costs_only_the_requests_meanwhile() {
    let (mirror, prometheus) = (Mirror::start(), Prometheus::start("", Samples::None, &[]));
    let (details, seen, is_over) = (in_time(prometheus.details()), Seen::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let ending = Ending(&is_over);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    while !is_over.load(Ordering::SeqCst) {
                        ask(&mirror, &details, &seen);
                    }
                })
            })
            .collect();
        let lasts = || {
            // A query from before the change may still be answered after it.
            std::thread::sleep(GRACE);
            seen.take();
            std::thread::sleep(WHILE);
            seen.take()
        };
        let is_well = || {
            let (good, bad) = lasts();
            assert!(good > 0 && bad == 0, "{good} good, {bad} bad");
        };
        for _ in 0..2 {
            is_well();
            prometheus.signal("KILL");
            wait_until(|| "a request fails".to_owned(), || seen.take().1 > 0);
            let (good, bad) = lasts();
            assert!(good == 0 && bad > 0, "{good} good, {bad} bad while it was dead");
            prometheus.start_again();
            is_well();
            prometheus.signal("STOP");
            wait_until(|| "a request fails".to_owned(), || seen.take().1 > 0);
            prometheus.signal("CONT");
            // It answers the queries that arrived meanwhile, though late.
            wait_until(|| "a request succeeds".to_owned(), || seen.take().0 > 0);
        }
        is_well();
        drop(ending);
        for client in clients {
            client.join().unwrap();
        }
    });
    let response = mirror.post("/api/connection", &json!({"connectionDetails": details}));
    assert_eq!(response.json["status"], "OK", "{}", response.text);
}
