//! A limit on how often the same kind of event is logged.

use std::time::{Duration, Instant};

use crate::sync::Mutex;

/// Admits a number of events in each interval, and counts the others.
#[derive(Debug)]
pub struct Limit {
    max: u64,
    interval: Duration,
    state: Mutex<LimitState>,
}

#[derive(Debug)]
struct LimitState {
    /// When the interval began.
    begun: Option<Instant>,
    admitted: u64,
    left_out: u64,
}

impl Limit {
    /// Admits at most `max` events in an interval.
    pub const fn new(max: u64, interval: Duration) -> Limit {
        Limit { max, interval, state: Mutex::new(LimitState { begun: None, admitted: 0, left_out: 0 }) }
    }

    /// If an event may be logged now: how many events were left out since the last that was logged. Otherwise `None`.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        if state.begun.is_none_or(|begun| now.duration_since(begun) >= self.interval) {
            (state.begun, state.admitted) = (Some(now), 0);
        }
        if state.admitted == self.max {
            state.left_out += 1;
            return None;
        }
        state.admitted += 1;
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_admitted_in_each_interval_and_the_others_counted() {
        let limit = Limit::new(2, Duration::from_secs(10));
        let begin = Instant::now();
        for (at_s, expected) in
            [(0, Some(0)), (1, Some(0)), (2, None), (9, None), (10, Some(2)), (11, Some(0)), (12, None), (99, Some(1))]
        {
            assert_eq!(limit.admit_at(begin + Duration::from_secs(at_s)), expected, "at {at_s} s");
        }
    }
}
