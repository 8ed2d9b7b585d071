//! The gateway: takes each request from its head to its reply.
//!
//! A panic in a handler is a fault of the mirror. Only its own request fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::api::datasource::{Datasource, Directory};
use crate::api::query::QueryContext;
use crate::api::reply::{CallSummary, Note, OTHER, Reply};
use crate::api::request::{ApiRequest, PreparedQuery};
use crate::api::request_head::{RequestHead, normal_path};
use crate::api::routes::{API_PREFIX, OK, Page, PageContent, Route, RouteTarget};
use crate::api::{connection, explain};
use crate::error::{Error, KEY_HEADER};
use crate::key::{ApiKey, CurrentKey};
use crate::memory::MemoryBudget;
use crate::metrics::{Metrics, SharedPage};
use crate::model::trace::Trace;
use crate::prometheus::{Client, Deadline, Queued, Upstreams};
use crate::wire::explanation;

/// What clients may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Access {
    /// Whether requests to the Mirror API must carry the key, too.
    pub requires_key: bool,
    /// Whether Connection Details must name an upstream, and give no address.
    pub requires_name: bool,
    /// Whether the mirror serves the explorer at `/`.
    pub has_explorer: bool,
}

/// What all requests share: the key, the client, the memory, the metrics, and whether the mirror is shutting down.
pub struct Gateway {
    key: Arc<CurrentKey>,
    access: Access,
    client: Client,
    memory: Arc<MemoryBudget>,
    metrics: Arc<Metrics>,
    is_unready: AtomicBool,
    refuses_requests: AtomicBool,
    metrics_page: SharedPage,
}

/// The result of routing a request, before its body is read.
pub enum Routed {
    /// A request for a page of the mirror, which calls no upstream and takes little time.
    Page(PageRequest),
    /// A request to the Mirror API: its body must be read, and then it usually needs a worker.
    Api(ApiRequest),
    /// The reply to a request that goes no further.
    Reply(Reply),
}

/// A request for a page of the mirror.
#[derive(Clone, Copy)]
pub struct PageRequest {
    /// The page's name in the metrics.
    route_name: &'static str,
    page: Page,
    /// Whether the request carries the key, or no key is required.
    is_trusted: bool,
}

/// The result of preparing a request to the Mirror API, after its body was read.
pub enum Prepared {
    /// A query, which needs a worker.
    Query(PreparedQuery),
    /// The reply to a request that needs no worker.
    Reply(Reply),
}

impl Gateway {
    /// A gateway whose replies carry `key`, and that calls upstreams through `client`.
    pub fn new(
        key: Arc<CurrentKey>,
        access: Access,
        client: Client,
        memory: Arc<MemoryBudget>,
        metrics: Arc<Metrics>,
    ) -> Gateway {
        Gateway {
            key,
            access,
            client,
            memory,
            metrics,
            is_unready: AtomicBool::default(),
            refuses_requests: AtomicBool::default(),
            metrics_page: SharedPage::default(),
        }
    }

    /// From now on, the mirror is not ready. It still accepts requests, because clients notice that only after a while.
    pub fn set_unready(&self) {
        self.is_unready.store(true, Ordering::SeqCst);
    }

    /// Whether the mirror is no longer ready, so that clients should use another one.
    pub fn is_unready(&self) -> bool {
        self.is_unready.load(Ordering::SeqCst)
    }

    /// From now on, the mirror is not ready and refuses requests to the Mirror API.
    pub fn refuse_requests(&self) {
        self.set_unready();
        self.refuses_requests.store(true, Ordering::SeqCst);
    }

    /// The named upstreams, whose file the server re-reads and whose replicas it probes.
    pub fn upstreams(&self) -> &Upstreams {
        &self.client.upstreams
    }

    /// Finds the route for the path of a request, and checks that the request may use it.
    pub fn route(&self, head: &RequestHead<'_>) -> Routed {
        let path = normal_path(head.target);
        let is_trusted = self.trusts(&self.key.get(), head.key);
        if path.starts_with(API_PREFIX) {
            if head.is_cross_origin() {
                return Routed::Reply(Reply::of_error(OTHER, &Error::CrossOrigin));
            }
            if !is_trusted {
                return Routed::Reply(Reply::of_error(OTHER, &Error::Unauthorized));
            }
        }
        let Some(route) = Route::find(&path, self.access.has_explorer, head.prefers_html()) else {
            return Routed::Reply(Reply::of_error(OTHER, &Error::NoSuchPath(path)));
        };
        let (name, allow) = (route.name, route.allow());
        if !allow.split(", ").any(|allowed| allowed == head.verb) {
            return Routed::Reply(Reply::of_error(name, &Error::VerbNotAllowed(allow)));
        }
        match route.target {
            RouteTarget::Api(_) if self.refuses_requests.load(Ordering::SeqCst) => {
                Routed::Reply(Reply::of_error(name, &Error::ShuttingDown))
            }
            RouteTarget::Api(api_route) => {
                Routed::Api(ApiRequest { route_name: name, api_route, explains: head.wants_explanation() })
            }
            RouteTarget::Page(page) => Routed::Page(PageRequest { route_name: name, page, is_trusted }),
        }
    }

    /// Whether a request with the key `sent`, or without one, is allowed.
    fn trusts(&self, current: &ApiKey, sent: Option<&str>) -> bool {
        !self.access.requires_key || sent.is_some_and(|sent| current.is(sent))
    }

    /// Renders a page.
    pub fn render(&self, request: PageRequest) -> Reply {
        let PageRequest { route_name, page: Page { content_type, headers, content }, is_trusted } = request;
        let text = match content {
            PageContent::Fixed(text) => text.to_owned(),
            PageContent::Readiness if self.is_unready() => return Reply::of_error(route_name, &Error::ShuttingDown),
            PageContent::Readiness => OK.to_owned(),
            PageContent::Metrics => self.metrics_page(),
            PageContent::ExplorerFacts => self.explorer_facts(is_trusted),
        };
        let mut reply = Reply::new(route_name, 200, content_type, text.into_bytes());
        reply.headers.extend(headers.iter().map(|&(name, value)| (name, value.to_owned())));
        reply
    }

    /// Checks the body of a request, which gives its query, upstream and deadline. Returns the reply instead if the request is
    /// invalid or is only to be checked, or if its upstream is silent and another request probes it.
    pub fn prepare(&self, request: ApiRequest, body: &[u8], turn_began: Instant) -> Prepared {
        let directory = Directory { upstreams: Some(self.upstreams()), requires_name: self.access.requires_name };
        let (datasource, query) = match request.check(&directory, body) {
            Ok(checked) => checked,
            Err(error) => return Prepared::Reply(request.refuse(&error)),
        };
        if request.api_route.only_checks {
            return Prepared::Reply(Reply::ok(request.route_name, connection::success()));
        }
        let deadline = Deadline::new(turn_began, datasource.timeout);
        match self.client.lane(&datasource.upstream) {
            Ok(lane) => Prepared::Query(PreparedQuery { request, datasource, query, deadline, lane }),
            Err(silent) => Prepared::Reply(request.refuse(&query.not_run(silent))),
        }
    }

    /// Runs a query on the calling thread. `queued` says how long it waited for a worker.
    pub fn perform(&self, prepared: PreparedQuery, queued: Option<Queued>, trace: Arc<Trace>) -> Reply {
        let PreparedQuery { request, datasource, query, deadline, .. } = prepared;
        let Datasource { upstream, nan, scrape_interval_ms: interval_ms, partial, .. } = datasource;
        let memory = self.memory.query(deadline.instant());
        // The current replica may have changed while the query waited.
        let upstream = upstream.at_current_replica();
        let mut session = self.client.session(upstream, deadline, partial, memory, trace);
        session.set_queued(queued);
        if request.explains {
            session.record_calls();
        }
        let (metrics, explains) = (&*self.metrics, request.explains);
        let mut context = QueryContext { session, metrics, nan, interval_ms, explains, explained: None };
        let body = catch_unwind(AssertUnwindSafe(|| context.run(&*query))).unwrap_or(Err(Error::Internal));
        let QueryContext { session, explained, .. } = context;
        let explanation = request.explains.then(|| explain::explanation(&session, explained));
        let reply = body.and_then(|body| {
            let body = match &explanation {
                Some(explanation) => explanation::add(body, explanation),
                None => body,
            };
            let memory = session.memory().clone().into_response(body.len()).map_err(|none| session.no_memory(none))?;
            Ok(Reply { memory: Some(memory), ..Reply::ok(request.route_name, body) })
        });
        let mut reply = reply.unwrap_or_else(|error| request.failed(&error, explanation.as_ref()));
        reply.note.calls = Some(Box::new(CallSummary::from(&session)));
        reply
    }

    /// The reply to a query that got no worker before its deadline, while its upstream held `held_by_upstream` workers.
    pub fn expire(&self, prepared: &PreparedQuery, held_by_upstream: usize) -> Reply {
        let PreparedQuery { request, datasource, query, deadline, .. } = prepared;
        request.refuse(&query.not_run(self.client.no_worker(&datasource.upstream, *deadline, held_by_upstream)))
    }

    /// Adds the mirror's key, by which StackState recognises its mirror. `key` is the key of the request: if requests must carry
    /// the key, only a client that sent it gets it back.
    pub fn add_key(&self, mut reply: Reply, key: Option<&str>) -> Reply {
        // The key is read once: a client with an old key must not get the new one if the key changes in between.
        let current = self.key.get();
        if self.trusts(&current, key) {
            reply.headers.push((KEY_HEADER, current.reveal().to_owned()));
        }
        reply
    }

    /// Counts a reply that was written `took` after the turn of its request began.
    pub fn count(&self, route_name: &'static str, status: u16, note: &Note, took: Duration) {
        self.metrics.count_reply(route_name, status, took);
        if let Some(failure) = &note.failure {
            self.metrics.count_error(failure.code);
        }
    }

    /// Requests that come at the same time share one rendering, so that they do not use up the CPU.
    fn metrics_page(&self) -> String {
        let page = self.metrics_page.get(|| {
            self.metrics.memory_held_bytes.set(self.memory.used() as u64);
            self.metrics.page()
        });
        page.to_string()
    }

    /// What the explorer needs to know about its mirror. If requests must carry the key, only those with the key get the names of
    /// the upstreams.
    fn explorer_facts(&self, is_trusted: bool) -> String {
        let mut facts = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "requiresKey": self.access.requires_key,
            "namedUpstreamsOnly": self.access.requires_name,
        });
        if is_trusted {
            facts["upstreams"] = json!(self.upstreams().names());
        }
        facts.to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::api::metric_query;
    use crate::api::query::MirrorQuery;
    use crate::api::request::ApiRoute;
    use crate::prometheus::{Authorities, AwsEnvironment, Reach};

    const KEY: &str = "key-of-tests";

    const METRIC_REQUEST: &[u8] = br#"{"connectionDetails":{"host":"p","port":9090},
        "query":{"conditions":[{"key":"__gauge__","value":{"value":"x"}}]}}"#;

    fn gateway(requires_key: bool) -> Gateway {
        let metrics = Arc::new(Metrics::new(1, 1));
        let key = Arc::new(CurrentKey::fixed(ApiKey::new(KEY).unwrap()));
        let reach = Reach {
            allowlist: "*".parse().unwrap(),
            authorities: Authorities::default(),
            proxy: None,
            upstreams_file: None,
            aws: AwsEnvironment::default(),
        };
        let client = Client::new(1, reach, Duration::from_secs(300), Arc::clone(&metrics)).unwrap();
        let access = Access { requires_key, ..Access::default() };
        Gateway::new(key, access, client, MemoryBudget::new(1 << 20), metrics)
    }

    fn key_of(reply: Reply) -> Option<String> {
        reply.headers.into_iter().find(|(name, _)| *name == KEY_HEADER).map(|(_, value)| value)
    }

    struct Panics;

    impl MirrorQuery for Panics {
        fn promql(&self) -> Option<String> {
            None
        }

        fn run(&self, _: &mut QueryContext<'_>) -> Result<Vec<u8>, Error> {
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
            assert_eq!(key_of(gateway.add_key(reply, None)).as_deref(), Some(KEY));
        };
        let request = |check| ApiRequest {
            route_name: "metric",
            api_route: ApiRoute { check, failure_body: |_| None, only_checks: false },
            explains: false,
        };
        match gateway.prepare(request(|_, _| panic!("on purpose")), b"", Instant::now()) {
            Prepared::Reply(reply) => check(reply),
            Prepared::Query(_) => panic!("it is no query"),
        }
        let check_body = |_: &Directory<'_>, _: &[u8]| {
            let (datasource, _) = metric_query(METRIC_REQUEST)?;
            Ok((datasource, Box::new(Panics) as Box<dyn MirrorQuery>))
        };
        match gateway.prepare(request(check_body), b"", Instant::now()) {
            Prepared::Query(query) => check(gateway.perform(query, None, Arc::new(Trace::new("r".into(), None, None)))),
            Prepared::Reply(_) => panic!("it has a reply already"),
        }
    }

    #[test]
    fn where_the_key_is_required_only_clients_that_have_it_get_a_response_and_the_key() {
        let check = |requires_key: bool, target: &str, key: Option<&str>, status: Option<u16>, has_key: bool| {
            let gateway = gateway(requires_key);
            let verb = if target.starts_with("/api") { "POST" } else { "GET" };
            let reply = match gateway.route(&RequestHead { verb, target, key, ..RequestHead::default() }) {
                Routed::Reply(reply) => reply,
                Routed::Page(page) => gateway.render(page),
                Routed::Api(request) => {
                    assert_eq!(status, None, "{target}");
                    request.refuse(&Error::TooManyBodies)
                }
            };
            assert_eq!(reply.status, status.unwrap_or(503), "{target}");
            assert_eq!(key_of(gateway.add_key(reply, key)), has_key.then(|| KEY.to_owned()), "{target} {key:?}");
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
    fn a_mirror_that_shuts_down_refuses_queries_and_is_not_ready() {
        let gateway = gateway(false);
        let status =
            |verb: &str, target: &str| match gateway.route(&RequestHead { verb, target, ..RequestHead::default() }) {
                Routed::Api(_) => 0,
                Routed::Page(page) => gateway.render(page).status,
                Routed::Reply(reply) => reply.status,
            };
        assert_eq!((status("POST", "/api/metric"), status("GET", "/-/ready")), (0, 200));
        gateway.refuse_requests();
        assert_eq!((status("POST", "/api/metric"), status("GET", "/-/ready")), (503, 503));
        assert_eq!((status("GET", "/-/healthy"), status("GET", "/metrics")), (200, 200));
    }
}
