//! Tokens and temporary keys: one request at a time fetches them, and all requests share them.

use std::time::{Duration, Instant};

use crate::prometheus::error::{CredentialsFailure, ErrorKind};
use crate::prometheus::http::Deadline;
use crate::sync::{Condvar, Mutex};

/// How long before its expiry a value is fetched again.
const BEFORE_END: Duration = Duration::from_secs(30);

/// How long a fetch may take, even if its request has more time, because other requests wait for it.
const FETCH_PATIENCE: Duration = Duration::from_secs(5);

/// The pause after the first refusal of the server. It doubles with each further refusal, up to a bound.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A value that is younger than this is not fetched again after a refusal, because the next one would be refused for the same
/// reason.
const MIN_AGE: Duration = Duration::from_secs(5);

/// A fetched value, and when it expires.
pub(super) struct Fetched<T> {
    pub(super) value: T,
    /// `None` if the value is valid until it is refused.
    pub(super) end: Option<Instant>,
    pub(super) since: Instant,
}

impl<T> Fetched<T> {
    /// A value that was requested at `since` and is valid for `lifetime` from then on.
    pub(super) fn new(value: T, since: Instant, lifetime: Option<Duration>) -> Fetched<T> {
        // A lifetime that the clock cannot represent counts as endless.
        Fetched { value, end: lifetime.and_then(|lifetime| since.checked_add(lifetime)), since }
    }

    /// Whether the value is valid for at least `ahead` from now on. One with a lifetime of less than `2 * ahead` is used for half
    /// of its lifetime at least.
    fn lasts(&self, now: Instant, ahead: Duration) -> bool {
        self.end.is_none_or(|end| {
            let ahead = ahead.min(end.saturating_duration_since(self.since) / 2);
            now + ahead < end
        })
    }
}

/// Fetches the value when a request needs it.
pub(super) struct SingleFetch<T> {
    state: Mutex<FetchState<T>>,
    changed: Condvar,
}

struct FetchState<T> {
    current: Option<Fetched<T>>,
    is_fetching: bool,
    refusal: Option<LastRefusal>,
}

/// The last refusal of the server, if its last response was one.
struct LastRefusal {
    failure: CredentialsFailure,
    pause: Duration,
    /// When the pause ends.
    end: Instant,
}

impl<T> Default for SingleFetch<T> {
    fn default() -> SingleFetch<T> {
        let state = FetchState { current: None, is_fetching: false, refusal: None };
        SingleFetch { state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl<T: Clone> SingleFetch<T> {
    /// The last fetched value, even if it is due to be fetched again: calls may still carry it.
    pub(super) fn in_force(&self) -> Option<T> {
        self.state.lock().current.as_ref().map(|current| current.value.clone())
    }

    /// The last fetched value, unless it is due to be fetched again.
    pub(super) fn kept(&self) -> Option<T> {
        lasting(&self.state.lock(), BEFORE_END)
    }

    /// The last fetched value, or the one that `fetch` returns. While one request fetches it, the others wait.
    ///
    /// # Errors
    /// Fails if there is no value before the deadline.
    pub(super) fn get(
        &self,
        deadline: Deadline,
        fetch: impl FnOnce(Deadline) -> Result<Fetched<T>, CredentialsFailure>,
    ) -> Result<T, ErrorKind> {
        let failed = |failure: CredentialsFailure| ErrorKind::Credentials(Box::new(failure));
        let mut state = self.state.lock();
        loop {
            if let Some(current) = lasting(&state, BEFORE_END) {
                return Ok(current);
            }
            if let Some(refusal) = state.refusal.as_ref().filter(|refusal| refusal.end > Instant::now()) {
                return lasting(&state, Duration::ZERO).ok_or_else(|| failed(refusal.failure.clone()));
            }
            if !state.is_fetching {
                break;
            }
            if let Some(current) = lasting(&state, Duration::ZERO) {
                return Ok(current);
            }
            if deadline.remaining().is_zero() {
                return Err(failed(CredentialsFailure::awaited(deadline.whole_ms())));
            }
            state = self.changed.wait_timeout(state, deadline.remaining()).0;
        }
        state.is_fetching = true;
        drop(state);
        let ending = Ending(self);
        let patience = deadline.remaining().min(FETCH_PATIENCE);
        let fetched = fetch(Deadline::new(Instant::now(), patience));
        let mut state = self.state.lock();
        let result = match fetched {
            Ok(fetched) => {
                state.refusal = None;
                Ok(state.current.insert(fetched).value.clone())
            }
            Err(failure) => {
                // This request may have had little time for it, which says nothing about others.
                if failure.has_response() {
                    let pause = state.refusal.as_ref().map_or(FIRST_PAUSE, |before| before.pause * 2);
                    let pause = pause.min(failure.longest_pause());
                    state.refusal = Some(LastRefusal { failure: failure.clone(), pause, end: Instant::now() + pause });
                }
                lasting(&state, Duration::ZERO).ok_or_else(|| failed(failure))
            }
        };
        drop(state);
        drop(ending);
        result
    }

    /// The upstream refused the last fetched value, if `is_it` says so. Discards it then, so that a new one is fetched. Returns
    /// whether a retry makes sense.
    pub(super) fn renew(&self, is_it: impl FnOnce(&T) -> bool) -> bool {
        let mut state = self.state.lock();
        match &state.current {
            Some(current) if !is_it(&current.value) => true,
            Some(current) if current.since.elapsed() < MIN_AGE => false,
            _ => {
                state.current = None;
                true
            }
        }
    }

    /// Ends the pause after a refusal, because something has changed and the server may now grant a value.
    pub(super) fn end_pause(&self) {
        self.state.lock().refusal = None;
    }
}

/// The last fetched value, if it is valid for at least `ahead` from now on.
fn lasting<T: Clone>(state: &FetchState<T>, ahead: Duration) -> Option<T> {
    let current = state.current.as_ref().filter(|current| current.lasts(Instant::now(), ahead));
    current.map(|current| current.value.clone())
}

/// Lets the next request fetch the value, whether this one succeeded or not.
struct Ending<'s, T>(&'s SingleFetch<T>);

impl<T> Drop for Ending<'_, T> {
    fn drop(&mut self) {
        self.0.state.lock().is_fetching = false;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;
    use crate::prometheus::error::{AtIssuer, Issuer};

    fn soon() -> Deadline {
        Deadline::new(Instant::now(), Duration::from_secs(10))
    }

    fn fetched(value: u32, lifetime_s: u64) -> Fetched<u32> {
        Fetched::new(value, Instant::now(), Some(Duration::from_secs(lifetime_s)))
    }

    fn refused() -> CredentialsFailure {
        CredentialsFailure::at(Issuer::TokenServer, "p:1", AtIssuer::Refusal(401, Some("why".to_owned())))
    }

    #[test]
    fn one_request_fetches_and_the_others_wait_for_it() {
        let (single, fetches) = (SingleFetch::default(), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let got = single.get(soon(), |_| {
                        thread::sleep(Duration::from_millis(100));
                        fetches.fetch_add(1, Ordering::Relaxed);
                        Ok(fetched(7, 3_600))
                    });
                    assert_eq!(got.unwrap(), 7);
                });
            }
        });
        assert_eq!(fetches.into_inner(), 1);
    }

    #[test]
    fn a_value_is_fetched_again_half_a_minute_before_its_expiry() {
        let check = |lifetime_s: u64, age_s: u64, is_fetched: bool| {
            let single = SingleFetch::default();
            let since = Instant::now() - Duration::from_secs(age_s);
            let old = |_| Ok(Fetched::new(1, since, Some(Duration::from_secs(lifetime_s))));
            single.get(soon(), old).unwrap();
            let got = single.get(soon(), |_| Ok(fetched(2, 3_600))).unwrap();
            assert_eq!(got == 2, is_fetched, "{lifetime_s} {age_s}");
        };
        check(3_600, 3_500, false);
        check(3_600, 3_571, true);
        check(40, 19, false);
        check(40, 21, true);
        check(0, 0, true);
    }

    #[test]
    fn a_value_that_is_due_is_in_force_until_the_next_one_is_fetched() {
        let single = SingleFetch::default();
        let since = Instant::now() - Duration::from_secs(3_580);
        assert!(single.in_force().is_none());
        single.get(soon(), |_| Ok(Fetched::new(1, since, Some(Duration::from_secs(3_600))))).unwrap();
        assert!(single.kept().is_none());
        assert_eq!(single.in_force(), Some(1));
    }

    #[test]
    fn a_failed_fetch_leaves_a_valid_value() {
        let single = SingleFetch::default();
        let since = Instant::now() - Duration::from_secs(3_580);
        single.get(soon(), |_| Ok(Fetched::new(1, since, Some(Duration::from_secs(3_600))))).unwrap();
        assert_eq!(single.get(soon(), |_| Err(refused())).unwrap(), 1);
        let single: SingleFetch<u32> = SingleFetch::default();
        assert!(matches!(single.get(soon(), |_| Err(refused())), Err(ErrorKind::Credentials(_))));
        // The refusal is repeated during the pause.
        assert!(matches!(single.get(soon(), |_| panic!("is not called")), Err(ErrorKind::Credentials(_))));
        thread::sleep(FIRST_PAUSE + Duration::from_millis(10));
        assert_eq!(single.get(soon(), |_| Ok(fetched(2, 60))).unwrap(), 2);
    }

    #[test]
    fn the_pause_after_refusals_doubles_until_something_changes() {
        let refused_with = |status| CredentialsFailure::at(Issuer::TokenServer, "p:1", AtIssuer::Refusal(status, None));
        let check = |status: u16, expected_s: [u64; 7]| {
            let single: SingleFetch<u32> = SingleFetch::default();
            for expected_s in expected_s {
                assert!(single.get(soon(), |_| Err(refused_with(status))).is_err());
                assert!(single.get(soon(), |_| panic!("is not called")).is_err());
                let mut state = single.state.lock();
                let refusal = state.refusal.as_mut().unwrap();
                assert_eq!(refusal.pause, Duration::from_secs(expected_s), "{status}");
                // The pause is over.
                refusal.end = Instant::now();
            }
            assert!(single.get(soon(), |_| Err(refused_with(status))).is_err());
            single.end_pause();
            assert_eq!(single.get(soon(), |_| Ok(fetched(2, 60))).unwrap(), 2);
            assert!(single.state.lock().refusal.is_none());
        };
        check(401, [1, 2, 4, 8, 16, 30, 30]);
        check(400, [1, 2, 4, 8, 16, 30, 30]);
        check(503, [1, 2, 4, 5, 5, 5, 5]);
        check(408, [1, 2, 4, 5, 5, 5, 5]);
    }

    #[test]
    fn a_request_without_time_does_not_start_a_pause() {
        let single = SingleFetch::default();
        let late =
            || CredentialsFailure::at(Issuer::TokenServer, "p:1", AtIssuer::Unreachable(Arc::new(ErrorKind::Closed)));
        assert!(single.get(soon(), |_| Err(late())).is_err());
        assert_eq!(single.get(soon(), |_| Ok(fetched(2, 60))).unwrap(), 2);
    }

    #[test]
    fn a_refused_value_is_fetched_again_unless_it_is_brand_new() {
        let single = SingleFetch::default();
        let since = Instant::now() - Duration::from_secs(60);
        single.get(soon(), |_| Ok(Fetched::new(1, since, None))).unwrap();
        // Another request has fetched a new one meanwhile.
        assert!(single.renew(|value| *value == 0));
        assert_eq!(single.get(soon(), |_| panic!("it is kept")).unwrap(), 1);
        assert!(single.renew(|value| *value == 1));
        assert_eq!(single.get(soon(), |_| Ok(fetched(2, 60))).unwrap(), 2);
        assert!(!single.renew(|value| *value == 2));
    }

    #[test]
    fn a_panic_in_a_fetch_does_not_stop_the_next() {
        let single: SingleFetch<u32> = SingleFetch::default();
        let panicked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| single.get(soon(), |_| panic!("on purpose"))));
        assert!(panicked.is_err());
        assert_eq!(single.get(soon(), |_| Ok(fetched(2, 60))).unwrap(), 2);
    }
}
