//! The Mirror API: which request goes to which handler, and how every reply is written.
//!
//! The only room that knows both StackState's side (`wire`) and Prometheus's (`prometheus`). A handler takes a request and
//! gives a response or an [`Error`]; the reply is built here, in one place, so that none goes without its key.

mod condition;
mod connection;
mod datasource;
mod evaluation;
mod existence;
mod explain;
mod expression;
mod field_name;
mod field_value;
mod found_points;
mod metric;
mod probe;
mod promql_answer;
mod reply;
mod request_head;
mod sample_reading;
mod samples;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Full, KEY_HEADER, Places, RETRY_AFTER_S};
use crate::file::Refreshed;
use crate::key::CurrentKey;
use crate::memory::MemoryBudget;
use crate::metrics::{self, Metrics, SharedPage};
use crate::model::query::{Invalid, MetricQuery, Order};
use crate::model::time::TimeRange;
use crate::model::trace::Trace;
use crate::prometheus::{self, BadUpstreamsFile, Client, Deadline, Session};
use crate::web;
use crate::wire::explanation::{self, Explanation};
use crate::wire::request::{self, Integer};

use explain::ExplainedAnswer;
use reply::{CallSummary, Failure};

pub use crate::prometheus::{Lane, Queued};
pub use datasource::Datasource;
use datasource::Directory;
pub use metric::body as metric_body;
pub use reply::{KeyedReply, Note, Reply};
pub use request_head::RequestHead;

/// A path, the verb it takes, and what answers it. `HEAD` goes wherever `GET` does.
#[derive(Clone, Copy)]
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
    Method(Method),
    /// A page of the mirror itself, at once.
    Page(PageAction),
}

/// What answers a request for a page of the mirror itself.
#[derive(Clone, Copy)]
struct PageAction {
    content_type: &'static str,
    /// Further headers.
    headers: &'static [(&'static str, &'static str)],
    content: Content,
}

/// What is on a page.
#[derive(Clone, Copy)]
enum Content {
    /// Always the same.
    Fixed(&'static str),
    /// What the mirror knows at the time.
    Rendered(fn(&Gateway, Trust) -> Result<String, Error>),
}

/// Whether a request has the key, where it needs one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Full,
    None,
}

/// A page without further headers.
const fn page(content_type: &'static str, content: Content) -> Action {
    Action::Page(PageAction { content_type, headers: &[], content })
}

/// A part of the explorer.
const fn explorer(path: &'static str, content_type: &'static str, content: Content) -> Route {
    let action = Action::Page(PageAction { content_type, headers: &web::HEADERS, content });
    Route { name: "explorer", path, allow: GET, action }
}

/// A method of the Mirror API.
#[derive(Clone, Copy)]
struct Method {
    /// Checks the body of a request, and gives its datasource and its query.
    prepare: fn(&Directory<'_>, &[u8]) -> Result<Checked, Error>,
    /// The body of an answer that tells of an error in its own way, if it does.
    recover: fn(&Error) -> Option<Vec<u8>>,
    /// Whether a valid request is answered without asking Prometheus.
    only_checks: bool,
}

/// The datasource and the query of a valid request.
type Checked = (Datasource, Box<dyn Ask>);

/// What asks Prometheus.
trait Ask: Send {
    /// The expression or the selector that is asked for, if there is one.
    fn query(&self) -> Option<String>;

    /// The order of the points that are asked for.
    fn order(&self) -> Order {
        Order::OldestFirst
    }

    /// Asks, and gives the body of the answer.
    fn answer(&self, call: &mut Call<'_>) -> Result<Vec<u8>, Error>;
}

/// The paths that the key may be required for begin like this.
const METHODS: &str = "/api/";

/// What the metrics call a path that there is nothing at.
const OTHER: &str = "other";

/// The path of what the mirror is.
const ABOUT: &str = "/";

const GET: &str = "GET, HEAD";
const POST: &str = "POST";

/// The test of a connection.
const CONNECTION: Method = Method {
    prepare: |directory, body| connection::prepare(directory, &parsed(body)?),
    recover: connection::failure,
    only_checks: false,
};

const ROUTES: [Route; 9] = [
    Route { name: "connection", path: "/api/connection", allow: POST, action: Action::Method(CONNECTION) },
    Route {
        name: "field_name",
        path: "/api/field/name",
        allow: POST,
        action: Action::Method(Method {
            prepare: |directory, body| field_name::prepare(directory, &parsed(body)?),
            recover: |_| None,
            only_checks: false,
        }),
    },
    Route {
        name: "field_value",
        path: "/api/field/value",
        allow: POST,
        action: Action::Method(Method {
            prepare: |directory, body| field_value::prepare(directory, &parsed(body)?),
            recover: |_| None,
            only_checks: false,
        }),
    },
    Route {
        name: "metric",
        path: "/api/metric",
        allow: POST,
        action: Action::Method(Method {
            prepare: |directory, body| metric::prepare(directory, &parsed(body)?),
            recover: |_| None,
            only_checks: false,
        }),
    },
    Route { name: "about", path: ABOUT, allow: GET, action: page(TEXT, Content::Fixed(ABOUT_TEXT)) },
    Route { name: "healthy", path: "/-/healthy", allow: GET, action: page(TEXT, Content::Fixed(OK)) },
    // What some earlier mirrors call it.
    Route { name: "healthy", path: "/healthcheck", allow: GET, action: page(TEXT, Content::Fixed(OK)) },
    Route {
        name: "ready",
        path: "/-/ready",
        allow: GET,
        action: page(TEXT, Content::Rendered(|gateway, _| gateway.ready())),
    },
    Route {
        name: "metrics",
        path: "/metrics",
        allow: GET,
        action: page(metrics::CONTENT_TYPE, Content::Rendered(|gateway, _| Ok(gateway.metrics_page()))),
    },
];

/// The explorer. Its page shares a path with the text about the mirror: browsers get the page.
const EXPLORER: [Route; 4] = [
    explorer(ABOUT, web::PAGE_TYPE, Content::Fixed(web::PAGE)),
    explorer("/explorer.css", web::STYLE_TYPE, Content::Fixed(web::STYLE)),
    explorer("/explorer.json", JSON, Content::Rendered(Gateway::explorer_facts)),
    // What is typed is checked by the rules that hold for StackState's requests.
    Route {
        name: "connection_check",
        path: "/api/connection/check",
        allow: POST,
        action: Action::Method(Method { only_checks: true, ..CONNECTION }),
    },
];

/// The scripts of the explorer.
const SCRIPTS: [Route; web::SCRIPTS.len()] = {
    let mut routes = [explorer("", web::SCRIPT_TYPE, Content::Fixed("")); web::SCRIPTS.len()];
    let mut nth = 0;
    while nth < routes.len() {
        let (path, text) = web::SCRIPTS[nth];
        routes[nth] = explorer(path, web::SCRIPT_TYPE, Content::Fixed(text));
        nth += 1;
    }
    routes
};

/// What the mirror lets its clients do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Access {
    /// Whether requests of the Mirror API must carry the key.
    pub requires_key: bool,
    /// Whether connection details may name an upstream only, and give no address.
    pub has_named_only: bool,
    /// Whether browsers get the explorer.
    pub has_explorer: bool,
}

/// What all requests share.
#[derive(Debug)]
pub struct Gateway {
    keyring: Arc<CurrentKey>,
    access: Access,
    client: Client,
    memory: Arc<MemoryBudget>,
    metrics: Arc<Metrics>,
    is_leaving: AtomicBool,
    is_shutting_down: AtomicBool,
    metrics_page: SharedPage,
}

/// A request of a method of the Mirror API, of which the body is not read yet.
#[derive(Clone, Copy)]
pub struct Job {
    name: &'static str,
    method: Method,
    /// Whether the answer is to be explained.
    explains: bool,
}

/// A page about the mirror itself.
#[derive(Clone, Copy)]
pub struct Page {
    name: &'static str,
    action: PageAction,
    trust: Trust,
}

/// What a request comes to before a worker is needed.
pub enum Routed {
    /// It is answered with a page, which takes no upstream and little time.
    Page(Page),
    /// Its body has to be read, and then it needs a worker.
    Job(Job),
    /// It is answered already.
    Reply(Reply),
}

/// What a request comes to once its body is read.
pub enum Prepared {
    /// It needs a worker.
    Question(Question),
    /// It is answered already.
    Reply(Reply),
}

/// A checked request, which needs a worker.
pub struct Question {
    job: Job,
    datasource: Datasource,
    ask: Box<dyn Ask>,
    deadline: Deadline,
    lane: Lane,
}

impl Question {
    /// When its timeout is over.
    pub fn deadline(&self) -> Instant {
        self.deadline.instant()
    }

    /// How it shares the workers with others.
    pub fn lane(&self) -> Lane {
        self.lane
    }
}

/// One request under way.
#[derive(Debug)]
pub struct Call<'g> {
    session: Session<'g>,
    metrics: &'g Metrics,
    /// How the points came to be, if that is to be explained.
    explained: Option<ExplainedAnswer>,
}

impl Gateway {
    /// A gateway that signs with a key, and asks through a client.
    pub fn new(
        keyring: Arc<CurrentKey>,
        access: Access,
        client: Client,
        memory: Arc<MemoryBudget>,
        metrics: Arc<Metrics>,
    ) -> Gateway {
        let (is_leaving, is_shutting_down) = (AtomicBool::new(false), AtomicBool::new(false));
        Gateway {
            keyring,
            access,
            client,
            memory,
            metrics,
            is_leaving,
            is_shutting_down,
            metrics_page: SharedPage::default(),
        }
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

    /// Finds what answers a request.
    pub fn route(&self, head: &RequestHead<'_>) -> Routed {
        let &RequestHead { verb, target, key, explain, .. } = head;
        let path = normal_path(target);
        if path.starts_with(METHODS) {
            if head.is_cross_origin() {
                return Routed::Reply(self.refuse(OTHER, &Error::CrossOrigin));
            }
            if !self.trusts(key) {
                return Routed::Reply(self.refuse(OTHER, &Error::Unauthorized));
            }
        }
        let Some(route) = self.find_route(&path, head) else {
            return Routed::Reply(self.refuse(OTHER, &Error::NoSuchPath(path.into_owned())));
        };
        let method = route.name;
        if !route.allow.split(", ").any(|allowed| allowed == verb) {
            return Routed::Reply(self.refuse(method, &Error::VerbNotAllowed(route.allow)));
        }
        match route.action {
            Action::Method(_) if self.is_shutting_down() => Routed::Reply(self.refuse(method, &Error::ShuttingDown)),
            Action::Method(of_api) => {
                let explains = explain.is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
                Routed::Job(Job { name: method, method: of_api, explains })
            }
            Action::Page(action) => {
                let trust = if self.trusts(key) { Trust::Full } else { Trust::None };
                Routed::Page(Page { name: method, action, trust })
            }
        }
    }

    /// The route of a request with a path.
    fn find_route(&self, path: &str, head: &RequestHead<'_>) -> Option<&'static Route> {
        let explorer =
            EXPLORER.iter().chain(&SCRIPTS).find(|route| route.path == path).filter(|_| self.access.has_explorer);
        let explorer = explorer.filter(|route| route.path != ABOUT || head.prefers_html());
        explorer.or_else(|| ROUTES.iter().find(|route| route.path == path))
    }

    /// Whether a request that carries this key, or none, has the key that it needs.
    fn trusts(&self, key: Option<&str>) -> bool {
        !self.access.requires_key || key.is_some_and(|key| self.keyring.current().is(key))
    }

    /// Renders a page.
    pub fn render(&self, page: Page) -> Reply {
        let Page { name, action: PageAction { content_type, headers, content }, trust } = page;
        let text = match content {
            Content::Fixed(text) => Ok(text.to_owned()),
            Content::Rendered(render) => render(self, trust),
        };
        match text {
            Ok(text) => {
                let mut reply = Reply::new(name, 200, content_type, text.into_bytes(), Note::default());
                reply.headers.extend(headers.iter().map(|&(name, value)| (name, value.to_owned())));
                reply
            }
            Err(error) => self.refuse(name, &error),
        }
    }

    /// Checks a request, so that its upstream and its deadline are known. Gives the reply instead if it is invalid, or if its
    /// upstream is known not to answer.
    pub fn prepare(&self, job: Job, body: &[u8], accepted: Instant) -> Prepared {
        let prepared = catch_unwind(AssertUnwindSafe(|| (job.method.prepare)(&self.directory(), body)))
            .unwrap_or(Err(Error::Internal));
        let (datasource, ask) = match prepared {
            Ok(checked) => checked,
            Err(error) => return Prepared::Reply(self.failed(job, &error, None)),
        };
        if job.method.only_checks {
            return Prepared::Reply(self.found_valid(job));
        }
        let deadline = Deadline::new(accepted, datasource.timeout);
        match self.client.lane(&datasource.upstream) {
            Ok(lane) => Prepared::Question(Question { job, datasource, ask, deadline, lane }),
            Err(silent) => {
                let error = prometheus::Error { query: ask.query().map(Into::into), ..silent };
                Prepared::Reply(self.failed(job, &error.into(), None))
            }
        }
    }

    /// Takes over what has changed in the upstreams file and in those that it names, whatever is wrong with some of them.
    pub fn refresh_upstreams(&self) -> Refreshed<BadUpstreamsFile> {
        self.client.refresh()
    }

    /// Probes the replicas of named upstreams that have several, which takes seconds at most.
    pub fn probe_replicas(&self) {
        self.client.probe_replicas();
    }

    fn directory(&self) -> Directory<'_> {
        Directory { client: Some(&self.client), has_named_only: self.access.has_named_only }
    }

    /// Answers a question, which may have waited for a worker, on the calling thread. A panic is a fault of ours, which costs its request and nothing else.
    pub fn perform(&self, question: Question, queued: Option<Queued>, trace: Arc<Trace>) -> Reply {
        let Question { job, datasource: Datasource { upstream, partial, .. }, ask, deadline, .. } = question;
        let memory = self.memory.question(deadline.instant());
        // Another replica may be asked by now than when the request came.
        let upstream = upstream.at_current_replica();
        let mut session = self.client.session(upstream, deadline, partial, memory, trace);
        if let Some(queued) = queued {
            session.was_queued(queued);
        }
        if job.explains {
            session.record(ask.order());
        }
        let mut call = Call { session, metrics: &self.metrics, explained: None };
        let answered = catch_unwind(AssertUnwindSafe(|| answer(&*ask, &mut call))).unwrap_or(Err(Error::Internal));
        let Call { session, explained, .. } = call;
        let explanation = job.explains.then(|| explain::explanation(&session, explained));
        let with_memory = answered.and_then(|body| {
            let body = with(body, explanation.as_ref());
            let memory = session.memory().clone().into_answer(body.len()).map_err(|none| session.no_memory(none))?;
            Ok((body, memory))
        });
        let mut reply = match with_memory {
            Ok((body, memory)) => {
                Reply { memory: Some(memory), ..Reply::new(job.name, 200, JSON, body, Note::default()) }
            }
            Err(error) => self.failed(job, &error, explanation.as_ref()),
        };
        reply.note.asked = Some(Box::new(CallSummary {
            upstream: session.upstream().name().to_owned(),
            replica: session.upstream().replica().unwrap_or_default().to_owned(),
            failed_replicas: session.failed_replicas(),
            calls: session.calls(),
            spent: session.spent(),
            promql: session.last_query().unwrap_or_default().to_owned(),
        }));
        reply
    }

    /// The reply to a question that found no worker before its deadline, of whose upstream so many workers wait.
    pub fn expire(&self, question: &Question, held_by_upstream: usize) -> Reply {
        let Question { job, datasource, ask, deadline, .. } = question;
        let no_worker = self.client.no_worker(&datasource.upstream, *deadline, held_by_upstream);
        self.failed(*job, &prometheus::Error { query: ask.query().map(Into::into), ..no_worker }.into(), None)
    }

    /// The reply of a method that tells of an error. Without an explanation, no upstream was asked.
    fn failed(&self, job: Job, error: &Error, explanation: Option<&Explanation>) -> Reply {
        let mut reply = match (job.method.recover)(error) {
            Some(body) => {
                let note = Note { failure: Some(Failure::from(error)), ..Note::default() };
                Reply::new(job.name, 200, JSON, body, note)
            }
            None => self.refuse(job.name, error),
        };
        if job.explains {
            reply.body = explanation::add(reply.body, explanation.unwrap_or(&Explanation::default()));
        }
        reply
    }

    /// The reply to a valid request of which nothing else was wanted.
    fn found_valid(&self, job: Job) -> Reply {
        match connection::success() {
            Ok(body) => Reply::new(job.name, 200, JSON, body, Note::default()),
            Err(error) => self.failed(job, &error, None),
        }
    }

    /// The reply to what is not even looked at.
    pub fn refuse_unseen(&self, error: &Error) -> Reply {
        self.refuse(OTHER, error)
    }

    /// The reply to a job that cannot be done.
    pub fn refuse_job(&self, job: Job, error: &Error) -> Reply {
        self.failed(job, error, None)
    }

    /// The reply to a question that there is no room for.
    pub fn turn_away(&self, question: &Question, full: Full, places: Places) -> Reply {
        let Question { job, datasource: Datasource { upstream, .. }, .. } = question;
        self.failed(*job, &Error::Overloaded { upstream: upstream.to_string(), full, places }, None)
    }

    /// The reply that tells of an error.
    fn refuse(&self, method: &'static str, error: &Error) -> Reply {
        let body = json(&error.body()).unwrap_or_default();
        let note = Note { failure: Some(Failure::from(error)), rejection: error.rejection(), ..Note::default() };
        let mut reply = Reply::new(method, error.status(), JSON, body, note);
        match error {
            Error::VerbNotAllowed(allow) => reply.headers.push(("Allow", (*allow).to_owned())),
            Error::Overloaded { .. } | Error::TooManyBodies | Error::NoRoom | Error::ShuttingDown => {
                reply.headers.push(("Retry-After", RETRY_AFTER_S.to_string()));
            }
            Error::Unauthorized => reply.headers.push(("WWW-Authenticate", format!("{KEY_HEADER} realm=\"mirror\""))),
            _ => {}
        }
        reply
    }

    /// Adds the key, by which StackState knows its mirror. `key` is what the request carried: where it has to, only those
    /// who have the key are given it, or anybody could ask for it.
    pub fn sign(&self, reply: Reply, key: Option<&str>) -> KeyedReply {
        // One reading of the key, so that who has the one before is not given the next.
        let current = self.keyring.current();
        let may_know = !self.access.requires_key || key.is_some_and(|key| current.is(key));
        reply.signed(may_know.then_some(&*current))
    }

    /// Counts a reply that was written, `took` after its request was taken in.
    pub fn count(&self, method: &'static str, status: u16, note: &Note, took: Duration) {
        self.metrics.answered(method, status, took);
        if let Some(reason) = note.rejection {
            self.metrics.rejected(reason);
        }
        if let Some(Failure { code, .. }) = &note.failure {
            self.metrics.failed(code);
        }
    }

    /// Rendered once for all who wait for it, so that they never take all of the CPU from others.
    fn metrics_page(&self) -> String {
        let page = self.metrics_page.get(|| {
            self.metrics.memory_held_bytes.set(self.memory.used() as u64);
            self.metrics.page()
        });
        page.to_string()
    }

    fn ready(&self) -> Result<String, Error> {
        if self.is_leaving() { Err(Error::ShuttingDown) } else { Ok(OK.to_owned()) }
    }

    /// What the explorer has to know. Where the key is required, only those who have it get the names of the upstreams.
    fn explorer_facts(&self, trust: Trust) -> Result<String, Error> {
        let facts = web::Facts {
            version: env!("CARGO_PKG_VERSION"),
            requires_key: self.access.requires_key,
            named_upstreams_only: self.access.has_named_only,
            upstreams: (trust == Trust::Full).then(|| self.client.names()),
        };
        serde_json::to_string(&facts).map_err(|_| Error::Internal)
    }
}

/// The body of an answer with its explanation, if there is one.
fn with(body: Vec<u8>, explanation: Option<&Explanation>) -> Vec<u8> {
    match explanation {
        Some(explanation) => explanation::add(body, explanation),
        None => body,
    }
}

/// Answers a question from one replica of its upstream alone, of several the first that can.
fn answer(ask: &dyn Ask, call: &mut Call<'_>) -> Result<Vec<u8>, Error> {
    let mut failed = None;
    loop {
        match ask.answer(call) {
            Err(Error::Upstream(failure)) if call.session.fail_over(&failure.kind) => failed = Some(failure),
            // It is the one before that took the time.
            Err(Error::Upstream(failure)) if failure.kind.had_no_time() => {
                return Err(Error::Upstream(call.session.with_failed_replicas(failed.unwrap_or(failure))));
            }
            Err(Error::Upstream(failure)) => {
                return Err(Error::Upstream(call.session.with_failed_replicas(failure)));
            }
            answered => return answered,
        }
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
    metric::checked(&Directory::default(), &parsed(body)?)
}

fn json(response: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(response).map_err(|_| Error::Internal)
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    request::parsed(body).map_err(Error::BadRequest)
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

const ABOUT_TEXT: &str = concat!(
    "prometheusmirror ",
    env!("CARGO_PKG_VERSION"),
    "\nA gateway that lets StackState use the telemetry of a Prometheus without copying it.\n"
);

/// The time now, in milliseconds since the epoch.
pub fn now_ms() -> i64 {
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
    use serde_json::{Value, json};

    use crate::key::ApiKey;
    use crate::prometheus::{Authorities, AwsEnvironment, Reach};

    use super::*;

    const KEY: &str = "key-of-tests";

    const METRIC_REQUEST: &[u8] = br#"{"connectionDetails":{"host":"p","port":9090},
        "query":{"conditions":[{"key":"__gauge__","value":{"value":"x"}}]}}"#;

    fn gateway(requires_key: bool) -> Gateway {
        let metrics = Arc::new(Metrics::new(1, 1));
        let keyring = Arc::new(CurrentKey::fixed(ApiKey::new(KEY).unwrap()));
        let reach = Reach {
            allowlist: "*".parse().unwrap(),
            authorities: Authorities::default(),
            proxy: None,
            upstreams_file: None,
            aws: AwsEnvironment::default(),
        };
        let client = Client::new(1, reach, Duration::from_secs(300), Arc::clone(&metrics)).unwrap();
        let access = Access { requires_key, ..Access::default() };
        Gateway::new(keyring, access, client, MemoryBudget::new(1 << 20), metrics)
    }

    fn key_of(reply: KeyedReply) -> Option<String> {
        let headers = reply.into_reply().headers;
        headers.into_iter().find(|(name, _)| *name == KEY_HEADER).map(|(_, value)| value)
    }

    struct Panics;

    impl Ask for Panics {
        fn query(&self) -> Option<String> {
            None
        }

        fn answer(&self, _: &mut Call<'_>) -> Result<Vec<u8>, Error> {
            panic!("on purpose")
        }
    }

    #[test]
    fn a_panic_is_an_internal_error_with_the_key() {
        let gateway = gateway(false);
        let check = |reply: Reply| {
            assert_eq!(reply.status, 500);
            let body: Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!(body["_type"], "RemoteMirrorError", "{body}");
            assert!(!body["details"].as_str().unwrap().contains("on purpose"), "{body}");
            assert_eq!(key_of(gateway.sign(reply, None)).as_deref(), Some(KEY));
        };
        let job = |prepare| Job {
            name: "metric",
            method: Method { prepare, recover: |_| None, only_checks: false },
            explains: false,
        };
        match gateway.prepare(job(|_, _| panic!("on purpose")), b"", Instant::now()) {
            Prepared::Reply(reply) => check(reply),
            Prepared::Question(_) => panic!("it is no question"),
        }
        let prepare = |_: &Directory<'_>, _: &[u8]| {
            let (datasource, _) = metric_query(METRIC_REQUEST)?;
            Ok((datasource, Box::new(Panics) as Box<dyn Ask>))
        };
        match gateway.prepare(job(prepare), b"", Instant::now()) {
            Prepared::Question(question) => {
                check(gateway.perform(question, None, Arc::new(Trace::new("r".into(), None, None))))
            }
            Prepared::Reply(_) => panic!("it is answered already"),
        }
    }

    /// The field at a place such as `query.conditions.0.key`, which is added to an object that lacks it.
    fn field<'v>(request: &'v mut Value, place: &str) -> &'v mut Value {
        place.split('.').fold(request, |value, step| match step.parse::<usize>() {
            Ok(index) => &mut value[index],
            Err(_) => &mut value[step],
        })
    }

    #[test]
    fn each_field_of_each_method_says_by_its_name_what_it_must_be() {
        let details = || json!({"host": "p", "port": 9090});
        let list = || json!([{"key": "__gauge__", "value": {"value": "m"}}, {"key": "k", "value": {"value": [{"value": "v"}]}}]);
        let query = |query: Value| json!({"connectionDetails": details(), "query": query});
        let requests = [
            ("/api/connection", json!({"connectionDetails": details()})),
            ("/api/field/name", query(json!({"conditions": list()}))),
            ("/api/field/value", query(json!({"conditions": list(), "field": {"fieldName": "job"}}))),
            (
                "/api/metric",
                query(json!({"conditions": list(), "aggregation": {"method": "MAX", "bucketSizeMillis": 60_000}})),
            ),
        ];
        let values = [
            ("null", json!(null)),
            ("boolean", json!(true)),
            ("number", json!(5)),
            ("fraction", json!(1.5)),
            ("text", json!("hush")),
            ("list", json!(["hush"])),
            ("object", json!({"a": "hush"})),
        ];
        // Sets the field at a place to every type that it does not allow, and wants the error to say this.
        let mut checked = 0;
        let mut check = |methods: &[usize], place: &str, allowed: &[&str], says: &str| {
            for (path, request) in methods.iter().map(|&method| &requests[method]) {
                for (kind, value) in values.iter().filter(|(kind, _)| !allowed.contains(kind)) {
                    let mut request = request.clone();
                    *field(&mut request, place) = value.clone();
                    let route = ROUTES.iter().find(|route| route.path == *path).unwrap();
                    let Action::Method(method) = route.action else { panic!("{path}") };
                    let error = match (method.prepare)(&Directory::default(), request.to_string().as_bytes()) {
                        Ok(_) => panic!("{path}: {place} may be {kind}"),
                        Err(error) => error.to_string(),
                    };
                    assert!(error.contains(says) && !error.contains("hush"), "{path}, {place} of type {kind}: {error}");
                    checked += 1;
                }
            }
        };
        let (all, queries, metric, field_value): (&[usize], &[usize], &[usize], &[usize]) =
            (&[0, 1, 2, 3], &[1, 2, 3], &[3], &[2]);
        check(all, "connectionDetails", &["object"], "connectionDetails must be an object");
        check(all, "connectionDetails.host", &["null", "text"], "connectionDetails.host must be a text");
        check(all, "connectionDetails.port", &["number"], "connectionDetails.port ");
        check(all, "connectionDetails.url", &["null", "text"], "connectionDetails.url must be a text");
        for name in ["requestTimeout", "scrapeInterval"] {
            let says = format!("connectionDetails.{name} must be a whole number from 1 to ");
            check(all, &format!("connectionDetails.{name}"), &["null", "number"], &says);
        }
        for (name, says) in [("nan_interpretation", r#""NONE" or "ZERO""#), ("partialResponse", r#""deny" or "allow""#)]
        {
            let place = format!("connectionDetails.{name}");
            check(
                all,
                &place,
                &["null", "boolean", "number", "fraction", "list", "object"],
                &format!("{place} must be {says}"),
            );
            check(all, &place, &["null", "text"], &format!("{place} must be a text"));
        }
        check(queries, "query", &["object"], "query must be an object");
        for (name, unit) in [("startTime", " of milliseconds"), ("endTime", " of milliseconds"), ("limit", "")] {
            let says = format!("query.{name} must be a whole number{unit}, or null");
            check(queries, &format!("query.{name}"), &["null", "number"], &says);
        }
        check(queries, "query.conditions", &["null", "list"], "query.conditions must be a list of conditions, or null");
        check(queries, "query.conditions.1", &["object"], "query.conditions[1] must be an object");
        check(queries, "query.conditions.1.key", &["text"], "query.conditions[1].key must be a text");
        check(queries, "query.conditions.1._type", &["null", "text"], "the condition on k is of an unknown type");
        let value = "query.conditions.1.value";
        check(queries, value, &["null", "object"], "query.conditions[1].value must be an object");
        check(queries, &format!("{value}._type"), &["null", "text"], "query.conditions[1].value._type must be a text");
        let in_set = "query.conditions[1].value.value[0]._type must be a text";
        check(queries, &format!("{value}.value.0._type"), &["null", "text"], in_set);
        check(field_value, "query.offset", &["null", "number"], "query.offset must be a whole number, or null");
        check(field_value, "query.fieldValuePrefix", &["null", "text"], "query.fieldValuePrefix must be a text");
        check(field_value, "query.field", &["object"], "query.field must be an object");
        check(field_value, "query.field.fieldName", &["text"], "query.field.fieldName must be a text");
        check(metric, "query.latestFirst", &["null", "boolean"], "query.latestFirst must be true, false or null");
        check(metric, "query.aggregation", &["null", "object"], "query.aggregation must be an object, or null");
        check(metric, "query.aggregation.method", &["text"], "query.aggregation.method must be a text");
        let bucket = "query.aggregation.bucketSizeMillis";
        check(metric, bucket, &["number"], &format!("{bucket} must be a whole number of milliseconds"));
        assert!(checked > 300, "{checked}");
    }

    #[test]
    fn where_the_key_is_required_only_those_who_have_it_are_answered_and_given_it() {
        let check = |requires_key: bool, target: &str, key: Option<&str>, status: Option<u16>, is_signed: bool| {
            let gateway = gateway(requires_key);
            let verb = if target.starts_with("/api") { "POST" } else { "GET" };
            let reply = match gateway.route(&RequestHead { verb, target, key, ..RequestHead::default() }) {
                Routed::Reply(reply) => reply,
                Routed::Page(page) => gateway.render(page),
                Routed::Job(job) => {
                    assert_eq!(status, None, "{target}");
                    gateway.refuse_job(job, &Error::TooManyBodies)
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
        let status =
            |verb: &str, target: &str| match gateway.route(&RequestHead { verb, target, ..RequestHead::default() }) {
                Routed::Job(_) => 0,
                Routed::Page(page) => gateway.render(page).status,
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
            Error::HeadTooLarge,
            Error::BodyTooLarge(0),
            Error::BodyNotReceived,
            Error::TooManyBodies,
            Error::ShuttingDown,
            Error::Unauthorized,
            Error::CrossOrigin,
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
}
