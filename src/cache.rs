//! A small cache with a bounded number of entries, which expire.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::sync::Mutex;

/// Values that were learnt recently, so that they need not be fetched again.
#[derive(Debug)]
pub struct Cache<K, V> {
    entries: Mutex<HashMap<K, (Instant, V)>>,
    capacity: usize,
    lifetime: Duration,
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// An empty cache of at most `capacity` entries, each valid for `lifetime`.
    pub fn new(capacity: usize, lifetime: Duration) -> Cache<K, V> {
        Cache { entries: Mutex::new(HashMap::new()), capacity, lifetime }
    }

    /// The value of a key, unless it has expired.
    pub fn get(&self, key: &K, now: Instant) -> Option<V> {
        let entries = self.entries.lock();
        let (since, value) = entries.get(key)?;
        (now.saturating_duration_since(*since) < self.lifetime).then(|| value.clone())
    }

    /// Adds a value. A full cache drops the expired entries first, and all entries if none has expired, because fetching again is
    /// cheap.
    pub fn put(&self, key: K, value: V, now: Instant) {
        let mut entries = self.entries.lock();
        if entries.len() >= self.capacity {
            entries.retain(|_, (since, _)| now.saturating_duration_since(*since) < self.lifetime);
        }
        if entries.len() >= self.capacity {
            entries.clear();
        }
        entries.insert(key, (now, value));
    }

    /// Removes a key.
    pub fn remove(&self, key: &K) {
        self.entries.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(60);

    #[test]
    fn a_value_is_believed_for_its_lifetime() {
        let (cache, start) = (Cache::new(2, LIFETIME), Instant::now());
        cache.put("a", 1, start);
        assert_eq!(cache.get(&"a", start + LIFETIME / 2), Some(1));
        assert_eq!(cache.get(&"a", start + LIFETIME), None);
        assert_eq!(cache.get(&"b", start), None);
        cache.remove(&"a");
        assert_eq!(cache.get(&"a", start), None);
    }

    #[test]
    fn a_full_cache_drops_the_old_before_the_young() {
        let (cache, start) = (Cache::new(2, LIFETIME), Instant::now());
        cache.put("old", 1, start);
        cache.put("young", 2, start + LIFETIME / 2);
        cache.put("new", 3, start + LIFETIME);
        assert_eq!(cache.get(&"young", start + LIFETIME), Some(2));
        assert_eq!(cache.get(&"new", start + LIFETIME), Some(3));
        cache.put("newer", 4, start + LIFETIME);
        assert_eq!(cache.get(&"young", start + LIFETIME), None);
        assert_eq!(cache.get(&"newer", start + LIFETIME), Some(4));
    }
}
