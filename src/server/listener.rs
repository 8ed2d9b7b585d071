//! The tiny_http edge: takes requests in, hands those that need one to a worker, writes replies out, logs each.

use std::io::{self, Read};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Instant;

use tiny_http::{Header, Request, Response, Server};

use crate::api::{Gateway, Reply, Routed};
use crate::error::Error;
use crate::log;
use crate::server::pool::Pool;

/// The most bytes of a request's body: 1 MiB. A query with hundreds of conditions takes some tens of thousands.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Serves requests until the listening socket fails.
pub(super) fn serve(socket: TcpListener, gateway: &Arc<Gateway>, pool: &Pool) -> io::Result<()> {
    let server = Server::from_listener(socket, None).map_err(io::Error::other)?;
    loop {
        let request = server.recv()?;
        dispatch(request, gateway, pool, Instant::now());
    }
}

fn dispatch(mut request: Request, gateway: &Arc<Gateway>, pool: &Pool, accepted: Instant) {
    let job = match gateway.route(request.method().as_str(), request.url()) {
        Routed::Reply(reply) => return finish(request, reply, accepted),
        Routed::Job(job) => job,
    };
    if request.body_length().is_some_and(|length| length > MAX_BODY_BYTES) {
        return finish(request, gateway.refuse(&Error::BodyTooLarge(MAX_BODY_BYTES)), accepted);
    }
    if !pool.has_room() {
        return finish(request, gateway.refuse(&Error::Overloaded), accepted);
    }
    let gateway = Arc::clone(gateway);
    pool.execute(move || {
        let reply = match body_of(&mut request) {
            Ok(body) => gateway.perform(job, &body, accepted),
            Err(error) => gateway.refuse(&error),
        };
        finish(request, reply, accepted);
    });
}

fn body_of(request: &mut Request) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    let mut reader = request.as_reader().take(MAX_BODY_BYTES as u64 + 1);
    reader.read_to_end(&mut body).map_err(|_| Error::BodyNotReceived)?;
    if body.len() > MAX_BODY_BYTES {
        return Err(Error::BodyTooLarge(MAX_BODY_BYTES));
    }
    Ok(body)
}

fn finish(request: Request, reply: Reply, accepted: Instant) {
    let line = log::Line::new("request")
        .text("method", request.method().as_str())
        .text("path", request.url().split('?').next().unwrap_or_default())
        .number("status", reply.status);
    let Reply { status, headers, body, note } = reply;
    let mut response = Response::from_data(body).with_status_code(status).with_chunked_threshold(usize::MAX);
    for (name, value) in headers {
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    let written = request.respond(response);
    log::info(|| {
        let line = note.add_to(line.millis("duration_ms", accepted.elapsed()));
        match written {
            Ok(()) => line,
            Err(error) => line.text("not_written", &error.to_string()),
        }
    });
}
