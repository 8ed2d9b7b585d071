//! A TCP connection to the first of several addresses that accepts it ("Happy Eyeballs", RFC 8305). An address that does not
//! respond costs a quarter of a second.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::prometheus::error::ConnectFailure;

/// How long an attempt runs before the next address is tried beside it (RFC 8305, "Connection Attempt Delay").
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The most addresses that are tried.
pub(super) const MAX_ADDRESSES: usize = 16;

/// How often parallel attempts are checked: the first and the longest pause between checks.
const MIN_PAUSE: Duration = Duration::from_micros(50);
const MAX_PAUSE: Duration = Duration::from_millis(5);

/// Connects to one of these addresses, which are tried in the order of their ranks.
///
/// # Errors
/// Fails with the error of the last attempt if none can be connected to before the deadline.
pub(super) fn connect<R: Ord>(
    addresses: &[SocketAddr],
    rank: impl Fn(&SocketAddr) -> R,
    deadline: Instant,
) -> Result<TcpStream, ConnectFailure> {
    let begun = Instant::now();
    let stream = match addresses {
        [address] => {
            let left = deadline.saturating_duration_since(begun);
            if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { TcpStream::connect_timeout(address, left) }
        }
        _ => {
            let mut addresses = interleaved(addresses);
            addresses.make_contiguous().sort_by_key(rank);
            race(addresses, deadline)
        }
    };
    let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
    stream.map_err(|error| match error.kind() {
        ErrorKind::TimedOut => ConnectFailure::Silent { waited_ms: begun.elapsed().as_millis() },
        ErrorKind::ConnectionRefused => ConnectFailure::ConnectionRefused,
        _ => ConnectFailure::System(error.to_string()),
    })
}

/// The addresses in the order of the system, alternating between IPv4 and IPv6.
fn interleaved(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let mut counts = [0, 0];
    let ranked = |address: &SocketAddr| {
        let family = usize::from(address.is_ipv6() != addresses[0].is_ipv6());
        counts[family] += 1;
        ((counts[family], family), *address)
    };
    let mut all: Vec<_> = addresses.iter().map(ranked).collect();
    all.sort_unstable();
    all.into_iter().map(|(_, address)| address).take(MAX_ADDRESSES).collect()
}

/// Tries one address after the other, each as soon as the one before it fails or takes too long. Attempts that take too long
/// continue in parallel.
fn race(mut addresses: VecDeque<SocketAddr>, deadline: Instant) -> io::Result<TcpStream> {
    let mut attempts: Vec<Socket> = Vec::new();
    let mut last_error = io::Error::from(ErrorKind::AddrNotAvailable);
    let mut next_at = Instant::now();
    let mut pause = MIN_PAUSE;
    loop {
        if attempts.is_empty() || Instant::now() >= next_at {
            match addresses.pop_front().map(begin) {
                Some(Ok(socket)) => attempts.push(socket),
                Some(Err(error)) => {
                    last_error = error;
                    continue;
                }
                None if attempts.is_empty() => return Err(last_error),
                None => {}
            }
            (next_at, pause) = (Instant::now() + ATTEMPT_DELAY, MIN_PAUSE);
        }
        let before = attempts.len();
        let mut connected = None;
        attempts.retain(|socket| match state(socket) {
            Ok(is_connected) => {
                if is_connected && connected.is_none() {
                    connected = socket.try_clone().ok();
                }
                true
            }
            Err(error) => {
                last_error = error;
                false
            }
        });
        if let Some(socket) = connected {
            socket.set_nonblocking(false)?;
            return Ok(socket.into());
        }
        if Instant::now() >= deadline {
            return Err(ErrorKind::TimedOut.into());
        }
        if attempts.len() < before {
            next_at = Instant::now();
            continue;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Begins to connect to an address.
fn begin(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

/// Whether an attempt has become a connection; an error if it has failed.
fn state(socket: &Socket) -> io::Result<bool> {
    match socket.take_error()? {
        Some(error) => Err(error),
        None => Ok(socket.peer_addr().is_ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_alternate_beginning_with_the_systems_first() {
        let check = |given: &[&str], expected: &[&str]| {
            let addresses =
                |list: &[&str]| list.iter().map(|ip| format!("{ip}:1").parse().unwrap()).collect::<Vec<_>>();
            assert_eq!(Vec::from(interleaved(&addresses(given))), addresses(expected));
        };
        check(&[], &[]);
        check(&["10.0.0.1"], &["10.0.0.1"]);
        check(&["[::1]", "[::2]", "10.0.0.1", "10.0.0.2"], &["[::1]", "10.0.0.1", "[::2]", "10.0.0.2"]);
        check(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "[::1]"], &["10.0.0.1", "[::1]", "10.0.0.2", "10.0.0.3"]);
        check(&["10.0.0.1"; 40], &["10.0.0.1"; MAX_ADDRESSES]);
    }

    #[test]
    fn the_first_address_that_answers_is_connected_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        // Nothing listens there.
        let refused = SocketAddr::new([127, 0, 0, 9].into(), good.port());
        let soon = || Instant::now() + Duration::from_secs(5);
        for addresses in [&[good][..], &[refused, good], &[refused, refused, good, refused]] {
            assert_eq!(connect(addresses, |_| false, soon()).unwrap().peer_addr().unwrap(), good);
        }
        for addresses in [&[refused][..], &[refused, refused]] {
            assert_eq!(connect(addresses, |_| false, soon()).unwrap_err(), ConnectFailure::ConnectionRefused);
        }
    }

    #[test]
    fn the_address_with_the_lowest_rank_is_tried_first() {
        let listeners = ["127.0.0.1:0", "127.0.0.1:0"].map(|address| std::net::TcpListener::bind(address).unwrap());
        let [first, second] = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
        let check = |last: &[SocketAddr], expected: SocketAddr| {
            let soon = Instant::now() + Duration::from_secs(5);
            let stream = connect(&[first, second], |address| last.contains(address), soon).unwrap();
            assert_eq!(stream.peer_addr().unwrap(), expected, "{last:?}");
        };
        check(&[], first);
        check(&[first], second);
        check(&[second], first);
        check(&[first, second], first);
    }
}
