//! Tunnels through a proxy ("CONNECT" in RFC 9110).
//!
//! ureq supports CONNECT, too, but restarts its timeout with each piece of the proxy's response, and reports the status of the
//! proxy only in a text.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Instant;

use ureq::Error;
use ureq::http::Uri;
use ureq::unversioned::transport::time::Instant as UreqInstant;
use ureq::unversioned::transport::{Transport, TransportAdapter};

use crate::prometheus::access::{Proxy, host_and_port};
use crate::prometheus::error::{ErrorKind, Foreign};

use super::failure::untimed;
use super::ureq_time::until;

/// How the mirror identifies itself to proxies and upstreams.
pub(super) const USER_AGENT: &str = concat!("prometheusmirror/", env!("CARGO_PKG_VERSION"));

/// The most bytes of a proxy's response: 16 KiB, many times the size of a status and a few headers.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Turns a connection to a proxy into one to an upstream.
///
/// # Errors
/// Fails if the proxy does not open the tunnel before the deadline. If the proxy refuses, the error is `ProxyStatus`.
pub(super) fn open(
    connection: Box<dyn Transport>,
    proxy: &Proxy,
    upstream: &Uri,
    deadline: Instant,
) -> Result<Box<dyn Transport>, ErrorKind> {
    let begun = Instant::now();
    let mut connection = TransportAdapter::new(connection, Arc::new(UreqInstant::now));
    connection.set_timeout(until(deadline));
    let sent = connection.write_all(request(proxy, upstream).as_bytes()).map_err(Error::from);
    let head = sent.and_then(|()| read_head(&mut connection)).map_err(|error| match error {
        Error::Timeout(_) => {
            let waited_ms = begun.elapsed().as_millis();
            ErrorKind::Timeout { waited_ms, whole_ms: waited_ms }
        }
        other => untimed(other),
    })?;
    match status(&head) {
        Some(200..=299) => Ok(connection.into_inner()),
        Some(status) => Err(ErrorKind::ProxyStatus(status)),
        None => Err(ErrorKind::not_prometheus(None, Foreign::NotHttp)),
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

/// Reads the head of a response, up to the empty line. What follows belongs to the upstream, so bytes are taken one by one, from a
/// buffer.
fn read_head(connection: &mut impl Read) -> Result<Vec<u8>, Error> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_HEAD_BYTES {
            return Err(Error::LargeResponseHeader(head.len(), MAX_HEAD_BYTES));
        }
        let mut byte = [0];
        connection.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(head)
}

/// The status of a response, such as 200 of `HTTP/1.1 200 Connection established`.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.strip_prefix(b"HTTP/1.")?;
    let digits = line.get(2..5).filter(|_| line[0].is_ascii_digit() && line[1] == b' ')?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
