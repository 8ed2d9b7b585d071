//! Makes connections: looks the name up, holds to the allow-list, connects to the first address that answers or through the
//! proxy, and adds TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, Resolver};
use ureq::unversioned::transport::time::Instant as UreqInstant;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector as _, NextTimeout, RustlsConnector, Transport,
};

use crate::prometheus::access::allowlist::{Allowlist, Verdict};
use crate::prometheus::access::hosts::{address, host_and_port};
use crate::prometheus::access::proxy::Proxy;
use crate::prometheus::error::ErrorKind;

use super::connect_failure::ConnectFailure;
use super::dial::{self, MAX_ADDRESSES};
use super::lookup::Lookups;
use super::tcp::Tcp;
use super::tunnel;
use super::ureq_time::until;

/// How an upstream may be connected to.
pub(super) enum Way<'c> {
    /// At any of its addresses.
    Direct,
    /// At those of its addresses that the allow-list allows.
    DirectByAddress,
    /// Through the proxy, which looks it up.
    Through(&'c Proxy),
}

/// Makes connections to those upstreams that may be asked.
#[derive(Debug)]
pub(super) struct Connector {
    allowlist: Allowlist,
    proxy: Option<Proxy>,
    lookups: Lookups,
    tls: RustlsConnector,
    /// Has the certificate authorities.
    config: Config,
}

impl Connector {
    pub(super) fn new(allowlist: Allowlist, proxy: Option<Proxy>, config: Config) -> Connector {
        Connector { allowlist, proxy, lookups: Lookups::new(), tls: RustlsConnector::default(), config }
    }

    /// How an upstream may be connected to, judged by its name.
    ///
    /// # Errors
    /// When it may not.
    pub(super) fn way_to(&self, uri: &Uri) -> Result<Way<'_>, ErrorKind> {
        let (host, port) = host_and_port(uri);
        let proxy = self.proxy.as_ref().filter(|proxy| proxy.leads_to(host, port));
        match (self.allowlist.judge(host, port), proxy) {
            (Verdict::Refused, _) => Err(ErrorKind::NotAllowed),
            (Verdict::ByAddress, Some(proxy)) => Err(ErrorKind::AddressUnknown(proxy.to_string())),
            (Verdict::Allowed, Some(proxy)) => Ok(Way::Through(proxy)),
            (Verdict::Allowed, None) => Ok(Way::Direct),
            (Verdict::ByAddress, None) => Ok(Way::DirectByAddress),
        }
    }

    /// A new connection to an upstream.
    ///
    /// # Errors
    /// When it may not be asked, or there is no connection before the deadline.
    pub(super) fn open(&self, uri: &Uri, deadline: Instant) -> Result<Box<dyn Transport>, ErrorKind> {
        let connection = match self.way_to(uri)? {
            Way::Direct => self.connect(uri, deadline, |_| true)?,
            Way::DirectByAddress => self.connect(uri, deadline, |at| self.allowlist.allows_at(at.ip()))?,
            Way::Through(proxy) => self
                .tunnel(proxy, uri, deadline)
                .map_err(|failure| ErrorKind::AtProxy { proxy: proxy.to_string(), failure: Box::new(failure) })?,
        };
        self.secure(uri, connection, deadline)
    }

    fn tunnel(&self, proxy: &Proxy, uri: &Uri, deadline: Instant) -> Result<Box<dyn Transport>, ErrorKind> {
        let connection = self.connect(proxy.uri(), deadline, |_| true)?;
        let connection = self.secure(proxy.uri(), connection, deadline)?;
        tunnel::open(connection, proxy, uri, deadline)
    }

    /// A TCP connection to one of those addresses of a host that are allowed. Where remembered ones fail, they are looked up anew.
    fn connect(
        &self,
        uri: &Uri,
        deadline: Instant,
        is_allowed: impl Fn(&SocketAddr) -> bool,
    ) -> Result<Box<dyn Transport>, ErrorKind> {
        let (host, port) = host_and_port(uri);
        let connect = |addresses: Vec<SocketAddr>| match dial::connect(&addresses, deadline) {
            Ok(stream) => Ok(Tcp::new(stream).boxed()),
            Err(failure) => Err(ErrorKind::Unconnected(failure)),
        };
        if let Some(ip) = address(host) {
            return connect(vec![SocketAddr::new(ip, port)]);
        }
        let find = || {
            let found = self.lookups.find(host, deadline);
            let found = found.map_err(|failure| ErrorKind::Unconnected(ConnectFailure::of_lookup(host, failure)))?;
            let addresses = found.ips.iter().map(|ip| SocketAddr::new(*ip, port)).filter(&is_allowed);
            let addresses: Vec<_> = addresses.take(MAX_ADDRESSES).collect();
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

    /// Adds TLS where the scheme demands it.
    fn secure(
        &self,
        uri: &Uri,
        connection: Box<dyn Transport>,
        deadline: Instant,
    ) -> Result<Box<dyn Transport>, ErrorKind> {
        if uri.scheme_str() != Some("https") {
            return Ok(connection);
        }
        let begun = Instant::now();
        let resolver = DefaultResolver::default();
        let details = ConnectionDetails {
            uri,
            addrs: resolver.empty(),
            config: &self.config,
            // The configuration of TLS is made once, and sessions are resumed.
            request_level: false,
            resolver: &resolver,
            now: UreqInstant::now(),
            timeout: until(deadline),
            current_time: Arc::new(UreqInstant::now),
            run_connector: Arc::new(|_: &ConnectionDetails<'_>| Err(Error::ConnectionFailed)),
            register_shutdown: Arc::new(|_| Ok(())),
        };
        let failed = |error| ErrorKind::Unconnected(ConnectFailure::of_handshake(error, begun.elapsed().as_millis()));
        let below = BelowTls { connection, broken: None };
        let secured = self.tls.connect(&details, Some(below)).map_err(failed)?;
        secured.map(Transport::boxed).ok_or(ErrorKind::Unsent)
    }
}

/// A connection that TLS is added to, whatever TLS it has on the way to a proxy. What fails to go out is told when input is
/// awaited: a server that closes the connection in the handshake often says why before, in an alert that has arrived already.
#[derive(Debug)]
struct BelowTls {
    connection: Box<dyn Transport>,
    broken: Option<io::Error>,
}

impl Transport for BelowTls {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.broken.is_some() {
            return Ok(());
        }
        match self.connection.transmit_output(amount, timeout) {
            Err(Error::Io(error)) => self.broken = Some(error),
            other => return other,
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        match (self.connection.await_input(timeout), self.broken.take()) {
            (Ok(true), broken) => {
                self.broken = broken;
                Ok(true)
            }
            (_, Some(error)) => Err(error.into()),
            (waited, None) => waited,
        }
    }

    fn is_open(&mut self) -> bool {
        self.connection.is_open()
    }
}
