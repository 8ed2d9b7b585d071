//! The server: starts the listener and the workers, and keeps them going.

mod listener;
mod oversize;
mod pool;
mod sentinel;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::api::Gateway;
use crate::log;
use crate::prometheus::{Authorities, Client};
use crate::settings::Settings;

use listener::Listener;
use pool::Pool;
use sentinel::Watch;

/// How many connections the system keeps waiting until they are accepted.
const BACKLOG: i32 = 1_024;

/// How long a connection may be silent, and how long a write to it may take. It bounds idle connections and heads of
/// requests that do not arrive, for which tiny_http has no bound of its own.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(8);

/// Why the server does not run.
#[derive(Debug)]
pub enum ServerError {
    /// The file of authorities is of no use.
    CaFile {
        /// Its path.
        path: PathBuf,
        /// In which way.
        reason: String,
    },
    /// It cannot listen where it is told to.
    Listen {
        /// The address and port.
        address: SocketAddr,
        /// The system's reason.
        reason: io::Error,
    },
    /// There is no thread to be had.
    Thread(io::Error),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::CaFile { path, reason } => {
                write!(f, "--ca-file must be the path of a PEM file, but {} {reason}", path.display())
            }
            ServerError::Listen { address, reason } => {
                write!(f, "cannot listen on {address}: {reason}; choose another --port or --listen")
            }
            ServerError::Thread(reason) => {
                write!(f, "cannot start a thread: {reason}; allow this process more of them")
            }
        }
    }
}

impl std::error::Error for ServerError {}

/// Serves for ever.
///
/// # Errors
/// When it cannot start: a setting names something that is of no use, or there is no listening there.
pub fn run(settings: &Settings) -> Result<Infallible, ServerError> {
    let client = Client::new(settings.workers, authorities(settings)?);
    let address = SocketAddr::new(settings.listen, settings.port);
    let socket = listen(address).map_err(|reason| ServerError::Listen { address, reason })?;
    let bound = socket.local_addr().unwrap_or(address);
    let watch = Watch::new();
    sentinel::start(bound, watch.clone()).map_err(ServerError::Thread)?;
    let gateway = Gateway::new(settings.api_key.clone(), client);
    let listener = Listener::new(gateway, Pool::new(settings.workers), watch);
    log::info(|| {
        log::Line::new("listening")
            .text("address", &bound.to_string())
            .text("version", env!("CARGO_PKG_VERSION"))
            .number("workers", settings.workers as u64)
    });
    listener.serve(&socket)
}

fn authorities(settings: &Settings) -> Result<Authorities, ServerError> {
    let Some(path) = &settings.ca_file else { return Ok(Authorities::default()) };
    let bad = |reason: String| ServerError::CaFile { path: path.clone(), reason };
    let pem = std::fs::read(path).map_err(|error| bad(format!("cannot be read: {error}")))?;
    Authorities::from_pem(&pem).map_err(|reason| bad(reason.to_owned()))
}

/// Listens on an address. The address of all IPv6 interfaces takes IPv4 as well, and stands for all IPv4 interfaces on a
/// machine that has no IPv6.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
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
    socket.set_write_timeout(Some(CONNECTION_TIMEOUT))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
