//! Looks up the addresses of names: on few threads, once for all requests that ask for the same name at the same time, and remembered
//! for some seconds.
//!
//! The system's resolver (`getaddrinfo`) blocks and cannot be interrupted: with a silent name server, glibc takes 5 s for each
//! attempt (2), name server and search domain. So it runs on threads of its own, of which there are few, and a request waits for
//! it no longer than until its own deadline.
//!
//! Names that are never answered must not keep others from being looked up, nor hold the workers:
//!
//! - They have six of eight threads. While they hold these, a further new name is given to the resolver only after the name server
//!   has answered for it ([`dns`]); this shows within a fraction of a second.
//! - Few requests wait for a new name for longer than a second.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dns_lookup::LookupErrorKind;

use super::dns;

/// The most look-ups at a time, each of which has a thread.
const MAX_THREADS: usize = 8;

/// How long the addresses of a name are remembered. Failures are not.
const REMEMBERED_FOR: Duration = Duration::from_secs(5);

/// The most names that are remembered.
const MAX_REMEMBERED: usize = 256;

/// A look-up that fails for now has met a silent name server if it took this long: the resolver waits a second at least.
const SILENT_AFTER: Duration = Duration::from_millis(900);

/// How long any request waits for the look-up of a name that was not found before, and how many requests wait longer at a time.
const BRIEFLY: Duration = Duration::from_secs(1);
const MAX_PATIENT: usize = 2;

/// How long the name server may take to answer for a name, at least and at most. In between, all requests that wait for such answers
/// share a time. Thus 16 workers get through 400 silent names a second.
const MIN_ANSWER_TIME: Duration = Duration::from_millis(40);
const MAX_ANSWER_TIME: Duration = Duration::from_millis(250);
const SHARED_ANSWER_TIME: Duration = Duration::from_millis(600);

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
    /// The look-ups of other names hold the threads, and the name server does not answer for this name at once.
    Busy,
    /// The system's reason.
    System(String),
}

type Outcome = Result<Arc<[IpAddr]>, LookupFailure>;

/// The look-ups of this process.
#[derive(Debug)]
pub(super) struct Lookups(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// How a name is looked up; blocks.
    resolve: fn(&str) -> Outcome,
    /// Whether the name server answers for a name before a deadline.
    is_answered: fn(&str, Instant) -> bool,
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    names: HashMap<String, Entry>,
    /// The look-ups that no thread has begun yet.
    found_queue: VecDeque<Job>,
    answered_queue: VecDeque<Job>,
    running: Running,
    /// How many requests wait until the name server answers for a name.
    asking: usize,
    /// How many requests wait for a look-up for longer than briefly.
    patient: usize,
}

#[derive(Debug)]
enum Entry {
    /// Found not long ago.
    Known {
        ips: Arc<[IpAddr]>,
        until: Instant,
    },
    /// Found before.
    Expired,
    Pending {
        lookup: Arc<Lookup>,
        waiters: usize,
    },
}

/// What is known of a name that is to be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    New,
    /// The name server has just answered for it.
    Answered,
    /// It was found before.
    Found,
}

/// A look-up that requests wait for.
#[derive(Debug)]
struct Lookup {
    standing: Standing,
    since: Instant,
    has_begun: AtomicBool,
    outcome: OnceLock<Outcome>,
}

/// A name and its look-up.
type Job = (String, Arc<Lookup>);

/// How many threads look up names of each standing.
#[derive(Debug, Default)]
struct Running {
    new: usize,
    answered: usize,
    found: usize,
}

impl Running {
    fn all(&self) -> usize {
        self.new + self.answered + self.found
    }

    fn of(&mut self, standing: Standing) -> &mut usize {
        match standing {
            Standing::New => &mut self.new,
            Standing::Answered => &mut self.answered,
            Standing::Found => &mut self.found,
        }
    }

    /// Whether there may be one more. The better the standing, the more threads may be held by names of no better one.
    fn have_room(&self, standing: Standing) -> bool {
        let is_in_share = match standing {
            Standing::New => self.new < MAX_THREADS - 2,
            Standing::Answered => self.new + self.answered < MAX_THREADS - 1,
            Standing::Found => true,
        };
        is_in_share && self.all() < MAX_THREADS
    }
}

impl Lookup {
    fn new(standing: Standing) -> Arc<Lookup> {
        let (has_begun, outcome) = (AtomicBool::new(false), OnceLock::new());
        Arc::new(Lookup { standing, since: Instant::now(), has_begun, outcome })
    }

    /// What it means that it has not ended yet.
    fn failure(&self) -> LookupFailure {
        if self.has_begun.load(Ordering::Relaxed) { LookupFailure::ServerSilent } else { LookupFailure::Busy }
    }
}

impl Lookups {
    pub(super) fn new() -> Lookups {
        Lookups::by(by_system, dns::is_answered)
    }

    fn by(resolve: fn(&str) -> Outcome, is_answered: fn(&str, Instant) -> bool) -> Lookups {
        Lookups(Arc::new(Shared { resolve, is_answered, state: Mutex::default(), done: Condvar::new() }))
    }

    /// The addresses of a name, at least one.
    ///
    /// # Errors
    /// When it has none, or they are not known before the deadline, or too many requests wait for such names.
    pub(super) fn find(&self, name: &str, deadline: Instant) -> Result<Addresses, LookupFailure> {
        let name = name.to_ascii_lowercase();
        let mut state = self.0.lock();
        let mut is_answered = false;
        let lookup = loop {
            let standing = match state.names.get_mut(&name) {
                Some(Entry::Known { ips, until }) if Instant::now() < *until => {
                    return Ok(Addresses { ips: Arc::clone(ips), are_remembered: true });
                }
                Some(Entry::Pending { lookup, waiters }) => {
                    *waiters += 1;
                    break Arc::clone(lookup);
                }
                Some(Entry::Known { .. } | Entry::Expired) => Standing::Found,
                None if is_answered => Standing::Answered,
                None => Standing::New,
            };
            if let Some(lookup) = self.begin(&mut state, &name, standing)? {
                break lookup;
            }
            state = self.await_answer(state, &name, deadline)?;
            is_answered = true;
        };
        let outcome = self.await_outcome(state, &name, &lookup, deadline)?;
        outcome.map(|ips| Addresses { ips, are_remembered: false })
    }

    /// Looks a name up anew when it is asked for the next time.
    pub(super) fn forget(&self, name: &str) {
        let (name, mut state) = (name.to_ascii_lowercase(), self.0.lock());
        if let Some(entry @ Entry::Known { .. }) = state.names.get_mut(&name) {
            *entry = Entry::Expired;
        }
    }

    /// Begins the look-up of a name, or queues it. Gives nothing for a new name if no thread may look it up now.
    fn begin(&self, state: &mut State, name: &str, standing: Standing) -> Result<Option<Arc<Lookup>>, LookupFailure> {
        let lookup = Lookup::new(standing);
        let job = (name.to_owned(), Arc::clone(&lookup));
        let mut is_begun = false;
        if state.running.have_room(standing) {
            let (shared, job) = (Arc::clone(&self.0), job.clone());
            match thread::Builder::new().name("lookup".to_owned()).spawn(move || shared.work(job)) {
                Ok(_) => is_begun = true,
                Err(error) if state.running.all() == 0 => return Err(LookupFailure::System(error.to_string())),
                // The threads there are come to it.
                Err(_) => {}
            }
        }
        match standing {
            _ if is_begun => state.begin(&lookup),
            Standing::New => return Ok(None),
            Standing::Answered => state.answered_queue.push_back(job),
            Standing::Found => state.found_queue.push_back(job),
        }
        state.names.insert(name.to_owned(), Entry::Pending { lookup: Arc::clone(&lookup), waiters: 1 });
        Ok(Some(lookup))
    }

    /// Waits until the name server has answered for a name.
    fn await_answer<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        name: &str,
        deadline: Instant,
    ) -> Result<MutexGuard<'s, State>, LookupFailure> {
        state.asking += 1;
        let share = SHARED_ANSWER_TIME / u32::try_from(state.asking).unwrap_or(u32::MAX);
        drop(state);
        let until = Instant::now() + share.clamp(MIN_ANSWER_TIME, MAX_ANSWER_TIME);
        let is_answered = (self.0.is_answered)(name, until.min(deadline));
        let mut state = self.0.lock();
        state.asking -= 1;
        if is_answered { Ok(state) } else { Err(LookupFailure::Busy) }
    }

    /// Waits for the end of a look-up: until the deadline, or briefly if too many requests wait longer.
    fn await_outcome(
        &self,
        mut state: MutexGuard<'_, State>,
        name: &str,
        lookup: &Arc<Lookup>,
        deadline: Instant,
    ) -> Result<Outcome, LookupFailure> {
        let briefly = lookup.since + BRIEFLY;
        let mut is_patient = lookup.standing == Standing::Found;
        let mut counts = 0;
        let outcome = loop {
            if let Some(outcome) = lookup.outcome.get() {
                break Ok(outcome.clone());
            }
            let now = Instant::now();
            if !is_patient && now >= briefly && state.patient < MAX_PATIENT {
                (is_patient, counts) = (true, 1);
                state.patient += 1;
            }
            let until = if is_patient { deadline } else { deadline.min(briefly) };
            let left = until.saturating_duration_since(now);
            if left.is_zero() {
                state.give_up(name, lookup);
                break Err(lookup.failure());
            }
            state = self.0.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        };
        state.patient -= counts;
        outcome
    }
}

impl State {
    /// Notes that a thread begins a look-up.
    fn begin(&mut self, lookup: &Lookup) {
        lookup.has_begun.store(true, Ordering::Relaxed);
        *self.running.of(lookup.standing) += 1;
    }

    /// Waits no longer for a look-up, which is not begun when no request waits for it.
    fn give_up(&mut self, name: &str, of: &Arc<Lookup>) {
        let Some(Entry::Pending { lookup, waiters }) = self.names.get_mut(name) else { return };
        if !Arc::ptr_eq(lookup, of) {
            return;
        }
        *waiters -= 1;
        if *waiters == 0 && !of.has_begun.load(Ordering::Relaxed) {
            self.end(name, of, None);
            self.found_queue.retain(|(queued, _)| queued != name);
            self.answered_queue.retain(|(queued, _)| queued != name);
        }
    }

    /// The next look-up of those that are queued and may begin. It counts as running.
    fn next(&mut self) -> Option<Job> {
        let may_begin = self.running.have_room(Standing::Answered);
        let job =
            self.found_queue.pop_front().or_else(|| may_begin.then(|| self.answered_queue.pop_front()).flatten())?;
        self.begin(&job.1);
        Some(job)
    }

    /// Ends a look-up with this outcome, or with none. That a name was found before is forgotten only if it is found no more.
    fn end(&mut self, name: &str, lookup: &Lookup, outcome: Option<&Outcome>) {
        self.names.remove(name);
        let now = Instant::now();
        let entry = match outcome {
            Some(Ok(ips)) => Entry::Known { ips: Arc::clone(ips), until: now + REMEMBERED_FOR },
            Some(Err(LookupFailure::NotFound)) => return,
            _ if lookup.standing == Standing::Found => Entry::Expired,
            _ => return,
        };
        if self.names.len() >= MAX_REMEMBERED {
            self.names.retain(|_, entry| match entry {
                Entry::Known { until, .. } => now < *until,
                Entry::Expired => false,
                Entry::Pending { .. } => true,
            });
        }
        if self.names.len() < MAX_REMEMBERED {
            self.names.insert(name.to_owned(), entry);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks up a name, and then what is queued, until there is no more.
    fn work(&self, first: Job) {
        let mut next = Some(first);
        while let Some((name, lookup)) = next {
            let outcome = (self.resolve)(&name);
            let mut state = self.lock();
            *state.running.of(lookup.standing) -= 1;
            state.end(&name, &lookup, Some(&outcome));
            // It is set only here.
            let _ = lookup.outcome.set(outcome);
            next = state.next();
            drop(state);
            self.done.notify_all();
        }
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

    /// Look-ups of which the name server answers for none, if it is asked.
    fn unanswered(resolve: fn(&str) -> Outcome) -> Lookups {
        Lookups::by(resolve, |_, _| false)
    }

    /// What is found of a name within a time, and how long that takes.
    fn ask(lookups: &Lookups, name: &str, within_ms: u64) -> (Result<Addresses, LookupFailure>, Duration) {
        let begun = Instant::now();
        (lookups.find(name, in_ms(within_ms)), begun.elapsed())
    }

    /// Has so many silent names asked for, one after the other, none of which is waited for.
    fn hold(lookups: &Lookups, threads: usize) {
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
            let ask = || lookups.find("Name", in_ms(5_000)).unwrap().are_remembered;
            let threads: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
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
        // One silent name, however many ask for it, leaves the others alone.
        thread::scope(|scope| {
            let same: Vec<_> = (0..50).map(|_| scope.spawn(|| ask(&lookups, "silent", 100).0)).collect();
            assert!(ask(&lookups, "good", 5_000).0.is_ok());
            for thread in same {
                assert_eq!(thread.join().unwrap(), Err(LookupFailure::ServerSilent));
            }
        });
        // Many silent names take their share of the threads.
        let failures = thread::scope(|scope| {
            let ask = |nth| ask(&lookups, &format!("silent{nth}"), 200);
            let threads: Vec<_> = (0..50).map(|nth| scope.spawn(move || ask(nth))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let silent = failures.iter().filter(|(outcome, _)| *outcome == Err(LookupFailure::ServerSilent)).count();
        let busy = failures.iter().filter(|(outcome, _)| *outcome == Err(LookupFailure::Busy)).count();
        assert_eq!((silent + busy, silent <= 6), (50, true), "{failures:?}");
        assert!(failures.iter().all(|(_, took)| *took < Duration::from_millis(600)), "{failures:?}");
        assert_eq!(MOST.load(Ordering::SeqCst), 6);
    }

    #[test]
    fn while_silent_names_hold_their_threads_only_what_is_answered_or_was_found_is_looked_up() {
        let lookups = Lookups::by(
            |name| {
                if name.starts_with("silent") {
                    thread::sleep(Duration::from_secs(3));
                    return Err(LookupFailure::ServerSilent);
                }
                localhost()
            },
            |name, deadline| {
                if name != "answered" {
                    thread::sleep(deadline.saturating_duration_since(Instant::now()));
                }
                name == "answered"
            },
        );
        assert!(ask(&lookups, "found", 1_000).0.is_ok());
        lookups.forget("found");
        hold(&lookups, 6);
        let check =
            |name: &str, within_ms: u64, expected: Result<(), LookupFailure>, took_ms: std::ops::Range<u128>| {
                let (outcome, took) = ask(&lookups, name, within_ms);
                assert_eq!(outcome.map(|_| ()), expected, "{name}");
                assert!(took_ms.contains(&took.as_millis()), "{name}: {took:?}");
            };
        check("new", 5_000, Err(LookupFailure::Busy), 250..400);
        check("new", 30, Err(LookupFailure::Busy), 30..150);
        check("answered", 5_000, Ok(()), 0..150);
        check("found", 5_000, Ok(()), 0..150);
        // The more requests wait for the name server, the shorter.
        let shortest = thread::scope(|scope| {
            let threads: Vec<_> = (0..15).map(|_| scope.spawn(|| ask(&lookups, "new", 5_000).1)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).min()
        });
        assert!(shortest.is_some_and(|shortest| (40..150).contains(&shortest.as_millis())), "{shortest:?}");
    }

    #[test]
    fn names_that_are_answered_and_silent_in_turn_leave_a_thread_to_those_found_before() {
        let lookups = Lookups::by(
            |name| {
                if name.starts_with("silent") {
                    thread::sleep(Duration::from_secs(1));
                    return Err(LookupFailure::ServerSilent);
                }
                localhost()
            },
            |_, _| true,
        );
        assert!(ask(&lookups, "found", 1_000).0.is_ok());
        lookups.forget("found");
        hold(&lookups, 7);
        assert_eq!(lookups.find("silent7", in_ms(50)), Err(LookupFailure::Busy));
        let (outcome, took) = ask(&lookups, "found", 5_000);
        assert!(outcome.is_ok() && took < Duration::from_millis(300), "{took:?}");
        // What no request waits for is not looked up any more.
        assert!(lookups.0.lock().answered_queue.is_empty());
    }

    #[test]
    fn names_that_were_found_before_take_all_threads_and_no_more() {
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
            assert!(ask(&lookups, name, 5_000).0.is_ok());
            lookups.forget(name);
        }
        thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| assert!(ask(&lookups, name, 5_000).0.is_ok()));
            }
        });
        assert_eq!(MOST.load(Ordering::SeqCst), MAX_THREADS);
    }

    #[test]
    fn few_requests_wait_long_for_names_that_were_not_found_before() {
        let lookups = unanswered(|name| {
            thread::sleep(Duration::from_millis(1_400));
            if name == "found" { localhost() } else { Err(LookupFailure::ServerSilent) }
        });
        assert!(ask(&lookups, "found", 2_000).0.is_ok());
        lookups.forget("found");
        thread::scope(|scope| {
            let check = |name: &'static str, threads: usize, expected_patient: usize| {
                let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| ask(&lookups, name, 5_000).1)).collect();
                scope.spawn(move || {
                    let took: Vec<u128> =
                        threads.into_iter().map(|thread| thread.join().unwrap().as_millis()).collect();
                    let patient = took.iter().filter(|took| **took >= 1_350).count();
                    assert_eq!(patient, expected_patient, "{name}: {took:?}");
                    assert!(took.iter().all(|took| (950..2_000).contains(took)), "{name}: {took:?}");
                })
            };
            check("silent", 20, MAX_PATIENT);
            check("found", 10, 10);
        });
        assert_eq!(lookups.0.lock().patient, 0);
    }

    #[test]
    fn that_a_name_was_found_is_forgotten_only_when_it_is_found_no_more() {
        static FAILURE: Mutex<Option<LookupFailure>> = Mutex::new(None);
        let lookups = unanswered(|_| FAILURE.lock().unwrap().clone().map_or_else(localhost, Err));
        let standing = || lookups.0.lock().names.get("name").map(|entry| matches!(entry, Entry::Expired));
        for (failure, expected) in [
            (LookupFailure::ServerSilent, Some(true)),
            (LookupFailure::ServerFails, Some(true)),
            (LookupFailure::NotFound, None),
        ] {
            *FAILURE.lock().unwrap() = None;
            assert!(lookups.find("name", in_ms(5_000)).is_ok());
            lookups.forget("name");
            *FAILURE.lock().unwrap() = Some(failure.clone());
            assert_eq!(lookups.find("name", in_ms(5_000)), Err(failure.clone()));
            assert_eq!(standing(), expected, "{failure:?}");
        }
    }

    #[test]
    fn no_more_names_are_remembered_than_there_is_room_for() {
        let lookups = unanswered(|_| localhost());
        for nth in 0..MAX_REMEMBERED + 50 {
            lookups.find(&format!("name{nth}"), in_ms(5_000)).unwrap();
        }
        assert_eq!(lookups.0.lock().names.len(), MAX_REMEMBERED);
    }
}
