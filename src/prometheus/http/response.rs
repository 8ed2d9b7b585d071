//! A response of an upstream, and its body as it arrives.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ureq::BodyReader;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use ureq::http::response::Parts;
use ureq::http::{HeaderMap, Response};

use super::deadline::Deadline;
use super::failure::{ConnectError, failure};
use crate::memory::{Memory, NoMemory};
use crate::prometheus::error::ErrorKind;

/// The header in which VictoriaMetrics names the server that responds. No other engine sends it.
const VICTORIA_METRICS_HEADER: &str = "X-Server-Hostname";

/// A response that has begun.
pub(in crate::prometheus) struct UpstreamResponse {
    pub(in crate::prometheus) status: u16,
    pub(in crate::prometheus) headers: HeaderMap,
    pub(in crate::prometheus) body: ResponseBody,
}

impl UpstreamResponse {
    /// The response to a call that began at `begun`. At most `max_bytes` of its body are read.
    pub(in crate::prometheus) fn new(
        response: Response<ureq::Body>,
        begun: Instant,
        deadline: Deadline,
        max_bytes: u64,
    ) -> UpstreamResponse {
        let (Parts { status, headers, .. }, body) = response.into_parts();
        let body = ResponseBody {
            reader: body.into_with_config().limit(max_bytes).reader(),
            deadline,
            charged: None,
            read_bytes: Arc::default(),
            begun,
            waited: begun.elapsed(),
            has_length: headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING),
            first: None,
            has_ended: false,
        };
        UpstreamResponse { status: status.as_u16(), headers, body }
    }

    /// Whether it has the header in which VictoriaMetrics names the server that responds.
    pub(in crate::prometheus) fn is_victoria_metrics(&self) -> bool {
        self.headers.contains_key(VICTORIA_METRICS_HEADER)
    }
}

/// The header `Content-Type`.
pub(in crate::prometheus) fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE)?.to_str().ok()
}

/// The body of a response as it arrives, up to the deadline and a bound on its bytes. A body that is read to its end leaves the
/// connection open for the next call; dropping it earlier closes the connection.
pub(in crate::prometheus) struct ResponseBody {
    reader: BodyReader<'static>,
    deadline: Deadline,
    /// The memory that what is decoded of it is charged to.
    pub(in crate::prometheus) charged: Option<Memory>,
    /// How many bytes were read.
    pub(in crate::prometheus) read_bytes: Arc<AtomicUsize>,
    /// When the call began.
    begun: Instant,
    /// How much of the time since then was spent on waiting for the upstream.
    waited: Duration,
    /// Whether anything but the end of the connection marks its end.
    has_length: bool,
    /// Its first byte, once it is read.
    pub(in crate::prometheus) first: Option<u8>,
    has_ended: bool,
}

/// How many bytes of memory each byte of JSON takes at most after decoding, including the reply made of it, roughly. It may be part
/// of a short name, which is a string of its own.
const DECODED_BYTES: usize = 3;

impl ResponseBody {
    /// Whether it may be a JSON object that ends early because the connection was closed. In HTTP/1.0, only the end of the
    /// connection marks the end of a body.
    pub(in crate::prometheus) fn may_be_cut_short(&self) -> bool {
        self.has_ended && !self.has_length && self.first == Some(b'{')
    }

    /// The failure that an error of reading it means.
    pub(in crate::prometheus) fn failure(&self, error: io::Error) -> ErrorKind {
        if let Some(&none) = error.get_ref().and_then(|inner| inner.downcast_ref::<NoMemory>()) {
            return ErrorKind::NoMemory(none);
        }
        match ureq::Error::from(error) {
            ureq::Error::Timeout(_) => ErrorKind::Stalled(self.deadline.whole_ms()),
            other => failure(other, 0, self.deadline),
        }
    }
}

impl Read for ResponseBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let begun = Instant::now();
        if self.deadline.remaining().is_zero() && begun.duration_since(self.begun) > self.waited * 2 {
            // The upstream did not take most of the time.
            return Err(ureq::Error::from(ConnectError(ErrorKind::TimeSpent(self.deadline.whole_ms()))).into_io());
        }
        let read = self.reader.read(buffer);
        self.waited += begun.elapsed();
        let amount = read?;
        self.has_ended = amount == 0;
        if self.first.is_none() {
            self.first = buffer[..amount].first().copied();
        }
        let read_bytes = self.read_bytes.fetch_add(amount, Ordering::Relaxed) + amount;
        if let Some(memory) = &self.charged {
            memory.hold(read_bytes * DECODED_BYTES).map_err(io::Error::other)?;
        }
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_mirror_is_not_reported_as_a_slow_upstream() {
        let read = |waited_ms: u64| {
            let deadline = Deadline::new(Instant::now(), Duration::ZERO);
            let begun = Instant::now() - Duration::from_millis(100);
            let response = Response::new(ureq::Body::builder().data("{}"));
            let body = UpstreamResponse::new(response, begun, deadline, 1 << 20).body;
            let mut body = ResponseBody { waited: Duration::from_millis(waited_ms), ..body };
            let read = body.read(&mut [0; 2]);
            read.map_err(|error| body.failure(error))
        };
        assert_eq!(read(10), Err(ErrorKind::TimeSpent(0)));
        // Bytes that have arrived are read.
        assert_eq!(read(90), Ok(2));
    }
}
