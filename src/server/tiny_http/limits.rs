//! What a connection may cost before it has brought a request.
//!
//! - Defect: tiny_http 0.12 bounds none of it. It reads a head of any length, waits for each of its bytes as long as for the
//!   first, never ends a thread that has to refuse HTTP/2.0, and allocates as much memory as a body announces.
//! - Seen: 512 MiB for a head without an end, after 1.5 s; a thread and two descriptors for each `GET / HTTP/2.0`, until the
//!   process ended; the end of the process for one `Content-Length` of some terabytes.
//! - Here: the copy in `third_party/tiny_http` takes bounds for all of it, and gives a head that is no request to the mirror to
//!   refuse. These are the bounds.
//! - Tests: those of this file, `tests/it/http/heads.rs`, `tests/it/operation/bodies.rs`.

use std::sync::Arc;
use std::time::Duration;

use tiny_http::{Limits, Request};

use crate::server::os::socket::CONNECTION_TIMEOUT;
use crate::server::os::threads::Threads;

/// The most bytes of a head: 64 KiB. Cookies of 16 KiB are nothing unusual.
const HEAD_BYTES: usize = 64 << 10;

/// The most headers: 100. A header costs more memory than it has bytes.
const HEADERS: usize = 100;

/// The most bytes of a body that are read only to be discarded, so that a connection can be used again: 64 MiB, as
/// `--max-request-bytes` allows.
const DISCARDED_BYTES: usize = 64 << 20;

/// For so long at least, a connection is kept that is idle, which the clients are told: 75 s. The pools of many clients and
/// reverse proxies keep it for up to 60.
pub(in crate::server) const KEPT: Duration = Duration::from_secs(75);

/// The bounds. While threads are missing, connections are not kept for longer than one that is silent in a request.
pub(in crate::server) fn limits(threads: &Arc<Threads>) -> Limits {
    let threads = Arc::clone(threads);
    // tiny_http looks once in each read timeout, and may have seen the last response being written for that long.
    let idle_time = move || if threads.are_short() { CONNECTION_TIMEOUT } else { KEPT + CONNECTION_TIMEOUT };
    Limits {
        head_bytes: HEAD_BYTES,
        headers: HEADERS,
        head_time: CONNECTION_TIMEOUT,
        idle_time: Arc::new(idle_time),
        discarded_bytes: DISCARDED_BYTES,
    }
}

/// Whether the connection of a request ends with it if its body is not read, since more is announced than is discarded.
pub(in crate::server) fn is_beyond_discarding(request: &Request) -> bool {
    request.body_length().is_some_and(|length| length > DISCARDED_BYTES)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Instant;

    use socket2::SockRef;
    use tiny_http::{Response, Server};

    use super::*;
    use crate::metrics::Metrics;

    /// The read timeout, and how long an idle connection is kept here.
    const TICK: Duration = Duration::from_millis(100);
    const IDLE: Duration = Duration::from_millis(600);

    /// How late a thread may get its turn.
    const LATENESS: Duration = Duration::from_secs(2);

    /// How long a connection is open, from its last response on, on which each request is answered after a delay. The last
    /// part of that goes by after threads have become short.
    fn kept(requests: usize, delay: Duration, is_short: bool) -> Duration {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        SockRef::from(&listener).set_read_timeout(Some(TICK)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let short = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&short);
        let idle_time = move || if asked.load(Ordering::SeqCst) { TICK } else { IDLE };
        let limits = Limits { idle_time: Arc::new(idle_time), ..Limits::default() };
        let server = Server::with_limits(listener, None, limits).unwrap();
        for _ in 0..requests {
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            let request = server.recv_timeout(LATENESS).unwrap().unwrap();
            thread::sleep(delay);
            request.respond(Response::empty(204)).unwrap();
            assert!(client.read(&mut [0; 4_096]).unwrap() > 0);
        }
        let answered = Instant::now();
        short.store(is_short, Ordering::SeqCst);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        let kept = answered.elapsed();
        let deadline = Instant::now() + LATENESS;
        while server.num_connections() > 0 {
            assert!(Instant::now() < deadline, "the connection is counted still");
            thread::sleep(Duration::from_millis(10));
        }
        kept
    }

    #[test]
    fn a_connection_is_kept_after_its_last_response_for_as_long_as_there_is_room() {
        let none = Duration::ZERO;
        for (requests, delay, is_short, expected) in [
            // Without a request it is of no use.
            (0, none, false, none),
            (1, none, false, IDLE - TICK),
            (3, none, false, IDLE - TICK),
            // However long the response took.
            (1, 2 * IDLE, false, IDLE - TICK),
            (1, none, true, none),
        ] {
            let kept = kept(requests, delay, is_short);
            assert!(expected <= kept && kept < expected + 3 * TICK + LATENESS, "{requests}, {delay:?}: {kept:?}");
        }
    }

    #[test]
    fn idle_connections_make_room_while_threads_are_missing() {
        let threads = Threads::new(Arc::new(Metrics::new(1, 0)));
        let limits = limits(&threads);
        assert!((limits.idle_time)() >= KEPT + CONNECTION_TIMEOUT);
        threads.missing("none");
        assert_eq!((limits.idle_time)(), CONNECTION_TIMEOUT);
    }
}
