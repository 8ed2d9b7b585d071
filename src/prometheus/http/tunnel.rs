//! The way through a proxy: a connection to it that it makes one to the upstream ("CONNECT" in RFC 9110).
//!
//! ureq can do it as well, but waits anew for each piece of the proxy's answer, so that a deadline holds only for proxies
//! in good order, and says what a proxy answered in a text alone. Nor would it ask our resolver before every exchange.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Instant;

use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, Resolver};
use ureq::unversioned::transport::time::Duration;
use ureq::unversioned::transport::{
    Buffers, ChainedConnector, ConnectionDetails, Connector, NextTimeout, RustlsConnector, TcpConnector, Transport,
    TransportAdapter,
};

use super::failure::Stop;
use super::transport::USER_AGENT;
use crate::prometheus::access::hosts::host_and_port;
use crate::prometheus::access::proxy::Proxy;

/// The most bytes of a proxy's answer: 16 KiB, many times what a status and a few headers have.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Connects to those upstreams that are asked through the proxy; the others it leaves to the next connector.
#[derive(Debug)]
pub(super) struct Tunnel {
    proxy: Option<Arc<Proxy>>,
    /// Looks up the proxy, which is subject to no list.
    resolver: DefaultResolver,
    connector: ChainedConnector<(), TcpConnector, RustlsConnector>,
}

impl Tunnel {
    pub(super) fn new(proxy: Option<Arc<Proxy>>) -> Tunnel {
        let connector = TcpConnector::default().chain(RustlsConnector::default());
        Tunnel { proxy, resolver: DefaultResolver::default(), connector }
    }

    fn open(&self, proxy: &Proxy, details: &ConnectionDetails<'_>) -> Result<Through, ureq::Error> {
        let started = Instant::now();
        let left = || NextTimeout {
            after: Duration::Exact(details.timeout.after.saturating_sub(started.elapsed())),
            ..details.timeout
        };
        let to_proxy = ConnectionDetails {
            uri: proxy.uri(),
            addrs: self.resolver.resolve(proxy.uri(), details.config, details.timeout)?,
            config: details.config,
            request_level: details.request_level,
            resolver: &self.resolver,
            now: (details.current_time)(),
            timeout: left(),
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
        };
        let connected = self.connector.connect(&to_proxy, None)?.ok_or(ureq::Error::ConnectionFailed)?;
        let mut connection = TransportAdapter::new(connected.boxed(), Arc::clone(&details.current_time));
        connection.set_timeout(left());
        connection.write_all(request(proxy, details.uri).as_bytes())?;
        match status(&head(&mut connection)?) {
            Some(200..=299) => Ok(Through(connection.into_inner())),
            Some(status) => Err(ureq::Error::StatusCode(status)),
            None => Err(ureq::Error::ConnectProxyFailed("its answer is not HTTP".to_owned())),
        }
    }
}

impl Connector for Tunnel {
    type Out = Through;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Through>, ureq::Error> {
        let (host, port) = host_and_port(details.uri);
        let Some(proxy) = self.proxy.as_deref().filter(|proxy| proxy.leads_to(host, port)) else { return Ok(None) };
        self.open(proxy, details).map(Some).map_err(|error| Stop::AtProxy(proxy.to_string(), error).into())
    }
}

fn request(proxy: &Proxy, upstream: &Uri) -> String {
    let (host, port) = host_and_port(upstream);
    let authorization = proxy.authorization().map(|value| format!("Proxy-Authorization: {value}\r\n"));
    format!(
        "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: {USER_AGENT}\r\n{}\r\n",
        authorization.unwrap_or_default()
    )
}

/// Reads an answer up to the empty line. What is behind it is the upstream's, so it is taken byte by byte, from a buffer.
fn head(connection: &mut impl Read) -> Result<Vec<u8>, ureq::Error> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_HEAD_BYTES {
            return Err(ureq::Error::LargeResponseHeader(head.len(), MAX_HEAD_BYTES));
        }
        let mut byte = [0];
        connection.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(head)
}

/// The status of an answer, such as 200 of `HTTP/1.1 200 Connection established`.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.strip_prefix(b"HTTP/1.")?;
    let digits = line.get(2..5).filter(|_| line[0].is_ascii_digit() && line[1] == b' ')?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A connection through the proxy. It may have TLS as far as that, but none yet to the upstream.
#[derive(Debug)]
pub(super) struct Through(Box<dyn Transport>);

impl Transport for Through {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.0.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        false
    }
}
