//! Reads the body of a request. One body is bounded, all bodies together are bounded, and a whole body has a deadline.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tiny_http::Request;

use crate::error::Error;

/// tiny_http reads a body of at most this length before it hands the request over.
const PREFETCHED_BYTES: usize = 1_024;

/// Whether the body can be read without waiting for the client. Some clients send `Connection: upgrade` with every request;
/// tiny_http then gives the bare connection as the body.
pub(super) fn is_prefetched(request: &Request) -> bool {
    let length = request.body_length().unwrap_or(0);
    let waits = is_chunked(request) || has_header(request, "Expect", "");
    !waits && (length == 0 || length <= PREFETCHED_BYTES && !has_header(request, "Connection", "upgrade"))
}

/// All bodies together may be as long as this many bodies of the maximum length. Bodies count while their requests arrive, wait and
/// run.
const LONGEST_BODIES: usize = 64;

/// The bounds on bodies, and how many bytes are held.
pub(super) struct BodyBounds {
    /// The maximum length of one body.
    max_bytes: usize,
    /// The length of all bodies.
    held_bytes: AtomicUsize,
}

impl BodyBounds {
    pub(super) fn new(max_bytes: usize) -> Arc<BodyBounds> {
        Arc::new(BodyBounds { max_bytes, held_bytes: AtomicUsize::new(0) })
    }
}

/// A body, which counts as held until it is dropped.
pub(super) struct RequestBody {
    bytes: Vec<u8>,
    bounds: Arc<BodyBounds>,
}

impl RequestBody {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn extend(&mut self, more: &[u8]) -> Result<(), Error> {
        let BodyBounds { max_bytes, held_bytes } = &*self.bounds;
        self.bytes.extend_from_slice(more);
        if held_bytes.fetch_add(more.len(), Ordering::SeqCst) + more.len() > max_bytes * LONGEST_BODIES {
            return Err(Error::TooManyBodies);
        }
        if self.bytes.len() > *max_bytes { Err(Error::BodyTooLarge(*max_bytes)) } else { Ok(()) }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.bounds.held_bytes.fetch_sub(self.bytes.len(), Ordering::SeqCst);
    }
}

/// Reads the body of a request.
///
/// # Errors
/// If the body is longer than allowed, if all bodies together are, or if it does not arrive whole before the deadline.
pub(super) fn read(request: &mut Request, bounds: &Arc<BodyBounds>, deadline: Instant) -> Result<RequestBody, Error> {
    let announced = request.body_length();
    if announced.is_some_and(|length| length > bounds.max_bytes) {
        return Err(Error::BodyTooLarge(bounds.max_bytes));
    }
    let is_chunked = is_chunked(request);
    if is_chunked && has_header(request, "Connection", "upgrade") {
        return Err(Error::BadFraming("Connection: upgrade and Transfer-Encoding do not go together"));
    }
    let end = if is_chunked { usize::MAX } else { announced.unwrap_or(0) };
    let mut body = RequestBody { bytes: Vec::new(), bounds: Arc::clone(bounds) };
    let mut chunk = [0; 4 * 1024];
    while body.bytes.len() < end {
        let wanted = chunk.len().min(end - body.bytes.len());
        let count = request.as_reader().read(&mut chunk[..wanted]).map_err(|error| failure(&error))?;
        if request.connection().is_evicted() {
            return Err(Error::NoRoom);
        }
        if count == 0 {
            break;
        }
        body.extend(&chunk[..count])?;
        if Instant::now() > deadline {
            return Err(Error::BodyNotReceived);
        }
    }
    if announced.is_some_and(|length| length != body.bytes.len()) {
        return Err(Error::BodyNotReceived);
    }
    Ok(body)
}

/// The error for a body that cannot be read. tiny_http reports a chunked body that is malformed, has trailers or is cut short
/// as invalid input.
fn failure(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidInput => Error::BadFraming(
            "its chunked body is malformed or incomplete, or has trailers: send it without trailers, or with Content-Length",
        ),
        _ => Error::BodyNotReceived,
    }
}

/// Whether a body is chunked. tiny_http treats every transfer encoding as chunked.
pub(super) fn is_chunked(request: &Request) -> bool {
    has_header(request, "Transfer-Encoding", "")
}

/// Whether a request has a header whose value contains a lower-case word, regardless of case.
fn has_header(request: &Request, name: &'static str, word: &str) -> bool {
    let holds = |value: &str| value.to_ascii_lowercase().contains(word);
    request.headers().iter().any(|header| header.field.equiv(name) && holds(header.value.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_bounded_one_by_one_and_together() {
        let bounds = BodyBounds::new(10);
        let body = || RequestBody { bytes: Vec::new(), bounds: Arc::clone(&bounds) };
        let mut bodies: Vec<RequestBody> = (0..LONGEST_BODIES).map(|_| body()).collect();
        for body in &mut bodies {
            assert!(body.extend(&[0; 4]).is_ok() && body.extend(&[0; 6]).is_ok());
        }
        assert!(matches!(body().extend(&[0]), Err(Error::TooManyBodies)));
        drop(bodies.pop());
        assert!(matches!(body().extend(&[0; 11]), Err(Error::TooManyBodies)));
        drop(bodies.pop());
        assert!(matches!(body().extend(&[0; 11]), Err(Error::BodyTooLarge(10))));
        drop(bodies);
        assert_eq!(bounds.held_bytes.load(Ordering::SeqCst), 0);
    }
}
