//! The TCP connections of this network namespace, as the system lists them under `/proc/self/net`.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One end of a connection that a process holds: this process, unless another one has a socket with the same local port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Connection {
    /// The address of the other end.
    pub(in crate::server) client: SocketAddr,
    /// What tells its socket from all others, earlier ones from the same client included: the socket's inode.
    pub(in crate::server) socket: u64,
}

/// The connections to a local port.
///
/// # Errors
/// When the system does not list them.
pub(in crate::server) fn to_port(port: u16) -> io::Result<Vec<Connection>> {
    let mut list = fs::read_to_string("/proc/self/net/tcp")?;
    // A system without IPv6 has no such list.
    list.extend(fs::read_to_string("/proc/self/net/tcp6"));
    Ok(list.lines().filter_map(|line| connection(line, port)).collect())
}

/// The connection of a line. proc_pid_net(5) names the fields.
fn connection(line: &str, port: u16) -> Option<Connection> {
    let mut fields = line.split_ascii_whitespace();
    let (local, client) = (fields.nth(1)?, fields.next()?);
    let local_port = local.rsplit_once(':')?.1;
    if u16::from_str_radix(local_port, 16) != Ok(port) {
        return None;
    }
    let socket = fields.nth(6)?.parse().ok()?;
    // What no process holds any more has none.
    (socket != 0).then_some(Connection { client: address(client)?, socket })
}

/// An address as the lists have it: 32-bit words in the machine's byte order, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words = (0..ip.len()).step_by(8).map(|at| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok());
    let bytes: Vec<u8> = words.collect::<Option<Vec<u32>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip = match *bytes.as_slice() {
        [a, b, c, d] => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_is_listed_with_its_client_until_its_socket_is_closed() {
        for ip in ["127.0.0.1", "::1"] {
            let listener = TcpListener::bind((ip, 0)).unwrap();
            let port = listener.local_addr().unwrap().port();
            let mut clients: Vec<TcpStream> = Vec::new();
            let mut accepted = Vec::new();
            for _ in 0..3 {
                clients.push(TcpStream::connect((ip, port)).unwrap());
                accepted.push(listener.accept().unwrap());
            }
            let listed = |client| to_port(port).unwrap().into_iter().find(|connection| connection.client == client);
            let sockets: Vec<u64> = accepted.iter().map(|(_, client)| listed(*client).unwrap().socket).collect();
            assert!(sockets[0] != sockets[1] && sockets[1] != sockets[2] && sockets[0] != sockets[2], "{sockets:?}");
            let (stream, client) = accepted.remove(0);
            // The client's end is gone first, and the socket is there all the same.
            drop(clients.remove(0));
            assert_eq!(listed(client).map(|connection| connection.socket), Some(sockets[0]));
            drop(stream);
            assert_eq!(listed(client), None, "{ip}");
        }
    }
}
