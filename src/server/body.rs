//! Reading the body of a request: within a bound for it and one for all there are, and within a deadline for the whole of it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tiny_http::Request;

use crate::error::Error;

/// Up to this length, tiny_http has read a body before it hands the request over.
const PREFETCHED_BYTES: usize = 1_024;

/// Whether the body can be read without waiting for the client. With `Connection: upgrade`, which some clients send with every request,
/// what tiny_http gives as the body is the bare connection.
pub(super) fn is_prefetched(request: &Request) -> bool {
    let length = request.body_length().unwrap_or(0);
    let waits = is_chunked(request) || has_header(request, "Expect", "");
    !waits && (length == 0 || length <= PREFETCHED_BYTES && !has_header(request, "Connection", "upgrade"))
}

/// How many bodies of the greatest length are held at the same time at most, whether their requests arrive, wait or run.
const MAX_GREAT_BODIES: usize = 64;

/// The bounds on bodies, and how much of them is in use.
pub(super) struct BodyBounds {
    /// The most bytes of one.
    most_bytes: usize,
    /// The bytes of all that there are.
    held: AtomicUsize,
}

impl BodyBounds {
    pub(super) fn new(most_bytes: usize) -> Arc<BodyBounds> {
        Arc::new(BodyBounds { most_bytes, held: AtomicUsize::new(0) })
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
        let BodyBounds { most_bytes, held } = &*self.bounds;
        self.bytes.extend_from_slice(more);
        if held.fetch_add(more.len(), Ordering::SeqCst) + more.len() > most_bytes * MAX_GREAT_BODIES {
            return Err(Error::TooManyBodies);
        }
        if self.bytes.len() > *most_bytes { Err(Error::BodyTooLarge(*most_bytes)) } else { Ok(()) }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.bounds.held.fetch_sub(self.bytes.len(), Ordering::SeqCst);
    }
}

/// Reads the body of a request, unless it does not arrive in time.
///
/// # Errors
/// When it is too long, by what is announced or by what comes; when there are too many; when it does not come, or not whole.
pub(super) fn read(request: &mut Request, bounds: &Arc<BodyBounds>, deadline: Instant) -> Result<RequestBody, Error> {
    let announced = request.body_length();
    if announced.is_some_and(|length| length > bounds.most_bytes) {
        return Err(Error::BodyTooLarge(bounds.most_bytes));
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

/// What a body that cannot be read is answered with. A chunked body that is malformed, has trailers or is cut short is invalid
/// input to tiny_http.
fn failure(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidInput => Error::BadFraming(
            "its chunked body is malformed or incomplete, or has trailers: send it without trailers, or with Content-Length",
        ),
        _ => Error::BodyNotReceived,
    }
}

/// Whether a body comes in chunks. tiny_http takes every transfer encoding for that.
pub(super) fn is_chunked(request: &Request) -> bool {
    has_header(request, "Transfer-Encoding", "")
}

/// Whether a request has a header whose value holds a word, in whatever case.
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
        let mut bodies: Vec<RequestBody> = (0..MAX_GREAT_BODIES).map(|_| body()).collect();
        for body in &mut bodies {
            assert!(body.extend(&[0; 4]).is_ok() && body.extend(&[0; 6]).is_ok());
        }
        assert!(matches!(body().extend(&[0]), Err(Error::TooManyBodies)));
        drop(bodies.pop());
        assert!(matches!(body().extend(&[0; 11]), Err(Error::TooManyBodies)));
        drop(bodies.pop());
        assert!(matches!(body().extend(&[0; 11]), Err(Error::BodyTooLarge(10))));
        drop(bodies);
        assert_eq!(bounds.held.load(Ordering::SeqCst), 0);
    }
}
