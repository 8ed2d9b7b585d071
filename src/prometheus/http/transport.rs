//! HTTP calls to upstreams by ureq, whose defaults do not suit a gateway.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use ureq::config::Config;
use ureq::http::{HeaderMap, Request, Response, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::{Agent, AsSendBody, Error};

use super::authorize::UnsignedCall;
use super::call::{CallContent, OutgoingCall, url};
use super::connection::Keep;
use super::connector::Connector;
use super::failure::{ConnectError, failure};
use super::lookup::Lookups;
use super::response::UpstreamResponse;
use super::tls::Tls;
use super::tunnel::USER_AGENT;
use crate::model::trace::Trace;
use crate::prometheus::access::{Address, Allowlist, Authorities, Proxy, TlsSettings};
use crate::prometheus::error::ErrorKind;
use crate::prometheus::remembered::Remembered;

/// The status of a server that has waited too long for a call.
const REQUEST_TIMEOUT: u16 = 408;

/// The headers of a form.
const FORM_HEADERS: [(&str, &str); 1] = [("Content-Type", "application/x-www-form-urlencoded")];

/// The headers of a remote read.
const REMOTE_READ_HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Read-Version", "0.1.0"),
];

/// How long an idle connection is kept.
const MAX_IDLE_AGE: Duration = Duration::from_secs(60);

/// How long an address that was mute counts as mute, and the most such addresses that are remembered.
const MUTE_FOR: Duration = Duration::from_secs(30);
const MAX_MUTE: usize = 1_024;

/// No bound of its own: no request may take longer than this.
pub(in crate::prometheus) const ANY_PATIENCE: Duration = Duration::from_secs(3_600);

/// Sends calls, and keeps the connections.
pub(in crate::prometheus) struct Transport {
    agent: Agent,
    connector: Arc<Connector>,
    pub(super) kept: Keep,
}

/// What the transports of all upstreams share.
pub(in crate::prometheus) struct SharedTransport {
    /// The number of workers, each of which may keep a connection to every upstream.
    workers: usize,
    connection_lifetime: Duration,
    lookups: Arc<Lookups>,
    /// The authorities of `--ca-path`.
    pub(in crate::prometheus) authorities: Authorities,
    /// The proxy of `--proxy` and `--no-proxy`.
    pub(super) proxy: Option<Proxy>,
    /// TLS with that proxy.
    pub(super) proxy_tls: Arc<Tls>,
}

impl SharedTransport {
    pub(in crate::prometheus) fn new(
        workers: usize,
        connection_lifetime: Duration,
        authorities: Authorities,
        proxy: Option<Proxy>,
    ) -> SharedTransport {
        let proxy_tls = Arc::new(Tls::new(TlsSettings::default_config(&authorities), None));
        SharedTransport { workers, connection_lifetime, lookups: Lookups::new(workers), authorities, proxy, proxy_tls }
    }

    /// The transport to upstreams whose addresses are in Connection Details.
    pub(in crate::prometheus) fn to_given_upstreams(&self, allowlist: Allowlist) -> Transport {
        let tls = Tls::new(TlsSettings::default_config(&self.authorities), None);
        Transport::new(self, allowlist, self.proxy.clone(), tls, Arc::clone(&self.proxy_tls), ANY_PATIENCE)
    }
}

impl Transport {
    /// `patience` bounds the time that making one connection may take, whatever the deadline.
    pub(super) fn new(
        shared: &SharedTransport,
        allowlist: Allowlist,
        proxy: Option<Proxy>,
        tls: Tls,
        proxy_tls: Arc<Tls>,
        patience: Duration,
    ) -> Transport {
        let config = Agent::config_builder()
            // The body of an error status explains it.
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // The connector handles the proxy. ureq must not take one from the environment.
            .proxy(None)
            .max_idle_connections(shared.workers * 2)
            .max_idle_connections_per_host(shared.workers)
            .max_idle_age(MAX_IDLE_AGE)
            .user_agent(USER_AGENT)
            .build();
        let (lookups, lifetime) = (Arc::clone(&shared.lookups), shared.connection_lifetime);
        let mute = Remembered::new(MAX_MUTE, MUTE_FOR);
        let connector = Arc::new(Connector { allowlist, proxy, lookups, mute, tls, proxy_tls, patience, lifetime });
        let keep = Keep::new(Arc::clone(&connector));
        let kept = keep.clone();
        Transport { agent: Agent::with_parts(config, keep, AllowlistResolver(Arc::clone(&connector))), connector, kept }
    }

    /// Makes sure that all new calls use connections with this TLS configuration.
    pub(in crate::prometheus) fn replace_tls(&self, config: ClientConfig) {
        self.connector.tls.replace(config);
        self.kept.retire_all();
    }

    /// Ends the calls that wait for the server at an address that is known to be down.
    pub(in crate::prometheus) fn abandon(&self, address: &Address) {
        self.kept.abandon(address.base());
    }

    /// Sends a call and returns when the response begins. Retries once on a new connection if the upstream has just given up on an
    /// idle one (status 408), and once if it refuses credentials and there are newer ones. `connection` handles other failures of
    /// kept connections.
    pub(in crate::prometheus) fn send(&self, call: OutgoingCall<'_>) -> Result<UpstreamResponse, ErrorKind> {
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
        Ok(UpstreamResponse::new(response, begun, call.deadline, call.max_bytes))
    }

    /// Sends a call once. Also returns the headers with its credentials.
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
        let (method, query, mut body, of_content) = match content {
            CallContent::Form(form) => ("POST", "", form.as_bytes(), &FORM_HEADERS[..]),
            CallContent::RemoteRead(body) => ("POST", "", body, &REMOTE_READ_HEADERS[..]),
            CallContent::EmptyPut => ("PUT", "", [].as_slice(), [].as_slice()),
            CallContent::Query(query) => ("GET", query, [].as_slice(), [].as_slice()),
        };
        // ureq would panic at a URL that is too long.
        let uri = Uri::try_from(url(target, path, query)).map_err(|_| ErrorKind::Unsent)?;
        let credentials = target.credentials.headers(&UnsignedCall { method, uri: &uri, body }, deadline)?;
        let mut none = ();
        let body = if method == "GET" { none.as_body() } else { body.as_body() };
        let request = Request::builder().method(method).uri(&uri).header("Accept-Encoding", "identity");
        let named = trace.into_iter().flat_map(Trace::headers).chain(of_content.iter().copied());
        let request = named.fold(request, |request, (name, value)| request.header(name, value));
        let request = credentials.iter().fold(request, |request, (name, value)| request.header(name, value));
        let request = self.agent.configure_request(request.body(body).map_err(|_| ErrorKind::Unsent)?);
        let request = request.timeout_global(Some(deadline.remaining())).max_idle_age(max_idle_age).build();
        let response = self.agent.run(request);
        let response = response.map_err(|error| failure(error, begun.elapsed().as_millis(), deadline))?;
        Ok((response, credentials))
    }
}

/// Checks by its name whether an upstream may be queried, which ureq does before every call, even on a kept connection. Returns no
/// address: names are looked up when a connection is made, see `connector`.
#[derive(Debug)]
struct AllowlistResolver(Arc<Connector>);

impl Resolver for AllowlistResolver {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        self.0.way_to(uri).map(|_| self.empty()).map_err(|kind| ConnectError(kind).into())
    }
}
