//! The Mirror API: which request goes to which handler, and how every reply is written.
//!
//! The only room that knows both StackState's side (`wire`) and Prometheus's (`prometheus`). A handler takes a request and
//! gives a response or an [`Error`]; the reply is built here, in one place, so that none goes without its key.

mod condition;
mod connection;
mod datasource;
mod evaluation;
mod existence;
mod expression;
mod field_name;
mod field_value;
mod metric;
mod probe;
mod promql_answer;
mod reply;
mod samples;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, KEY_HEADER, RETRY_AFTER_S};
use crate::key::Keyring;
use crate::metrics::{self, Metrics};
use crate::model::query::{Invalid, MetricQuery};
use crate::model::time::TimeRange;
use crate::object::Object;
use crate::prometheus::{Client, Session};
use crate::wire::request::Integer;

use reply::Asked;

pub use datasource::Datasource;
pub use metric::body as metric_body;
pub use reply::{Note, Reply, SignedReply};

/// A path, the verb it takes, and what answers it. `HEAD` goes wherever `GET` does.
struct Route {
    /// What the metrics call it.
    name: &'static str,
    path: &'static str,
    allow: &'static str,
    action: Action,
}

/// What answers a request.
#[derive(Clone, Copy)]
enum Action {
    /// A method of the Mirror API, which asks Prometheus and therefore needs a worker.
    Method(Handler),
    /// A text about the mirror itself, at once; its type.
    Page(&'static str, fn(&Gateway) -> Result<String, Error>),
}

type Handler = fn(&mut Call<'_>, &[u8]) -> Result<Vec<u8>, Error>;

/// The paths that the key may be required for begin like this.
const METHODS: &str = "/api/";

/// What the metrics call a path that there is nothing at.
const OTHER: &str = "other";

const GET: &str = "GET, HEAD";
const POST: &str = "POST";

const ROUTES: [Route; 9] = [
    Route {
        name: "connection",
        path: "/api/connection",
        allow: POST,
        action: Action::Method(|call, body| json(&connection::answer(call, &parsed(body)?))),
    },
    Route {
        name: "field_name",
        path: "/api/field/name",
        allow: POST,
        action: Action::Method(|call, body| json(&field_name::answer(call, &parsed(body)?)?)),
    },
    Route {
        name: "field_value",
        path: "/api/field/value",
        allow: POST,
        action: Action::Method(|call, body| json(&field_value::answer(call, &parsed(body)?)?)),
    },
    Route {
        name: "metric",
        path: "/api/metric",
        allow: POST,
        action: Action::Method(|call, body| metric::answer(call, &parsed(body)?)),
    },
    Route { name: "about", path: "/", allow: GET, action: Action::Page(TEXT, |_| Ok(about())) },
    Route { name: "healthy", path: "/-/healthy", allow: GET, action: Action::Page(TEXT, |_| Ok(OK.to_owned())) },
    // What some earlier mirrors call it.
    Route { name: "healthy", path: "/healthcheck", allow: GET, action: Action::Page(TEXT, |_| Ok(OK.to_owned())) },
    Route { name: "ready", path: "/-/ready", allow: GET, action: Action::Page(TEXT, Gateway::ready) },
    Route {
        name: "metrics",
        path: "/metrics",
        allow: GET,
        action: Action::Page(metrics::CONTENT_TYPE, |gateway| Ok(gateway.metrics.page())),
    },
];

/// What all requests share.
#[derive(Debug)]
pub struct Gateway {
    keyring: Arc<Keyring>,
    /// Whether requests of the Mirror API must carry the key.
    requires_key: bool,
    client: Client,
    metrics: Arc<Metrics>,
    is_leaving: AtomicBool,
    is_shutting_down: AtomicBool,
}

/// A request that needs a worker.
#[derive(Clone, Copy)]
pub struct Job {
    method: &'static str,
    handler: Handler,
}

/// What a request comes to before a worker is needed.
pub enum Routed {
    /// It needs a worker, and its body.
    Job(Job),
    /// It is answered already.
    Reply(Reply),
}

/// One request under way.
#[derive(Debug)]
pub struct Call<'g> {
    client: &'g Client,
    metrics: &'g Metrics,
    accepted: Instant,
    session: Option<Session<'g>>,
    /// What failed in a request that is answered all the same, for the log.
    failure: Option<String>,
}

impl<'g> Call<'g> {
    /// Opens the way to a datasource: what is left of the request's time bounds everything asked there.
    fn open(&mut self, datasource: &Datasource) -> &mut Session<'g> {
        let Datasource { upstream, timeout, partial, .. } = datasource;
        let session = self.client.session(upstream.clone(), self.accepted, *timeout, *partial);
        self.session.insert(session)
    }
}

impl Gateway {
    /// A gateway that signs with a key, which requests of the Mirror API may be required to carry, and asks through a
    /// client.
    pub fn new(keyring: Arc<Keyring>, requires_key: bool, client: Client, metrics: Arc<Metrics>) -> Gateway {
        let (is_leaving, is_shutting_down) = (AtomicBool::new(false), AtomicBool::new(false));
        Gateway { keyring, requires_key, client, metrics, is_leaving, is_shutting_down }
    }

    /// From now on, the mirror is not ready. It still answers, for those who have not learnt so yet.
    pub fn leave(&self) {
        self.is_leaving.store(true, Ordering::SeqCst);
    }

    /// Whether it has come to that.
    pub fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::SeqCst)
    }

    /// From now on, requests of the Mirror API are turned away as well.
    pub fn shut_down(&self) {
        self.leave();
        self.is_shutting_down.store(true, Ordering::SeqCst);
    }

    fn is_shutting_down(&self) -> bool {
        self.is_shutting_down.load(Ordering::SeqCst)
    }

    /// Finds what answers a verb and a request target, whose query string, repeated slashes and trailing slash do not
    /// matter. `key` is what the request carries in [`KEY_HEADER`].
    pub fn route(&self, verb: &str, target: &str, key: Option<&str>) -> Routed {
        let path = normal_path(target);
        if self.requires_key && path.starts_with(METHODS) && !key.is_some_and(|key| self.keyring.current().is(key)) {
            return Routed::Reply(self.refuse(OTHER, &Error::Unauthorized));
        }
        let Some(route) = ROUTES.iter().find(|route| route.path == path) else {
            return Routed::Reply(self.refuse(OTHER, &Error::NoSuchPath(path.into_owned())));
        };
        let method = route.name;
        if !route.allow.split(", ").any(|allowed| allowed == verb) {
            return Routed::Reply(self.refuse(method, &Error::VerbNotAllowed(route.allow)));
        }
        match route.action {
            Action::Method(_) if self.is_shutting_down() => Routed::Reply(self.refuse(method, &Error::ShuttingDown)),
            Action::Method(handler) => Routed::Job(Job { method, handler }),
            Action::Page(content_type, page) => Routed::Reply(match page(self) {
                Ok(text) => Reply::new(method, 200, content_type, text.into_bytes(), Note::default()),
                Err(error) => self.refuse(method, &error),
            }),
        }
    }

    /// Does a job on the calling thread. A panic in it is a fault of ours, which costs its request and nothing else.
    pub fn perform(&self, job: Job, body: &[u8], accepted: Instant) -> Reply {
        let mut call = Call { client: &self.client, metrics: &self.metrics, accepted, session: None, failure: None };
        let handled = catch_unwind(AssertUnwindSafe(|| (job.handler)(&mut call, body)));
        let mut reply = match handled.unwrap_or(Err(Error::Internal)) {
            Ok(body) => {
                let note = Note { error: call.failure, ..Note::default() };
                Reply::new(job.method, 200, JSON, body, note)
            }
            Err(error) => self.refuse(job.method, &error),
        };
        reply.note.asked = call.session.map(|session| Asked {
            upstream: session.upstream().to_string(),
            calls: session.calls(),
            spent: session.spent(),
            promql: session.last_query().unwrap_or_default().to_owned(),
        });
        reply
    }

    /// The reply to what is not even looked at.
    pub fn refuse_unseen(&self, error: &Error) -> Reply {
        self.refuse(OTHER, error)
    }

    /// The reply to a job that cannot be done.
    pub fn refuse_job(&self, job: Job, error: &Error) -> Reply {
        self.refuse(job.method, error)
    }

    /// The reply that tells of an error.
    fn refuse(&self, method: &'static str, error: &Error) -> Reply {
        let body = json(&error.body()).unwrap_or_default();
        let note = Note { error: Some(error.to_string()), rejection: error.rejection(), ..Note::default() };
        let mut reply = Reply::new(method, error.status(), JSON, body, note);
        match error {
            Error::VerbNotAllowed(allow) => reply.headers.push(("Allow", (*allow).to_owned())),
            Error::Overloaded | Error::ShuttingDown => {
                reply.headers.push(("Retry-After", RETRY_AFTER_S.to_string()));
            }
            Error::Unauthorized => reply.headers.push(("WWW-Authenticate", format!("{KEY_HEADER} realm=\"mirror\""))),
            _ => {}
        }
        reply
    }

    /// Adds the key, by which StackState knows its mirror. `key` is what the request carried: where it has to, only those
    /// who have the key are given it, or anybody could ask for it.
    pub fn sign(&self, reply: Reply, key: Option<&str>) -> SignedReply {
        let current = self.keyring.current();
        let may_know = !self.requires_key || key.is_some_and(|key| current.is(key));
        reply.signed(may_know.then_some(&*current))
    }

    /// Counts a reply that was written, `took` after its request was taken in.
    pub fn count(&self, method: &'static str, status: u16, note: &Note, took: Duration) {
        self.metrics.answered(method, status, took);
        if let Some(reason) = note.rejection {
            self.metrics.rejected(reason);
        }
    }

    fn ready(&self) -> Result<String, Error> {
        if self.is_leaving() { Err(Error::ShuttingDown) } else { Ok(OK.to_owned()) }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const OK: &str = "ok\n";
const JSON: &str = "application/json";

/// Whom a body of `POST /api/metric` asks, and what: all that happens to it before Prometheus is asked. A fuzz target looks at
/// this.
///
/// # Errors
/// When it is no valid request.
pub fn metric_query(body: &[u8]) -> Result<(Datasource, MetricQuery), Error> {
    metric::checked(&parsed(body)?)
}

fn json(response: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(response).map_err(|_| Error::Internal)
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let request: Result<Object<T>, _> = serde_json::from_slice(body);
    request.map(|Object(request)| request).map_err(|error| Error::BadRequest(reason(&error)))
}

/// Why something is no request, without the values that serde's reasons begin with: one may be a password.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => text,
    }
}

/// The path of a request target with its slashes collapsed and none at the end: the DataSourceUrl usually ends in one, so
/// `//api/metric` is a real request. A whole URL is a target, too (RFC 9112, "absolute-form").
pub fn normal_path(target: &str) -> Cow<'_, str> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = match path.strip_prefix("http://").or_else(|| path.strip_prefix("https://")) {
        Some(whole) => whole.split_once('/').map_or("", |(_, path)| path),
        None if is_normal(path) => return Cow::Borrowed(path),
        None => path,
    };
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    Cow::Owned(format!("/{}", segments.join("/")))
}

fn is_normal(path: &str) -> bool {
    path.starts_with('/') && !path.contains("//") && !(path.len() > 1 && path.ends_with('/'))
}

fn about() -> String {
    concat!(
        "prometheusmirror ",
        env!("CARGO_PKG_VERSION"),
        "\nA gateway that lets StackState use the telemetry of a Prometheus without copying it.\n"
    )
    .to_owned()
}

/// The time now, in milliseconds since the epoch.
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// A range of time as requests give it: since the beginning when the start is 0 or absent, until now when the end is.
fn time_range(start: Option<Integer>, end: Option<Integer>) -> Result<TimeRange, Error> {
    let start = start.map_or(0, |start| start.0);
    let end = end.map(|end| end.0).filter(|&end| end != 0).unwrap_or_else(|| now_ms().max(start));
    Ok(TimeRange::new(start, end).map_err(Invalid::from)?)
}

fn not_negative(number: Option<Integer>, field: &'static str) -> Result<Option<usize>, Error> {
    let checked = |Integer(value): Integer| usize::try_from(value).map_err(|_| Invalid::Negative { field, value });
    Ok(number.map(checked).transpose()?)
}

#[cfg(test)]
mod tests {
    use crate::key::Key;
    use crate::prometheus::Authorities;

    use super::*;

    const KEY: &str = "key-of-tests";

    fn gateway(requires_key: bool) -> Gateway {
        let metrics = Arc::new(Metrics::new(1, 1));
        let keyring = Arc::new(Keyring::fixed(Key::new(KEY).unwrap()));
        let client = Client::new(1, "*".parse().unwrap(), Authorities::default(), None, Arc::clone(&metrics));
        Gateway::new(keyring, requires_key, client, metrics)
    }

    fn key_of(reply: SignedReply) -> Option<String> {
        let headers = reply.into_reply().headers;
        headers.into_iter().find(|(name, _)| *name == KEY_HEADER).map(|(_, value)| value)
    }

    #[test]
    fn a_panic_is_an_internal_error_with_the_key() {
        let gateway = gateway(false);
        let job = Job { method: "metric", handler: |_, _| panic!("on purpose") };
        let reply = gateway.perform(job, b"", Instant::now());
        assert_eq!(reply.status, 500);
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body["_type"], "RemoteMirrorError", "{body}");
        assert!(!body["details"].as_str().unwrap().contains("on purpose"), "{body}");
        assert_eq!(key_of(gateway.sign(reply, None)).as_deref(), Some(KEY));
    }

    #[test]
    fn where_the_key_is_required_only_those_who_have_it_are_answered_and_given_it() {
        let check = |requires_key: bool, target: &str, key: Option<&str>, status: Option<u16>, is_signed: bool| {
            let gateway = gateway(requires_key);
            let verb = if target.starts_with("/api") { "POST" } else { "GET" };
            let reply = match gateway.route(verb, target, key) {
                Routed::Reply(reply) => reply,
                Routed::Job(job) => {
                    assert_eq!(status, None, "{target}");
                    gateway.refuse_job(job, &Error::Overloaded)
                }
            };
            assert_eq!(reply.status, status.unwrap_or(503), "{target}");
            assert_eq!(key_of(gateway.sign(reply, key)), is_signed.then(|| KEY.to_owned()), "{target} {key:?}");
        };
        for key in [None, Some(""), Some("wrong"), Some(KEY)] {
            check(false, "/api/metric", key, None, true);
            check(false, "/-/healthy", key, Some(200), true);
            check(false, "/api/nothing", key, Some(404), true);
        }
        for key in [None, Some(""), Some("wrong"), Some("key-of-test"), Some("key-of-testsx")] {
            check(true, "/api/metric", key, Some(401), false);
            check(true, "//api//metric/?x", key, Some(401), false);
            check(true, "/api/nothing", key, Some(401), false);
            check(true, "/-/healthy", key, Some(200), false);
            check(true, "/nothing", key, Some(404), false);
        }
        check(true, "/api/metric", Some(KEY), None, true);
        check(true, "/api/nothing", Some(KEY), Some(404), true);
        check(true, "/-/healthy", Some(KEY), Some(200), true);
    }

    #[test]
    fn who_shuts_down_takes_no_jobs_and_is_not_ready() {
        let gateway = gateway(false);
        let status = |verb: &str, target: &str| match gateway.route(verb, target, None) {
            Routed::Job(_) => 0,
            Routed::Reply(reply) => reply.status,
        };
        assert_eq!((status("POST", "/api/metric"), status("GET", "/-/ready")), (0, 200));
        gateway.shut_down();
        assert_eq!((status("POST", "/api/metric"), status("GET", "/-/ready")), (503, 503));
        assert_eq!((status("GET", "/-/healthy"), status("GET", "/metrics")), (200, 200));
    }

    #[test]
    fn every_rejection_has_a_name_that_the_metrics_know() {
        let rejections = [
            Error::BadRequest(String::new()),
            Error::NoSuchPath(String::new()),
            Error::VerbNotAllowed(""),
            Error::BodyTooLarge(0),
            Error::BodyNotReceived,
            Error::Overloaded,
            Error::ShuttingDown,
            Error::Unauthorized,
        ];
        assert_eq!(rejections.map(|error| error.rejection()), metrics::REJECTIONS.map(Some));
    }

    #[test]
    fn slashes_and_query_strings_do_not_matter() {
        let check = |target: &str, expected: &str| assert_eq!(normal_path(target), expected, "{target}");
        check("/api/metric", "/api/metric");
        check("/api/metric/", "/api/metric");
        check("//api/metric", "/api/metric");
        check("//api///metric/", "/api/metric");
        check("/api/metric?x=/y", "/api/metric");
        check("/", "/");
        check("", "/");
        check("//?", "/");
        check("http://mirror:9900/api/metric/", "/api/metric");
        check("http://mirror:9900", "/");
    }

    #[test]
    fn why_a_body_is_no_request_repeats_nothing_of_it() {
        let check = |body: &str, part: &str| {
            let error = parsed::<crate::wire::request::TestConnectionRequest>(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("hush"), "{body}: {error}");
        };
        check(r#"{"connectionDetails":"https://u:hush@p"}"#, "expected an object");
        check(r#"{"_type":"hush"}"#, "missing field `connectionDetails`");
        check(r#"{"hush"#, "EOF");
        check(r#"["hush"]"#, "expected an object");
    }
}
