//! Clients that are silent, slow or many at once take nothing from the others.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{address, check_refusal, connection_request, read_answer};
use crate::support::mirror::{API_KEY, Mirror};
use crate::support::stub::{Stub, good};

/// Within this a client that does everything right is answered, whatever others do.
const PROMPT: Duration = Duration::from_secs(5);

/// Within this a client that does not go on is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connects and writes, without an end.
fn begin(mirror: &Mirror, bytes: &[u8], patience: Duration) -> TcpStream {
    let mut stream = TcpStream::connect(address(mirror)).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// Sends a signal to the mirror.
fn signal(mirror: &Mirror, name: &str) {
    let status = Command::new("kill").args(["-s", name, &mirror.pid().to_string()]).status();
    let sent = status.expect("these tests need the program `kill`: install the Debian package `procps`");
    assert!(sent.success());
}

#[test]
fn many_connections_at_once_are_all_answered_though_none_of_them_closes() {
    const CLIENTS: usize = 64;
    let mirror = Mirror::start();
    for round in 0..3 {
        // All of them wait when the mirror comes to: what a throttled CPU does to a process, on purpose.
        signal(&mirror, "STOP");
        let request = b"GET /healthcheck HTTP/1.1\r\nHost: m\r\n\r\n";
        let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| begin(&mirror, request, PROMPT)).collect();
        signal(&mirror, "CONT");
        let deadline = Instant::now() + PROMPT;
        let is_answered = |client: &mut TcpStream| {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            client.set_read_timeout(Some(left)).unwrap();
            let mut status = [0; 12];
            client.read_exact(&mut status).is_ok() && &status == b"HTTP/1.1 200"
        };
        let answered = clients.iter_mut().map(is_answered).filter(|answered| *answered).count();
        assert_eq!(answered, CLIENTS, "so many of {CLIENTS} were answered within {PROMPT:?} in round {round}");
    }
}

/// A request of which only the first bytes of the body come.
const HALF: &[u8] = b"POST /api/metric HTTP/1.1\r\nHost: m\r\nContent-Length: 5000\r\n\r\n{\"a\":";

#[test]
fn bodies_that_do_not_arrive_hold_no_worker() {
    let (mirror, stub) = (Mirror::start_with(&["--workers", "1"]), Stub::start(good));
    let stalled: Vec<TcpStream> = (0..4).map(|_| begin(&mirror, HALF, PROMPT)).collect();
    let body = connection_request(&stub);
    let head = format!(
        "POST /api/connection HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = read_answer(begin(&mirror, &[head.as_bytes(), &body].concat(), PROMPT));
    assert_eq!(answer.json["status"], "OK", "{}", answer.text);
    drop(stalled);
}

#[test]
fn a_body_that_does_not_arrive_is_408() {
    let mirror = Mirror::start();
    let answer = read_answer(begin(&mirror, HALF, PATIENCE));
    check_refusal(&answer, 408, "half a body");
    assert_eq!(answer.key.as_deref(), Some(API_KEY));
}
