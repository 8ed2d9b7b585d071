//! Looks up the addresses of names: on few threads, once for all requests that need the same name at the same time. Remembers them
//! for some seconds.
//!
//! The system's resolver (`getaddrinfo`) blocks and cannot be interrupted: with a silent name server, glibc takes 5 s for each
//! attempt (2), name server and search domain. So it runs on a few threads of its own. Whenever a request would have to wait for
//! it, one of the requests that wait for the name queries the name servers directly (`http/dns`):
//!
//! - when the resolver does not find the name within a fraction of a second,
//! - when the name server that it queries first is known to be silent, while another one answers,
//! - when there is no free thread.
//!
//! Names that get no response must not block the look-ups of other names or hold the workers:
//!
//! - New names may use six of the eight threads. While they use all six, another new name is found only if the name servers answer
//!   for it. The more names they have left without a response in the last second, the shorter they are waited for.
//! - Few requests wait for a new name for longer than a second.

mod state;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use dns_lookup::LookupErrorKind;

use super::dns::{DirectQuery, LookupOutcome, NameServers};
use crate::prometheus::error::LookupFailure;
use crate::sync::{Condvar, Mutex};
use state::{Lookup, LookupState, NameEntry, Pending, Standing};

/// A temporary failure that took this long means a silent name server, because the resolver waits at least a second.
const SILENT_AFTER: Duration = Duration::from_millis(900);

/// How long the resolver runs before the name servers are queried as well.
const HEAD_START: Duration = Duration::from_millis(300);

/// How long every request may wait for the look-up of a new name. One in this many workers may wait longer.
const BRIEFLY: Duration = Duration::from_secs(1);
const WORKERS_PER_PATIENT: usize = 8;

/// How long to wait before querying the name servers again for a name without a response.
const QUERY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The addresses of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) ips: Arc<[IpAddr]>,
    /// Whether they were looked up for an earlier connection and may have changed since.
    pub(super) are_remembered: bool,
}

/// The look-ups of this process.
#[derive(Debug)]
pub(super) struct Lookups {
    /// Calls the resolver; blocks.
    resolve: fn(&str) -> LookupOutcome,
    pub(super) name_servers: Box<dyn DirectQuery>,
    workers: usize,
    state: Mutex<LookupState>,
    done: Condvar,
}

impl Lookups {
    /// Look-ups for this number of workers.
    pub(super) fn new(workers: usize) -> Arc<Lookups> {
        Lookups::by(by_system, Box::new(NameServers::of_system()), workers)
    }

    fn by(resolve: fn(&str) -> LookupOutcome, name_servers: Box<dyn DirectQuery>, workers: usize) -> Arc<Lookups> {
        Arc::new(Lookups { resolve, name_servers, workers, state: Mutex::default(), done: Condvar::new() })
    }

    /// The addresses of a name, at least one.
    ///
    /// # Errors
    /// Fails if the name has no address, if its addresses are not known before the deadline, or if too many requests wait for such
    /// names.
    pub(super) fn find(self: &Arc<Self>, name: &str, deadline: Instant) -> Result<Addresses, LookupFailure> {
        let name = name.to_ascii_lowercase();
        let mut state = self.state.lock();
        let standing = match state.names.get_mut(&name) {
            Some(NameEntry::Known { ips, until }) if Instant::now() < *until => {
                return Ok(Addresses { ips: Arc::clone(ips), are_remembered: true });
            }
            Some(NameEntry::Pending(pending)) => {
                pending.waiters += 1;
                let lookup = Arc::clone(&pending.lookup);
                return self.await_outcome(state, &lookup, deadline);
            }
            Some(NameEntry::Known { .. } | NameEntry::Expired) => Standing::Found,
            None => Standing::New,
        };
        let lookup = Lookup::new(name, standing);
        if !self.name_servers.resolver_would_wait() {
            self.begin(&mut state, &lookup)?;
        }
        let query_at = lookup.since + if lookup.has_begun() { HEAD_START } else { Duration::ZERO };
        let pending = Pending { lookup: Arc::clone(&lookup), waiters: 1, is_querying: false, query_at };
        state.names.insert(lookup.name.clone(), NameEntry::Pending(pending));
        self.await_outcome(state, &lookup, deadline)
    }

    /// Forgets the addresses of a name, so that it is looked up again.
    pub(super) fn forget(&self, name: &str) {
        let (name, mut state) = (name.to_ascii_lowercase(), self.state.lock());
        if let Some(entry @ NameEntry::Known { .. }) = state.names.get_mut(&name) {
            *entry = NameEntry::Expired;
        }
    }

    /// Starts a look-up by the resolver, if there is a free thread. If not, a name that was found before waits for one.
    fn begin(self: &Arc<Self>, state: &mut LookupState, lookup: &Arc<Lookup>) -> Result<(), LookupFailure> {
        if state.have_room(lookup.standing) {
            let (shared, first) = (Arc::clone(self), Arc::clone(lookup));
            match thread::Builder::new().name("lookup".to_owned()).spawn(move || shared.work(first)) {
                Ok(_) => {
                    state.begin(lookup);
                    return Ok(());
                }
                Err(error) if state.running() == 0 => return Err(LookupFailure::System(error.to_string())),
                // The running threads will take it from the queue.
                Err(_) => {}
            }
        }
        if lookup.standing == Standing::Found && !state.queue.iter().any(|queued| Arc::ptr_eq(queued, lookup)) {
            state.queue.push_back(Arc::clone(lookup));
        }
        Ok(())
    }

    /// Waits for the end of a look-up: until the deadline, or briefly if too many requests already wait longer. Meanwhile, one of
    /// the requests that wait for it queries the name servers.
    fn await_outcome<'s>(
        self: &'s Arc<Self>,
        mut state: MutexGuard<'s, LookupState>,
        lookup: &Arc<Lookup>,
        deadline: Instant,
    ) -> Result<Addresses, LookupFailure> {
        let briefly = lookup.since + BRIEFLY;
        let mut is_patient = lookup.standing == Standing::Found;
        let mut counts = 0;
        let outcome = loop {
            if let Some(outcome) = lookup.outcome.get() {
                break outcome.clone();
            }
            let now = Instant::now();
            let (is_querying, query_at) =
                state.pending(lookup).map_or((false, deadline), |pending| (pending.is_querying, pending.query_at));
            if !is_querying && query_at <= now && now < deadline {
                state = self.query_name_servers(state, lookup, deadline);
                continue;
            }
            if !is_patient && now >= briefly && state.patient < (self.workers / WORKERS_PER_PATIENT).max(1) {
                (is_patient, counts) = (true, 1);
                state.patient += 1;
            }
            let until = if is_patient || is_querying { deadline } else { deadline.min(briefly) };
            if now >= until {
                state.give_up(lookup);
                break Err(lookup.failure());
            }
            let until = if is_querying { until } else { until.min(query_at) };
            let left = until.saturating_duration_since(now);
            state = self.done.wait_timeout(state, left).0;
        };
        state.patient -= counts;
        outcome.map(|ips| Addresses { ips, are_remembered: false })
    }

    /// Queries the name servers for a name. If they answer, its look-up ends. If not, it continues if there is a thread for it.
    fn query_name_servers<'s>(
        self: &'s Arc<Self>,
        mut state: MutexGuard<'s, LookupState>,
        lookup: &Arc<Lookup>,
        deadline: Instant,
    ) -> MutexGuard<'s, LookupState> {
        let now = Instant::now();
        state.querying += 1;
        let in_time = now + state.answer_time(self.workers);
        let wanted = if lookup.has_begun() { in_time.max(lookup.since + BRIEFLY) } else { in_time };
        if let Some(pending) = state.pending(lookup) {
            pending.is_querying = true;
        }
        drop(state);
        let is_over = || lookup.outcome.get().is_some();
        let response = self.name_servers.query(&lookup.name, wanted.min(deadline), &is_over);
        let mut state = self.state.lock();
        state.querying -= 1;
        if let Some(pending) = state.pending(lookup) {
            pending.is_querying = false;
            // If only this request's time was too short, another request may query at once.
            pending.query_at = if deadline < wanted { now } else { Instant::now() + QUERY_AGAIN_AFTER };
        }
        let outcome = match response {
            Some(outcome) => Some(outcome),
            None if is_over() => None,
            None => {
                state.note_unanswered();
                let begun = if lookup.has_begun() { Ok(()) } else { self.begin(&mut state, lookup) };
                let ends = lookup.standing == Standing::New && !lookup.has_begun() && wanted <= deadline;
                begun.err().or_else(|| ends.then_some(LookupFailure::Busy)).map(Err)
            }
        };
        if let Some(outcome) = outcome {
            state.end(lookup, outcome);
        }
        self.done.notify_all();
        state
    }

    /// Looks up a name, and then the queued ones until the queue is empty.
    fn work(&self, first: Arc<Lookup>) {
        let mut next = Some(first);
        while let Some(lookup) = next {
            let outcome = (self.resolve)(&lookup.name);
            let mut state = self.state.lock();
            *state.running_of(lookup.standing) -= 1;
            state.end(&lookup, outcome);
            next = state.next();
            drop(state);
            self.done.notify_all();
        }
    }
}

/// Calls the system's resolver.
fn by_system(name: &str) -> LookupOutcome {
    let begun = Instant::now();
    let ips: Arc<[IpAddr]> = match dns_lookup::lookup_host(name) {
        Ok(ips) => ips.collect(),
        Err(error) => {
            return Err(match error.kind() {
                LookupErrorKind::NoName | LookupErrorKind::NoData => LookupFailure::NotFound,
                LookupErrorKind::Again if begun.elapsed() >= SILENT_AFTER => LookupFailure::ServerSilent,
                LookupErrorKind::Again | LookupErrorKind::Fail => LookupFailure::ServerFails,
                _ => LookupFailure::System(io::Error::from(error).to_string()),
            });
        }
    };
    if ips.is_empty() { Err(LookupFailure::NotFound) } else { Ok(ips) }
}

#[cfg(test)]
mod tests {
    use super::state::{MAX_COUNTED, MAX_REMEMBERED, MAX_THREADS};
    use super::*;
    use crate::prometheus::error::ServersSeen;
    use std::sync::atomic::Ordering;

    use std::ops::Range;
    use std::sync::atomic::AtomicUsize;

    fn in_ms(ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(ms)
    }

    fn localhost() -> LookupOutcome {
        Ok(Arc::new([IpAddr::from([127, 0, 0, 1])]))
    }

    /// How name servers respond to direct queries, and whether the resolver would wait for them.
    #[derive(Debug)]
    struct FakeServers {
        answer: fn(&str) -> Option<LookupOutcome>,
        resolver_would_wait: bool,
    }

    impl DirectQuery for FakeServers {
        fn resolver_would_wait(&self) -> bool {
            self.resolver_would_wait
        }

        fn servers_seen(&self) -> ServersSeen {
            ServersSeen::default()
        }

        fn query(&self, name: &str, until: Instant, is_over: &dyn Fn() -> bool) -> Option<LookupOutcome> {
            let answer = (self.answer)(name);
            while answer.is_none() && Instant::now() < until && !is_over() {
                thread::sleep(Duration::from_millis(1));
            }
            answer
        }
    }

    fn lookups(resolve: fn(&str) -> LookupOutcome, answer: fn(&str) -> Option<LookupOutcome>) -> Arc<Lookups> {
        Lookups::by(resolve, Box::new(FakeServers { answer, resolver_would_wait: false }), 20)
    }

    /// Look-ups whose name server never answers direct queries.
    fn unanswered(resolve: fn(&str) -> LookupOutcome) -> Arc<Lookups> {
        lookups(resolve, |_| None)
    }

    fn answered() -> Option<LookupOutcome> {
        Some(Ok([[10, 0, 0, 1].into()].into()))
    }

    /// The result for a name within a time, and how long it takes.
    fn find(lookups: &Arc<Lookups>, name: &str, within_ms: u64) -> (Result<Addresses, LookupFailure>, Duration) {
        let begun = Instant::now();
        (lookups.find(name, in_ms(within_ms)), begun.elapsed())
    }

    /// Looks up this many silent names, one after the other, without waiting for any.
    fn hold(lookups: &Arc<Lookups>, threads: usize) {
        for nth in 0..threads {
            assert_eq!(lookups.find(&format!("silent{nth}"), in_ms(1)), Err(LookupFailure::ServerSilent), "{nth}");
        }
    }

    #[test]
    fn a_name_is_looked_up_once_for_all_and_remembered() {
        static LOOKUPS: AtomicUsize = AtomicUsize::new(0);
        let lookups = unanswered(|_| {
            LOOKUPS.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(100));
            localhost()
        });
        let remembered = thread::scope(|scope| {
            let find = || lookups.find("Name", in_ms(5_000)).unwrap().are_remembered;
            let threads: Vec<_> = (0..20).map(|_| scope.spawn(find)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|is_remembered| *is_remembered).count()
        });
        assert!(remembered < 20);
        assert!(lookups.find("name", in_ms(0)).unwrap().are_remembered);
        assert_eq!(LOOKUPS.load(Ordering::SeqCst), 1);
        lookups.forget("NAME");
        assert!(!lookups.find("name", in_ms(5_000)).unwrap().are_remembered);
        assert_eq!(LOOKUPS.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_failure_is_shared_but_not_remembered() {
        static LOOKUPS: AtomicUsize = AtomicUsize::new(0);
        let lookups = unanswered(|_| {
            LOOKUPS.fetch_add(1, Ordering::SeqCst);
            Err(LookupFailure::NotFound)
        });
        for nth in 1..4 {
            assert_eq!(lookups.find("name", in_ms(5_000)), Err(LookupFailure::NotFound));
            assert_eq!(LOOKUPS.load(Ordering::SeqCst), nth);
        }
    }

    #[test]
    fn silent_names_take_few_threads_and_end_at_the_deadline() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let lookups = unanswered(|name| {
            if name == "good" {
                return localhost();
            }
            MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(700));
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            Err(LookupFailure::ServerSilent)
        });
        // One silent name, however many requests look it up, does not affect the others.
        thread::scope(|scope| {
            let same: Vec<_> = (0..50).map(|_| scope.spawn(|| find(&lookups, "silent", 100).0)).collect();
            assert!(find(&lookups, "good", 5_000).0.is_ok());
            for thread in same {
                assert_eq!(thread.join().unwrap(), Err(LookupFailure::ServerSilent));
            }
        });
        // Many silent names use all threads of new names.
        let failures = thread::scope(|scope| {
            let find_nth = |nth| find(&lookups, &format!("silent{nth}"), 200);
            let threads: Vec<_> = (0..50).map(|nth| scope.spawn(move || find_nth(nth))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let silent = failures.iter().filter(|(outcome, _)| *outcome == Err(LookupFailure::ServerSilent)).count();
        let busy = failures.iter().filter(|(outcome, _)| *outcome == Err(LookupFailure::Busy)).count();
        assert_eq!((silent + busy, silent <= 6), (50, true), "{failures:?}");
        assert!(failures.iter().all(|(_, took)| *took < Duration::from_millis(600)), "{failures:?}");
        assert_eq!(MOST.load(Ordering::SeqCst), 6);
    }

    #[test]
    fn while_silent_names_use_their_threads_only_answered_or_known_names_are_looked_up() {
        let lookups = lookups(
            |name| {
                if name.starts_with("silent") {
                    thread::sleep(Duration::from_secs(4));
                    return Err(LookupFailure::ServerSilent);
                }
                localhost()
            },
            |name| match name {
                "answered" => answered(),
                "unknown" => Some(Err(LookupFailure::NotFound)),
                "failing" => Some(Err(LookupFailure::ServerFails)),
                _ => None,
            },
        );
        assert!(find(&lookups, "found", 1_000).0.is_ok());
        lookups.forget("found");
        hold(&lookups, 6);
        let check = |name: &str, within_ms: u64, expected: Result<(), LookupFailure>, took_ms: Range<u128>| {
            let (outcome, took) = find(&lookups, name, within_ms);
            assert_eq!(outcome.map(|_| ()), expected, "{name}");
            assert!(took_ms.contains(&took.as_millis()), "{name}: {took:?}");
        };
        check("new", 30, Err(LookupFailure::Busy), 30..150);
        check("answered", 5_000, Ok(()), 0..150);
        check("unknown", 5_000, Err(LookupFailure::NotFound), 0..150);
        check("failing", 5_000, Err(LookupFailure::ServerFails), 0..150);
        check("found", 5_000, Ok(()), 0..150);
        check("new", 5_000, Err(LookupFailure::Busy), 600..1_100);
        // The more names have no response, the shorter.
        let shortest = thread::scope(|scope| {
            let find = |nth| find(&lookups, &format!("new{nth}"), 5_000).1;
            let threads: Vec<_> = (0..40).map(|nth| scope.spawn(move || find(nth))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).min()
        });
        assert!(shortest.is_some_and(|shortest| (100..200).contains(&shortest.as_millis())), "{shortest:?}");
    }

    #[test]
    fn of_too_many_unanswered_names_the_oldest_is_forgotten() {
        let earlier = Instant::now().checked_sub(Duration::from_millis(1)).unwrap();
        let unanswered = std::iter::repeat_n(earlier, MAX_COUNTED).collect();
        let mut state = LookupState { unanswered, ..LookupState::default() };
        state.note_unanswered();
        assert_eq!(state.unanswered.len(), MAX_COUNTED);
        assert!(*state.unanswered.back().unwrap() > earlier);
    }

    #[test]
    fn names_without_a_response_occupy_a_part_of_the_workers() {
        let check = |workers: usize, unanswered: usize, querying: usize, expected_ms: u64| {
            let unanswered = std::iter::repeat_n(Instant::now(), unanswered).collect();
            let mut state = LookupState { unanswered, querying, ..LookupState::default() };
            let found = state.answer_time(workers);
            assert_eq!(found, Duration::from_millis(expected_ms), "{workers} {querying}");
        };
        check(20, 0, 1, 1_000);
        check(20, 0, 20, 250);
        check(20, 40, 10, 100);
        check(20, 400, 8, 40);
        check(8, 15, 5, 100);
        check(8, 100, 4, 40);
        check(1, 0, 4, 250);
    }

    #[test]
    fn a_name_that_the_resolver_does_not_find_at_once_is_queried_directly() {
        static QUERIES: AtomicUsize = AtomicUsize::new(0);
        let lookups = lookups(
            |_| {
                thread::sleep(Duration::from_secs(2));
                Err(LookupFailure::ServerSilent)
            },
            |_| {
                QUERIES.fetch_add(1, Ordering::SeqCst);
                answered()
            },
        );
        // Only six of them have a thread. Two requests look up each.
        let took: Vec<Duration> = thread::scope(|scope| {
            let find = |nth: usize| find(&lookups, &format!("name{}", nth / 2), 5_000);
            let threads: Vec<_> = (0..40).map(|nth| scope.spawn(move || find(nth))).collect();
            let found = threads.into_iter().map(|thread| thread.join().unwrap());
            found.map(|(outcome, took)| outcome.map(|_| took).unwrap()).collect()
        });
        assert!(took.iter().all(|took| *took < Duration::from_millis(600)), "{took:?}");
        assert_eq!(took.iter().filter(|took| **took > HEAD_START / 2).count(), 12, "{took:?}");
        assert_eq!(QUERIES.load(Ordering::SeqCst), 20);
        // The later result of the resolver changes nothing.
        thread::sleep(Duration::from_millis(2_100));
        assert!(lookups.find("name0", in_ms(0)).unwrap().are_remembered);
    }

    #[test]
    fn when_the_resolver_would_wait_it_looks_up_only_names_without_a_response() {
        static RESOLVED: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let servers = FakeServers {
            answer: |name| if name == "answered" { answered() } else { None },
            resolver_would_wait: true,
        };
        let resolve = |name: &str| {
            RESOLVED.lock().push(name.to_owned());
            localhost()
        };
        let lookups = Lookups::by(resolve, Box::new(servers), 20);
        assert!(find(&lookups, "answered", 5_000).1 < HEAD_START);
        let (outcome, took) = find(&lookups, "other", 5_000);
        assert!(outcome.is_ok() && took >= Duration::from_millis(990), "{outcome:?} {took:?}");
        assert_eq!(*RESOLVED.lock(), ["other"]);
    }

    #[test]
    fn known_names_may_use_all_threads() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let lookups = unanswered(|_| {
            MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(100));
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            localhost()
        });
        let names: Vec<String> = (0..20).map(|nth| format!("name{nth}")).collect();
        for name in &names {
            assert!(find(&lookups, name, 5_000).0.is_ok());
            lookups.forget(name);
        }
        thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| assert!(find(&lookups, name, 5_000).0.is_ok()));
            }
        });
        assert_eq!(MOST.load(Ordering::SeqCst), MAX_THREADS);
    }

    #[test]
    fn few_requests_wait_long_for_new_names() {
        let lookups = unanswered(|name| {
            thread::sleep(Duration::from_millis(1_400));
            if name == "found" { localhost() } else { Err(LookupFailure::ServerSilent) }
        });
        assert!(find(&lookups, "found", 2_000).0.is_ok());
        lookups.forget("found");
        thread::scope(|scope| {
            let check = |name: &'static str, threads: usize, expected_patient: usize| {
                let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| find(&lookups, name, 5_000).1)).collect();
                scope.spawn(move || {
                    let took: Vec<u128> =
                        threads.into_iter().map(|thread| thread.join().unwrap().as_millis()).collect();
                    let patient = took.iter().filter(|took| **took >= 1_350).count();
                    assert_eq!(patient, expected_patient, "{name}: {took:?}");
                    assert!(took.iter().all(|took| (950..2_000).contains(took)), "{name}: {took:?}");
                })
            };
            check("silent", 20, 20 / WORKERS_PER_PATIENT);
            check("found", 10, 10);
        });
        assert_eq!(lookups.state.lock().patient, 0);
    }

    #[test]
    fn a_known_name_becomes_new_only_when_it_is_not_found() {
        static FAILURE: Mutex<Option<LookupFailure>> = Mutex::new(None);
        let lookups = unanswered(|_| FAILURE.lock().clone().map_or_else(localhost, Err));
        let standing = || lookups.state.lock().names.get("name").map(|entry| matches!(entry, NameEntry::Expired));
        for (failure, expected) in [
            (LookupFailure::ServerSilent, Some(true)),
            (LookupFailure::ServerFails, Some(true)),
            (LookupFailure::NotFound, None),
        ] {
            *FAILURE.lock() = None;
            assert!(lookups.find("name", in_ms(5_000)).is_ok());
            lookups.forget("name");
            *FAILURE.lock() = Some(failure.clone());
            assert_eq!(lookups.find("name", in_ms(5_000)), Err(failure.clone()));
            assert_eq!(standing(), expected, "{failure:?}");
        }
    }

    #[test]
    fn the_number_of_remembered_names_is_bounded() {
        let lookups = unanswered(|_| localhost());
        for nth in 0..MAX_REMEMBERED + 50 {
            lookups.find(&format!("name{nth}"), in_ms(5_000)).unwrap();
        }
        assert_eq!(lookups.state.lock().names.len(), MAX_REMEMBERED);
    }
}
