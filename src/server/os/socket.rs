//! The listening socket, and the options that accepted connections inherit from it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// How many connections may wait in the system until the mirror accepts them.
const BACKLOG: i32 = 1_024;

/// How long a connection may be silent in the middle of a request, while it receives a reply, or before its first request: 8 s.
/// Between requests, it may be silent for longer (`server/tiny_http/limits`).
pub(in crate::server) const CONNECTION_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a write waits for its client: 0.5 s. Then `server/outgoing` checks whether the reply still has time and memory.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);

/// Listens on an address. `::` accepts IPv4 as well; on a machine without IPv6, it means `0.0.0.0`.
pub(in crate::server) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let has_ipv6 = || TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    match bind(address) {
        Err(_) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && !has_ipv6() => {
            bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()))
        }
        other => other,
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // Set explicitly, since the default differs between systems.
        socket.set_only_v6(address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED))?;
    }
    // A restart must not wait until the system has forgotten the connections of the previous process.
    socket.set_reuse_address(true)?;
    // Accepted connections inherit these options. The head and the body of a reply may be two writes, and the second must not
    // wait for the acknowledgement of the first.
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(CONNECTION_TIMEOUT))?;
    socket.set_write_timeout(Some(WRITE_TIMEOUT))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
