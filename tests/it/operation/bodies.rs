//! Request bodies that are too long or do not arrive.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{AT_ONCE, begin, check_ok, test_connection};
use crate::http::settings::check_refused;
use crate::http::{check_refusal, header, read_one_response, read_response};
use crate::support::mirror::{API_KEY, Mirror};
use crate::support::process::{memory, open_descriptors, status_field, wait_until};
use crate::support::stub::{Stub, good};

/// The timeout of reads from a mirror.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time within which a correct client gets its response, regardless of others.
const PROMPT: Duration = Duration::from_secs(5);

/// How long a whole body may take to arrive, and how much later it may be cut: the mirror waits for one more byte.
const BODY_DEADLINE: Duration = Duration::from_secs(8);
const LATENESS: Duration = Duration::from_secs(5);

/// The head of a test connection.
fn head(line: &str) -> Vec<u8> {
    format!("POST /api/connection HTTP/1.1\r\nHost: m\r\n{line}\r\n\r\n").into_bytes()
}

/// A request with only the first bytes of its body.
fn half() -> Vec<u8> {
    [head("Content-Length: 5000"), b"{\"a\":".to_vec()].concat()
}

/// Checks for an immediate refusal on a connection that stays open.
fn check_cut(mut stream: TcpStream, begin: Instant, status: u16, context: &str) {
    let response = read_one_response(&mut stream).unwrap_or_else(|error| panic!("{context}: {error}"));
    check_refusal(&response, status, context);
    assert_eq!(response.key.as_deref(), Some(API_KEY), "{context}");
    assert!(begin.elapsed() < AT_ONCE, "{context} took {:?}", begin.elapsed());
}

#[test]
fn a_body_announced_too_long_is_413_before_a_byte_of_it_has_come() {
    let check = |limit: &str, announced: u64| {
        let mirror = Mirror::start_with(&["--max-request-bytes", limit]);
        let now = Instant::now();
        let stream = begin(&mirror, &head(&format!("Content-Length: {announced}")), PATIENCE);
        check_cut(stream, now, 413, &format!("{announced} of {limit}"));
    };
    check("1024", 1025);
    check("1048576", 1_048_577);
    check("67108864", 67_108_865);
    check("1024", 1 << 40);
}

#[test]
fn a_body_announced_beyond_all_bounds_costs_no_thread_once_its_client_has_left() {
    const CLIENTS: usize = 100;
    let mirror = Mirror::start();
    let threads = || status_field(mirror.pid(), "Threads").parse::<usize>().unwrap();
    let before = threads();
    let clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|nth| {
            let length = [1 << 31, 1 << 40, u64::MAX / 2 + 1, u64::MAX][nth % 4];
            let mut stream = begin(&mirror, &head(&format!("Content-Length: {length}")), PATIENCE);
            let response = read_one_response(&mut stream).unwrap();
            check_refusal(&response, 413, &length.to_string());
            assert_eq!(header(&response.headers, "connection"), Some("close"), "{length}");
            stream
        })
        .collect();
    drop(clients);
    // tiny_http keeps a thread for some seconds after its connection ends.
    wait_until(
        || format!("{} descriptors and {} threads are as many as before", open_descriptors(mirror.pid()), threads()),
        || open_descriptors(mirror.pid()) < 20 && threads() < before + 40,
    );
    let peak = memory(mirror.pid(), "VmHWM") >> 20;
    assert!(peak < 32, "{peak} MiB");
}

#[test]
fn a_chunked_body_is_413_once_it_is_too_long_though_it_has_no_end() {
    let mirror = Mirror::start_with(&["--max-request-bytes", "4096"]);
    for chunk in [1, 100, 4097] {
        let chunks = format!("{chunk:x}\r\n{}\r\n", " ".repeat(chunk)).repeat(4096 / chunk + 1);
        let now = Instant::now();
        let request = [head("Transfer-Encoding: chunked"), chunks.into_bytes()].concat();
        check_cut(begin(&mirror, &request, PATIENCE), now, 413, &format!("chunks of {chunk}"));
    }
}

#[test]
fn a_connection_is_not_to_be_used_again_when_something_of_a_body_is_left() {
    let mirror = Mirror::start_with(&["--max-request-bytes", "4096"]);
    let check = |head: &str, body: &str, status: u16, is_last: bool| {
        let request = format!("{head} HTTP/1.1\r\nHost: m\r\n{body}");
        let response = read_one_response(&mut begin(&mirror, request.as_bytes(), PATIENCE)).unwrap();
        assert_eq!(response.status, status, "{request}: {response:?}");
        let connection: Vec<&str> =
            response.headers.iter().filter(|(name, _)| name == "connection").map(|(_, value)| value.as_str()).collect();
        assert_eq!(connection, [if is_last { "close" } else { "keep-alive" }], "{request}");
        assert_eq!(response.key.as_deref(), Some(API_KEY), "{request}");
        assert!(
            header(&response.headers, "x-request-id").is_some_and(|id| !id.contains(char::is_whitespace)),
            "{response:?}"
        );
    };
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    let too_long = format!("{chunked}2000\r\n{}", " ".repeat(4097));
    check("POST /api/metric", &too_long, 413, true);
    // The mirror reads nothing of these bodies.
    check("POST /nowhere", chunked, 404, true);
    check("GET /-/healthy", chunked, 200, true);
    // Trailers may follow, which tiny_http would treat as a request.
    check("POST /api/metric", &format!("{chunked}2\r\n[]\r\n0\r\n\r\n"), 400, true);
    check("POST /api/metric", "Content-Length: 2\r\n\r\n[]", 400, false);
    check("POST /nowhere", "Content-Length: 2\r\n\r\n[]", 404, false);
    check("GET /-/healthy", "\r\n", 200, false);
    // The length of these bodies is unknown.
    for length in ["abc", "-1", "+2", "2, 2", "", "99999999999999999999999", "2\r\nContent-Length: 3"] {
        check("POST /api/metric", &format!("Content-Length: {length}\r\n\r\n[]"), 400, true);
    }
}

#[test]
fn a_body_may_be_as_long_as_is_set() {
    let stub = Stub::start(good);
    let check = |limit: usize| {
        let mirror = Mirror::start_with(&["--max-request-bytes", &limit.to_string()]);
        let json = serde_json::json!({"connectionDetails": stub.details()}).to_string();
        let body = json.clone() + &" ".repeat(limit - json.len());
        let whole =
            [head(&format!("Connection: close\r\nContent-Length: {limit}")), body.clone().into_bytes()].concat();
        check_ok(&read_response(begin(&mirror, &whole, PATIENCE)));
        let chunked = format!("{limit:x}\r\n{body}\r\n0\r\n\r\n");
        let chunked = [head("Connection: close\r\nTransfer-Encoding: chunked"), chunked.into_bytes()].concat();
        check_ok(&read_response(begin(&mirror, &chunked, PATIENCE)));
    };
    check(1_024);
    check(3_000_000);
}

#[test]
fn the_longest_body_is_from_a_kibibyte_to_64_mebibytes() {
    let key = [("API_KEY", API_KEY)];
    for value in ["0", "1023", "67108865", "-1", "1MiB"] {
        check_refused(&["--max-request-bytes", value], &key, &["--max-request-bytes", value, "1024", "67108864"]);
    }
    check_refused(&[], &[key[0], ("MAX_REQUEST_BYTES", "5")], &["MAX_REQUEST_BYTES", "1024"]);
}

#[test]
fn bodies_that_do_not_arrive_hold_no_worker() {
    let (mirror, stub) = (Mirror::start_with(&["--workers", "1"]), Stub::start(good));
    let _stalled: Vec<TcpStream> = (0..4).map(|_| begin(&mirror, &half(), PROMPT)).collect();
    check_ok(&read_response(begin(&mirror, &test_connection(&stub.details()), PROMPT)));
}

#[test]
fn a_body_that_does_not_arrive_is_408() {
    let mirror = Mirror::start();
    let now = Instant::now();
    let response = read_one_response(&mut begin(&mirror, &half(), PATIENCE)).unwrap();
    check_refusal(&response, 408, "half a body");
    assert_eq!(response.key.as_deref(), Some(API_KEY));
    assert!(now.elapsed() < BODY_DEADLINE + LATENESS, "took {:?}", now.elapsed());
}

#[test]
fn a_body_that_trickles_is_cut_by_a_deadline_for_the_whole() {
    let mirror = Mirror::start();
    let check = |line: &str, byte: &'static [u8]| {
        let mut stream = begin(&mirror, &head(line), PATIENCE);
        let mut writer = stream.try_clone().unwrap();
        let now = Instant::now();
        let trickle = std::thread::spawn(move || {
            while now.elapsed() < 3 * BODY_DEADLINE && writer.write_all(byte).is_ok() {
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        let response = read_one_response(&mut stream);
        let took = now.elapsed();
        check_refusal(&response.unwrap(), 408, line);
        assert!(BODY_DEADLINE <= took && took < BODY_DEADLINE + LATENESS, "{line}: {took:?}");
        stream.shutdown(std::net::Shutdown::Both).unwrap();
        trickle.join().unwrap();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| check("Content-Length: 60000", b" "));
        scope.spawn(|| check("Transfer-Encoding: chunked", b"1\r\n \r\n"));
        scope.spawn(|| check("Transfer-Encoding: chunked", b"0"));
    });
}
