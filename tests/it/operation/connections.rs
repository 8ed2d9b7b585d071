//! More connections, or more bytes of heads, than the mirror has room for: it stays within its memory, and answers a client that
//! sends its request at once.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::begin;
use super::page::Page;
use crate::http::{address, read_one_response};
use crate::support::mirror::Mirror;
use crate::support::process::{memory, open_descriptors, status_field};

/// The bounds in docs/operations.md.
const MAX_CONNECTIONS: usize = 2_048;
const MAX_HEADS_BYTES: usize = 16 << 20;

const PATIENCE: Duration = Duration::from_secs(10);

/// How long a client that sends its request at once may wait.
const AT_ONCE: Duration = Duration::from_secs(2);

/// How many clients exceed the room, and how many may do so until earlier ones are closed.
const BEYOND: usize = 300;
const TRANSIENT: usize = MAX_CONNECTIONS / 8;

/// The maximum memory with all connections, 20 KiB each besides 8 MiB; and with all heads, each of which is in a buffer of up to
/// twice its length.
const CONNECTIONS_MIB: u64 = 64;
const HEADS_MIB: u64 = 80;

const REQUEST: &[u8] = b"GET /-/healthy HTTP/1.1\r\nHost: m\r\n\r\n";

fn check_answered_at_once(mirror: &Mirror) {
    let begun = Instant::now();
    let mut client = begin(mirror, REQUEST, PATIENCE);
    assert_eq!(read_one_response(&mut client).unwrap().status, 200);
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
}

fn evicted(mirror: &Mirror) -> f64 {
    Page::of(mirror).only("prometheusmirror_evicted_connections_total")
}

#[test]
fn connections_beyond_the_bound_have_the_longest_idle_closed() {
    rlimit::increase_nofile_limit(8_192).unwrap();
    let mirror = Mirror::start();
    let connect = |sends: &[u8]| begin(&mirror, sends, PATIENCE);
    let mut kept = connect(REQUEST);
    read_one_response(&mut kept).unwrap();
    let mut silent: Vec<TcpStream> = (0..MAX_CONNECTIONS + BEYOND).map(|_| connect(b"")).collect();
    check_answered_at_once(&mirror);
    assert!(evicted(&mirror) >= BEYOND as f64, "{}", evicted(&mirror));
    let threads: usize = status_field(mirror.pid(), "Threads").parse().unwrap();
    assert!(threads < MAX_CONNECTIONS + 200, "{threads} threads");
    let peak = memory(mirror.pid(), "VmHWM") >> 20;
    assert!(peak < CONNECTIONS_MIB, "{peak} MiB");
    // The first clients that never sent a request are closed, not the one that did.
    assert_eq!(silent[0].read(&mut [0]).unwrap(), 0);
    kept.write_all(REQUEST).unwrap();
    assert_eq!(read_one_response(&mut kept).unwrap().status, 200);
}

#[test]
fn heads_in_sum_beyond_the_bound_have_the_slowest_refused() {
    const HEAD_BYTES: usize = 60_000;
    rlimit::increase_nofile_limit(8_192).unwrap();
    let mirror = Mirror::start();
    let head = format!("GET / HTTP/1.1\r\nHost: m\r\nX: {}", "y".repeat(HEAD_BYTES));
    let heads = MAX_HEADS_BYTES / HEAD_BYTES + BEYOND;
    let mut slow: Vec<TcpStream> = (0..heads).map(|_| begin(&mirror, head.as_bytes(), PATIENCE)).collect();
    check_answered_at_once(&mirror);
    let response = read_one_response(&mut slow[0]).unwrap();
    assert_eq!(response.status, 503, "{}", response.text);
    assert!(response.text.contains("to make room for others"), "{}", response.text);
    let last = slow.last_mut().unwrap();
    last.write_all(b"\r\n\r\n").unwrap();
    assert_eq!(read_one_response(last).unwrap().status, 200);
    let peak = memory(mirror.pid(), "VmHWM") >> 20;
    assert!(peak < HEADS_MIB, "{peak} MiB");
    assert_eq!(TcpStream::connect(address(&mirror)).map(drop).map_err(|error| error.kind()), Ok(()));
}

#[test]
fn bodies_that_do_not_come_make_room_and_are_told_so() {
    rlimit::increase_nofile_limit(8_192).unwrap();
    // The second is short enough to be read with its head.
    for length in [5_000, 1_000] {
        let mirror = Mirror::start();
        let head = format!("POST /api/metric HTTP/1.1\r\nHost: m\r\nContent-Length: {length}\r\n\r\n{{");
        let mut kept = begin(&mirror, REQUEST, PATIENCE);
        read_one_response(&mut kept).unwrap();
        let connect = |_| begin(&mirror, head.as_bytes(), PATIENCE);
        let mut slow: Vec<TcpStream> = (0..MAX_CONNECTIONS + BEYOND).map(connect).collect();
        check_answered_at_once(&mirror);
        kept.write_all(REQUEST).unwrap();
        assert_eq!(read_one_response(&mut kept).unwrap().status, 200, "{length}");
        let response = read_one_response(&mut slow[0]).unwrap();
        assert_eq!(response.status, 503, "{length}: {}", response.text);
        assert!(response.text.contains("to make room for others"), "{length}: {}", response.text);
    }
}

/// Requests for a page on one connection, the last of which ends it.
fn pages(count: usize) -> Vec<u8> {
    let page = "GET /metrics HTTP/1.1\r\nHost: m\r\n";
    format!("{}{page}Connection: close\r\n\r\n", format!("{page}\r\n").repeat(count - 1)).into_bytes()
}

#[test]
fn connections_that_end_with_their_request_count_until_they_are_closed() {
    rlimit::increase_nofile_limit(8_192).unwrap();
    let mirror = Mirror::start();
    let before = open_descriptors(mirror.pid());
    let asked = pages(90);
    // The client reads none of the responses.
    let _unread: Vec<TcpStream> = (0..MAX_CONNECTIONS + 2 * BEYOND)
        .map(|_| {
            let mut client = begin(&mirror, b"", PATIENCE);
            // It may be refused already.
            let _ = client.write_all(&asked);
            client
        })
        .collect();
    let open = open_descriptors(mirror.pid()) - before;
    assert!(open <= MAX_CONNECTIONS + TRANSIENT + 10, "{open} descriptors");
}

#[test]
fn what_clients_have_left_behind_is_not_worked_off() {
    let mirror = Mirror::start();
    for _ in 0..300 {
        let mut client = begin(&mirror, b"", PATIENCE);
        client.write_all(&pages(100)).unwrap();
    }
    check_answered_at_once(&mirror);
    let answered = || Page::of(&mirror).sum("prometheusmirror_requests_total", &[("route", "metrics")]);
    std::thread::sleep(AT_ONCE);
    let (first, begun) = (answered(), Instant::now());
    std::thread::sleep(Duration::from_millis(500));
    // This page is one.
    assert!(answered() - first <= 2.0, "{} responses in {:?}", answered() - first, begun.elapsed());
}

#[test]
fn a_response_is_whole_though_its_client_sends_more_behind_its_last_request() {
    let mirror = Mirror::start();
    for behind in [&b"\r\n"[..], REQUEST, &[b'x'; 20_000]] {
        let mut client = begin(&mirror, &pages(60), PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
        client.write_all(behind).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 60, "{} bytes", text.len());
        assert!(text.ends_with('\n'), "{}", &text[text.len() - 100..]);
    }
}

#[test]
fn clients_that_linger_after_their_last_response_make_room_first() {
    rlimit::increase_nofile_limit(8_192).unwrap();
    let mirror = Mirror::start();
    let mut kept = begin(&mirror, REQUEST, PATIENCE);
    read_one_response(&mut kept).unwrap();
    let last = b"GET /-/healthy HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n";
    let mut lingering: Vec<TcpStream> = Vec::new();
    for nth in 0..MAX_CONNECTIONS + BEYOND {
        let mut client = begin(&mirror, last, PATIENCE);
        read_one_response(&mut client).unwrap();
        lingering.push(client);
        if nth % 200 == 0 {
            // A client that is silent for a second is closed. Some may be closed already.
            lingering.iter_mut().for_each(|client| drop(client.write_all(b"x")));
        }
    }
    check_answered_at_once(&mirror);
    kept.write_all(REQUEST).unwrap();
    assert_eq!(read_one_response(&mut kept).unwrap().status, 200);
}
