//! A thread that keeps tiny_http 0.12 going by visiting it, ten times a second.
//!
//! tiny_http gives connections that arrive together to as many threads as looked idle a moment before. When fewer were,
//! the others wait behind connections that may stay open for ever, although nothing is busy. A further connection that
//! comes and goes sets one of them free. And since the timeout that the listening socket hands down to its connections
//! applies to its own `accept` as well, something has to arrive now and then.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tiny_http::Request;

/// How often tiny_http is visited.
const INTERVAL: Duration = Duration::from_millis(100);

/// How many visits there are at a time when nothing goes on, and at most.
const FEWEST_VISITS: u64 = 2;
const MOST_VISITS: u64 = 64;

/// How many visits each request since the last time is worth: where some were answered, others may be waiting.
const VISITS_PER_REQUEST: u64 = 4;

/// How long a visit may take.
const PATIENCE: Duration = Duration::from_secs(1);

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
        // Each of these starts from the system's randomness.
        let random = || RandomState::new().build_hasher().finish();
        let secret = format!("{:016x}{:016x}", random(), random());
        Arc::new(Watch { secret, requests: AtomicU64::new(0) })
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

/// Starts the visits to a listening address.
///
/// # Errors
/// When there is no thread for them.
pub(super) fn start(listening: SocketAddr, watch: Arc<Watch>) -> std::io::Result<()> {
    let address = SocketAddr::new(reachable(listening.ip()), listening.port());
    let request =
        format!("GET /-/healthy HTTP/1.1\r\nHost: sentinel\r\nConnection: close\r\n{HEADER}: {}\r\n\r\n", watch.secret);
    let visits = move || {
        loop {
            let requests = watch.requests.swap(0, Ordering::Relaxed);
            let visits = (FEWEST_VISITS + requests.saturating_mul(VISITS_PER_REQUEST)).min(MOST_VISITS);
            let open: Vec<TcpStream> = (0..visits).filter_map(|_| begin(address, &request)).collect();
            for mut stream in open {
                let _ = stream.read_to_end(&mut Vec::new());
            }
            thread::sleep(INTERVAL);
        }
    };
    thread::Builder::new().name("sentinel".to_owned()).spawn(visits).map(drop)
}

fn begin(address: SocketAddr, request: &str) -> Option<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    Some(stream)
}

/// Where a listening address is reached from here.
fn reachable(listening: IpAddr) -> IpAddr {
    match listening {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    }
}
