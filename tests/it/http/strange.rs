//! Clients that do little or nothing wrong, but once stopped the mirror for all clients.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{address, connection_request, exchange, send};
use crate::support::mirror::{Mirror, condition};
use crate::support::stub::{Reply, Stub, good};

/// The time within which all other clients get their responses.
const PROMPT: Duration = Duration::from_secs(3);

fn open(mirror: &Mirror, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address(mirror)).unwrap();
    stream.write_all(request).unwrap();
    stream
}

#[test]
fn a_request_that_offers_an_upgrade_is_answered_like_any_other() {
    let (mirror, stub) = (Mirror::start(), Stub::start(good));
    // tiny_http gives the connection itself as the body of such a request.
    let idle = b"POST /api/metric HTTP/1.1\r\nHost: m\r\nConnection: upgrade\r\n\r\n";
    let _idle: Vec<TcpStream> = (0..5).map(|_| open(&mirror, idle)).collect();
    let begin = Instant::now();
    assert_eq!(send(&mirror, "GET", "/-/healthy", b"").status, 200);

    // The HTTP client of Java sends this by default.
    let body = connection_request(&stub);
    let head = format!(
        "POST /api/connection HTTP/1.1\r\nHost: m\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let response = exchange(address(&mirror), &[head.as_bytes(), &body].concat());
    assert_eq!((response.status, &response.json["status"]), (200, &json!("OK")), "{}", response.text);
    assert!(begin.elapsed() < PROMPT, "took {:?}", begin.elapsed());
}

#[test]
fn a_reader_that_does_not_read_holds_no_worker() {
    const SAMPLES: i64 = 600_000;
    let mirror = Mirror::start_with(&["--workers", "1"]);
    let samples: Vec<_> = (0..SAMPLES).map(|nth| json!([nth, "1.5"])).collect();
    let long = json!({"resultType": "matrix", "result": [{"metric": {}, "values": samples}]});
    let stub = Stub::start(move |_| Reply::success(long.clone()));
    let query = json!({"conditions": [condition("__gauge__", "m")], "startTime": 0, "endTime": 300_000_000});
    let body = json!({"connectionDetails": stub.details(), "query": query}).to_string();
    let head = format!("POST /api/metric HTTP/1.1\r\nHost: m\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut silent = open(&mirror, (head + &body).as_bytes());
    // The response has begun, and is far longer than the buffers of the system.
    silent.read_exact(&mut [0; 16]).unwrap();

    let good = Stub::start(good);
    let begin = Instant::now();
    let response = send(&mirror, "POST", "/api/connection", &connection_request(&good));
    assert_eq!(response.json["status"], "OK", "{}", response.text);
    assert!(begin.elapsed() < PROMPT, "took {:?}", begin.elapsed());
}

#[test]
fn a_target_may_be_a_whole_url() {
    let mirror = Mirror::start();
    assert_eq!(send(&mirror, "GET", "http://mirror:9900/healthcheck", b"").status, 200);
}
