//! One request of a client's, from its arrival to its written reply: its id, its line in the log, its part in the metrics.

use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tiny_http::{Header, Request, Response, Server, StatusCode};

use crate::api::{Gateway, Job, Note, Reply, Routed, SignedReply};
use crate::error::{Error, KEY_HEADER};
use crate::log;
use crate::server::body::{Body, Bounds};
use crate::server::sentinel::random;
use crate::server::{body, oversize};

/// The header that carries the id of a request, and of its reply.
const ID_HEADER: &str = "X-Request-Id";

/// The most characters of an id that is taken over.
const MAX_ID_LENGTH: usize = 128;

/// How long a whole body may take to arrive. Between two of its bytes,
/// `server/socket`'s timeout holds.
const BODY_DEADLINE: Duration = Duration::from_secs(8);

/// How long a client may take to take in a whole reply, which may have tens of megabytes. Between two of its bytes,
/// `server/socket`'s timeout holds.
const REPLY_DEADLINE: Duration = Duration::from_secs(60);

/// A request under way.
pub(super) struct Exchange {
    request: Request,
    accepted: Instant,
    id: String,
    gateway: Arc<Gateway>,
    /// The server it came from, which has to be there until it is answered.
    server: Arc<Server>,
}

impl Exchange {
    pub(super) fn new(request: Request, server: Arc<Server>, gateway: Arc<Gateway>) -> Exchange {
        let given = header(&request, ID_HEADER).filter(|id| is_id(id)).map(str::to_owned);
        Exchange { accepted: Instant::now(), id: given.unwrap_or_else(new_id), request, gateway, server }
    }

    /// What answers it.
    pub(super) fn route(&self) -> Routed {
        let Exchange { request, gateway, .. } = self;
        gateway.route(request.method().as_str(), request.url(), header(request, KEY_HEADER))
    }

    /// Whether reading its body waits for nobody.
    pub(super) fn is_prefetched(&self) -> bool {
        body::is_prefetched(&self.request)
    }

    /// Reads its body.
    pub(super) fn read_body(&mut self, bounds: &Arc<Bounds>) -> Result<Body, Error> {
        body::read(&mut self.request, bounds, self.accepted + BODY_DEADLINE)
    }

    /// Does its job, which may take as long as its client allows.
    pub(super) fn perform(&self, job: Job, body: &[u8]) -> Reply {
        log::in_request(&self.id, || self.gateway.perform(job, body, self.accepted))
    }

    /// Writes its reply, which may take as long as its client is slow.
    pub(super) fn finish(self, reply: Reply) {
        let Exchange { request, accepted, id, gateway, server: _server } = self;
        let line = log::Line::new("request")
            .text("method", request.method())
            .text("path", request.url().split('?').next().unwrap_or_default())
            .number("status", reply.status);
        let (method, status) = (reply.method, reply.status);
        let (response, note) = response(gateway.sign(reply, header(&request, KEY_HEADER)), &id);

        let account = |not_written: String| {
            let took = accepted.elapsed();
            gateway.count(method, status, &note, took);
            log::in_request(&id, || {
                log::info(|| note.add_to(line.millis("duration_ms", took)).text("not_written", not_written));
            });
        };
        if oversize::is_beyond_bounds(&request) {
            account(String::new());
            return oversize::answer_for_good(request, response);
        }
        let written = request.respond(response);
        account(written.err().map(|error| error.to_string()).unwrap_or_default());
    }
}

/// The value of a header, the first if there are several.
fn header<'r>(request: &'r Request, name: &'static str) -> Option<&'r str> {
    request.headers().iter().find(|header| header.field.equiv(name)).map(|header| header.value.as_str())
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An id that no other request has, of this process or another.
fn new_id() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(random);
    static REQUESTS: AtomicU64 = AtomicU64::new(1);
    format!("{:016x}-{}", *PROCESS, REQUESTS.fetch_add(1, Ordering::Relaxed))
}

fn response(reply: SignedReply, id: &str) -> (Response<Timely>, Note) {
    let Reply { status, headers, body, note, .. } = reply.into_reply();
    let length = body.len();
    let body = Timely { body: Cursor::new(body), deadline: Instant::now() + REPLY_DEADLINE };
    let headers = headers.into_iter().chain([(ID_HEADER, id.to_owned())]);
    let headers = headers.filter_map(|(name, value)| Header::from_bytes(name, value).ok()).collect();
    let response = Response::new(StatusCode(status), headers, body, Some(length), None);
    // A reply has a known length, so it is sent in one piece however long it is.
    (response.with_chunked_threshold(usize::MAX), note)
}

/// A body that its client has to take in before a deadline: what is left then is not sent, and not kept.
struct Timely {
    body: Cursor<Vec<u8>>,
    deadline: Instant,
}

impl Read for Timely {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() > self.deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "its client takes it in too slowly"));
        }
        self.body.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_sent_until_its_deadline() {
        let mut body = Timely { body: Cursor::new(vec![1; 10]), deadline: Instant::now() + REPLY_DEADLINE };
        assert_eq!(body.read(&mut [0; 4]).unwrap(), 4);
        body.deadline = Instant::now() - Duration::from_millis(1);
        assert_eq!(body.read(&mut [0; 4]).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

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
