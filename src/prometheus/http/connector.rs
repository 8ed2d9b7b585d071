//! Makes connections: looks up the name, enforces the allow-list, connects to the first address that answers or through the proxy,
//! and adds TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::Uri;
use ureq::unversioned::transport::Transport;

use crate::prometheus::access::{Allowlist, Proxy, Verdict, address, host_and_port};

use super::dial::{self, MAX_ADDRESSES};
use super::lookup::Lookups;
use super::tcp::Tcp;
use super::tls::Tls;
use super::tunnel;
use crate::prometheus::error::{ConnectFailure, ErrorKind, LookupFailure, ServersSeen};
use crate::prometheus::remembered::Remembered;

/// How long the TLS hello to an address may stay without a response if there are other addresses: at least, at most, and as a part
/// of the remaining time.
const MIN_TLS_PATIENCE: Duration = Duration::from_millis(300);
const MAX_TLS_PATIENCE: Duration = Duration::from_secs(2);
const TLS_PATIENCE_PART: u32 = 4;

/// How an upstream may be connected to.
pub(super) enum ConnectRoute<'c> {
    /// Directly; `by_address` at those of its addresses only that the allow-list allows.
    Direct { by_address: bool },
    /// Through the proxy, which looks up the name.
    Through(&'c Proxy),
}

/// A connection, and the address that it leads to.
type Connected = (Box<dyn Transport>, Peer);

/// One of the addresses of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) others: Others,
}

/// Whether an upstream has other addresses than the one that a connection leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    None,
    /// All others are known to be mute.
    Mute,
    /// At least one other is not known to be mute.
    Fresh,
    /// There are this many others, and all addresses, including this one, are known to be mute.
    AllMute(usize),
}

impl Peer {
    /// Whether the upstream has other addresses that are as good as this one, as far as is known.
    pub(super) fn has_others(self) -> bool {
        self.chances() > 0
    }

    /// How many others are worth a try.
    pub(super) fn chances(self) -> usize {
        match self.others {
            Others::None | Others::Mute => 0,
            Others::Fresh => MAX_ADDRESSES,
            Others::AllMute(others) => others,
        }
    }
}

/// Makes connections to the upstreams that the allow-list allows.
#[derive(Debug)]
pub(super) struct Connector {
    pub(super) allowlist: Allowlist,
    pub(super) proxy: Option<Proxy>,
    pub(super) lookups: Arc<Lookups>,
    /// The addresses that accept a connection and then stay silent or close it. For a while, the other addresses of their names
    /// are tried first. If all of them are mute, the one that was noted first is tried first.
    pub(super) mute: Remembered<SocketAddr>,
    pub(super) tls: Tls,
    /// TLS with the proxy.
    pub(super) proxy_tls: Arc<Tls>,
    /// The most time that making a connection may take, whatever the deadline.
    pub(super) patience: Duration,
    /// How long a connection is used.
    pub(super) lifetime: Duration,
}

impl Connector {
    /// How an upstream may be connected to, judged by its name.
    ///
    /// # Errors
    /// Fails if it may not be connected to.
    pub(super) fn way_to(&self, uri: &Uri) -> Result<ConnectRoute<'_>, ErrorKind> {
        let (host, port) = host_and_port(uri);
        let proxy = self.proxy.as_ref().filter(|proxy| proxy.leads_to(host, port));
        match (self.allowlist.judge(host, port), proxy) {
            (Verdict::NotAllowed, _) => Err(ErrorKind::NotAllowed),
            (Verdict::ByAddress, Some(proxy)) => Err(ErrorKind::AddressUnknown(proxy.to_string())),
            (Verdict::Allowed, Some(proxy)) => Ok(ConnectRoute::Through(proxy)),
            (Verdict::Allowed, None) => Ok(ConnectRoute::Direct { by_address: false }),
            (Verdict::ByAddress, None) => Ok(ConnectRoute::Direct { by_address: true }),
        }
    }

    /// Opens a connection to an upstream. Also returns the address that it leads to; `None` through a proxy.
    ///
    /// # Errors
    /// Fails if the allow-list refuses the upstream, or if there is no connection before the deadline.
    pub(super) fn open(&self, uri: &Uri, deadline: Instant) -> Result<(Box<dyn Transport>, Option<Peer>), ErrorKind> {
        let deadline = deadline.min(Instant::now() + self.patience);
        match self.way_to(uri)? {
            ConnectRoute::Direct { by_address } => {
                let (transport, peer) = self.secured(&self.tls, uri, deadline, by_address)?;
                Ok((transport, Some(peer)))
            }
            ConnectRoute::Through(proxy) => {
                let tunnel = self
                    .tunnel(proxy, uri, deadline)
                    .map_err(|failure| ErrorKind::AtProxy { proxy: proxy.to_string(), failure: Box::new(failure) })?;
                Ok((self.tls.secure(uri, tunnel, deadline)?, None))
            }
        }
    }

    /// Notes that an address has left a call without a response, or has closed the connection. For some time, the other addresses
    /// of its upstream are tried first.
    pub(super) fn note_mute(&self, peer: Peer) {
        if peer.has_others() {
            self.mute.add(peer.address, Instant::now());
        }
    }

    /// Notes that an address has left a call without a response until its deadline. If the other addresses of its upstream are
    /// mute, now all of them are.
    pub(super) fn note_unanswered(&self, peer: Peer) {
        if peer.others != Others::None {
            self.mute.add(peer.address, Instant::now());
        }
    }

    /// Notes that an address that counts as mute has answered.
    pub(super) fn note_response(&self, peer: Peer) {
        self.mute.remove(&peer.address);
    }

    /// Forgets the addresses of an upstream whose connection has fallen silent, because the upstream may have moved.
    pub(super) fn forget_addresses(&self, uri: &Uri) {
        self.lookups.forget(host_and_port(uri).0);
    }

    fn tunnel(&self, proxy: &Proxy, uri: &Uri, deadline: Instant) -> Result<Box<dyn Transport>, ErrorKind> {
        let (connection, peer) = self.secured(&self.proxy_tls, proxy.uri(), deadline, false)?;
        tunnel::open(connection, proxy, uri, deadline).inspect_err(|failure| {
            if matches!(failure, ErrorKind::Timeout { .. }) {
                self.note_unanswered(peer);
            }
        })
    }

    /// A connection to a host, with TLS if the scheme requires it. If there are other addresses, an address that does not answer
    /// the TLS hello, or closes the connection, is given up.
    fn secured(&self, tls: &Tls, uri: &Uri, deadline: Instant, by_address: bool) -> Result<Connected, ErrorKind> {
        let mut closed = 0;
        loop {
            let (connection, peer) = self.connect(uri, deadline, by_address)?;
            let now = Instant::now();
            let patience = deadline.saturating_duration_since(now) / TLS_PATIENCE_PART;
            let given_up = now + patience.clamp(MIN_TLS_PATIENCE, MAX_TLS_PATIENCE);
            let until = if peer.has_others() { deadline.min(given_up) } else { deadline };
            match tls.secure(uri, connection, until) {
                Err(ErrorKind::Unconnected(ConnectFailure::TlsSilent { .. })) if until < deadline => {
                    self.note_mute(peer);
                }
                Err(ErrorKind::Unconnected(ConnectFailure::TlsClosed)) if closed < peer.chances() => {
                    closed += 1;
                    self.note_mute(peer);
                }
                secured => return secured.map(|connection| (connection, peer)),
            }
        }
    }

    /// A TCP connection to one of the allowed addresses of a host. If remembered addresses fail, the name is looked up again.
    fn connect(&self, uri: &Uri, deadline: Instant, by_address: bool) -> Result<Connected, ErrorKind> {
        let (host, port) = host_and_port(uri);
        let connect = |addresses: Vec<SocketAddr>| self.dial(&addresses, deadline).map_err(ErrorKind::Unconnected);
        if let Some(ip) = address(host) {
            return connect(vec![SocketAddr::new(ip, port)]);
        }
        let find = || {
            let found = self.lookups.find(host, deadline).map_err(|why| {
                // Only these two texts name the servers, which are read from a file.
                let servers = match why {
                    LookupFailure::ServerSilent | LookupFailure::Busy => self.lookups.name_servers.servers_seen(),
                    LookupFailure::NotFound | LookupFailure::ServerFails | LookupFailure::System(_) => {
                        ServersSeen::default()
                    }
                };
                ErrorKind::Unconnected(ConnectFailure::NoAddress {
                    name: host.to_owned(),
                    why,
                    servers: Box::new(servers),
                })
            })?;
            let addresses = found.ips.iter().filter(|ip| !by_address || self.allowlist.allows_at(**ip));
            let addresses: Vec<_> = addresses.take(MAX_ADDRESSES).map(|ip| SocketAddr::new(*ip, port)).collect();
            if addresses.is_empty() { Err(ErrorKind::NotAllowed) } else { Ok((addresses, found.are_remembered)) }
        };
        let (addresses, are_remembered) = find()?;
        connect(addresses.clone()).or_else(|failure| {
            self.lookups.forget(host);
            if !are_remembered {
                return Err(failure);
            }
            match find() {
                Ok((now, _)) if now != addresses => connect(now),
                _ => Err(failure),
            }
        })
    }

    /// A TCP connection to one of these addresses.
    fn dial(&self, addresses: &[SocketAddr], deadline: Instant) -> Result<Connected, ConnectFailure> {
        let now = Instant::now();
        let stream = dial::connect(addresses, |address| self.mute.until_of(address, now), deadline)?;
        let address = stream.peer_addr().map_err(|error| ConnectFailure::System(error.to_string()))?;
        let others = || addresses.iter().filter(|other| **other != address);
        let others = match others().count() {
            0 => Others::None,
            _ if others().any(|other| !self.mute.has(other, now)) => Others::Fresh,
            count if self.mute.has(&address, now) => Others::AllMute(count),
            _ => Others::Mute,
        };
        Ok((Tcp::new(stream).boxed(), Peer { address, others }))
    }
}
