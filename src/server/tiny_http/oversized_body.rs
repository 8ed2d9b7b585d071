//! The answer to a body that is announced beyond all bounds.
//!
//! - Defect: when a request is over, tiny_http discards what is left of its body, and allocates the announced length to do so.
//!   An allocation that fails ends the process.
//! - Seen: one request with a `Content-Length` of some terabytes ended the mirror.
//! - Here: the request is never over. Its answer is written, and then its thread stays where it is. Each such request costs a
//!   thread and a connection until the process ends; no well-meaning client sends one.
//! - Tests: `tests/it/operation/bodies.rs`.

use std::io::{self, Cursor, Read};
use std::mem;
use std::thread;

use tiny_http::{Request, Response};

/// The longest announced body that tiny_http can be left to discard.
const MAX_DISCARDED_BYTES: usize = 1 << 30;

/// tiny_http buffers so much of an answer until it is complete, which this one never is: a longer one is written at once.
const BUFFERED_BYTES: usize = 1_024;

/// Whether a request may not come to its end.
pub(in crate::server) fn is_beyond_bounds(request: &Request) -> bool {
    request.body_length().is_some_and(|length| length > MAX_DISCARDED_BYTES)
}

/// Answers a request, on a thread that is lost to it. The answer is JSON, to which blanks at its end do not matter.
pub(in crate::server) fn answer_for_good(request: Request, response: Response<impl Read>) {
    let mut body = response.data_length().map(Vec::with_capacity).unwrap_or_default();
    let headers = response.headers().to_vec();
    let status = response.status_code();
    let _ = response.into_reader().read_to_end(&mut body);
    body.resize(body.len().max(2 * BUFFERED_BYTES), b' ');
    let length = body.len();
    let endless = Response::new(status, headers, Endless(Cursor::new(body)), Some(length), None);
    let _ = request.respond(endless.with_chunked_threshold(usize::MAX));
}

/// Has a request end without an answer, which may wait for its body; or, with a body beyond all bounds, never end.
pub(in crate::server) fn leave_unanswered(request: Request) {
    if is_beyond_bounds(&request) {
        mem::forget(request);
    } else {
        drop(request.into_writer());
    }
}

/// A body whose reader, once it is read, is never done with.
struct Endless(Cursor<Vec<u8>>);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        loop {
            thread::park();
        }
    }
}
