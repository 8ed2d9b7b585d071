//! Reading the body of a request: within a bound, and within a deadline for the whole of it.

use std::time::Instant;

use tiny_http::Request;

use crate::error::Error;

/// Up to this length, tiny_http has read a body before it hands the request over.
const PREFETCHED_BYTES: usize = 1_024;

/// Whether reading the body waits for nobody. With `Connection: upgrade`, which some clients send with every request, what
/// tiny_http gives as the body is the bare connection.
pub(super) fn is_prefetched(request: &Request) -> bool {
    let length = request.body_length().unwrap_or(0);
    let waits = has_header(request, "Transfer-Encoding", "") || has_header(request, "Expect", "");
    !waits && (length == 0 || length <= PREFETCHED_BYTES && !has_header(request, "Connection", "upgrade"))
}

/// The body, at most so many bytes of it, unless it does not arrive in time.
///
/// # Errors
/// When it is longer, by what is announced or by what comes; when it does not come, or not whole.
pub(super) fn read(request: &mut Request, most_bytes: usize, deadline: Instant) -> Result<Vec<u8>, Error> {
    let announced = request.body_length();
    if announced.is_some_and(|length| length > most_bytes) {
        return Err(Error::BodyTooLarge(most_bytes));
    }
    let is_chunked = has_header(request, "Transfer-Encoding", "");
    if is_chunked && has_header(request, "Connection", "upgrade") {
        return Err(Error::BadRequest("Connection: upgrade and Transfer-Encoding do not go together".to_owned()));
    }
    // One byte over the limit tells a chunked body that is too long.
    let longest = if is_chunked { most_bytes + 1 } else { announced.unwrap_or(0) };
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
    if body.len() > most_bytes {
        return Err(Error::BodyTooLarge(most_bytes));
    }
    if announced.is_some_and(|length| length != body.len()) {
        return Err(Error::BodyNotReceived);
    }
    Ok(body)
}

/// Whether a request has a header whose value holds a word, in whatever case.
fn has_header(request: &Request, name: &'static str, word: &str) -> bool {
    let holds = |value: &str| value.to_ascii_lowercase().contains(word);
    request.headers().iter().any(|header| header.field.equiv(name) && holds(header.value.as_str()))
}
