//! What the mirror finds out about upstreams and their addresses, and forgets after a while.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::sync::Mutex;

/// Keys that are remembered for a while.
#[derive(Debug)]
pub(super) struct Remembered<K> {
    most: usize,
    lifetime: Duration,
    /// Until when each key is remembered.
    until: Mutex<HashMap<K, Instant>>,
}

impl<K: Eq + Hash> Remembered<K> {
    /// Remembers at most `most` keys, each for `lifetime`.
    pub(super) fn new(most: usize, lifetime: Duration) -> Remembered<K> {
        Remembered { most, lifetime, until: Mutex::default() }
    }

    /// Remembers a key from now on. If there are too many, those whose lifetime is over are dropped; if there are none, all are,
    /// because trying again is cheap.
    pub(super) fn add(&self, key: K, now: Instant) {
        let mut until = self.until.lock();
        if until.len() >= self.most {
            until.retain(|_, until| now < *until);
        }
        if until.len() >= self.most {
            until.clear();
        }
        until.insert(key, now + self.lifetime);
    }

    /// Forgets a key.
    pub(super) fn remove(&self, key: &K) {
        self.until.lock().remove(key);
    }

    /// Until when a key is remembered, if it is.
    pub(super) fn until_of(&self, key: &K, now: Instant) -> Option<Instant> {
        self.until.lock().get(key).copied().filter(|until| now < *until)
    }

    /// Whether a key is remembered.
    pub(super) fn has(&self, key: &K, now: Instant) -> bool {
        self.until_of(key, now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 20;
    const LIFETIME: Duration = Duration::from_secs(30);

    fn empty() -> (Remembered<usize>, Instant) {
        (Remembered::new(MOST, LIFETIME), Instant::now())
    }

    #[test]
    fn a_key_is_remembered_for_its_lifetime_or_until_it_is_removed() {
        let (remembered, start) = empty();
        assert!(!remembered.has(&1, start));
        remembered.add(1, start);
        assert!(remembered.has(&1, start + LIFETIME - Duration::from_millis(1)) && !remembered.has(&2, start));
        assert!(!remembered.has(&1, start + LIFETIME));
        remembered.remove(&1);
        assert!(!remembered.has(&1, start));
    }

    #[test]
    fn the_key_that_was_added_first_is_forgotten_first() {
        let (remembered, start) = empty();
        let order = || {
            let mut keys: Vec<usize> = (0..4).collect();
            keys.sort_by_key(|key| remembered.until_of(key, start));
            keys
        };
        for (key, ms) in [(2, 0), (0, 5), (1, 10)] {
            remembered.add(key, start + Duration::from_millis(ms));
        }
        assert_eq!(order(), [3, 2, 0, 1]);
        remembered.add(2, start + Duration::from_millis(20));
        assert_eq!(order(), [3, 0, 1, 2]);
        remembered.remove(&1);
        assert_eq!(order(), [1, 3, 0, 2]);
    }

    #[test]
    fn if_there_are_too_many_the_old_are_dropped_before_the_young() {
        let (remembered, start) = empty();
        let is_young = |key: usize| remembered.has(&key, start + LIFETIME);
        remembered.add(0, start);
        (1..MOST).for_each(|key| remembered.add(key, start + LIFETIME / 2));
        remembered.add(MOST, start + LIFETIME);
        assert!((1..=MOST).all(is_young) && remembered.until.lock().len() == MOST);
        remembered.add(0, start + LIFETIME);
        assert!(is_young(0) && !is_young(1));
    }
}
