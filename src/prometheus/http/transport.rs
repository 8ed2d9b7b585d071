//! HTTP to an upstream by ureq, with the defaults that a gateway cannot live with overridden.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use ureq::http::{HeaderMap, Response, Uri};
use ureq::{Agent, BodyReader, RequestBuilder};

use super::authorize::{Authorize, UnsignedCall};
use super::connection::Keep;
use super::connector::Connector;
use super::deadline::Deadline;
use super::failure::{ConnectError, failure};
use super::form::{Params, form};
use super::lookup::Lookups;
use super::mute::Mute;
use super::resolver::Judge;
use super::tls::Tls;
use super::tunnel::USER_AGENT;
use crate::memory::{Memory, NoMemory};
use crate::model::trace::Trace;
use crate::prometheus::access::address::Address;
use crate::prometheus::access::allowlist::Allowlist;
use crate::prometheus::access::proxy::Proxy;
use crate::prometheus::error::ErrorKind;

/// The header by which VictoriaMetrics tells which of its servers answers; no other engine sends it.
const VICTORIA_METRICS_HEADER: &str = "X-Server-Hostname";

/// The status of a server that has waited for a call long enough.
const REQUEST_TIMEOUT: u16 = 408;

/// How long an idle connection is kept.
const MAX_IDLE_AGE: Duration = Duration::from_secs(60);

/// As long as it may take: no request takes longer.
pub(in crate::prometheus) const ANY_PATIENCE: Duration = Duration::from_secs(3_600);

/// What is sent, and how.
#[derive(Debug, Clone, Copy)]
pub(in crate::prometheus) enum CallContent<'a> {
    /// Parameters by POST, as a form.
    Form(&'a Params),
    /// A form that is encoded already, by POST.
    EncodedForm(&'a str),
    /// Nothing, by PUT.
    EmptyPut,
    /// Parameters by GET, in the URL.
    Query(&'a Params),
    /// The body of a remote read, by POST.
    RemoteRead(&'a [u8]),
}

/// Whom a call goes to.
#[derive(Debug, Clone, Copy)]
pub(in crate::prometheus) struct CallTarget<'a> {
    pub(in crate::prometheus) address: &'a Address,
    /// What stands in the URL of every call, as `name=value&...`, or nothing.
    pub(in crate::prometheus) url_query: &'a str,
    pub(in crate::prometheus) credentials: &'a dyn Authorize,
}

/// What is asked of whom.
#[derive(Debug, Clone, Copy)]
pub(in crate::prometheus) struct OutgoingCall<'a> {
    pub(in crate::prometheus) target: CallTarget<'a>,
    /// Such as `/api/v1/query`.
    pub(in crate::prometheus) path: &'a str,
    pub(in crate::prometheus) content: CallContent<'a>,
    pub(in crate::prometheus) deadline: Deadline,
    /// What goes along.
    pub(in crate::prometheus) trace: Option<&'a Trace>,
    /// The most bytes of the response's body.
    pub(in crate::prometheus) max_bytes: u64,
}

/// A response that has begun.
pub(in crate::prometheus) struct UpstreamResponse {
    pub(in crate::prometheus) status: u16,
    /// All headers.
    pub(in crate::prometheus) headers: HeaderMap,
    /// The header `Content-Type`.
    pub(in crate::prometheus) content_type: Option<String>,
    /// Whether it carries the header by which VictoriaMetrics tells which of its servers answers.
    pub(in crate::prometheus) is_victoria_metrics: bool,
    pub(in crate::prometheus) body: ResponseBody,
}

/// The body of a response as it arrives, up to the deadline and to a bound on its bytes. Once it is read to its end,
/// the connection can be used again; dropped before that, it is closed.
pub(in crate::prometheus) struct ResponseBody {
    reader: BodyReader<'static>,
    deadline: Deadline,
    charged: Option<Charged>,
    meter: Option<ByteMeter>,
    /// When it was asked for.
    begun: Instant,
    /// How much of the time since then was spent on waiting for the upstream.
    waited: Duration,
    /// Whether its end is told by anything but the end of the connection.
    has_length: bool,
    /// Its first byte, once that is read.
    first: Option<u8>,
    has_ended: bool,
}

/// Counts the bytes of a body, for whoever has a clone of it.
#[derive(Debug, Clone, Default)]
pub(in crate::prometheus) struct ByteMeter(Arc<AtomicU64>);

impl ByteMeter {
    pub(in crate::prometheus) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(in crate::prometheus) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is made of a body that is read, and kept.
struct Charged {
    memory: Memory,
    read_bytes: usize,
}

/// How many bytes of memory a byte of JSON takes at most once it is decoded, and answered with, roughly: it may be part of a
/// short name, which is a text of its own.
const DECODED_BYTES: usize = 3;

impl ResponseBody {
    pub(in crate::prometheus) fn new(body: ureq::Body, deadline: Deadline, max_bytes: u64) -> ResponseBody {
        let reader = body.into_with_config().limit(max_bytes).reader();
        let (begun, waited) = (Instant::now(), Duration::ZERO);
        ResponseBody {
            reader,
            deadline,
            charged: None,
            meter: None,
            begun,
            waited,
            has_length: true,
            first: None,
            has_ended: false,
        }
    }

    /// Counts what is made of it as held by a call.
    pub(in crate::prometheus) fn charge(&mut self, memory: Memory) {
        self.charged = Some(Charged { memory, read_bytes: 0 });
    }

    /// Counts its bytes for whoever has the meter.
    pub(in crate::prometheus) fn measure(&mut self, meter: ByteMeter) {
        self.meter = Some(meter);
    }

    /// Whether it may be a JSON object that ends early, for the connection was closed (HTTP/1.0 tells its end by that alone).
    pub(in crate::prometheus) fn may_be_cut_short(&self) -> bool {
        self.has_ended && !self.has_length && self.first == Some(b'{')
    }

    /// Its first byte, if one was read.
    pub(in crate::prometheus) fn first(&self) -> Option<u8> {
        self.first
    }

    /// What it means that it cannot be read further.
    pub(in crate::prometheus) fn failure(&self, error: io::Error) -> ErrorKind {
        if let Some(&none) = error.get_ref().and_then(|inner| inner.downcast_ref::<NoMemory>()) {
            return ErrorKind::NoMemory(none);
        }
        match ureq::Error::from(error) {
            ureq::Error::Timeout(_) => ErrorKind::Stalled(self.deadline.whole_ms()),
            other => failure(other, 0, self.deadline),
        }
    }
}

impl Read for ResponseBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let begun = Instant::now();
        if self.deadline.remaining().is_zero() && begun.duration_since(self.begun) > self.waited * 2 {
            // It was not the upstream that took most of the time.
            return Err(ureq::Error::from(ConnectError(ErrorKind::TimeSpent(self.deadline.whole_ms()))).into_io());
        }
        let read = self.reader.read(buffer);
        self.waited += begun.elapsed();
        let amount = read?;
        self.has_ended = amount == 0;
        if self.first.is_none() {
            self.first = buffer[..amount].first().copied();
        }
        if let Some(meter) = &self.meter {
            meter.add(amount);
        }
        if let Some(Charged { memory, read_bytes }) = &mut self.charged {
            *read_bytes += amount;
            memory.hold(*read_bytes * DECODED_BYTES).map_err(io::Error::other)?;
        }
        Ok(amount)
    }
}

/// The kept connections.
#[derive(Debug)]
pub(in crate::prometheus) struct Transport {
    agent: Agent,
    connector: Arc<Connector>,
    kept: Keep,
}

/// What the transports of all upstreams share.
#[derive(Debug)]
pub(in crate::prometheus) struct SharedTransport {
    /// How many workers there are, each of which may keep a connection to any upstream.
    workers: usize,
    connection_lifetime: Duration,
    lookups: Arc<Lookups>,
    /// TLS with the proxy that a setting names.
    pub(in crate::prometheus) proxy_tls: Arc<Tls>,
}

impl SharedTransport {
    pub(in crate::prometheus) fn new(workers: usize, connection_lifetime: Duration, proxy_tls: Tls) -> SharedTransport {
        let (lookups, proxy_tls) = (Arc::new(Lookups::new(workers)), Arc::new(proxy_tls));
        SharedTransport { workers, connection_lifetime, lookups, proxy_tls }
    }
}

impl Transport {
    /// Connections that each may take no longer to make than `connect_patience`, whatever the deadline.
    pub(in crate::prometheus) fn new(
        shared: &SharedTransport,
        allowlist: Allowlist,
        proxy: Option<Proxy>,
        tls: Tls,
        proxy_tls: Arc<Tls>,
        connect_patience: Duration,
    ) -> Transport {
        let config = Agent::config_builder()
            // A refusal has a body worth reading.
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // Ours is a connector; none is taken from the environment.
            .proxy(None)
            .max_idle_connections(shared.workers * 2)
            .max_idle_connections_per_host(shared.workers)
            .max_idle_age(MAX_IDLE_AGE)
            .user_agent(USER_AGENT)
            .build();
        let lookups = Arc::clone(&shared.lookups);
        let connector = Arc::new(Connector { allowlist, proxy, lookups, mute: Mute::default(), tls, proxy_tls });
        let keep = Keep::new(Arc::clone(&connector), shared.connection_lifetime, connect_patience);
        let kept = keep.clone();
        Transport { agent: Agent::with_parts(config, keep, Judge(Arc::clone(&connector))), connector, kept }
    }

    /// From now on, all exchanges go over connections that were made with this TLS configuration.
    pub(in crate::prometheus) fn replace_tls(&self, config: ClientConfig) {
        self.connector.replace_tls(config);
        self.kept.retire_all();
    }

    /// Ends the exchanges that wait for the server at an address, for it is known to be down.
    pub(in crate::prometheus) fn abandon(&self, address: &Address) {
        self.kept.abandon(address.base());
    }

    /// Begins an exchange. An upstream that gives up on an idle connection (status 408) just when it is used is asked once more on
    /// a new one; what else may befall a kept connection is dealt with in `connection`. One that refuses credentials is asked once
    /// more if there are newer ones.
    pub(in crate::prometheus) fn exchange(&self, call: OutgoingCall<'_>) -> Result<UpstreamResponse, ErrorKind> {
        let begun = Instant::now();
        let begin = |max_idle_age| self.begin(call, max_idle_age);
        let (mut response, credentials) = begin(MAX_IDLE_AGE)?;
        if response.status() == REQUEST_TIMEOUT {
            drop(response);
            (response, _) = begin(Duration::ZERO)?;
        } else if matches!(response.status().as_u16(), 401 | 403) && call.target.credentials.renew(&credentials) {
            drop(response);
            (response, _) = begin(MAX_IDLE_AGE)?;
        }
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let status = response.status().as_u16();
        let has_length =
            ["Content-Length", "Transfer-Encoding"].iter().any(|name| response.headers().contains_key(*name));
        Ok(UpstreamResponse {
            status,
            content_type: text("Content-Type"),
            is_victoria_metrics: response.headers().contains_key(VICTORIA_METRICS_HEADER),
            headers: std::mem::take(response.headers_mut()),
            body: ResponseBody {
                begun,
                waited: begun.elapsed(),
                has_length,
                ..ResponseBody::new(response.into_body(), call.deadline, call.max_bytes)
            },
        })
    }

    /// Sends a call, with the credentials that it gives as well.
    fn begin(
        &self,
        call: OutgoingCall<'_>,
        max_idle_age: Duration,
    ) -> Result<(Response<ureq::Body>, HeaderMap), ErrorKind> {
        let OutgoingCall { target, path, content, deadline, trace, .. } = call;
        let begun = Instant::now();
        if deadline.remaining().is_zero() {
            return Err(ErrorKind::NoTimeLeft(deadline.whole_ms()));
        }
        let form_of_params = if let CallContent::Form(params) = content { form(params) } else { String::new() };
        let (method, body) = match content {
            CallContent::Form(_) => ("POST", form_of_params.as_bytes()),
            CallContent::EncodedForm(form) => ("POST", form.as_bytes()),
            CallContent::RemoteRead(body) => ("POST", body),
            CallContent::EmptyPut => ("PUT", [].as_slice()),
            CallContent::Query(_) => ("GET", [].as_slice()),
        };
        // ureq would panic at one that is too long.
        let uri = Uri::try_from(url(target, path, content)).map_err(|_| ErrorKind::Unsent)?;
        let credentials = target.credentials.headers(&UnsignedCall { method, uri: &uri, body }, deadline)?;
        let time = Some(deadline.remaining());
        let post =
            |kind: &str| prepared(self.agent.post(&uri), &credentials, trace, time, max_idle_age).content_type(kind);
        let sent = match content {
            CallContent::Form(_) | CallContent::EncodedForm(_) => post("application/x-www-form-urlencoded").send(body),
            CallContent::RemoteRead(_) => post("application/x-protobuf")
                .header("Content-Encoding", "snappy")
                .header("X-Prometheus-Remote-Read-Version", "0.1.0")
                .send(body),
            CallContent::EmptyPut => {
                prepared(self.agent.put(&uri), &credentials, trace, time, max_idle_age).send_empty()
            }
            CallContent::Query(_) => prepared(self.agent.get(&uri), &credentials, trace, time, max_idle_age).call(),
        };
        let response = sent.map_err(|error| failure(error, begun.elapsed().as_millis(), deadline))?;
        Ok((response, credentials))
    }
}

/// The URL of a call.
pub(in crate::prometheus) fn url(target: CallTarget<'_>, path: &str, content: CallContent<'_>) -> String {
    let mut url = target.address.endpoint(path);
    let params = if let CallContent::Query(params) = content { form(params) } else { String::new() };
    for (part, separator) in
        [target.url_query, params.as_str()].into_iter().filter(|part| !part.is_empty()).zip(["?", "&"])
    {
        url.extend([separator, part]);
    }
    url
}

/// A request with its credentials, its time, and the age of the connections it may use.
fn prepared<B>(
    request: RequestBuilder<B>,
    credentials: &HeaderMap,
    trace: Option<&Trace>,
    time: Option<Duration>,
    max_idle_age: Duration,
) -> RequestBuilder<B> {
    let request = request.config().timeout_global(time).max_idle_age(max_idle_age).build();
    let request = request.header("Accept-Encoding", "identity");
    let traced = trace.into_iter().flat_map(Trace::headers);
    let request = traced.fold(request, |request, (name, value)| request.header(name, value));
    credentials.iter().fold(request, |request, (name, value)| request.header(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_the_mirror_takes_is_not_said_to_be_the_upstreams() {
        let read = |waited_ms: u64| {
            let deadline = Deadline::new(Instant::now(), Duration::ZERO);
            let begun = Instant::now() - Duration::from_millis(100);
            let body = ResponseBody::new(ureq::Body::builder().data("{}"), deadline, 1 << 20);
            let mut body = ResponseBody { begun, waited: Duration::from_millis(waited_ms), ..body };
            let read = body.read(&mut [0; 2]);
            read.map_err(|error| body.failure(error))
        };
        assert_eq!(read(10), Err(ErrorKind::TimeSpent(0)));
        // What has arrived is read.
        assert_eq!(read(90), Ok(2));
    }
}
