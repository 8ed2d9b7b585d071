//! Slow, silent or many clients take nothing from others, and do not stay.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::page::Page;
use super::{begin, check_ok, test_connection};
use crate::http::{read_one_response, read_response};
use crate::support::mirror::Mirror;
use crate::support::process::{open_descriptors, status_field, wait_until};
use crate::support::stub::{Stub, good};

/// The number of clients that stop in the middle.
const SLOW: usize = 80;

/// By then, the mirror must have closed each of them.
const PATIENCE: Duration = Duration::from_secs(30);

/// The maximum delay of a good request by them.
const DELAY: Duration = Duration::from_secs(1);

/// How long a connection may be silent before its first request, and how much longer it may take to be closed.
const SILENCE: Duration = Duration::from_secs(8);
const LATENESS: Duration = Duration::from_secs(5);

/// Half a head, and bodies with one byte: a short one, which tiny_http reads itself, and a longer one.
const HALVES: [&[u8]; 4] = [
    b"G",
    b"POST /api/metric HTTP/1.1\r\nHost: m\r\nContent-Le",
    b"POST /api/metric HTTP/1.1\r\nHost: m\r\nContent-Length: 100\r\n\r\n{",
    b"POST /api/metric HTTP/1.1\r\nHost: m\r\nContent-Length: 5000\r\n\r\n{",
];

/// Reads until the connection is closed in any way. Returns whether that happened in time.
fn is_closed(stream: &mut TcpStream, deadline: Instant) -> bool {
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left)).unwrap();
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

#[test]
fn slow_clients_delay_nobody_hold_no_worker_and_are_closed() {
    let (mirror, stub) = (Mirror::start_with(&["--workers", "4"]), Stub::start(good));
    let connected = Instant::now();
    let mut slow: Vec<TcpStream> = (0..SLOW).map(|nth| begin(&mirror, HALVES[nth % HALVES.len()], PATIENCE)).collect();
    let deadline = connected + PATIENCE;

    std::thread::scope(|scope| {
        let closed =
            scope.spawn(|| slow.iter_mut().filter_map(|stream| is_closed(stream, deadline).then_some(())).count());
        while !closed.is_finished() {
            // The last good request may still hold its worker.
            assert!(Page::of(&mirror).only("prometheusmirror_busy_workers") <= 1.0);
            let now = Instant::now();
            check_ok(&read_response(begin(&mirror, &test_connection(&stub.details()), PATIENCE)));
            assert!(now.elapsed() < DELAY, "a good request took {:?}", now.elapsed());
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(closed.join().unwrap(), SLOW, "so many are closed within {PATIENCE:?}");
    });
}

#[test]
fn a_connection_stays_when_it_has_brought_a_request_and_does_not_when_it_has_not() {
    let mirror = Mirror::start();
    let request = b"GET / HTTP/1.1\r\nHost: m\r\n\r\n";
    let opened = Instant::now();
    let (mut silent, mut idle) = (begin(&mirror, b"", PATIENCE), begin(&mirror, request, PATIENCE));
    assert_eq!(read_one_response(&mut idle).unwrap().status, 200);
    assert!(is_closed(&mut silent, opened + SILENCE + LATENESS), "still open");
    assert!(opened.elapsed() > SILENCE / 2, "closed after {:?}", opened.elapsed());
    // It is idle for this time or longer.
    std::thread::sleep((SILENCE + Duration::from_secs(2)).saturating_sub(opened.elapsed()));
    idle.write_all(request).unwrap();
    assert_eq!(read_one_response(&mut idle).unwrap().status, 200);
}

#[test]
fn clients_that_reset_their_connections_leave_nothing_behind() {
    const RESETS: usize = 500;
    let mirror = Mirror::start();
    let threads = || status_field(mirror.pid(), "Threads").parse::<usize>().unwrap();
    let (threads_before, descriptors_before) = (threads(), open_descriptors(mirror.pid()));
    for nth in 0..RESETS {
        let stream = begin(&mirror, b"GET /-/healthy HTTP/1.1\r\nHost: m\r\n\r\n", PATIENCE);
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        // Other requests arrive meanwhile, and are answered.
        if nth % 10 == 0 {
            assert_eq!(mirror.get("/-/healthy").status, 200);
        }
    }
    // tiny_http keeps a thread for some seconds after its connection ends.
    wait_until(
        || format!("{} threads and {} descriptors are few", threads(), open_descriptors(mirror.pid())),
        || threads() <= threads_before + 40 && open_descriptors(mirror.pid()) <= descriptors_before + 10,
    );
    let page = Page::of(&mirror);
    assert_eq!(page.only("prometheusmirror_accept_failures_total"), 0.0);
    assert_eq!(page.only("prometheusmirror_panics_total"), 0.0);
}
