//! Long, endless or slow heads take neither memory nor threads.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{DEADLINE, address, check_refusal, header, read_one_response};
use crate::operation::page::Page;
use crate::support::mirror::{API_KEY, Mirror, Response};
use crate::support::process::memory;

/// The bounds in docs/operations.md.
const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 100;
const HEAD_TIME: Duration = Duration::from_secs(8);

/// How much later a slow head may be cut: the mirror waits for one more byte.
const LATENESS: Duration = Duration::from_secs(3);

/// How many endless heads arrive at the same time, how long each client sends at most, and the maximum memory of the mirror with
/// all of them. It takes 4 MiB when idle.
const ENDLESS: usize = 20;
const PERSISTENCE: Duration = Duration::from_secs(2);
const ENDLESS_MIB: u64 = 32;

const BEGIN: &str = "GET /-/healthy HTTP/1.1\r\nHost: m\r\n";

fn connect(mirror: &Mirror) -> TcpStream {
    let stream = TcpStream::connect(address(mirror)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn ask(mirror: &Mirror, head: &str) -> Response {
    let mut stream = connect(mirror);
    stream.write_all(head.as_bytes()).unwrap();
    read_one_response(&mut stream).unwrap()
}

/// Checks for a response that refuses the head and says so, with the key, and ends the connection.
fn check_refused(response: &Response, status: u16, context: &str) {
    check_refusal(response, status, context);
    assert_eq!(response.key.as_deref(), Some(API_KEY), "{context}");
    assert_eq!(header(&response.headers, "connection"), Some("close"), "{context}");
}

#[test]
fn a_head_has_at_most_64_kib_and_100_headers() {
    let mirror = Mirror::start();
    let of_bytes = |bytes: usize| {
        let rest = bytes - BEGIN.len() - "Cookie: \r\n\r\n".len();
        format!("{BEGIN}Cookie: {}\r\n\r\n", "c".repeat(rest))
    };
    let of_headers = |headers: usize| format!("{BEGIN}{}\r\n", "X: y\r\n".repeat(headers - 1));
    let of_path = |bytes: usize| format!("GET /-/healthy?{} HTTP/1.1\r\n\r\n", "p".repeat(bytes));
    for good in [of_bytes(16 << 10), of_bytes(MAX_HEAD_BYTES), of_headers(MAX_HEADERS), of_path(16 << 10)] {
        assert_eq!(ask(&mirror, &good).status, 200, "{} bytes", good.len());
    }
    for bad in [of_bytes(MAX_HEAD_BYTES + 1), of_bytes(500_000), of_headers(MAX_HEADERS + 1), of_path(MAX_HEAD_BYTES)] {
        check_refused(&ask(&mirror, &bad), 431, &format!("{} bytes", bad.len()));
    }
    let is_counted =
        |page: &Page| page.sum("prometheusmirror_rejected_requests_total", &[("reason", "head_too_large")]) == 4.0;
    Page::wait(&mirror, "four long heads are counted", is_counted);
    let line = mirror.line_with("error_code=head_too_large");
    assert!(line.contains("client=127.0.0.1:") && line.contains("status=431"), "{line}");
}

#[test]
fn heads_without_an_end_take_little_memory() {
    let mirror = Mirror::start();
    let begun = Instant::now();
    let flood = |begin: &str, endless: &str| {
        while begun.elapsed() < PERSISTENCE {
            let mut stream = connect(&mirror);
            let mut writer = stream.try_clone().unwrap();
            let response = thread::scope(|scope| {
                scope.spawn(move || {
                    let chunk = endless.repeat((64 << 10) / endless.len());
                    let _ = writer.write_all(begin.as_bytes());
                    while begun.elapsed() < PERSISTENCE + HEAD_TIME && writer.write_all(chunk.as_bytes()).is_ok() {}
                });
                let response = read_one_response(&mut stream);
                let _ = stream.shutdown(Shutdown::Both);
                response
            });
            check_refused(&response.unwrap(), 431, &endless[..endless.len().min(20)]);
        }
    };
    let long = format!("X: {}\r\n", "y".repeat(5_000));
    let endless = [(BEGIN, "a:\r\n"), (BEGIN, "a"), ("GET /", "p"), (BEGIN, &long)];
    thread::scope(|scope| {
        for nth in 0..ENDLESS {
            let (flood, (begin, endless)) = (&flood, endless[nth % endless.len()]);
            scope.spawn(move || flood(begin, endless));
        }
    });
    let peak = memory(mirror.pid(), "VmHWM") >> 20;
    assert!(peak < ENDLESS_MIB, "{peak} MiB");
    assert_eq!(mirror.get("/-/healthy").status, 200);
}

#[test]
fn a_head_or_a_short_body_that_trickles_in_is_408_after_8_seconds() {
    let mirror = Mirror::start();
    let short_body = "POST /api/connection HTTP/1.1\r\nHost: m\r\nContent-Length: 1000\r\n\r\n";
    thread::scope(|scope| {
        for (begin, pause) in [("", 1_000), (BEGIN, 1_000), (short_body, 1_000), (BEGIN, 60_000), (short_body, 60_000)]
        {
            let mirror = &mirror;
            scope.spawn(move || {
                let mut stream = connect(mirror);
                let now = Instant::now();
                stream.write_all(format!("{begin}G").as_bytes()).unwrap();
                let mut writer = stream.try_clone().unwrap();
                scope.spawn(move || {
                    // Until the mirror closes, or the time is over.
                    while now.elapsed() < 2 * HEAD_TIME && pause < 60_000 && writer.write_all(b"G").is_ok() {
                        thread::sleep(Duration::from_millis(pause));
                    }
                });
                let response = read_one_response(&mut stream);
                let took = now.elapsed();
                let context = format!("{begin:?}, a byte every {pause} ms");
                check_refused(&response.unwrap_or_else(|error| panic!("{context}: {error}")), 408, &context);
                assert!(HEAD_TIME <= took && took < HEAD_TIME + LATENESS, "{context}: {took:?}");
            });
        }
    });
    let is_counted =
        |page: &Page| page.sum("prometheusmirror_rejected_requests_total", &[("reason", "body_not_received")]) == 5.0;
    Page::wait(&mirror, "five slow requests are counted", is_counted);
}
