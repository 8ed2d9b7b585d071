//! When the timeout of a request is over.

use std::time::{Duration, Instant};

/// When the timeout of a request is over. It counts from the instant at which the request was accepted.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    accepted: Instant,
    timeout: Duration,
}

impl Deadline {
    /// The deadline of a request that was accepted then, with this timeout.
    pub fn new(accepted: Instant, timeout: Duration) -> Deadline {
        Deadline { accepted, timeout }
    }

    /// The instant itself.
    pub fn instant(self) -> Instant {
        self.accepted + self.timeout
    }

    /// What is left.
    pub(in crate::prometheus) fn remaining(self) -> Duration {
        self.timeout.saturating_sub(self.accepted.elapsed())
    }

    /// The whole timeout in milliseconds, for the admin who set it.
    pub(in crate::prometheus) fn whole_ms(self) -> u128 {
        self.timeout.as_millis()
    }

    /// An earlier one that leaves half of what is left.
    pub(in crate::prometheus) fn halved(self) -> Deadline {
        Deadline { timeout: self.accepted.elapsed() + self.remaining() / 2, ..self }
    }
}
