//! The call under way on a connection, whose bytes may have to go out on another one as well.

use std::fmt;
use std::mem;

use ureq::Error;
use ureq::unversioned::transport::{NextTimeout, Transport};

use crate::prometheus::http::ureq_time::{deadline_of, until};

/// How much is gathered before it goes out: 16 KiB, many times what a head and a form have.
pub(super) const GATHERED_BYTES: usize = 16 << 10;

/// The request under way, until its response begins.
#[derive(Default)]
pub(super) struct UnansweredCall {
    pub(super) is_unanswered: bool,
    pub(super) bytes: Vec<u8>,
    /// How many of the bytes went out.
    pub(super) sent: usize,
    /// Whether they are all of the request's.
    pub(super) is_whole: bool,
    /// Why no more can go out.
    pub(super) broken: Option<Error>,
    /// How often its connection was replaced by another one.
    pub(super) replaced: usize,
}

impl fmt::Debug for UnansweredCall {
    /// Shows nothing of the bytes, which hold credentials.
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

/// Sends bytes, a buffer of them at a time.
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
