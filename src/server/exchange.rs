//! One request of a client's, from its arrival to its written reply: its id, its line in the log, its part in the metrics.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tiny_http::{Method, Request};

use crate::api::{
    Gateway, MethodRequest, PageRequest, Prepared, PreparedQuery, Queued, Reply, RequestHead, Routed, normal_path,
};
use crate::error::{EXPLAIN_HEADER, Error, KEY_HEADER};
use crate::log;
use crate::metrics::{Held, Level};
use crate::model::trace::Trace;
use crate::server::body::{self, BodyBounds, RequestBody};
use crate::server::os::threads::Threads;
use crate::server::outgoing::OutgoingReply;
use crate::server::tiny_http::{framing, limits};

/// The header that carries the id of a request, and of its reply.
const ID_HEADER: &str = "X-Request-Id";

/// The most characters of an id that is taken over.
const MAX_ID_LENGTH: usize = 128;

/// How long a whole body may take to arrive. Between two of its bytes, `server/os/socket`'s timeout holds.
const BODY_DEADLINE: Duration = Duration::from_secs(8);

/// The header that tells clients how long an idle connection is kept.
const KEPT_HEADER: &str = "Keep-Alive";

/// What all exchanges share: the gateway, the bounds on bodies, and the counts.
pub(super) struct Edge {
    pub(super) gateway: Gateway,
    in_flight: Level,
    bounds: Arc<BodyBounds>,
    threads: Arc<Threads>,
}

impl Edge {
    pub(super) fn new(
        gateway: Gateway,
        in_flight: Level,
        max_request_bytes: usize,
        threads: Arc<Threads>,
    ) -> Arc<Edge> {
        Arc::new(Edge { gateway, in_flight, bounds: BodyBounds::new(max_request_bytes), threads })
    }
}

/// The turn of a request on its connection, which ends when this is dropped.
pub(super) trait Turn {
    /// Has the connection end with the turn: no further request on it is answered.
    fn end_connection(&mut self);
}

/// A request in flight, and what is to be known of it until its reply is written.
pub(super) struct Exchange {
    request: Request,
    accepted: Instant,
    trace: Arc<Trace>,
    edge: Arc<Edge>,
    /// Until it is answered, a shutdown waits for it.
    in_flight: Held,
    /// Whether what follows it is a request for certain, whatever becomes of its body.
    has_certain_end: bool,
    /// Why it is refused, if its head is to blame.
    fault: Option<Error>,
    /// Whether tiny_http is done with its body without waiting for anybody, once it may be.
    is_read: bool,
    /// Whether tiny_http had read its body before it handed the request over, and waits for the next one since.
    is_prefetched: bool,
    /// Whether those behind it on its connection are not answered any more.
    is_last: bool,
}

impl Exchange {
    pub(super) fn new(request: Request, edge: Arc<Edge>, is_last: bool) -> Exchange {
        let given = header(&request, ID_HEADER).filter(|id| is_id(id)).map(Arc::from);
        let in_flight = Held::new(&edge.in_flight);
        let fault = framing::fault(&request);
        let has_certain_end =
            fault.is_none() && !body::is_chunked(&request) && !limits::announces_more_than_is_discarded(&request);
        let is_prefetched = body::is_prefetched(&request);
        let id = given.unwrap_or_else(|| new_id().into());
        let trace = Trace::new(id, header(&request, "traceparent"), header(&request, "tracestate"));
        let (accepted, trace) = (Instant::now(), Arc::new(trace));
        Exchange {
            request,
            accepted,
            trace,
            edge,
            in_flight,
            has_certain_end,
            fault,
            is_read: is_prefetched,
            is_prefetched,
            is_last,
        }
    }

    /// Whether no request behind it may be answered, whatever becomes of this one.
    pub(super) fn ends_connection(&self) -> bool {
        self.is_last || !self.has_certain_end
    }

    /// Finds what is at its path, or the reply if its head is refused.
    pub(super) fn route(&self) -> Routed {
        let Exchange { request, edge, fault, .. } = self;
        if let Some(fault) = fault {
            return Routed::Reply(Reply::refuse_head(fault));
        }
        edge.gateway.route(&RequestHead {
            verb: request.method().as_str(),
            target: request.url(),
            key: header(request, KEY_HEADER),
            explain: header(request, EXPLAIN_HEADER),
            accept: header(request, "Accept"),
            host: header(request, "Host"),
            origin: header(request, "Origin"),
            fetch_site: header(request, "Sec-Fetch-Site"),
        })
    }

    /// Whether its body can be read without waiting for the client.
    pub(super) fn is_prefetched(&self) -> bool {
        self.is_prefetched
    }

    /// Reads its body, within the bounds and the deadline for it.
    pub(super) fn read_body(&mut self) -> Result<RequestBody, Error> {
        let body = body::read(&mut self.request, &self.edge.bounds, self.accepted + BODY_DEADLINE)?;
        self.is_read = true;
        Ok(body)
    }

    /// Checks its query.
    pub(super) fn prepare(&self, method: MethodRequest, body: &[u8]) -> Prepared {
        log::in_request(self.trace.request_id(), || self.edge.gateway.prepare(method, body, self.accepted))
    }

    /// Renders the page that it is for.
    pub(super) fn render(&self, page: PageRequest) -> Reply {
        self.edge.gateway.render(page)
    }

    /// Runs its query, which may take as long as its client allows.
    pub(super) fn perform(&self, query: PreparedQuery, queued: Queued) -> Reply {
        let perform = || self.edge.gateway.perform(query, Some(queued), Arc::clone(&self.trace));
        log::in_request(self.trace.request_id(), perform)
    }

    /// Writes its reply, which may take as long as its client is slow, and then ends its turn.
    pub(super) fn finish(self, reply: Reply, mut turn: impl Turn) {
        let Exchange { request, accepted, trace, edge, in_flight, has_certain_end, is_read, is_last, fault, .. } = self;
        let client = request.remote_addr().filter(|_| fault.is_some()).map(ToString::to_string).unwrap_or_default();
        let id = Arc::clone(trace.request_id());
        let line = log::Line::new("request")
            .text("trace_id", trace.trace_id().unwrap_or_default())
            .text("method", request.method())
            .text("path", normal_path(request.url()))
            .number("status", reply.status)
            .text("client", client);
        let (route_name, status) = (reply.route_name, reply.status);
        let has_body = *request.method() != Method::Head;
        let keyed = edge.gateway.add_key(reply, header(&request, KEY_HEADER));
        let Reply { headers, body, note, memory, .. } = keyed.into_reply();
        let is_last = is_last
            || !has_certain_end
            || edge.gateway.is_leaving()
            || edge.threads.are_short()
            || request.is_last()
            // Its body may come in spite of the answer, or not: it waits to be asked for it.
            || request.awaits_continue();
        if is_last {
            turn.end_connection();
        }
        let connection = if is_last { "close" } else { "keep-alive" };
        let headers = headers.into_iter().chain([(ID_HEADER, with_connection(&id, connection))]);
        let headers = headers.chain((!is_last).then(|| (KEPT_HEADER, format!("timeout={}", limits::KEPT.as_secs()))));

        let account = Box::new(move |is_whole| {
            let took = accepted.elapsed();
            edge.gateway.count(route_name, status, &note, took);
            drop(in_flight);
            log::in_request(&id, || {
                let cut = if is_whole || !has_body { "" } else { "its client did not take all of it in" };
                note.log(|| line.millis("duration_ms", took).text("cut", cut));
            });
        });
        let outgoing = OutgoingReply::new(status, headers, body, memory, account);
        let is_whole =
            if is_read { outgoing.write_at_once(request) } else { request.respond(outgoing.into_response()).is_ok() };
        if !is_whole {
            // Its client has left, or takes too long: what else it has asked is not worked off.
            turn.end_connection();
        }
        drop(turn);
    }
}

/// The value of a header, the first if there are several.
fn header<'r>(request: &'r Request, name: &'static str) -> Option<&'r str> {
    request.headers().iter().find(|header| header.field.equiv(name)).map(|header| header.value.as_str())
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An id that no other request has, of this process or another. It is no secret, so that the numbers of the standard library,
/// which start from the system's randomness, are good enough.
fn new_id() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    static REQUESTS: AtomicU64 = AtomicU64::new(1);
    format!("{:016x}-{}", *PROCESS, REQUESTS.fetch_add(1, Ordering::Relaxed))
}

/// The value of a header that is followed by a header `Connection`. tiny_http does not let that header be set, but writes values as
/// they are.
///
/// With `close`, a client, or a proxy that has many clients share a connection, must not use this one again: it may be closed
/// at any time, and no further request on it is answered.
fn with_connection(value: &str, connection: &str) -> String {
    format!("{value}\r\nConnection: {connection}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_visible_ascii_of_a_bounded_length_and_ours_is_one() {
        for good in ["a", "3f2504e0-4f89-11d3", "!~", &"x".repeat(128), &new_id()] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "two words", "a\nb", "é", &"x".repeat(129)] {
            assert!(!is_id(bad), "{bad:?}");
        }
        assert_ne!(new_id(), new_id());
    }
}
