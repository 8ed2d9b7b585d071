//! Connecting: when names are looked up, which connections are kept, and the errors of those that fail.

mod addresses;
mod certificates;
mod kept;
mod names;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::mirror::Mirror;

/// Tests the connection to an upstream, which is one call: `OK` or the text of the error, and the duration.
fn verdict(mirror: &Mirror, details: &Value) -> (String, Duration) {
    let begun = Instant::now();
    let response = mirror.post("/api/connection", &json!({"connectionDetails": details}));
    let took = begun.elapsed();
    let said = match response.json["status"].as_str() {
        Some("OK") => "OK".to_owned(),
        _ => {
            // Without a worker, the error is not in a response of the method.
            let error = if response.json["error"].is_null() { &response.json } else { &response.json["error"] };
            error["details"].as_str().unwrap_or_else(|| panic!("no error in {}", response.text)).to_owned()
        }
    };
    (said, took)
}

/// Checks for a good connection within this time.
fn check_good(mirror: &Mirror, details: &Value, within: Duration) {
    let (said, took) = verdict(mirror, details);
    assert!(said == "OK" && took <= within, "{details}: {took:?}: {said}");
}

/// Checks that the test connection fails within this time, with an error that contains all these parts, and without advice that is
/// only for slow queries.
fn check_fails(mirror: &Mirror, details: &Value, within: Duration, says: &[&str]) {
    let (said, took) = verdict(mirror, details);
    for part in says {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!said.contains("choose a shorter time range"), "{said}");
    assert!(took <= within, "took {took:?}: {said}");
}

/// Connection Details of a stub behind a name, with a timeout.
fn named(host: &str, port: u16, timeout: Duration) -> Value {
    json!({"host": host, "port": port, "requestTimeout": timeout.as_millis() as u64, "scrapeInterval": 15_000})
}
