//! Addresses that accept a connection and then stay silent or close it. For half a minute, the other addresses of the name are
//! tried first. If all of them are mute, the one that was noted first is tried first.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::sync::Mutex;

/// How long an address counts as mute.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);

/// The most addresses that are remembered. Further ones are ignored.
const MAX_REMEMBERED: usize = 1_024;

/// The addresses that were mute lately, and until when they count as mute.
#[derive(Debug, Default)]
pub(super) struct Mute(Mutex<HashMap<SocketAddr, Instant>>);

impl Mute {
    /// Notes that an address was mute.
    pub(super) fn note(&self, address: SocketAddr, now: Instant) {
        let mut until = self.0.lock();
        if until.len() >= MAX_REMEMBERED {
            until.retain(|_, until| now < *until);
        }
        if until.len() < MAX_REMEMBERED {
            until.insert(address, now + REMEMBERED_FOR);
        }
    }

    /// Notes that an address has answered.
    pub(super) fn forget(&self, address: SocketAddr) {
        self.0.lock().remove(&address);
    }

    /// Until when an address counts as mute, if it does.
    pub(super) fn until_of(&self, address: SocketAddr, now: Instant) -> Option<Instant> {
        self.0.lock().get(&address).copied().filter(|until| now < *until)
    }

    /// Whether an address counts as mute.
    pub(super) fn has(&self, address: SocketAddr, now: Instant) -> bool {
        self.until_of(address, now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(nth: usize) -> SocketAddr {
        SocketAddr::new([10, 0, 0, 1].into(), nth as u16)
    }

    #[test]
    fn an_address_is_mute_for_half_a_minute_or_until_it_answers() {
        let (mute, now) = (Mute::default(), Instant::now());
        assert!(!mute.has(address(1), now));
        mute.note(address(1), now);
        assert!(mute.has(address(1), now + Duration::from_millis(29_999)) && !mute.has(address(2), now));
        assert!(!mute.has(address(1), now + Duration::from_secs(30)));
        mute.forget(address(1));
        assert!(!mute.has(address(1), now));
    }

    #[test]
    fn the_address_that_was_noted_first_is_mute_until_first() {
        let (mute, now) = (Mute::default(), Instant::now());
        let order = |at: Instant| {
            let mut addresses: Vec<SocketAddr> = (0..4).map(address).collect();
            addresses.sort_by_key(|address| mute.until_of(*address, at));
            addresses.iter().map(|address| address.port()).collect::<Vec<_>>()
        };
        for (nth, ms) in [(2, 0), (0, 5), (1, 10)] {
            mute.note(address(nth), now + Duration::from_millis(ms));
        }
        assert_eq!(order(now), [3, 2, 0, 1]);
        mute.note(address(2), now + Duration::from_millis(20));
        assert_eq!(order(now), [3, 0, 1, 2]);
        mute.forget(address(1));
        assert_eq!(order(now), [1, 3, 0, 2]);
    }

    #[test]
    fn the_number_of_remembered_addresses_is_bounded() {
        let (mute, now) = (Mute::default(), Instant::now());
        (0..MAX_REMEMBERED + 10).for_each(|nth| mute.note(address(nth), now));
        assert!(mute.has(address(0), now) && !mute.has(address(MAX_REMEMBERED), now));
        let later = now + REMEMBERED_FOR;
        mute.note(address(MAX_REMEMBERED), later);
        assert!(mute.has(address(MAX_REMEMBERED), later));
        assert_eq!(mute.0.lock().len(), 1);
    }
}
