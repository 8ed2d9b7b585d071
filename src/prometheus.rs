//! The Prometheus HTTP API as a typed client: a deadline over everything, bounds, connections kept, POST or GET.
//!
//! Knows nothing of StackState. The endpoints and their parameters are those of "HTTP API" in Prometheus's documentation.

mod error;
mod response;
mod upstream;

use std::collections::HashMap;
use std::io::Read;
use std::time::{Duration, Instant};

use serde::de::{DeserializeOwned, IgnoredAny};
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::cache::Cache;
use crate::log;

use response::{QueryResult, ResultType};

pub use error::{Error, ErrorKind};
pub use response::{Labels, Metadata, MetricType, Sample, Series};
pub use upstream::{BadAddress, Upstream};

/// The most bytes of one response: 64 MiB.
pub const MAX_RESPONSE_BYTES: u64 = 64 << 20;

/// How many upstreams are remembered to take only GET, and for how long; then POST is tried again.
const GET_ONLY_UPSTREAMS: usize = 256;
const GET_ONLY_LIFETIME: Duration = Duration::from_secs(3600);

/// How long an idle connection is kept.
const MAX_IDLE_AGE: Duration = Duration::from_secs(60);

/// The most characters of an error of Prometheus's that are passed on.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// What all requests share: the kept connections and what was learnt about upstreams.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    get_only: Cache<Upstream, ()>,
}

impl Client {
    /// A client for this many workers, each of which may keep a connection to any upstream.
    pub fn new(workers: usize) -> Client {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .max_idle_connections(workers * 2)
            .max_idle_connections_per_host(workers)
            .max_idle_age(MAX_IDLE_AGE)
            .user_agent(concat!("prometheusmirror/", env!("CARGO_PKG_VERSION")))
            .build();
        Client { agent: config.new_agent(), get_only: Cache::new(GET_ONLY_UPSTREAMS, GET_ONLY_LIFETIME) }
    }

    /// The calls of one request to one upstream, which together end before `accepted` plus `timeout`.
    pub fn session(&self, upstream: Upstream, accepted: Instant, timeout: Duration) -> Session<'_> {
        Session { client: self, upstream, accepted, timeout, calls: 0, spent: Duration::ZERO, last_query: None }
    }
}

/// The calls of one request to one upstream.
///
/// Every call fails with an [`Error`] that names the upstream and the query.
#[derive(Debug)]
pub struct Session<'c> {
    client: &'c Client,
    upstream: Upstream,
    accepted: Instant,
    timeout: Duration,
    calls: u32,
    spent: Duration,
    last_query: Option<String>,
}

/// Where a call goes, and what it carries.
struct Call<'a> {
    path: &'a str,
    params: Params,
    /// The PromQL or selector, for the error.
    query: Option<&'a str>,
    /// Whether the endpoint takes a form by POST, which has no bound on its length.
    by_post: bool,
}

type Params = Vec<(&'static str, String)>;

/// How a call is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Post,
    Get,
}

/// What one exchange brought.
struct Exchange {
    status: u16,
    body: Vec<u8>,
}

impl Session<'_> {
    /// The upstream that is asked.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// How many calls were made.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// The time spent on all calls.
    pub fn spent(&self) -> Duration {
        self.spent
    }

    /// The PromQL or selector asked for last.
    pub fn last_query(&self) -> Option<&str> {
        self.last_query.as_deref()
    }

    /// The value of an expression at a time in milliseconds since the epoch, `None` being the upstream's own now.
    pub fn instant(&mut self, promql: &str, time_ms: Option<i64>) -> Result<Vec<Series>, Error> {
        let time = time_ms.map(|time_ms| ("time", seconds(time_ms))).into_iter().collect();
        self.evaluate("/api/v1/query", promql, time, &[ResultType::Scalar, ResultType::Vector])
    }

    /// The stored samples that a range selector covers at a time in milliseconds since the epoch.
    pub fn stored(&mut self, range_selector: &str, time_ms: i64) -> Result<Vec<Series>, Error> {
        self.evaluate("/api/v1/query", range_selector, vec![("time", seconds(time_ms))], &[ResultType::Matrix])
    }

    /// The values of an expression over time; start and end in milliseconds since the epoch, the step in milliseconds.
    pub fn range(&mut self, promql: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<Vec<Series>, Error> {
        let times = vec![("start", seconds(start_ms)), ("end", seconds(end_ms)), ("step", seconds(step_ms))];
        self.evaluate("/api/v1/query_range", promql, times, &[ResultType::Matrix])
    }

    /// The names of labels of the series that a selector matches, `None` being all, between two times in milliseconds.
    /// At most `limit` where the server honours it.
    pub fn labels(
        &mut self,
        selector: Option<&str>,
        start_ms: i64,
        end_ms: i64,
        limit: Option<usize>,
    ) -> Result<Vec<String>, Error> {
        let params = narrowing(selector, start_ms, end_ms, limit);
        let names = self.call(Call { path: "/api/v1/labels", params, query: selector, by_post: true })?;
        Ok(names.unwrap_or_default())
    }

    /// The values of a label, narrowed like [`Session::labels`].
    pub fn label_values(
        &mut self,
        label: &str,
        selector: Option<&str>,
        start_ms: i64,
        end_ms: i64,
        limit: Option<usize>,
    ) -> Result<Vec<String>, Error> {
        let path = format!("/api/v1/label/{}/values", path_segment(label));
        let params = narrowing(selector, start_ms, end_ms, limit);
        let values = self.call(Call { path: &path, params, query: selector, by_post: false })?;
        Ok(values.unwrap_or_default())
    }

    /// The declared types of all metrics, or of one family. Many servers know none, and what they know is a hint, so the
    /// call takes half of the remaining time at most.
    pub fn metadata(&mut self, family: Option<&str>) -> Result<Metadata, Error> {
        let params = family.map(|family| ("metric", family.to_owned())).into_iter().collect();
        let whole = self.timeout;
        self.timeout = self.accepted.elapsed() + self.remaining() / 2;
        let call = Call { path: "/api/v1/metadata", params, query: None, by_post: false };
        let declarations = self.call(call);
        self.timeout = whole;
        let declarations: HashMap<String, Vec<response::Declaration>> = declarations?.unwrap_or_default();
        let typed = |list: Vec<response::Declaration>| list.into_iter().map(MetricType::from).collect();
        Ok(declarations.into_iter().map(|(family, list)| (family, typed(list))).collect())
    }

    fn evaluate(
        &mut self,
        path: &str,
        promql: &str,
        mut params: Params,
        expected: &[ResultType],
    ) -> Result<Vec<Series>, Error> {
        params.push(("query", promql.to_owned()));
        // Prometheus gives up by itself when nobody waits any more.
        params.push(("timeout", seconds(self.remaining().as_millis().max(1) as i64)));
        // VictoriaMetrics moves the grid to multiples of the step unless it is told not to use its cache.
        params.push(("nocache", "1".to_owned()));
        let result: Option<QueryResult> = self.call(Call { path, params, query: Some(promql), by_post: true })?;
        match result {
            Some(result) if expected.contains(&result.kind) => Ok(result.series),
            _ => {
                let why = "its result is not of the type the query has".to_owned();
                Err(self.error(Some(promql), ErrorKind::NotPrometheus { status: None, why }))
            }
        }
    }

    /// What is left of the request's time.
    fn remaining(&self) -> Duration {
        self.timeout.saturating_sub(self.accepted.elapsed())
    }

    fn error(&self, query: Option<&str>, kind: ErrorKind) -> Error {
        Error { upstream: self.upstream.to_string(), query: query.map(str::to_owned), kind }
    }

    /// Makes a call and gives its data, which some servers leave out, or write as `null`, when a list is empty.
    fn call<T: DeserializeOwned>(&mut self, call: Call<'_>) -> Result<Option<T>, Error> {
        let started = Instant::now();
        self.last_query = call.query.map(str::to_owned).or(self.last_query.take());
        let exchange = self.exchange(&call);
        self.calls += 1;
        self.spent += started.elapsed();
        let result = exchange.and_then(|exchange| interpret(&exchange));
        log::debug(|| {
            log::Line::new("upstream")
                .text("upstream", &self.upstream.to_string())
                .text("path", call.path)
                .text("promql", call.query.unwrap_or_default())
                .millis("duration_ms", started.elapsed())
        });
        let (data, warnings) = result.map_err(|kind| self.error(call.query, kind))?;
        for warning in warnings {
            log::warn(|| {
                log::Line::new("Prometheus warns")
                    .text("upstream", &self.upstream.to_string())
                    .text("warning", &shortened(&warning))
                    .text("promql", call.query.unwrap_or_default())
            });
        }
        Ok(data)
    }

    /// Sends a call, by GET where the upstream takes no POST: some read-only proxies do not.
    fn exchange(&self, call: &Call<'_>) -> Result<Exchange, ErrorKind> {
        if !call.by_post || self.client.get_only.get(&self.upstream, Instant::now()).is_some() {
            return self.send(Verb::Get, call);
        }
        let by_post = self.send(Verb::Post, call)?;
        if !matches!(by_post.status, 403 | 405 | 501) {
            return Ok(by_post);
        }
        let by_get = self.send(Verb::Get, call)?;
        if !matches!(by_get.status, 403 | 405 | 501) {
            self.client.get_only.put(self.upstream.clone(), (), Instant::now());
        }
        Ok(by_get)
    }

    /// One exchange, with one more try when the connection is closed before an answer begins: a kept connection may have
    /// been closed at the other end just then, and what is asked may be asked twice, for it changes nothing.
    fn send(&self, verb: Verb, call: &Call<'_>) -> Result<Exchange, ErrorKind> {
        let response = match self.begin(verb, call) {
            Err(ErrorKind::Closed) => self.begin(verb, call)?,
            other => other?,
        };
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let mut reader = response.into_body().into_with_config().limit(MAX_RESPONSE_BYTES).reader();
        reader.read_to_end(&mut body).map_err(|error| self.failure(error.into()))?;
        Ok(Exchange { status, body })
    }

    fn begin(&self, verb: Verb, call: &Call<'_>) -> Result<Response<Body>, ErrorKind> {
        let remaining = self.remaining();
        if remaining.is_zero() {
            return Err(self.timed_out());
        }
        let url = self.upstream.endpoint(call.path);
        let agent = &self.client.agent;
        let params = call.params.iter().map(|(name, value)| (*name, value.as_str()));
        let sent = match verb {
            Verb::Post => agent.post(url).config().timeout_global(Some(remaining)).build().send_form(params),
            Verb::Get => agent.get(url).config().timeout_global(Some(remaining)).build().query_pairs(params).call(),
        };
        sent.map_err(|error| self.failure(error))
    }

    fn timed_out(&self) -> ErrorKind {
        ErrorKind::Timeout(self.timeout.as_millis())
    }

    fn failure(&self, error: ureq::Error) -> ErrorKind {
        use std::io::ErrorKind as Io;

        let no_http = |why: &str| ErrorKind::NotPrometheus { status: None, why: why.to_owned() };
        match error {
            ureq::Error::Timeout(_) => self.timed_out(),
            ureq::Error::HostNotFound => ErrorKind::NameNotFound,
            ureq::Error::BodyExceedsLimit(limit) => ErrorKind::TooLarge(limit),
            ureq::Error::Tls(reason) => ErrorKind::Tls(reason.to_owned()),
            ureq::Error::Rustls(reason) => ErrorKind::Tls(reason.to_string()),
            ureq::Error::Protocol(_) => no_http("its answer is not HTTP"),
            ureq::Error::LargeResponseHeader(..) => no_http("the header of its answer is too large"),
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                ErrorKind::Unreachable("the request does not fit into a URL".to_owned())
            }
            ureq::Error::Io(error) => match error.kind() {
                Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe | Io::UnexpectedEof => ErrorKind::Closed,
                // rustls wraps what it cannot understand of the other side in this kind.
                Io::InvalidData => ErrorKind::Tls(error.to_string()),
                // The resolver's failures have no kind of their own in the standard library.
                _ if error.to_string().starts_with("failed to lookup address information") => ErrorKind::NameNotFound,
                _ => ErrorKind::Unreachable(error.to_string()),
            },
            other => ErrorKind::Unreachable(other.to_string()),
        }
    }
}

/// What an exchange means: the data and the warnings of a success, or why it is none.
///
/// The envelope comes with any status, so it is read at any status; without it, the status tells what answered.
fn interpret<T: DeserializeOwned>(exchange: &Exchange) -> Result<(Option<T>, Vec<String>), ErrorKind> {
    let status = exchange.status;
    match status {
        401 | 403 | 407 | 429 => return Err(ErrorKind::Refused(status)),
        300..=399 => return Err(ErrorKind::Redirected(status)),
        _ => {}
    }
    let no_prometheus = |why: &str| ErrorKind::NotPrometheus { status: Some(status), why: why.to_owned() };
    if !(200..=299).contains(&status) {
        let envelope = response::decode::<IgnoredAny>(&exchange.body).map_err(no_prometheus)?;
        return Err(match envelope.status {
            response::Status::Error => refusal(status, envelope.error_type, envelope.error),
            response::Status::Success => no_prometheus("it claims success with a status of failure"),
        });
    }
    let envelope = response::decode::<T>(&exchange.body).map_err(no_prometheus)?;
    match envelope.status {
        response::Status::Error => Err(refusal(status, envelope.error_type, envelope.error)),
        response::Status::Success => Ok((envelope.data, envelope.warnings.unwrap_or_default())),
    }
}

fn refusal(status: u16, error_type: Option<String>, message: Option<String>) -> ErrorKind {
    let error_type = error_type.unwrap_or_else(|| "unknown".to_owned());
    let message = shortened(&message.unwrap_or_default());
    let gave_up = matches!(status, 503 | 504) || matches!(error_type.as_str(), "timeout" | "canceled" | "unavailable");
    if gave_up {
        ErrorKind::Unavailable(message)
    } else {
        ErrorKind::Api { status, error_type: shortened(&error_type), message }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Milliseconds as seconds with exactly three decimals: finer times are rounded by one server and cut by another.
fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    format!("{sign}{}.{:03}", ms / 1000, ms % 1000)
}

fn narrowing(selector: Option<&str>, start_ms: i64, end_ms: i64, limit: Option<usize>) -> Params {
    let mut params = vec![("start", seconds(start_ms)), ("end", seconds(end_ms))];
    params.extend(selector.map(|selector| ("match[]", selector.to_owned())));
    params.extend(limit.map(|limit| ("limit", limit.to_string())));
    params
}

/// A label's name as one segment of a path.
///
/// A name that a path cannot hold, percent-encoded or not (a slash, two dots), is written in the escaped form that
/// Prometheus 3 reads ("UTF-8 names", `U__` and each odd character as its code point in hexadecimal). Servers before it
/// have no such label, and find none.
fn path_segment(label: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if label.chars().all(is_plain) && !label.starts_with(['.', '-']) {
        return label.to_owned();
    }
    let escaped = label.chars().map(|c| match c {
        '_' => "__".to_owned(),
        c if c.is_ascii_alphanumeric() => c.to_string(),
        c => format!("_{:x}_", c as u32),
    });
    format!("U__{}", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_exactly_three_decimals() {
        for (ms, text) in [(0, "0.000"), (1_504_411_200_000, "1504411200.000"), (59_999, "59.999"), (-1, "-0.001")] {
            assert_eq!(seconds(ms), text);
        }
    }

    #[test]
    fn a_label_is_one_segment_whatever_it_holds() {
        assert_eq!(path_segment("job_1"), "job_1");
        assert_eq!(path_segment("my.label-2"), "my.label-2");
        assert_eq!(path_segment("../a_b?é"), "U___2e__2e__2f_a__b_3f__e9_");
    }

    #[test]
    fn the_status_and_the_envelope_tell_what_an_answer_means() {
        let check = |status: u16, body: &str, expected: Result<Option<Vec<String>>, ErrorKind>| {
            let exchange = Exchange { status, body: body.as_bytes().to_vec() };
            assert_eq!(interpret::<Vec<String>>(&exchange).map(|(data, _)| data), expected, "{status} {body}");
        };
        let api = |status, error_type: &str| {
            Err(ErrorKind::Api { status, error_type: error_type.into(), message: "why".into() })
        };
        let none = |status, why: &str| Err(ErrorKind::NotPrometheus { status: Some(status), why: why.into() });
        const WHY: &str = "its answer is not one of the Prometheus HTTP API";
        let envelope = |kind: &str| format!(r#"{{"status":"error","errorType":"{kind}","error":"why"}}"#);

        check(200, r#"{"status":"success","data":["a"]}"#, Ok(Some(vec!["a".into()])));
        check(200, r#"{"status":"success","data":null}"#, Ok(None));
        check(200, &envelope("execution"), api(200, "execution"));
        check(400, &envelope("bad_data"), api(400, "bad_data"));
        check(422, &envelope("422"), api(422, "422"));
        check(500, &envelope("internal"), api(500, "internal"));
        check(503, &envelope("timeout"), Err(ErrorKind::Unavailable("why".into())));
        check(422, &envelope("canceled"), Err(ErrorKind::Unavailable("why".into())));
        check(401, &envelope("bad_data"), Err(ErrorKind::Refused(401)));
        check(302, "", Err(ErrorKind::Redirected(302)));
        check(200, "<html>", none(200, WHY));
        check(502, "<html>", none(502, WHY));
        check(404, "404 page not found", none(404, WHY));
        check(200, r#"{"status":"success","data":{}}"#, none(200, WHY));
        check(200, r#"{"health":"ok"}"#, none(200, WHY));
        check(500, r#"{"status":"success","data":["a"]}"#, none(500, "it claims success with a status of failure"));
    }
}
