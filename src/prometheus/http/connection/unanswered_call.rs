//! The call in flight on a connection, whose bytes may have to be sent on another one as well.

use std::fmt;
use std::mem;

use ureq::Error;
use ureq::unversioned::transport::{NextTimeout, Transport};

use crate::prometheus::http::ureq_time::{deadline_of, until};

/// How many bytes are gathered before they are sent: 16 KiB, many times the size of a head and a form.
pub(super) const GATHERED_BYTES: usize = 16 << 10;

/// The call in flight, until its response begins.
#[derive(Default)]
pub(super) struct UnansweredCall {
    pub(super) is_unanswered: bool,
    pub(super) bytes: Vec<u8>,
    /// How many of the bytes were sent.
    pub(super) sent: usize,
    /// Whether they are all bytes of the call.
    pub(super) is_whole: bool,
    /// Why no more can be sent.
    pub(super) broken: Option<Error>,
    /// How often another connection replaced its connection.
    pub(super) replaced: usize,
}

impl fmt::Debug for UnansweredCall {
    /// Shows nothing of the bytes, which contain credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnansweredCall").field("is_unanswered", &self.is_unanswered).finish_non_exhaustive()
    }
}

impl UnansweredCall {
    pub(super) fn begin(&mut self) {
        let bytes = mem::take(&mut self.bytes);
        *self = UnansweredCall { is_unanswered: true, bytes, sent: 0, is_whole: true, broken: None, replaced: 0 };
    }

    pub(super) fn end(&mut self) {
        self.is_unanswered = false;
        self.bytes.clear();
        self.bytes.shrink_to(GATHERED_BYTES);
    }
}

/// Sends bytes, one buffer at a time.
pub(super) fn transmit(transport: &mut dyn Transport, bytes: &[u8], timeout: NextTimeout) -> Result<(), Error> {
    let deadline = deadline_of(timeout);
    let mut left = bytes;
    while !left.is_empty() {
        let output = transport.buffers().output();
        let (now, later) = left.split_at(left.len().min(output.len()));
        output[..now.len()].copy_from_slice(now);
        transport.transmit_output(now.len(), NextTimeout { after: until(deadline).after, ..timeout })?;
        left = later;
    }
    Ok(())
}
