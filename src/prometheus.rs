//! The Prometheus HTTP API as a typed client: a deadline over everything, bounds, connections kept, POST or GET.
//!
//! Knows nothing of StackState. The endpoints and their parameters are those of "HTTP API" in Prometheus's documentation.

mod allowlist;
mod authorities;
mod decode;
mod error;
mod failure;
mod gathered;
mod hosts;
#[doc(hidden)]
pub mod internals;
mod proxy;
mod resolver;
mod transport;
mod tunnel;
mod upstream;

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cache::Cache;
use crate::log;
use crate::metrics::Metrics;

use crate::model::metric_type::Metadata;
use crate::model::sample::SeriesSet;

use decode::envelope::{self, Envelope, Ignored, QueryResult};
use decode::json::{Decode, Undecoded};
use decode::lists::BoundedList;
use decode::metadata::Families;
use transport::{Answer, Deadline, Params, Question, Transport, Verb};

pub use allowlist::Allowlist;
pub use authorities::{Authorities, BadAuthorities};
pub use decode::envelope::ResultType;
pub use error::{Error, ErrorKind, shortened};
pub use hosts::BadHost;
pub use proxy::{BadProxyFile, NoProxy, Proxy};
pub use upstream::{BadAddress, Upstream};

/// How many upstreams are remembered to take only GET, and for how long; then POST is tried again.
const GET_ONLY_UPSTREAMS: usize = 256;
const GET_ONLY_LIFETIME: Duration = Duration::from_secs(3600);

/// The most names or values in a list: many times what a person can choose from, and few enough for every worker to
/// have as many in memory.
const MAX_NAMES: usize = 250_000;

/// What all requests share: the kept connections and what was learnt about upstreams.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    get_only: Cache<Upstream, ()>,
    metrics: Arc<Metrics>,
}

impl Client {
    /// A client for this many workers, each of which may keep a connection to any upstream that may be asked.
    pub fn new(
        workers: usize,
        allowlist: Allowlist,
        authorities: Authorities,
        proxy: Option<Proxy>,
        metrics: Arc<Metrics>,
    ) -> Client {
        Client {
            transport: Transport::new(workers, allowlist, authorities, proxy),
            get_only: Cache::new(GET_ONLY_UPSTREAMS, GET_ONLY_LIFETIME),
            metrics,
        }
    }

    /// The calls of one request to one upstream, which together end before `accepted` plus `timeout`.
    pub fn session(&self, upstream: Upstream, accepted: Instant, timeout: Duration) -> Session<'_> {
        let deadline = Deadline::new(accepted, timeout);
        Session { client: self, upstream, deadline, calls: 0, spent: Duration::ZERO, last_query: None }
    }
}

/// The calls of one request to one upstream.
///
/// Every call fails with an [`Error`] that names the upstream and the query.
#[derive(Debug)]
pub struct Session<'c> {
    client: &'c Client,
    upstream: Upstream,
    deadline: Deadline,
    calls: u32,
    spent: Duration,
    last_query: Option<String>,
}

/// Where a call goes, and what it carries.
struct Request<'a> {
    /// What the metrics call the endpoint.
    endpoint: &'static str,
    path: &'a str,
    params: Params,
    /// The PromQL or selector, for the error.
    query: Option<&'a str>,
    /// Whether that is evaluated, not a question about what there is.
    is_evaluation: bool,
    /// Whether the endpoint takes a form by POST, which has no bound on its length.
    by_post: bool,
    deadline: Deadline,
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

    /// The PromQL evaluated last, or the selector of a question that had none.
    pub fn last_query(&self) -> Option<&str> {
        self.last_query.as_deref()
    }

    /// The value of an expression at a time in milliseconds since the epoch, `None` being the upstream's own now.
    pub fn instant(&mut self, promql: &str, time_ms: Option<i64>) -> Result<SeriesSet, Error> {
        let time = time_ms.map(|time_ms| ("time", seconds(time_ms))).into_iter().collect();
        self.evaluate("query", promql, time, &[ResultType::Scalar, ResultType::Vector])
    }

    /// The stored samples that a range selector covers at a time in milliseconds since the epoch.
    pub fn stored(&mut self, range_selector: &str, time_ms: i64) -> Result<SeriesSet, Error> {
        self.evaluate("query", range_selector, vec![("time", seconds(time_ms))], &[ResultType::Matrix])
    }

    /// The values of an expression over time; start and end in milliseconds since the epoch, the step in milliseconds.
    pub fn range(&mut self, promql: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<SeriesSet, Error> {
        let times = vec![("start", seconds(start_ms)), ("end", seconds(end_ms)), ("step", seconds(step_ms))];
        self.evaluate("query_range", promql, times, &[ResultType::Matrix])
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
        self.list("labels", "/api/v1/labels", true, selector, narrowing(selector, start_ms, end_ms, limit))
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
        self.list("label_values", &path, false, selector, narrowing(selector, start_ms, end_ms, limit))
    }

    /// The declared types of all metrics, or of one family. Many servers know none, and what they know is a hint, so the
    /// call takes half of the remaining time at most.
    pub fn metadata(&mut self, family: Option<&str>) -> Result<Metadata, Error> {
        let params = family.map(|family| ("metric", family.to_owned())).into_iter().collect();
        let deadline = self.deadline.halved();
        let request = Request {
            endpoint: "metadata",
            path: "/api/v1/metadata",
            params,
            query: None,
            is_evaluation: false,
            by_post: false,
            deadline,
        };
        let Families(metadata) = self.call(request)?.unwrap_or_default();
        Ok(metadata)
    }

    fn list(
        &mut self,
        endpoint: &'static str,
        path: &str,
        by_post: bool,
        selector: Option<&str>,
        params: Params,
    ) -> Result<Vec<String>, Error> {
        let deadline = self.deadline;
        let request = Request { endpoint, path, params, query: selector, is_evaluation: false, by_post, deadline };
        let names: BoundedList<String, MAX_NAMES> = self.call(request)?.unwrap_or_default();
        if names.total > names.kept.len() {
            return Err(self.error(selector, ErrorKind::TooManyNames(MAX_NAMES)));
        }
        Ok(names.kept)
    }

    fn evaluate(
        &mut self,
        endpoint: &'static str,
        promql: &str,
        mut params: Params,
        expected: &[ResultType],
    ) -> Result<SeriesSet, Error> {
        params.push(("query", promql.to_owned()));
        // Prometheus gives up by itself when nobody waits any more.
        params.push(("timeout", seconds(self.deadline.remaining().as_millis().max(1) as i64)));
        // VictoriaMetrics moves the grid to multiples of the step unless it is told not to use its cache.
        params.push(("nocache", "1".to_owned()));
        let path = &format!("/api/v1/{endpoint}");
        let (query, deadline) = (Some(promql), self.deadline);
        let request = Request { endpoint, path, params, query, is_evaluation: true, by_post: true, deadline };
        match self.call::<QueryResult>(request)? {
            Some(result) if expected.contains(&result.kind) => Ok(result.found),
            _ => {
                let why = "its result is not of the type the query has".to_owned();
                Err(self.error(Some(promql), ErrorKind::NotPrometheus { status: None, why }))
            }
        }
    }

    fn error(&self, query: Option<&str>, kind: ErrorKind) -> Error {
        Error { upstream: self.upstream.to_string(), query: query.map(str::to_owned), kind }
    }

    /// Makes a call and gives its data, which some servers leave out, or write as `null`, when a list is empty.
    fn call<T: Decode>(&mut self, request: Request<'_>) -> Result<Option<T>, Error> {
        let started = Instant::now();
        if request.is_evaluation || self.last_query.is_none() {
            self.last_query = request.query.map(str::to_owned);
        }
        let result = self.exchange(&request).and_then(interpret);
        self.calls += 1;
        self.spent += started.elapsed();
        let outcome = result.as_ref().err().map_or("ok", ErrorKind::name);
        self.client.metrics.asked(request.endpoint, outcome, started.elapsed());
        log::debug(|| {
            log::Line::new("upstream")
                .text("upstream", &self.upstream)
                .text("path", request.path)
                .text("promql", request.query.unwrap_or_default())
                .millis("duration_ms", started.elapsed())
                .text("error", result.as_ref().err().map(ToString::to_string).unwrap_or_default())
        });
        let (data, warnings) = result.map_err(|kind| self.error(request.query, kind))?;
        for warning in warnings {
            log::warn(|| {
                log::Line::new("Prometheus warns")
                    .text("upstream", &self.upstream)
                    .text("warning", shortened(&warning))
                    .text("promql", request.query.unwrap_or_default())
            });
        }
        Ok(data)
    }

    /// Sends a call, by GET where the upstream takes no POST: some read-only proxies do not. The answer has only begun.
    fn exchange(&self, request: &Request<'_>) -> Result<Answer, ErrorKind> {
        let Request { path, params, deadline, .. } = request;
        let question = Question { upstream: &self.upstream, path, params, deadline: *deadline };
        let send = |verb| self.client.transport.exchange(verb, question);
        let is_refused = |answer: &Answer| matches!(answer.status, 403 | 405 | 501);

        if !request.by_post || self.client.get_only.get(&self.upstream, Instant::now()).is_some() {
            return send(Verb::Get);
        }
        let by_post = send(Verb::Post)?;
        if !is_refused(&by_post) {
            return Ok(by_post);
        }
        // With it goes its connection, on which the rest of the refusal may never come.
        drop(by_post);
        let by_get = send(Verb::Get)?;
        if !is_refused(&by_get) {
            self.client.get_only.put(self.upstream.clone(), (), Instant::now());
        }
        Ok(by_get)
    }
}

/// What an exchange means: the data and the warnings of a success, or why it is none.
///
/// The envelope comes with any status, so it is read at any status; without it, the status tells what answered.
fn interpret<T: Decode>(answer: Answer) -> Result<(Option<T>, Vec<String>), ErrorKind> {
    let status = answer.status;
    match status {
        429 => return Err(ErrorKind::Unavailable("it is asked too often, HTTP status 429".to_owned())),
        401 | 403 | 407 => return Err(ErrorKind::Refused(status)),
        300..=399 => return Err(ErrorKind::Redirected(status)),
        _ => {}
    }
    let no_prometheus = |why: &str| ErrorKind::NotPrometheus { status: Some(status), why: why.to_owned() };
    if !(200..=299).contains(&status) {
        let envelope = envelope::<Ignored>(answer)?;
        return Err(match envelope.status {
            envelope::Status::Error => refusal(status, envelope.error_type, envelope.error),
            envelope::Status::Success => no_prometheus("it claims success with a status of failure"),
        });
    }
    let envelope = envelope::<T>(answer)?;
    match envelope.status {
        envelope::Status::Error => Err(refusal(status, envelope.error_type, envelope.error)),
        envelope::Status::Success => Ok((envelope.data, envelope.warnings)),
    }
}

fn envelope<T: Decode>(answer: Answer) -> Result<Envelope<T>, ErrorKind> {
    let Answer { status, mut body } = answer;
    envelope::decode(&mut body).map_err(|undecoded| match undecoded {
        Undecoded::Unread(error) => body.failure(error),
        Undecoded::Foreign => {
            let why = "its answer is not one of the Prometheus HTTP API".to_owned();
            ErrorKind::NotPrometheus { status: Some(status), why }
        }
    })
}

/// The answer to a query as it stands in a body. Fuzz targets and benches look at this; what it means, with its HTTP status,
/// only a [`Session`] tells.
#[derive(Debug, PartialEq)]
pub struct Decoded {
    /// Whether the API did what it was asked.
    pub is_success: bool,
    /// What the query evaluates to, if there is anything.
    pub result: Option<(ResultType, SeriesSet)>,
    /// What kind of error it is.
    pub error_type: Option<String>,
    /// What the error is.
    pub error: Option<String>,
    /// The first of its warnings.
    pub warnings: Vec<String>,
}

/// Decodes the answer to a query; `None` when it cannot be read, or is none.
pub fn decoded(body: &mut impl Read) -> Option<Decoded> {
    let envelope = envelope::decode::<QueryResult>(body).ok()?;
    Some(Decoded {
        is_success: envelope.status == envelope::Status::Success,
        result: envelope.data.map(|result| (result.kind, result.found)),
        error_type: envelope.error_type,
        error: envelope.error,
        warnings: envelope.warnings,
    })
}

/// An error that has an error type is Prometheus's own, and its words may be passed on.
fn refusal(status: u16, error_type: Option<String>, message: Option<String>) -> ErrorKind {
    let Some(error_type) = error_type else {
        let why = "its error has no errorType".to_owned();
        return ErrorKind::NotPrometheus { status: Some(status), why };
    };
    let message = message.map(|message| shortened(&message)).unwrap_or_default();
    let gave_up = matches!(status, 503 | 504) || matches!(error_type.as_str(), "timeout" | "canceled" | "unavailable");
    if gave_up {
        ErrorKind::Unavailable(message)
    } else {
        ErrorKind::Api { status, error_type: shortened(&error_type), message }
    }
}

/// Milliseconds as seconds with exactly three decimals: finer times are rounded by one server and cut by another.
fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    format!("{sign}{}.{:03}", ms / 1000, ms % 1000)
}

fn narrowing(selector: Option<&str>, start_ms: i64, end_ms: i64, limit: Option<usize>) -> Params {
    // VictoriaMetrics 1.145 takes a start of 0 for none, and then looks at the last day only.
    let mut params = vec![("start", seconds(start_ms.max(1))), ("end", seconds(end_ms))];
    params.extend(selector.map(|selector| ("match[]", selector.to_owned())));
    // A limit beyond 31 bits is none, and not all servers can read it.
    let limit = limit.filter(|&limit| limit < i32::MAX as usize);
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
    use transport::Body;

    #[test]
    fn times_have_exactly_three_decimals() {
        for (ms, text) in [(0, "0.000"), (1_504_411_200_000, "1504411200.000"), (59_999, "59.999"), (-1, "-0.001")] {
            assert_eq!(seconds(ms), text);
        }
    }

    #[test]
    fn a_list_of_all_times_has_a_start() {
        let check = |start_ms: i64, start: &str| {
            let expected = vec![("start", start.to_owned()), ("end", "7.000".to_owned())];
            assert_eq!(narrowing(None, start_ms, 7_000, None), expected);
        };
        check(0, "0.001");
        check(2_000, "2.000");
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
            let deadline = Deadline::new(Instant::now(), Duration::from_secs(60));
            let answer = Answer { status, body: Body::new(ureq::Body::builder().data(body), deadline) };
            assert_eq!(
                interpret::<BoundedList<String, 9>>(answer).map(|(data, _)| data.map(|list| list.kept)),
                expected,
                "{status} {body}"
            );
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
        check(500, r#"{"status":"error","error":"hush"}"#, none(500, "its error has no errorType"));
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
