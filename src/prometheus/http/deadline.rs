//! The deadline of a request.

use std::time::{Duration, Instant};

/// The deadline of a request: its timeout, counted from the instant at which the request was accepted.
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

    /// The instant of the deadline.
    pub fn instant(self) -> Instant {
        self.accepted + self.timeout
    }

    /// The remaining time; zero after the deadline.
    pub(in crate::prometheus) fn remaining(self) -> Duration {
        self.timeout.saturating_sub(self.accepted.elapsed())
    }

    /// The whole timeout in milliseconds, which is the number that the admin has set.
    pub(in crate::prometheus) fn whole_ms(self) -> u128 {
        self.timeout.as_millis()
    }

    /// An earlier deadline that leaves half of the remaining time.
    pub(in crate::prometheus) fn halved(self) -> Deadline {
        Deadline { timeout: self.accepted.elapsed() + self.remaining() / 2, ..self }
    }
}
