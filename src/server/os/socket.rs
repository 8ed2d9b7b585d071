//! The listening socket, and the options that the connections accepted on it inherit.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// How many connections the system keeps waiting until they are accepted.
const BACKLOG: i32 = 1_024;

/// How long a connection may be silent in the middle of a request, while it takes in a reply, or before its first request: 8 s.
/// Between requests it may be so for longer (`server/tiny_http/limits`).
pub(in crate::server) const CONNECTION_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a write waits for its client: half a second. Then it is looked whether the reply still has its time and its memory
/// (`server/outgoing`).
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);

/// Listens on an address. The address of all IPv6 interfaces takes IPv4 as well, and stands for all IPv4 interfaces on a
/// machine that has no IPv6.
pub(in crate::server) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match bind(address) {
        Err(_) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && !has_ipv6() => {
            bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()))
        }
        other => other,
    }
}

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // Whatever the system's default is.
        socket.set_only_v6(address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED))?;
    }
    // A restart must not wait for the connections of the process before it to be forgotten.
    socket.set_reuse_address(true)?;
    // Accepted connections inherit these. The head and the body of a reply are two writes, which must not wait for each
    // other's acknowledgement.
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(CONNECTION_TIMEOUT))?;
    socket.set_write_timeout(Some(WRITE_TIMEOUT))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
