//! The tiny_http edge: takes requests in, hands those that need one to a worker, writes replies out, logs each.
//!
//! The thread that takes requests in never waits for a client: bodies are read, and replies outside the Mirror API are
//! written, on threads of their own (there are never more of them than open connections, each of which has a thread of
//! tiny_http's already). What tiny_http 0.12 does not bound by itself is bounded by the socket options that `server` sets
//! and by the `sentinel`.

use std::io::{self, Cursor};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tiny_http::{Header, Request, Response, Server};

use crate::api::{Gateway, Job, Reply, Routed};
use crate::error::Error;
use crate::log;
use crate::server::oversize;
use crate::server::pool::Pool;
use crate::server::sentinel::Watch;

/// The most bytes of a request's body: 1 MiB. A query with hundreds of conditions takes some tens of thousands.
const MAX_BODY_BYTES: usize = 1 << 20;

/// How long a whole body may take to arrive. Between two of its bytes, `server`'s timeout holds.
const BODY_DEADLINE: Duration = Duration::from_secs(8);

/// Up to this length, tiny_http has read a body before it hands the request over.
const PREFETCHED_BYTES: usize = 1_024;

/// Up to this length, the system takes a reply at once, however slow its reader is.
const UNBLOCKING_BYTES: usize = 16 * 1024;

/// How long to wait before trying again to take over a socket, for want of a descriptor for example.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// How long a connection can be silent between two requests: it may be waiting for the longest answer there can be.
const RETIREMENT: Duration = Duration::from_secs(660);

/// What serving a request takes.
pub(super) struct Listener {
    gateway: Gateway,
    pool: Pool,
    watch: Arc<Watch>,
}

impl Listener {
    pub(super) fn new(gateway: Gateway, pool: Pool, watch: Arc<Watch>) -> Arc<Listener> {
        Arc::new(Listener { gateway, pool, watch })
    }

    /// Serves requests for ever.
    ///
    /// tiny_http stops accepting for good when it fails to accept a single connection, for want of a descriptor for
    /// example. It says so, or the sentinel notices; then another server takes over the same socket.
    pub(super) fn serve(self: &Arc<Listener>, socket: &TcpListener) -> ! {
        loop {
            let server =
                socket.try_clone().and_then(|socket| Server::from_listener(socket, None).map_err(io::Error::other));
            let server = match server {
                Ok(server) => Arc::new(server),
                Err(error) => {
                    log::error(|| log::Line::new("cannot accept").text("error", &error.to_string()));
                    thread::sleep(RETRY_INTERVAL);
                    continue;
                }
            };
            self.watch.guard(&server);
            let stopped = loop {
                match server.recv() {
                    Ok(request) => self.dispatch(request),
                    Err(stopped) => break stopped,
                }
            };
            log::warn(|| log::Line::new("accepting anew").text("error", &stopped.to_string()));
            self.aside(move |listener| listener.retire(&server));
        }
    }

    /// Serves the connections that a server has accepted before it stopped to, until they are silent.
    fn retire(self: &Arc<Listener>, server: &Server) {
        while let Ok(Some(request)) = server.recv_timeout(RETIREMENT) {
            self.dispatch(request);
        }
    }

    fn dispatch(self: &Arc<Listener>, request: Request) {
        let accepted = Instant::now();
        if oversize::is_beyond_bounds(&request) {
            let reply = self.gateway.refuse(&Error::BodyTooLarge(MAX_BODY_BYTES));
            log::warn(|| reply.note.add_to(line_of(&request, &reply).millis("duration_ms", accepted.elapsed())));
            return self.aside(move |_| oversize::answer_for_good(request, response_of(reply)));
        }
        let routed = self.gateway.route(request.method().as_str(), request.url());
        match routed {
            Routed::Job(job) if is_prefetched(&request) => self.read_and_hand_over(request, job, accepted),
            Routed::Job(job) => self.aside(move |listener| listener.read_and_hand_over(request, job, accepted)),
            Routed::Reply(reply) => self.aside(move |listener| listener.finish(request, reply, accepted)),
        }
    }

    /// Does something that may wait for a client.
    fn aside(self: &Arc<Listener>, task: impl FnOnce(&Arc<Listener>) + Send + 'static) {
        let listener = Arc::clone(self);
        let spawned = thread::Builder::new().name("intake".to_owned()).spawn(move || task(&listener));
        if let Err(error) = spawned {
            log::error(|| log::Line::new("request abandoned").text("error", &error.to_string()));
        }
    }

    /// Reads the body and gives the job to a worker, whose time no slow client takes that way.
    fn read_and_hand_over(self: &Arc<Listener>, mut request: Request, job: Job, accepted: Instant) {
        let body = body_of(&mut request, accepted + BODY_DEADLINE);
        let refused = match body {
            Ok(body) if self.pool.has_room() => {
                let listener = Arc::clone(self);
                return self.pool.execute(move || {
                    let reply = listener.gateway.perform(job, &body, accepted);
                    if reply.body.len() <= UNBLOCKING_BYTES {
                        listener.finish(request, reply, accepted);
                    } else {
                        listener.aside(move |listener| listener.finish(request, reply, accepted));
                    }
                });
            }
            Ok(_) => Error::Overloaded,
            Err(error) => error,
        };
        let reply = self.gateway.refuse(&refused);
        self.aside(move |listener| listener.finish(request, reply, accepted));
    }

    fn finish(&self, request: Request, mut reply: Reply, accepted: Instant) {
        if self.watch.is_own(&request) {
            // Not worth a line.
            let _ = request.respond(Response::empty(reply.status));
            return;
        }
        self.watch.saw_request();
        let line = line_of(&request, &reply);
        let note = std::mem::take(&mut reply.note);
        let written = request.respond(response_of(reply));
        log::info(|| {
            let line = note.add_to(line.millis("duration_ms", accepted.elapsed()));
            match written {
                Ok(()) => line,
                Err(error) => line.text("not_written", &error.to_string()),
            }
        });
    }
}

/// What the log says of any request.
fn line_of(request: &Request, reply: &Reply) -> log::Line {
    log::Line::new("request")
        .text("method", request.method().as_str())
        .text("path", request.url().split('?').next().unwrap_or_default())
        .number("status", reply.status)
}

fn response_of(reply: Reply) -> Response<Cursor<Vec<u8>>> {
    let response = Response::from_data(reply.body).with_status_code(reply.status);
    let headers = reply.headers.into_iter().filter_map(|(name, value)| Header::from_bytes(name, value).ok());
    // A reply has a known length, so it is sent in one piece however long it is.
    headers.fold(response, Response::with_header).with_chunked_threshold(usize::MAX)
}

/// Whether reading the body waits for nobody. With `Connection: upgrade`, which some clients send with every request, what
/// tiny_http gives as the body is the bare connection.
fn is_prefetched(request: &Request) -> bool {
    let length = request.body_length().unwrap_or(0);
    let waits = has_header(request, "Transfer-Encoding", "") || has_header(request, "Expect", "");
    !waits && (length == 0 || length <= PREFETCHED_BYTES && !has_header(request, "Connection", "upgrade"))
}

/// Whether a request has a header whose value holds a word, in whatever case.
fn has_header(request: &Request, name: &'static str, word: &str) -> bool {
    let holds = |value: &str| value.to_ascii_lowercase().contains(word);
    request.headers().iter().any(|header| header.field.equiv(name) && holds(header.value.as_str()))
}

fn body_of(request: &mut Request, deadline: Instant) -> Result<Vec<u8>, Error> {
    let announced = request.body_length();
    if announced.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(Error::BodyTooLarge(MAX_BODY_BYTES));
    }
    let is_chunked = has_header(request, "Transfer-Encoding", "");
    if is_chunked && has_header(request, "Connection", "upgrade") {
        return Err(Error::BadRequest("Connection: upgrade and Transfer-Encoding do not go together".to_owned()));
    }
    // One byte over the limit tells a chunked body that is too long.
    let longest = if is_chunked { MAX_BODY_BYTES + 1 } else { announced.unwrap_or(0) };
    let mut body = Vec::new();
    let mut chunk = [0; 16 * 1024];
    while body.len() < longest {
        let wanted = chunk.len().min(longest - body.len());
        let count = request.as_reader().read(&mut chunk[..wanted]).map_err(|_| Error::BodyNotReceived)?;
        if count == 0 {
            break;
        }
        body.extend_from_slice(&chunk[..count]);
        if Instant::now() > deadline {
            return Err(Error::BodyNotReceived);
        }
    }
    if body.len() > MAX_BODY_BYTES {
        return Err(Error::BodyTooLarge(MAX_BODY_BYTES));
    }
    if announced.is_some_and(|length| length != body.len()) {
        return Err(Error::BodyNotReceived);
    }
    Ok(body)
}
