//! One request of a client's, from its arrival to its written reply: its id, its line in the log, its part in the metrics.

use std::io::Cursor;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tiny_http::{Header, Request, Response, Server};

use crate::api::{Gateway, Job, Note, Reply, Routed, SignedReply};
use crate::error::{Error, KEY_HEADER};
use crate::log;
use crate::server::sentinel::random;
use crate::server::{body, oversize};

/// The header that carries the id of a request, and of its reply.
const ID_HEADER: &str = "X-Request-Id";

/// The most characters of an id that is taken over.
const MAX_ID_LENGTH: usize = 128;

/// How long a whole body may take to arrive. Between two of its bytes, `server`'s timeout holds.
const BODY_DEADLINE: Duration = Duration::from_secs(8);

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
    pub(super) fn read_body(&mut self, most_bytes: usize) -> Result<Vec<u8>, Error> {
        body::read(&mut self.request, most_bytes, self.accepted + BODY_DEADLINE)
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

fn response(reply: SignedReply, id: &str) -> (Response<Cursor<Vec<u8>>>, Note) {
    let Reply { status, headers, body, note, .. } = reply.into_reply();
    let response = Response::from_data(body).with_status_code(status);
    let headers = headers.into_iter().chain([(ID_HEADER, id.to_owned())]);
    let headers = headers.filter_map(|(name, value)| Header::from_bytes(name, value).ok());
    // A reply has a known length, so it is sent in one piece however long it is.
    (headers.fold(response, Response::with_header).with_chunked_threshold(usize::MAX), note)
}
