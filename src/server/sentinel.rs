//! A thread that keeps tiny_http 0.12 going by visiting it, five times a second.
//!
//! tiny_http gives connections that arrive together to as many threads as looked idle a moment before. When fewer were,
//! the others wait behind connections that may stay open for ever, although nothing is busy. A further connection that
//! comes and goes sets one of them free. Since the timeout that the listening socket hands down to its connections applies
//! to its own `accept` as well, something has to arrive now and then.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tiny_http::Request;

use crate::server::random::random;

/// How often tiny_http is visited.
const INTERVAL: Duration = Duration::from_millis(200);

/// How many visits there are at a time when nothing goes on.
const IDLE_VISITS: u64 = 1;

/// How many visits each request since the last time is worth: where some were answered, others may be waiting. And the fewest
/// and the most there are at a time then.
const VISITS_PER_REQUEST: u64 = 4;
const FEWEST_VISITS: u64 = 16;
const MOST_VISITS: u64 = 64;

/// How long a round of visits may take. A visit may have to wait behind others itself, and then another sets it free.
const PATIENCE: Duration = Duration::from_millis(250);

/// The header by which a visit is known, with a value that nobody else can know.
const HEADER: &str = "X-Sentinel";

/// What the sentinel and the listener tell each other.
#[derive(Debug)]
pub(super) struct Watch {
    secret: String,
    requests: AtomicU64,
}

impl Watch {
    pub(super) fn new() -> Arc<Watch> {
        Arc::new(Watch { secret: format!("{:016x}{:016x}", random(), random()), requests: AtomicU64::new(0) })
    }

    /// Whether a request is a visit of the sentinel's.
    pub(super) fn is_own(&self, request: &Request) -> bool {
        let is_secret = |header: &tiny_http::Header| header.field.equiv(HEADER) && header.value == self.secret.as_str();
        request.headers().iter().any(is_secret)
    }

    /// Takes note of a request of somebody else's.
    pub(super) fn saw_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// Visits a listening address for ever.
pub(super) fn visit_for_ever(listening: SocketAddr, watch: &Watch) -> ! {
    let addresses = reachable(listening);
    let request =
        format!("GET /-/healthy HTTP/1.1\r\nHost: sentinel\r\nConnection: close\r\n{HEADER}: {}\r\n\r\n", watch.secret);
    loop {
        let visits = match watch.requests.swap(0, Ordering::Relaxed) {
            0 => IDLE_VISITS,
            requests => requests.saturating_mul(VISITS_PER_REQUEST).clamp(FEWEST_VISITS, MOST_VISITS),
        };
        let deadline = Instant::now() + PATIENCE;
        let begun: Vec<_> = (0..visits).filter_map(|_| begin(&addresses, &request, deadline)).collect();
        for visit in begun {
            await_answer(visit, deadline);
        }
        thread::sleep(INTERVAL);
    }
}

fn begin(addresses: &[SocketAddr], request: &str, deadline: Instant) -> Option<TcpStream> {
    let connect = |address| TcpStream::connect_timeout(address, remaining(deadline)).ok();
    let mut stream = addresses.iter().find_map(connect)?;
    stream.write_all(request.as_bytes()).ok()?;
    Some(stream)
}

/// Keeps a visit from ending before it is answered, which some do not live to see.
fn await_answer(mut visit: TcpStream, deadline: Instant) {
    let _ = visit.set_read_timeout(Some(remaining(deadline))).and_then(|()| visit.read_exact(&mut [0]));
}

/// What is left until a deadline; a moment when nothing is, for a timeout of zero is none.
fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// Where a listening address is reached from here, the first that works. All interfaces of IPv6 are those of IPv4, too, and
/// there may be a machine with either loopback address missing.
fn reachable(listening: SocketAddr) -> Vec<SocketAddr> {
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
    let addresses = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => vec![v4],
        IpAddr::V6(ip) if ip.is_unspecified() => vec![v4, v6],
        other => vec![other],
    };
    addresses.into_iter().map(|ip| SocketAddr::new(ip, listening.port())).collect()
}
