//! Looks up the addresses of names: on few threads, once for everybody who asks for the same name at the same time, and
//! remembered for some seconds.
//!
//! The system's resolver (`getaddrinfo`) blocks and cannot be interrupted: with a silent name server, glibc takes 5 s for each
//! attempt (2), name server and search domain. So it runs on threads of its own, of which there are few, and whoever waits for
//! it waits no longer than his own deadline.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dns_lookup::LookupErrorKind;

/// The most look-ups at a time, each of which has a thread. When all of them wait for silent name servers, further names wait
/// until one ends, or until the deadline of whoever asks.
const MAX_THREADS: usize = 8;

/// Of these, so many are only for names that were found before: names that somebody made up cannot keep those that are good from
/// being looked up.
const KEPT_FOR_FOUND: usize = 2;

/// How long the addresses of a name are remembered. Failures are not.
const REMEMBERED_FOR: Duration = Duration::from_secs(5);

/// The most names whose addresses are remembered.
const MAX_REMEMBERED: usize = 256;

/// A look-up that fails for now has met a silent name server if it took this long: the resolver waits a second at least.
const SILENT_AFTER: Duration = Duration::from_millis(900);

/// The addresses of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) ips: Arc<[IpAddr]>,
    /// Whether they were looked up for an earlier connection, and may have changed since.
    pub(super) are_remembered: bool,
}

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LookupFailure {
    /// The name server knows no such name, or no address of it.
    NotFound,
    /// The name server answers with a failure, or cannot be reached.
    ServerFails,
    /// The name server does not answer.
    ServerSilent,
    /// All threads wait for the look-ups of other names.
    Busy,
    /// The system's reason.
    System(String),
}

type Outcome = Result<Arc<[IpAddr]>, LookupFailure>;

/// How a name is looked up; blocks.
type Resolve = fn(&str) -> Outcome;

/// The look-ups of this process.
#[derive(Debug)]
pub(super) struct Lookups(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    resolve: Resolve,
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    names: HashMap<String, Entry>,
    /// The names that no thread looks up yet: those that were found before, and the others.
    found_queue: VecDeque<String>,
    queue: VecDeque<String>,
    threads: usize,
    /// How many threads look up names that were not found before.
    on_others: usize,
}

#[derive(Debug)]
enum Entry {
    Known { ips: Arc<[IpAddr]>, until: Instant },
    Pending { lookup: Arc<Lookup>, waiters: usize },
}

/// A look-up that somebody waits for.
#[derive(Debug, Default)]
struct Lookup {
    has_begun: AtomicBool,
    outcome: OnceLock<Outcome>,
}

impl Lookups {
    pub(super) fn new() -> Lookups {
        Lookups::by(by_system)
    }

    fn by(resolve: Resolve) -> Lookups {
        Lookups(Arc::new(Shared { resolve, state: Mutex::default(), done: Condvar::new() }))
    }

    /// The addresses of a name, at least one.
    ///
    /// # Errors
    /// When it has none, or they are not known before the deadline.
    pub(super) fn find(&self, name: &str, deadline: Instant) -> Result<Addresses, LookupFailure> {
        let name = name.to_ascii_lowercase();
        let mut state = self.0.lock();
        let lookup = match state.names.get_mut(&name) {
            Some(Entry::Known { ips, until }) if Instant::now() < *until => {
                return Ok(Addresses { ips: Arc::clone(ips), are_remembered: true });
            }
            Some(Entry::Pending { lookup, waiters }) => {
                *waiters += 1;
                Arc::clone(lookup)
            }
            entry => {
                let was_found = entry.is_some();
                self.begin(&mut state, &name, was_found)?
            }
        };
        let outcome = loop {
            if let Some(outcome) = lookup.outcome.get() {
                break outcome.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.give_up(&name, &lookup);
                let has_begun = lookup.has_begun.load(Ordering::Relaxed);
                return Err(if has_begun { LookupFailure::ServerSilent } else { LookupFailure::Busy });
            }
            state = self.0.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        };
        outcome.map(|ips| Addresses { ips, are_remembered: false })
    }

    /// Looks a name up anew when it is asked for the next time.
    pub(super) fn forget(&self, name: &str) {
        let (name, mut state) = (name.to_ascii_lowercase(), self.0.lock());
        if let Some(Entry::Known { until, .. }) = state.names.get_mut(&name) {
            *until = Instant::now();
        }
    }

    fn begin(&self, state: &mut State, name: &str, was_found: bool) -> Result<Arc<Lookup>, LookupFailure> {
        if state.threads < MAX_THREADS {
            let shared = Arc::clone(&self.0);
            match thread::Builder::new().name("lookup".to_owned()).spawn(move || shared.work()) {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => return Err(LookupFailure::System(error.to_string())),
                // Those there are will come to it.
                Err(_) => {}
            }
        }
        let lookup = Arc::new(Lookup::default());
        state.names.insert(name.to_owned(), Entry::Pending { lookup: Arc::clone(&lookup), waiters: 1 });
        let queue = if was_found { &mut state.found_queue } else { &mut state.queue };
        queue.push_back(name.to_owned());
        Ok(lookup)
    }
}

impl State {
    /// Waits no longer for a look-up, which is not begun when nobody waits for it.
    fn give_up(&mut self, name: &str, of: &Arc<Lookup>) {
        let Some(Entry::Pending { lookup, waiters }) = self.names.get_mut(name) else { return };
        if !Arc::ptr_eq(lookup, of) {
            return;
        }
        *waiters -= 1;
        if *waiters == 0 && !of.has_begun.load(Ordering::Relaxed) {
            self.names.remove(name);
            self.found_queue.retain(|queued| queued != name);
            self.queue.retain(|queued| queued != name);
        }
    }

    /// The next name to look up, and whether it was found before.
    fn next(&mut self) -> Option<(String, bool)> {
        if let Some(name) = self.found_queue.pop_front() {
            return Some((name, true));
        }
        let may_begin = self.on_others < MAX_THREADS - KEPT_FOR_FOUND;
        let name = if may_begin { self.queue.pop_front() } else { None };
        name.map(|name| (name, false))
    }

    fn remember(&mut self, name: String, ips: Arc<[IpAddr]>) {
        let now = Instant::now();
        if self.names.len() >= MAX_REMEMBERED {
            self.names.retain(|_, entry| !matches!(entry, Entry::Known { until, .. } if *until <= now));
        }
        if self.names.len() < MAX_REMEMBERED {
            self.names.insert(name, Entry::Known { ips, until: now + REMEMBERED_FOR });
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks up what is queued, until there is no more.
    fn work(&self) {
        let mut state = self.lock();
        while let Some((name, was_found)) = state.next() {
            let Some(Entry::Pending { lookup, .. }) = state.names.get(&name) else { continue };
            let lookup = Arc::clone(lookup);
            lookup.has_begun.store(true, Ordering::Relaxed);
            state.on_others += usize::from(!was_found);
            drop(state);
            let outcome = (self.resolve)(&name);
            state = self.lock();
            state.on_others -= usize::from(!was_found);
            state.names.remove(&name);
            if let Ok(ips) = &outcome {
                state.remember(name, Arc::clone(ips));
            }
            // Nobody else sets it.
            let _ = lookup.outcome.set(outcome);
            self.done.notify_all();
        }
        state.threads -= 1;
    }
}

/// Asks the system's resolver.
fn by_system(name: &str) -> Outcome {
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
    use super::*;

    use std::sync::atomic::AtomicUsize;

    fn in_ms(ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(ms)
    }

    fn localhost() -> Outcome {
        Ok(Arc::new([IpAddr::from([127, 0, 0, 1])]))
    }

    #[test]
    fn a_name_is_looked_up_once_for_all_and_remembered() {
        static LOOKUPS: AtomicUsize = AtomicUsize::new(0);
        let lookups = Lookups::by(|_| {
            LOOKUPS.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(100));
            localhost()
        });
        let remembered = thread::scope(|scope| {
            let ask = || lookups.find("Name", in_ms(5_000)).unwrap().are_remembered;
            let threads: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().filter(|_| true).map(|thread| thread.join().unwrap()).filter(|is| *is).count()
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
        let lookups = Lookups::by(|_| {
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
        let lookups = Lookups::by(|name| {
            if name == "good" {
                return localhost();
            }
            MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(700));
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            Err(LookupFailure::ServerSilent)
        });
        let ask = |name: String, ms| {
            let begun = Instant::now();
            (lookups.find(&name, in_ms(ms)), begun.elapsed())
        };
        // One silent name, however many ask for it, leaves the others alone.
        thread::scope(|scope| {
            let same: Vec<_> = (0..50).map(|_| scope.spawn(|| ask("silent".to_owned(), 100).0)).collect();
            assert!(ask("good".to_owned(), 5_000).0.is_ok());
            for thread in same {
                assert_eq!(thread.join().unwrap(), Err(LookupFailure::ServerSilent));
            }
        });
        // Many silent names take all threads; then a name waits for one, but not beyond its deadline.
        let failures = thread::scope(|scope| {
            let threads: Vec<_> = (0..50).map(|nth| scope.spawn(move || ask(format!("silent{nth}"), 200))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let (outcome, took) = ask("another".to_owned(), 50);
        assert_eq!(outcome, Err(LookupFailure::Busy));
        assert!(took < Duration::from_millis(300), "{took:?}");
        // Unless it was found before.
        lookups.forget("good");
        let (outcome, took) = ask("good".to_owned(), 5_000);
        assert!(
            matches!(outcome, Ok(Addresses { are_remembered: false, .. })) && took < Duration::from_millis(300),
            "{took:?}"
        );
        let silent = failures.iter().filter(|(outcome, _)| *outcome == Err(LookupFailure::ServerSilent)).count();
        let busy = failures.iter().filter(|(outcome, _)| *outcome == Err(LookupFailure::Busy)).count();
        assert_eq!((silent + busy, silent <= MAX_THREADS - KEPT_FOR_FOUND), (50, true), "{failures:?}");
        assert!(failures.iter().all(|(_, took)| *took < Duration::from_millis(600)), "{failures:?}");
        assert!(MOST.load(Ordering::SeqCst) <= MAX_THREADS - KEPT_FOR_FOUND);
        // What nobody waits for is not looked up any more, so that the next name is.
        assert_eq!(ask("another".to_owned(), 5_000).0, Err(LookupFailure::ServerSilent));
        assert!(lookups.0.lock().queue.is_empty());
    }

    #[test]
    fn no_more_names_are_remembered_than_there_is_room_for() {
        let lookups = Lookups::by(|_| localhost());
        for nth in 0..MAX_REMEMBERED + 50 {
            lookups.find(&format!("name{nth}"), in_ms(5_000)).unwrap();
        }
        assert!(lookups.0.lock().names.len() <= MAX_REMEMBERED);
    }
}
