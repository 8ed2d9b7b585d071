//! One request, from the beginning of its turn until its reply is written: its id, its log line, and how it counts in the metrics.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tiny_http::Request;

use crate::api::{ApiRequest, Gateway, Prepared, PreparedQuery, Queued, Reply, RequestHead, Routed, normal_path};
use crate::error::{EXPLAIN_HEADER, Error, KEY_HEADER};
use crate::log;
use crate::metrics::{Held, Level};
use crate::model::trace::Trace;
use crate::server::body::{self, BodyBounds, RequestBody};
use crate::server::os::threads::Threads;
use crate::server::outgoing::OutgoingReply;
use crate::server::tiny_http::{framing, limits};

/// The header with the id of a request, in the request and in its reply.
const ID_HEADER: &str = "X-Request-Id";

/// The maximum length of an id that a client gives. A longer one is replaced.
const MAX_ID_LENGTH: usize = 128;

/// How long a whole body may take to arrive. The timeout between two of its bytes is in `server/os/socket`.
const BODY_DEADLINE: Duration = Duration::from_secs(8);

/// The header that says how long the mirror keeps an idle connection.
const KEPT_HEADER: &str = "Keep-Alive";

/// What all exchanges share.
pub(super) struct Shared {
    pub(super) gateway: Gateway,
    pub(super) in_flight: Level,
    pub(super) bounds: Arc<BodyBounds>,
    pub(super) threads: Arc<Threads>,
}

/// A request in flight, until its reply is written.
pub(super) struct Exchange {
    request: Request,
    /// When its turn on its connection began. Its deadline and its duration count from then.
    turn_began: Instant,
    trace: Arc<Trace>,
    shared: Arc<Shared>,
    /// Counts the request. A shutdown waits until the count is zero.
    in_flight: Held,
    /// Why its head is refused, if it is.
    fault: Option<Error>,
    /// Whether its whole body has been read, so that tiny_http does not wait for the client before it writes the reply. tiny_http
    /// reads short bodies before it hands the request over.
    pub(super) is_read: bool,
    /// Whether the mirror must not answer requests behind it on its connection, even if this one succeeds.
    pub(super) is_last: bool,
}

impl Exchange {
    pub(super) fn new(request: Request, shared: Arc<Shared>, is_last: bool) -> Exchange {
        let given = header(&request, ID_HEADER).filter(|id| is_id(id)).map(Arc::from);
        let in_flight = Held::new(&shared.in_flight);
        let fault = framing::fault(&request);
        // Bytes after the body may still belong to this request.
        let has_uncertain_end =
            fault.is_some() || body::is_chunked(&request) || limits::announces_more_than_is_discarded(&request);
        let is_read = body::is_prefetched(&request);
        let id = given.unwrap_or_else(|| new_id().into());
        let trace = Trace::new(id, header(&request, "traceparent"), header(&request, "tracestate"));
        let (turn_began, trace) = (Instant::now(), Arc::new(trace));
        let is_last = is_last || has_uncertain_end;
        Exchange { request, turn_began, trace, shared, in_flight, fault, is_read, is_last }
    }

    /// Finds the route at its path, or gives the reply if its head is refused.
    pub(super) fn route(&self) -> Routed {
        let Exchange { request, shared, fault, .. } = self;
        if let Some(fault) = fault {
            return Routed::Reply(Reply::of_bad_head(fault));
        }
        shared.gateway.route(&RequestHead {
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

    /// Reads its body, within the bounds and the deadline for it.
    pub(super) fn read_body(&mut self) -> Result<RequestBody, Error> {
        let body = body::read(&mut self.request, &self.shared.bounds, self.turn_began + BODY_DEADLINE)?;
        self.is_read = true;
        Ok(body)
    }

    /// Parses and checks its query.
    pub(super) fn prepare(&self, request: ApiRequest, body: &[u8]) -> Prepared {
        log::in_request(self.trace.request_id(), || self.shared.gateway.prepare(request, body, self.turn_began))
    }

    /// Runs its query, until the deadline at the latest.
    pub(super) fn perform(&self, query: PreparedQuery, queued: Queued) -> Reply {
        let perform = || self.shared.gateway.perform(query, Some(queued), Arc::clone(&self.trace));
        log::in_request(self.trace.request_id(), perform)
    }

    /// Writes its reply, which takes long if the client is slow.
    pub(super) fn finish(self, reply: Reply) {
        let (line, is_last) = (self.line(reply.status), self.ends_connection());
        let Exchange { request, turn_began, trace, shared, in_flight, is_read, .. } = self;
        let client_connection = request.connection().clone();
        if is_last {
            client_connection.end();
        }
        let (route_name, status) = (reply.route_name, reply.status);
        let reply = shared.gateway.add_key(reply, header(&request, KEY_HEADER));
        let Reply { headers, body, note, memory, .. } = reply;
        let id = Arc::clone(trace.request_id());
        let headers = headers.into_iter().chain(connection_headers(&id, is_last));

        let account = Box::new(move |is_whole| {
            let took = turn_began.elapsed();
            shared.gateway.count(route_name, status, &note, took);
            drop(in_flight);
            log::in_request(&id, || {
                let cut = if is_whole { "" } else { "its client did not take all of it in" };
                note.log(|| line.millis("duration_ms", took).text("cut", cut));
            });
        });
        let outgoing = OutgoingReply::new(request.method(), status, headers, body, memory, account);
        let is_whole =
            if is_read { outgoing.write_at_once(request) } else { request.respond(outgoing.into_response()).is_ok() };
        if !is_whole {
            // The client has left or is too slow: the mirror does not process its further requests.
            client_connection.end();
        }
    }

    /// The begin of its log line. Where the head is refused, the address of the client is all that is known of it.
    fn line(&self, status: u16) -> log::Line {
        let Exchange { request, trace, fault, .. } = self;
        let client = request.remote_addr().filter(|_| fault.is_some()).map(ToString::to_string).unwrap_or_default();
        log::Line::new("request")
            .text("trace_id", trace.trace_id().unwrap_or_default())
            .text("method", request.method())
            .text("path", normal_path(request.url()))
            .number("status", status)
            .text("client", client)
    }

    /// Whether the mirror answers no further request on its connection.
    fn ends_connection(&self) -> bool {
        let Exchange { request, shared, is_last, .. } = self;
        *is_last
            || shared.gateway.is_unready()
            || shared.threads.are_short()
            || request.is_last()
            // A client that sent `Expect: 100-continue` may send the body after this reply, or not.
            || request.awaits_continue()
    }
}

/// The headers of a reply that name the request and say how long its connection is kept.
fn connection_headers(id: &str, is_last: bool) -> Vec<(&'static str, String)> {
    if is_last {
        return vec![(ID_HEADER, with_connection(id, "close"))];
    }
    let kept = format!("timeout={}", limits::KEPT.as_secs());
    vec![(ID_HEADER, with_connection(id, "keep-alive")), (KEPT_HEADER, kept)]
}

/// The value of a header; of several, the first.
fn header<'r>(request: &'r Request, name: &'static str) -> Option<&'r str> {
    request.headers().iter().find(|header| header.field.equiv(name)).map(|header| header.value.as_str())
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An id that is unique among the requests of all processes. It is not a secret, so it does not need secure random numbers:
/// `RandomState` is enough.
fn new_id() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    static REQUESTS: AtomicU64 = AtomicU64::new(1);
    format!("{:016x}-{}", *PROCESS, REQUESTS.fetch_add(1, Ordering::Relaxed))
}

/// The value of a header, followed by a header `Connection`. tiny_http refuses that header, but writes values as they are.
///
/// After `close`, a client, or a proxy that shares a connection among clients, must not use the connection again: the mirror
/// may close it at any time and does not answer further requests on it.
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
