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

/// What serving a request takes.
pub(super) struct Listener {
    gateway: Arc<Gateway>,
    pool: Pool,
    watch: Arc<Watch>,
}

impl Listener {
    pub(super) fn new(gateway: Gateway, pool: Pool, watch: Arc<Watch>) -> Arc<Listener> {
        Arc::new(Listener { gateway: Arc::new(gateway), pool, watch })
    }

    /// Serves requests until the listening socket cannot be used any more.
    ///
    /// tiny_http stops accepting for good when a single `accept` fails, for want of a descriptor for example; then another
    /// server takes over the same socket.
    pub(super) fn serve(self: &Arc<Listener>, socket: &TcpListener) -> io::Result<()> {
        loop {
            let server = Server::from_listener(socket.try_clone()?, None).map_err(io::Error::other)?;
            let stopped = loop {
                match server.recv() {
                    Ok(request) => self.dispatch(request),
                    Err(stopped) => break stopped,
                }
            };
            log::warn(|| log::Line::new("accepting anew").text("error", &stopped.to_string()));
        }
    }

    fn dispatch(self: &Arc<Listener>, request: Request) {
        let accepted = Instant::now();
        if oversize::is_beyond_bounds(&request) {
            let reply = self.gateway.refuse(&Error::BodyTooLarge(MAX_BODY_BYTES));
            log::warn(|| reply.note.add_to(line_of(&request, &reply)));
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
                    listener.finish(request, reply, accepted);
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

/// Whether reading the body waits for nobody.
fn is_prefetched(request: &Request) -> bool {
    let has_header = |name: &'static str| request.headers().iter().any(|header| header.field.equiv(name));
    request.body_length().unwrap_or(0) <= PREFETCHED_BYTES && !has_header("Transfer-Encoding") && !has_header("Expect")
}

fn body_of(request: &mut Request, deadline: Instant) -> Result<Vec<u8>, Error> {
    if request.body_length().is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(Error::BodyTooLarge(MAX_BODY_BYTES));
    }
    let mut body = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let count = request.as_reader().read(&mut chunk).map_err(|_| Error::BodyNotReceived)?;
        if count == 0 {
            break;
        }
        body.extend_from_slice(&chunk[..count]);
        if body.len() > MAX_BODY_BYTES {
            return Err(Error::BodyTooLarge(MAX_BODY_BYTES));
        }
        if Instant::now() > deadline {
            return Err(Error::BodyNotReceived);
        }
    }
    if request.body_length().is_some_and(|length| length != body.len()) {
        return Err(Error::BodyNotReceived);
    }
    Ok(body)
}
