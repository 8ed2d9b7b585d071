//! Bounds on what a connection may cost before its request is complete.
//!
//! - Defect: tiny_http 0.12 has no bounds. It reads a head of any length, waits for each byte of it as long as for the first,
//!   never ends a thread that refuses HTTP/2.0, allocates as much memory as a `Content-Length` announces, and accepts any number
//!   of connections.
//! - Seen: 512 MiB for an endless head, after 1.5 s; a thread and two descriptors for each `GET / HTTP/2.0`, until the process
//!   ended; the end of the process for one `Content-Length` of some terabytes; 512 MiB for 5,500 incomplete heads of 65,000
//!   bytes each, after 4.6 s.
//! - Here: the copy in `third_party/tiny_http` takes these bounds, and hands malformed heads over to the mirror, which refuses
//!   them.
//! - Tests: those of this file, `tests/it/http/heads.rs`, `tests/it/operation/bodies.rs`,
//!   `tests/it/operation/connections.rs`.

use std::time::Duration;

use tiny_http::{Limits, Request};

use crate::server::os::socket::CONNECTION_TIMEOUT;

/// How long the mirror keeps an idle connection at least; the header `Keep-Alive` says so. The connection pools of many clients
/// and reverse proxies keep one for up to 60 s.
pub(in crate::server) const KEPT: Duration = Duration::from_secs(75);

/// All bounds on connections.
pub(in crate::server) const LIMITS: Limits = Limits {
    // Each has a thread, which takes about 20 KiB.
    connections: 2_048,
    // Of all heads that are arriving: 16 MiB.
    heads_bytes: 16 << 20,
    // 64 KiB. Cookies of 16 KiB are common.
    head_bytes: 64 << 10,
    // A header takes more memory than its bytes.
    headers: 100,
    head_time: CONNECTION_TIMEOUT,
    // Of a body that is read and discarded so that its connection can be used again: 64 MiB, which is also the maximum of
    // `--max-request-bytes`.
    discarded_bytes: 64 << 20,
};

/// Whether the announced body is too long to be discarded, so that the connection ends if the mirror does not read it.
pub(in crate::server) fn announces_more_than_is_discarded(request: &Request) -> bool {
    request.body_length().is_some_and(|length| length > LIMITS.discarded_bytes)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Instant;

    use socket2::SockRef;
    use tiny_http::{Host, Response, Server};

    use super::*;

    /// The read timeout, and how long an idle connection is kept here.
    const TICK: Duration = Duration::from_millis(100);
    const IDLE: Duration = Duration::from_millis(600);

    /// How late the scheduler may run a thread.
    const LATENESS: Duration = Duration::from_secs(2);

    /// A host that reports whether threads are short.
    struct TestHost(AtomicBool);

    impl Host for TestHost {
        fn run(&self, task: Box<dyn FnOnce() + Send>) {
            thread::spawn(task);
        }

        fn idle_time(&self) -> Duration {
            if self.0.load(Ordering::SeqCst) { TICK } else { IDLE }
        }
    }

    /// Answers `requests`, each after `delay`, then measures how long the idle connection stays open. If `is_short`, threads become
    /// short after the last response.
    fn kept(requests: usize, delay: Duration, is_short: bool) -> Duration {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        SockRef::from(&listener).set_read_timeout(Some(TICK)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let host = Arc::new(TestHost(AtomicBool::new(false)));
        let server = Server::with_limits(listener, Limits::default(), Arc::clone(&host) as Arc<dyn Host>).unwrap();
        for _ in 0..requests {
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            let request = server.recv_timeout(LATENESS).unwrap().unwrap();
            thread::sleep(delay);
            request.respond(Response::empty(204)).unwrap();
            assert!(client.read(&mut [0; 4_096]).unwrap() > 0);
        }
        let answered = Instant::now();
        host.0.store(is_short, Ordering::SeqCst);
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
            // A connection without a request is not kept.
            (0, none, false, none),
            (1, none, false, IDLE - TICK),
            (3, none, false, IDLE - TICK),
            // Regardless of how long the response took.
            (1, 2 * IDLE, false, IDLE - TICK),
            (1, none, true, none),
        ] {
            let kept = kept(requests, delay, is_short);
            assert!(expected <= kept && kept < expected + 3 * TICK + LATENESS, "{requests}, {delay:?}: {kept:?}");
        }
    }
}
