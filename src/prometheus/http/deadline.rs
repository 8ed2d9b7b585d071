//! The deadline of a request.

use std::time::{Duration, Instant};

/// The deadline of a request: its timeout, counted from the beginning of the request's turn on its connection.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    turn_began: Instant,
    timeout: Duration,
}

impl Deadline {
    /// The deadline of a request with this timeout, whose turn began then.
    pub fn new(turn_began: Instant, timeout: Duration) -> Deadline {
        Deadline { turn_began, timeout }
    }

    /// The instant of the deadline.
    pub fn instant(self) -> Instant {
        self.turn_began + self.timeout
    }

    /// The remaining time; zero after the deadline.
    pub(in crate::prometheus) fn remaining(self) -> Duration {
        self.timeout.saturating_sub(self.turn_began.elapsed())
    }

    /// The whole timeout in milliseconds, which is the number that the admin has set.
    pub(in crate::prometheus) fn whole_ms(self) -> u128 {
        self.timeout.as_millis()
    }

    /// An earlier deadline that leaves half of the remaining time.
    pub(in crate::prometheus) fn halved(self) -> Deadline {
        Deadline { timeout: self.turn_began.elapsed() + self.remaining() / 2, ..self }
    }
}
