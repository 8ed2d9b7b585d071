//! Operation: overload, access, shutdown, and what the operator sees.
//!
//! `bursts`, `clients`, `pipelining`, `bodies`, `descriptors` and `threads` have many, slow or large clients, `overload` the queue,
//! `isolation` upstreams that do not answer, `memory` the memory that requests share, `key` the API key, `shutdown` the end,
//! `metrics` and `log` what the operator reads. `page` reads `/metrics` as Prometheus does. In `alerts` and `dashboard`, a real
//! Prometheus scrapes mirrors; `scraping` starts it.

mod alerts;
mod bodies;
mod bursts;
mod clients;
mod connections;
mod dashboard;
mod descriptors;
mod isolation;
mod key;
mod log;
mod memory;
mod metrics;
mod overload;
pub mod page;
mod pipelining;
mod scheduling;
mod scraping;
mod shutdown;
mod threads;

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{address, exchange};
use crate::support::mirror::{Mirror, Response};
use crate::support::process::wait_until;
use crate::support::stub::{Reply, Stub, good};

/// The timeout for responses without a worker and an upstream, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A stub whose metrics have these raw samples, one a second from a start in milliseconds.
fn stub_with(values: &'static [&'static str], start: i64) -> Stub {
    Stub::start(move |request| {
        if !request.promql().ends_with(']') {
            return good(request);
        }
        let samples: Vec<Value> =
            values.iter().zip(1..).map(|(value, nth)| json!([start / 1000 + nth, value])).collect();
        Reply::success(json!({"resultType": "matrix", "result": [{"metric": {}, "values": samples}]}))
    })
}

/// A stub that holds every response back until it is released.
struct Held {
    stub: Stub,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Held {
    fn start() -> Held {
        let gate = Arc::new(Gate::default());
        let of_stub = Arc::clone(&gate);
        let stub = Stub::start(move |request| {
            let is_open = of_stub.is_open.lock().unwrap();
            let _open = of_stub.opened.wait_while(is_open, |is_open| !*is_open).unwrap();
            good(request)
        });
        Held { stub, gate }
    }

    /// Waits until it holds this number of responses.
    fn wait_for(&self, responses: usize) {
        let seen = || self.stub.requests().len();
        wait_until(|| format!("{responses} responses are held; it is {}", seen()), || seen() >= responses);
    }

    /// Releases all responses, also later ones.
    fn release(&self) {
        *self.gate.is_open.lock().unwrap() = true;
        self.gate.opened.notify_all();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

/// A POST of JSON, with further header lines, each with its end.
pub fn post(path: &str, lines: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: m\r\n{lines}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// A test connection, after which the connection to the mirror is closed.
pub fn test_connection(details: &Value) -> Vec<u8> {
    post("/api/connection", "Connection: close\r\n", &json!({"connectionDetails": details}))
}

/// A GET, after which the connection to the mirror is closed.
fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n").into_bytes()
}

/// Sends a request on a separate thread.
fn exchange_aside(mirror: &Mirror, request: Vec<u8>) -> JoinHandle<Response> {
    let address = address(mirror).to_owned();
    std::thread::spawn(move || exchange(&address, &request))
}

/// Connects and writes. Reads from the connection have this timeout.
fn begin(mirror: &Mirror, bytes: &[u8], patience: Duration) -> TcpStream {
    let mut stream = TcpStream::connect(address(mirror)).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// Checks for a test connection that succeeds.
fn check_ok(response: &Response) {
    assert_eq!((response.status, &response.json["status"]), (200, &json!("OK")), "{}", response.text);
}
