//! The Mirror API: which request goes to which handler, and how every reply is written.
//!
//! The only room that knows both StackState's side (`wire`) and Prometheus's (`prometheus`). A handler takes a request and
//! gives a response or an [`Error`]; the reply is built here, in one place, so that none goes without its key.

mod condition;
mod connection;
mod datasource;
mod field_name;
mod field_value;
mod metric;
mod probe;
mod search;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, RETRY_AFTER_S};
use crate::log;
use crate::prometheus::{Client, Session};
use crate::query::{Invalid, TimeRange};
use crate::wire::request::Integer;

use datasource::Datasource;
use probe::Probes;

/// The header that StackState compares with the key of its datasource.
pub const KEY_HEADER: &str = "X-MIRROR-API-KEY";

/// A path, the verb it takes, and what answers it. `HEAD` goes wherever `GET` does.
struct Route {
    path: &'static str,
    allow: &'static str,
    action: Action,
}

/// What answers a request.
#[derive(Clone, Copy)]
enum Action {
    /// A method of the Mirror API, which asks Prometheus and therefore needs a worker.
    Method(Handler),
    /// A text about the mirror itself, at once.
    Page(fn() -> String),
}

type Handler = fn(&Gateway, &mut Call<'_>, &[u8]) -> Result<Vec<u8>, Error>;

const GET: &str = "GET, HEAD";
const POST: &str = "POST";

const ROUTES: [Route; 8] = [
    Route {
        path: "/api/connection",
        allow: POST,
        action: Action::Method(|_, call, body| json(&connection::answer(call, &parsed(body)?))),
    },
    Route {
        path: "/api/field/name",
        allow: POST,
        action: Action::Method(|_, call, body| json(&field_name::answer(call, &parsed(body)?)?)),
    },
    Route {
        path: "/api/field/value",
        allow: POST,
        action: Action::Method(|_, call, body| json(&field_value::answer(call, &parsed(body)?)?)),
    },
    Route {
        path: "/api/metric",
        allow: POST,
        action: Action::Method(|gateway, call, body| json(&metric::answer(&gateway.probes, call, &parsed(body)?)?)),
    },
    Route { path: "/", allow: GET, action: Action::Page(about) },
    Route { path: "/-/healthy", allow: GET, action: Action::Page(healthy) },
    Route { path: "/-/ready", allow: GET, action: Action::Page(healthy) },
    // What some earlier mirrors call it.
    Route { path: "/healthcheck", allow: GET, action: Action::Page(healthy) },
];

/// What all requests share.
#[derive(Debug)]
pub struct Gateway {
    api_key: String,
    client: Client,
    probes: Probes,
}

/// A request that needs a worker.
#[derive(Clone, Copy)]
pub struct Job(Handler);

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
    accepted: Instant,
    session: Option<Session<'g>>,
    /// What failed in a request that is answered all the same, for the log.
    failure: Option<String>,
}

impl<'g> Call<'g> {
    /// Opens the way to a datasource: what is left of the request's time bounds everything asked there.
    fn open(&mut self, datasource: &Datasource) -> &mut Session<'g> {
        let session = self.client.session(datasource.upstream.clone(), self.accepted, datasource.timeout);
        self.session.insert(session)
    }
}

/// A reply, ready to be written.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers, without those of the body's length.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// What the log says of it besides method, path, status and duration.
    pub note: Note,
}

/// What the log says of a reply.
#[derive(Debug, Default)]
pub struct Note {
    asked: Option<Asked>,
    /// Why there is no answer.
    error: Option<String>,
}

/// What was asked of an upstream.
#[derive(Debug)]
struct Asked {
    upstream: String,
    calls: u32,
    spent: Duration,
    promql: String,
}

impl Note {
    /// Adds the note to a line of the log.
    pub fn add_to(&self, mut line: log::Line) -> log::Line {
        if let Some(Asked { upstream, calls, spent, promql }) = &self.asked {
            line = line.text("upstream", upstream).number("upstream_calls", *calls).millis("upstream_ms", *spent);
            line = line.text("promql", promql);
        }
        line.text("error", self.error.as_deref().unwrap_or_default())
    }
}

impl Gateway {
    /// A gateway that signs with a key and asks through a client.
    pub fn new(api_key: String, client: Client) -> Gateway {
        Gateway { api_key, client, probes: Probes::default() }
    }

    /// Finds what answers a verb and a request target, whose query string, repeated slashes and trailing slash do not
    /// matter.
    pub fn route(&self, verb: &str, target: &str) -> Routed {
        let path = normal_path(target);
        let Some(route) = ROUTES.iter().find(|route| route.path == path) else {
            return Routed::Reply(self.refuse(&Error::NoSuchPath(path)));
        };
        if !route.allow.split(", ").any(|allowed| allowed == verb) {
            return Routed::Reply(self.refuse(&Error::VerbNotAllowed(route.allow)));
        }
        match route.action {
            Action::Method(handler) => Routed::Job(Job(handler)),
            Action::Page(page) => {
                Routed::Reply(self.reply(200, "text/plain; charset=utf-8", page().into_bytes(), Note::default()))
            }
        }
    }

    /// Does a job on the calling thread. A panic in it is a fault of ours, which costs its request and nothing else.
    pub fn perform(&self, job: Job, body: &[u8], accepted: Instant) -> Reply {
        let mut call = Call { client: &self.client, accepted, session: None, failure: None };
        let handled = catch_unwind(AssertUnwindSafe(|| (job.0)(self, &mut call, body)));
        let mut reply = match handled.unwrap_or(Err(Error::Internal)) {
            Ok(body) => self.reply(200, JSON, body, Note { asked: None, error: call.failure }),
            Err(error) => self.refuse(&error),
        };
        reply.note.asked = call.session.map(|session| Asked {
            upstream: session.upstream().to_string(),
            calls: session.calls(),
            spent: session.spent(),
            promql: session.last_query().unwrap_or_default().to_owned(),
        });
        reply
    }

    /// The reply that tells of an error.
    pub fn refuse(&self, error: &Error) -> Reply {
        let body = json(&error.body()).unwrap_or_default();
        let note = Note { asked: None, error: Some(error.to_string()) };
        let mut reply = self.reply(error.status(), JSON, body, note);
        match error {
            Error::VerbNotAllowed(allow) => reply.headers.push(("Allow", (*allow).to_owned())),
            Error::Overloaded => reply.headers.push(("Retry-After", RETRY_AFTER_S.to_string())),
            _ => {}
        }
        reply
    }

    fn reply(&self, status: u16, content_type: &str, body: Vec<u8>, note: Note) -> Reply {
        let headers = vec![(KEY_HEADER, self.api_key.clone()), ("Content-Type", content_type.to_owned())];
        Reply { status, headers, body, note }
    }
}

const JSON: &str = "application/json";

fn json(response: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(response).map_err(|_| Error::Internal)
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    // A list would pass for an object whose fields are given by their places.
    if body.trim_ascii_start().first().is_some_and(|&first| first == b'[') {
        return Err(Error::BadRequest("a list where an object is expected".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| Error::BadRequest(reason(&error)))
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
fn normal_path(target: &str) -> String {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = match path.strip_prefix("http://").or_else(|| path.strip_prefix("https://")) {
        Some(whole) => whole.split_once('/').map_or("", |(_, path)| path),
        None => path,
    };
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    format!("/{}", segments.join("/"))
}

fn about() -> String {
    concat!(
        "prometheusmirror ",
        env!("CARGO_PKG_VERSION"),
        "\nA gateway that lets StackState use the telemetry of a Prometheus without copying it.\n"
    )
    .to_owned()
}

fn healthy() -> String {
    "ok\n".to_owned()
}

/// The time now, in milliseconds since the epoch.
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// The time range of a field query: all time when both ends are 0 or absent. It is always sent, since some servers look at
/// the last day only when it is not.
fn field_range(start: Option<Integer>, end: Option<Integer>) -> Result<(i64, i64), Error> {
    let start = start.map_or(0, |start| start.0);
    let end = end.map(|end| end.0).filter(|&end| end != 0).unwrap_or_else(|| now_ms().max(start));
    let range = TimeRange::new(start, end)?;
    Ok((range.start, range.end))
}

fn not_negative(number: Option<Integer>, field: &'static str) -> Result<Option<usize>, Error> {
    let checked = |Integer(value): Integer| usize::try_from(value).map_err(|_| Invalid::Negative { field, value });
    Ok(number.map(checked).transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_and_query_strings_do_not_matter() {
        let check = |target: &str, expected: &str| assert_eq!(normal_path(target), expected, "{target}");
        check("/api/metric", "/api/metric");
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
        check(r#"{"connectionDetails":"https://u:hush@p"}"#, "expected struct ConnectionDetails");
        check(r#"{"_type":"hush"}"#, "missing field `connectionDetails`");
        check(r#"{"hush"#, "EOF");
        check(r#"["hush"]"#, "a list");
    }
}
