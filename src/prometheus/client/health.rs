//! Which upstreams answer. An upstream that leaves several calls in a row without a response is queried by one request at a time
//! until it answers again, so that it does not hold the workers that other upstreams need.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::prometheus::error::{Silence, WaitedFor};
use crate::sync::Mutex;

/// After this many calls in a row without a response, an upstream counts as silent.
const MAX_SILENT_CALLS: u32 = 3;

/// A call that waited less than this says nothing about its upstream, because its own timeout was short.
const SILENCE: Duration = Duration::from_millis(500);

/// An upstream has responded lately if its last response is younger than this.
const LATELY: Duration = Duration::from_secs(600);

/// The most upstreams that are remembered. The one with the oldest call is forgotten first.
const MAX_UPSTREAMS: usize = 1_024;

/// What is remembered about each upstream. The keys are base URLs, which may contain secrets and must not be shown, so this has no
/// `Debug`.
#[derive(Default)]
pub(super) struct Health(Mutex<HashMap<String, HealthEntry>>);

struct HealthEntry {
    last_response: Option<Instant>,
    last_call: Instant,
    /// How many calls in a row got no response, and when the first of them began.
    silent_calls: u32,
    silent_since: Instant,
    waited_for: WaitedFor,
    /// Whether a request is probing it at the moment.
    is_probed: bool,
    /// Whether it has ever sent a response of the Prometheus API.
    is_prometheus: bool,
}

/// The right to probe a silent upstream. Another request may probe once this is dropped.
pub(super) struct Probe<'h> {
    health: &'h Health,
    upstream: String,
    pub(super) silence: Silence,
}

impl Health {
    /// Lets a request call an upstream. If the upstream is silent, the request must probe it first.
    ///
    /// # Errors
    /// Fails if the upstream is silent and another request is probing it.
    pub(super) fn admit(&self, upstream: &str, now: Instant) -> Result<Option<Probe<'_>>, Silence> {
        let mut entries = self.0.lock();
        let Some((entry, silence)) = silent(&mut entries, upstream, now) else { return Ok(None) };
        if entry.is_probed {
            return Err(silence);
        }
        entry.is_probed = true;
        Ok(Some(Probe { health: self, upstream: upstream.to_owned(), silence }))
    }

    /// Whether an upstream has responded within the last ten minutes and is not silent now.
    ///
    /// # Errors
    /// Fails if the upstream is silent and another request is probing it: the request need not even wait for a worker.
    pub(super) fn responded_lately(&self, upstream: &str, now: Instant) -> Result<bool, Silence> {
        let mut entries = self.0.lock();
        match silent(&mut entries, upstream, now) {
            Some((entry, silence)) if entry.is_probed => return Err(silence),
            Some(_) => return Ok(false),
            None => {}
        }
        let last_response = entries.get(upstream).and_then(|entry| entry.last_response);
        Ok(last_response.is_some_and(|at| now.saturating_duration_since(at) < LATELY))
    }

    /// Whether an upstream is remembered to have sent a response of the Prometheus API.
    pub(super) fn is_prometheus(&self, upstream: &str) -> bool {
        self.0.lock().get(upstream).is_some_and(|entry| entry.is_prometheus)
    }

    /// Notes that an upstream has begun to answer a call, and whether the response is one of the Prometheus API.
    pub(super) fn note_response(&self, upstream: &str, as_prometheus: bool, now: Instant) {
        let mut entries = self.0.lock();
        let entry = entry(&mut entries, upstream, now);
        entry.is_prometheus |= as_prometheus;
        entry.last_response = Some(now);
        entry.silent_calls = 0;
    }

    /// Notes that an upstream has not answered a call in time. Has no effect if the upstream answered another call
    /// meanwhile.
    pub(super) fn note_silence(&self, upstream: &str, waited_for: WaitedFor, began: Instant, now: Instant) {
        if now.saturating_duration_since(began) < SILENCE {
            return;
        }
        let mut entries = self.0.lock();
        let entry = entry(&mut entries, upstream, now);
        if entry.last_response.is_some_and(|at| at >= began) {
            return;
        }
        if entry.silent_calls == 0 {
            entry.silent_since = began;
        }
        entry.waited_for = waited_for;
        entry.silent_calls = entry.silent_calls.saturating_add(1);
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.health.0.lock().get_mut(&self.upstream) {
            entry.is_probed = false;
        }
    }
}

/// The entry of an upstream, if it is silent.
fn silent<'e>(
    entries: &'e mut HashMap<String, HealthEntry>,
    upstream: &str,
    now: Instant,
) -> Option<(&'e mut HealthEntry, Silence)> {
    let entry = entries.get_mut(upstream).filter(|entry| entry.silent_calls >= MAX_SILENT_CALLS)?;
    let lasted = now.saturating_duration_since(entry.silent_since);
    let silence = Silence { waited_for: entry.waited_for, calls: entry.silent_calls, lasted };
    Some((entry, silence))
}

/// The entry of an upstream, which is added if it is missing.
fn entry<'e>(entries: &'e mut HashMap<String, HealthEntry>, upstream: &str, now: Instant) -> &'e mut HealthEntry {
    if entries.len() >= MAX_UPSTREAMS && !entries.contains_key(upstream) {
        let oldest = entries.iter().min_by_key(|(_, entry)| entry.last_call).map(|(name, _)| name.clone());
        oldest.and_then(|oldest| entries.remove(&oldest));
    }
    let entry = entries.entry(upstream.to_owned()).or_insert(HealthEntry {
        last_response: None,
        last_call: now,
        silent_calls: 0,
        silent_since: now,
        waited_for: WaitedFor::Response,
        is_probed: false,
        is_prometheus: false,
    });
    entry.last_call = now;
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// An upstream that has left this many calls of a second without a response, one after another, until the given instant.
    fn silent_for(calls: u32) -> (Health, Instant) {
        let (health, mut now) = (Health::default(), Instant::now());
        for _ in 0..calls {
            health.note_silence("p", WaitedFor::Connection, now, now + after(1_000));
            now += after(1_000);
        }
        (health, now)
    }

    #[test]
    fn a_response_of_the_api_is_remembered() {
        let (health, now) = (Health::default(), Instant::now());
        health.note_response("https://hush", false, now);
        assert!(!health.is_prometheus("https://hush") && !health.is_prometheus("q"));
        health.note_response("https://hush", true, now);
        health.note_response("https://hush", false, now);
        assert!(health.is_prometheus("https://hush"));
    }

    #[test]
    fn after_three_calls_without_a_response_one_request_at_a_time_is_admitted() {
        let (health, now) = silent_for(2);
        assert!(matches!(health.admit("p", now), Ok(None)));
        let (health, now) = silent_for(3);
        let Ok(Some(probe)) = health.admit("p", now) else { panic!("it is not probed") };
        let expected = Silence { waited_for: WaitedFor::Connection, calls: 3, lasted: after(3_000) };
        assert_eq!(probe.silence, expected);
        assert_eq!(health.responded_lately("p", now), Err(expected));
        assert!(matches!(health.admit("p", now), Err(silence) if silence == expected));
        assert!(matches!(health.admit("q", now), Ok(None)));
        drop(probe);
        assert_eq!(health.responded_lately("p", now), Ok(false));
        assert!(matches!(health.admit("p", now), Ok(Some(_))));
    }

    #[test]
    fn a_response_ends_the_silence() {
        let (health, now) = silent_for(5);
        health.note_response("p", true, now);
        assert!(matches!(health.admit("p", now), Ok(None)));
        health.note_silence("p", WaitedFor::Response, now + after(1), now + after(1_001));
        assert!(matches!(health.admit("p", now), Ok(None)));
    }

    #[test]
    fn a_call_that_waited_while_another_got_a_response_is_no_silence() {
        let (health, now) = (Health::default(), Instant::now());
        health.note_response("p", true, now + after(500));
        for _ in 0..5 {
            health.note_silence("p", WaitedFor::Response, now, now + after(1_000));
        }
        assert!(matches!(health.admit("p", now), Ok(None)));
    }

    #[test]
    fn a_call_with_a_short_timeout_is_no_silence() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 0..5 {
            health.note_silence("p", WaitedFor::Response, now, now + after(499));
        }
        assert!(matches!(health.admit("p", now), Ok(None)));
    }

    #[test]
    fn an_upstream_has_responded_lately_for_ten_minutes_after_a_response_unless_it_falls_silent() {
        let (health, now) = (Health::default(), Instant::now());
        assert_eq!(health.responded_lately("p", now), Ok(false));
        health.note_response("p", true, now);
        assert_eq!(health.responded_lately("p", now + after(599_999)), Ok(true));
        assert_eq!(health.responded_lately("p", now + after(600_000)), Ok(false));
        for nth in 1..=3 {
            assert_eq!(health.responded_lately("p", now + after(10_000)), Ok(true), "{nth}");
            health.note_silence("p", WaitedFor::Response, now + after(1), now + after(5_000));
        }
        assert_eq!(health.responded_lately("p", now + after(10_000)), Ok(false));
    }

    #[test]
    fn the_upstream_with_the_oldest_call_is_forgotten_first() {
        let (health, now) = (Health::default(), Instant::now());
        for nth in 0..=MAX_UPSTREAMS {
            health.note_response(&nth.to_string(), true, now + after(nth as u64));
        }
        let latest = now + after(MAX_UPSTREAMS as u64);
        assert_eq!((health.responded_lately("0", latest), health.responded_lately("1", latest)), (Ok(false), Ok(true)));
        assert_eq!(health.0.lock().len(), MAX_UPSTREAMS);
    }
}
