//! HTTP to an upstream by ureq, with the defaults that a gateway cannot live with overridden.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::{HeaderMap, Response, Uri};
use ureq::tls::TlsConfig;
use ureq::{Agent, BodyReader, RequestBuilder};

use super::connection::Keep;
use super::connector::Connector;
use super::failure::{ConnectError, failure};
use super::resolver::Judge;
use super::tunnel::USER_AGENT;
use crate::memory::{Memory, NoMemory};
use crate::prometheus::access::allowlist::Allowlist;
use crate::prometheus::access::authorities::Authorities;
use crate::prometheus::access::proxy::Proxy;
use crate::prometheus::deadline::Deadline;
use crate::prometheus::error::ErrorKind;
use crate::prometheus::upstream::Upstream;

/// The header by which VictoriaMetrics tells which of its servers answers; no other engine sends it.
const VICTORIA_METRICS_HEADER: &str = "X-Server-Hostname";

/// The status of a server that has waited for a question long enough.
const REQUEST_TIMEOUT: u16 = 408;

/// How long an idle connection is kept.
const MAX_IDLE_AGE: Duration = Duration::from_secs(60);

/// What of a form's values is percent-encoded: all but what never needs to be (RFC 3986, "Unreserved Characters").
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// More than most forms have.
const USUAL_FORM_BYTES: usize = 512;

/// Parameters of a call, by POST in a form, by GET in the URL.
pub(in crate::prometheus) type Params = Vec<(&'static str, String)>;

/// What is sent, and how.
#[derive(Debug, Clone, Copy)]
pub(in crate::prometheus) enum Content<'a> {
    /// Parameters by POST, as a form.
    Form(&'a Params),
    /// Parameters by GET, in the URL.
    Query(&'a Params),
    /// The body of a remote read, by POST.
    RemoteRead(&'a [u8]),
}

/// What is asked of whom.
#[derive(Debug, Clone, Copy)]
pub(in crate::prometheus) struct Question<'a> {
    pub(in crate::prometheus) upstream: &'a Upstream,
    /// Such as `/api/v1/query`.
    pub(in crate::prometheus) path: &'a str,
    pub(in crate::prometheus) content: Content<'a>,
    pub(in crate::prometheus) deadline: Deadline,
    /// The most bytes of the answer's body.
    pub(in crate::prometheus) max_bytes: u64,
}

/// An answer that has begun.
pub(in crate::prometheus) struct Answer {
    pub(in crate::prometheus) status: u16,
    /// All headers.
    pub(in crate::prometheus) headers: HeaderMap,
    /// The header `Content-Type`.
    pub(in crate::prometheus) content_type: Option<String>,
    /// Whether it carries the header by which VictoriaMetrics tells which of its servers answers.
    pub(in crate::prometheus) is_victoria_metrics: bool,
    pub(in crate::prometheus) body: Body,
}

/// The body of an answer as it arrives, up to the deadline and to a bound on its bytes. Once it is read to its end,
/// the connection can be used again; dropped before that, it is closed.
pub(in crate::prometheus) struct Body {
    reader: BodyReader<'static>,
    deadline: Deadline,
    charged: Option<Charged>,
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

/// What is made of a body that is read, and kept.
struct Charged {
    memory: Memory,
    read_bytes: usize,
}

/// How many bytes of memory a byte of JSON takes at most once it is decoded, and answered with, roughly: it may be part of a
/// short name, which is a text of its own.
const DECODED_BYTES: usize = 3;

impl Body {
    pub(in crate::prometheus) fn new(body: ureq::Body, deadline: Deadline, max_bytes: u64) -> Body {
        let reader = body.into_with_config().limit(max_bytes).reader();
        let (begun, waited) = (Instant::now(), Duration::ZERO);
        Body { reader, deadline, charged: None, begun, waited, has_length: true, first: None, has_ended: false }
    }

    /// Counts what is made of it as held by a question.
    pub(in crate::prometheus) fn charge(&mut self, memory: Memory) {
        self.charged = Some(Charged { memory, read_bytes: 0 });
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

impl Read for Body {
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
}

impl Transport {
    pub(in crate::prometheus) fn new(
        workers: usize,
        allowlist: Allowlist,
        authorities: Authorities,
        proxy: Option<Proxy>,
        connection_lifetime: Duration,
    ) -> Transport {
        let config = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(authorities.into_roots()).build())
            // A refusal has a body worth reading.
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // Ours is a connector; none is taken from the environment.
            .proxy(None)
            .max_idle_connections(workers * 2)
            .max_idle_connections_per_host(workers)
            .max_idle_age(MAX_IDLE_AGE)
            .user_agent(USER_AGENT)
            .build();
        let connector = Arc::new(Connector::new(allowlist, proxy, config.clone()));
        let keep = Keep::new(Arc::clone(&connector), connection_lifetime);
        Transport { agent: Agent::with_parts(config, keep, Judge(connector)) }
    }

    /// Begins an exchange. An upstream that gives up on an idle connection (status 408) just when it is used is asked once more on
    /// a new one; what else may befall a kept connection is dealt with in `connection`.
    pub(in crate::prometheus) fn exchange(&self, question: Question<'_>) -> Result<Answer, ErrorKind> {
        let begun = Instant::now();
        let mut response = self.begin(question, MAX_IDLE_AGE)?;
        if response.status() == REQUEST_TIMEOUT {
            drop(response);
            response = self.begin(question, Duration::ZERO)?;
        }
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let status = response.status().as_u16();
        let has_length =
            ["Content-Length", "Transfer-Encoding"].iter().any(|name| response.headers().contains_key(*name));
        Ok(Answer {
            status,
            content_type: text("Content-Type"),
            is_victoria_metrics: response.headers().contains_key(VICTORIA_METRICS_HEADER),
            headers: std::mem::take(response.headers_mut()),
            body: Body {
                begun,
                waited: begun.elapsed(),
                has_length,
                ..Body::new(response.into_body(), question.deadline, question.max_bytes)
            },
        })
    }

    fn begin(&self, question: Question<'_>, max_idle_age: Duration) -> Result<Response<ureq::Body>, ErrorKind> {
        let Question { upstream, path, content, deadline, .. } = question;
        let begun = Instant::now();
        let remaining = deadline.remaining();
        if remaining.is_zero() {
            return Err(ErrorKind::NoTimeLeft(deadline.whole_ms()));
        }
        let mut url = upstream.endpoint(path);
        if let Content::Query(params) = content
            && !params.is_empty()
        {
            url.push('?');
            url.push_str(&form(params));
        }
        // ureq would panic at one that is too long.
        let url = Uri::try_from(url).map_err(|_| ErrorKind::Unsent)?;
        let post = |url: Uri| prepared(self.agent.post(url), upstream, remaining, max_idle_age);
        let sent = match content {
            Content::Form(params) => post(url).content_type("application/x-www-form-urlencoded").send(form(params)),
            Content::RemoteRead(body) => post(url)
                .content_type("application/x-protobuf")
                .header("Content-Encoding", "snappy")
                .header("X-Prometheus-Remote-Read-Version", "0.1.0")
                .send(body),
            Content::Query(_) => prepared(self.agent.get(url), upstream, remaining, max_idle_age).call(),
        };
        sent.map_err(|error| failure(error, begun.elapsed().as_millis(), deadline))
    }
}

/// Parameters as a form, `name=value&...`, which ureq would put together from a text for each part.
pub(in crate::prometheus) fn form(params: &Params) -> String {
    let mut form = String::with_capacity(USUAL_FORM_BYTES);
    for (name, value) in params {
        let separator = if form.is_empty() { "" } else { "&" };
        form.extend([separator, name, "="]);
        form.extend(utf8_percent_encode(value, ESCAPED));
    }
    form
}

/// A request with its credentials, its time, and the age of the connections it may use.
fn prepared<B>(
    request: RequestBuilder<B>,
    upstream: &Upstream,
    remaining: Duration,
    max_idle_age: Duration,
) -> RequestBuilder<B> {
    let request = request.config().timeout_global(Some(remaining)).max_idle_age(max_idle_age).build();
    let request = request.header("Accept-Encoding", "identity");
    match upstream.authorization() {
        Some(authorization) => request.header("Authorization", authorization),
        None => request,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_the_mirror_takes_is_not_said_to_be_the_upstreams() {
        let read = |waited_ms: u64| {
            let deadline = Deadline::new(Instant::now(), Duration::ZERO);
            let begun = Instant::now() - Duration::from_millis(100);
            let body = Body::new(ureq::Body::builder().data("{}"), deadline, 1 << 20);
            let mut body = Body { begun, waited: Duration::from_millis(waited_ms), ..body };
            let read = body.read(&mut [0; 2]);
            read.map_err(|error| body.failure(error))
        };
        assert_eq!(read(10), Err(ErrorKind::TimeSpent(0)));
        // What has arrived is read.
        assert_eq!(read(90), Ok(2));
    }

    #[test]
    fn a_form_holds_any_value() {
        let params =
            vec![("query", "{a=\"ä b\",c!=\"&+%\"}".to_owned()), ("time", "1.5".to_owned()), ("empty", String::new())];
        assert_eq!(form(&params), "query=%7Ba%3D%22%C3%A4%20b%22%2Cc%21%3D%22%26%2B%25%22%7D&time=1.5&empty=");
        assert_eq!(form(&Vec::new()), "");
    }
}
