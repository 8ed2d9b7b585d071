//! A thread that connects to the mirror itself, five times a second, so that no connection waits without need.
//!
//! - Defect: tiny_http gives connections that arrive together to as many threads as looked idle a moment before. When fewer
//!   were idle, the other connections wait behind connections that may stay open for ever.
//! - Seen: 52 of 300 requests stuck after a pause of the process.
//! - Here: a further connection that comes and goes sets one waiting connection free. It also keeps `accept` from timing out:
//!   the read timeout of the listening socket, which its connections inherit, applies to `accept` as well.
//! - Tests: `tests/it/operation/bursts.rs`.

use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tiny_http::Request;

use crate::server::os::random::random;
use crate::server::os::threads::Threads;

/// How often tiny_http is visited.
const INTERVAL: Duration = Duration::from_millis(200);

/// How many visits there are at a time when nothing goes on.
const IDLE_VISITS: u64 = 1;

/// How many there are when there were requests since the last time, but only on connections that had brought some before.
const USUAL_VISITS: u64 = 4;

/// How many visits each new connection since the last time is worth: where some were answered, others may be waiting. And the
/// fewest and the most there are at a time then.
const VISITS_PER_CONNECTION: u64 = 4;
const FEWEST_VISITS: u64 = 16;
const MOST_VISITS: u64 = 64;

/// How many connections are remembered, of all that have the same place one. One that is forgotten counts as new.
const REMEMBERED: usize = 1_024;

/// How long a round of visits may take. A visit may have to wait behind others itself, and then another sets it free.
const PATIENCE: Duration = Duration::from_millis(250);

/// The header by which a visit is known, with a value that nobody else can know.
const HEADER: &str = "X-Self-Probe";

/// What the self-probe and the listener tell each other.
#[derive(Debug)]
pub(in crate::server) struct Watch {
    secret: String,
    threads: Arc<Threads>,
    requests: AtomicU64,
    new_connections: AtomicU64,
    /// By the hash of the client's address.
    connections: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Watch {
    pub(in crate::server) fn new(threads: Arc<Threads>) -> Arc<Watch> {
        Arc::new(Watch {
            secret: format!("{:016x}{:016x}", random(), random()),
            threads,
            requests: AtomicU64::new(0),
            new_connections: AtomicU64::new(0),
            connections: (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        })
    }

    /// Whether a request is a visit of the self-probe's.
    pub(in crate::server) fn is_own(&self, request: &Request) -> bool {
        let is_secret = |header: &tiny_http::Header| header.field.equiv(HEADER) && header.value == self.secret.as_str();
        request.headers().iter().any(is_secret)
    }

    /// Takes note of a request of somebody else's, whose address is another one on each connection.
    pub(in crate::server) fn saw_request(&self, client: SocketAddr) {
        let hash = self.hasher.hash_one(client);
        let place = &self.connections[hash as usize % REMEMBERED];
        if place.swap(hash, Ordering::Relaxed) != hash {
            self.new_connections.fetch_add(1, Ordering::Relaxed);
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// How many visits are due.
    fn visits(&self) -> u64 {
        let requests = self.requests.swap(0, Ordering::Relaxed);
        if self.threads.are_short() {
            // Each visit takes one.
            return IDLE_VISITS;
        }
        match self.new_connections.swap(0, Ordering::Relaxed) {
            0 if requests == 0 => IDLE_VISITS,
            0 => USUAL_VISITS,
            new => new.saturating_mul(VISITS_PER_CONNECTION).clamp(FEWEST_VISITS, MOST_VISITS),
        }
    }
}

/// Visits a listening address for ever.
pub(in crate::server) fn visit_for_ever(listening: SocketAddr, watch: &Watch) -> ! {
    let addresses = reachable(listening);
    let request = format!(
        "GET /-/healthy HTTP/1.1\r\nHost: self-probe\r\nConnection: close\r\n{HEADER}: {}\r\n\r\n",
        watch.secret
    );
    loop {
        let deadline = Instant::now() + PATIENCE;
        let begun: Vec<_> = (0..watch.visits()).filter_map(|_| begin(&addresses, &request, deadline)).collect();
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

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn where_connections_are_new_others_may_wait() {
        let threads = Threads::new(Arc::new(Metrics::new(1, 0)));
        let watch = Watch::new(Arc::clone(&threads));
        let saw = |ports: Range<u16>| {
            for port in ports {
                watch.saw_request(SocketAddr::from(([127, 0, 0, 1], port)));
            }
            watch.visits()
        };
        assert_eq!(saw(0..0), IDLE_VISITS);
        assert_eq!(saw(1..2), FEWEST_VISITS);
        assert_eq!(saw(1..2), USUAL_VISITS);
        assert_eq!(saw(0..0), IDLE_VISITS);
        assert_eq!(saw(1..11), 36);
        assert_eq!(saw(1..500), MOST_VISITS);
        threads.missing("none");
        assert_eq!(saw(501..1_000), IDLE_VISITS);
    }
}
