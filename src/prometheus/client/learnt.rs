//! Upstreams about which the mirror has learnt something that it need not find out with each call.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::prometheus::upstream::Upstream;
use crate::sync::Mutex;

/// The most upstreams that are remembered.
const MAX_UPSTREAMS: usize = 256;

/// How long an upstream is remembered. Then the mirror tries again.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Upstreams that are known to have a property, and since when.
#[derive(Default)]
pub(super) struct LearntUpstreams(Mutex<HashMap<Upstream, Instant>>);

impl LearntUpstreams {
    /// Whether an upstream is remembered.
    pub(super) fn contain(&self, upstream: &Upstream, now: Instant) -> bool {
        self.0.lock().get(upstream).is_some_and(|since| is_current(*since, now))
    }

    /// Adds an upstream. If there are too many, those whose lifetime is over are dropped; if there are none, all are, because
    /// trying again is cheap.
    pub(super) fn add(&self, upstream: &Upstream, now: Instant) {
        let mut upstreams = self.0.lock();
        if upstreams.len() >= MAX_UPSTREAMS {
            upstreams.retain(|_, since| is_current(*since, now));
        }
        if upstreams.len() >= MAX_UPSTREAMS {
            upstreams.clear();
        }
        upstreams.insert(upstream.clone(), now);
    }

    /// Removes an upstream.
    pub(super) fn remove(&self, upstream: &Upstream) {
        self.0.lock().remove(upstream);
    }
}

fn is_current(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < LIFETIME
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(nth: usize) -> Upstream {
        Upstream::at_url(&format!("http://p{nth}")).unwrap()
    }

    #[test]
    fn an_upstream_is_remembered_for_its_lifetime() {
        let (learnt, start) = (LearntUpstreams::default(), Instant::now());
        learnt.add(&upstream(1), start);
        assert!(learnt.contain(&upstream(1), start + LIFETIME / 2));
        assert!(!learnt.contain(&upstream(1), start + LIFETIME));
        assert!(!learnt.contain(&upstream(2), start));
        learnt.remove(&upstream(1));
        assert!(!learnt.contain(&upstream(1), start));
    }

    #[test]
    fn if_there_are_too_many_the_old_are_dropped_before_the_young() {
        let (learnt, start) = (LearntUpstreams::default(), Instant::now());
        let young = |nth: usize| learnt.contain(&upstream(nth), start + LIFETIME);
        learnt.add(&upstream(0), start);
        (1..MAX_UPSTREAMS).for_each(|nth| learnt.add(&upstream(nth), start + LIFETIME / 2));
        learnt.add(&upstream(MAX_UPSTREAMS), start + LIFETIME);
        assert!((1..=MAX_UPSTREAMS).all(young) && learnt.0.lock().len() == MAX_UPSTREAMS);
        learnt.add(&upstream(0), start + LIFETIME);
        assert!(young(0) && !young(1));
    }
}
