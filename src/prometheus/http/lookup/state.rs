//! The state of all look-ups: remembered names, names that are being looked up, and the threads and requests that this occupies.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::prometheus::error::LookupFailure;
use crate::prometheus::http::dns::LookupOutcome;

/// The most look-ups by the resolver at a time, each on a thread, and how many of them may be of new names.
pub(super) const MAX_THREADS: usize = 8;
pub(super) const MAX_NEW_THREADS: usize = 6;

/// How long the addresses of a name are remembered. Failures are not remembered.
pub(super) const REMEMBERED_FOR: Duration = Duration::from_secs(5);

/// The most names that are remembered.
pub(super) const MAX_REMEMBERED: usize = 256;

/// How long the name servers may take to answer for a name: at least, and at most. In between, names without a response occupy one
/// in this many workers. Thus 16 workers can process 400 silent names a second.
pub(super) const MIN_ANSWER_TIME: Duration = Duration::from_millis(40);
pub(super) const MAX_ANSWER_TIME: Duration = Duration::from_secs(1);
pub(super) const WORKERS_PER_HELD: usize = 4;

/// The time within which names without a response are counted, and the most that are counted.
pub(super) const COUNTED_WITHIN: Duration = Duration::from_secs(1);
pub(super) const MAX_COUNTED: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct LookupState {
    pub(super) names: HashMap<String, NameEntry>,
    /// The look-ups of names that were found before and that no thread has begun yet.
    pub(super) queue: VecDeque<Arc<Lookup>>,
    /// How many threads look up new names, and names that were found before.
    pub(super) running_new: usize,
    pub(super) running_found: usize,
    /// How many requests are querying the name servers.
    pub(super) querying: usize,
    /// When names were left without a response.
    pub(super) unanswered: VecDeque<Instant>,
    /// How many requests have been waiting for a look-up for longer than briefly.
    pub(super) patient: usize,
}

#[derive(Debug)]
pub(super) enum NameEntry {
    /// Found within the last few seconds.
    Known {
        ips: Arc<[IpAddr]>,
        until: Instant,
    },
    /// Found before; the addresses may have changed.
    Expired,
    Pending(Pending),
}

/// A look-up that has not ended.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) lookup: Arc<Lookup>,
    pub(super) waiters: usize,
    /// Whether one of the waiting requests is querying the name servers.
    pub(super) is_querying: bool,
    /// When one of them may query the name servers.
    pub(super) query_at: Instant,
}

/// What is known about a name before its look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    New,
    /// It was found before.
    Found,
}

/// A look-up that requests wait for.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) name: String,
    pub(super) standing: Standing,
    pub(super) since: Instant,
    /// Whether the resolver has begun.
    pub(super) has_begun: AtomicBool,
    pub(super) outcome: OnceLock<LookupOutcome>,
}

impl Lookup {
    pub(super) fn new(name: String, standing: Standing) -> Arc<Lookup> {
        let (has_begun, outcome) = (AtomicBool::new(false), OnceLock::new());
        Arc::new(Lookup { name, standing, since: Instant::now(), has_begun, outcome })
    }

    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    /// The failure of a request that does not wait for its end any longer.
    pub(super) fn failure(&self) -> LookupFailure {
        if self.has_begun() { LookupFailure::ServerSilent } else { LookupFailure::Busy }
    }
}

impl LookupState {
    pub(super) fn running(&self) -> usize {
        self.running_new + self.running_found
    }

    /// Whether another thread may look up a name of this standing.
    pub(super) fn have_room(&self, standing: Standing) -> bool {
        let is_in_share = standing == Standing::Found || self.running_new < MAX_NEW_THREADS;
        is_in_share && self.running() < MAX_THREADS
    }

    pub(super) fn running_of(&mut self, standing: Standing) -> &mut usize {
        match standing {
            Standing::New => &mut self.running_new,
            Standing::Found => &mut self.running_found,
        }
    }

    /// Notes that a thread begins a look-up.
    pub(super) fn begin(&mut self, lookup: &Lookup) {
        lookup.has_begun.store(true, Ordering::Relaxed);
        *self.running_of(lookup.standing) += 1;
    }

    /// The entry of a look-up that has not ended.
    pub(super) fn pending(&mut self, of: &Arc<Lookup>) -> Option<&mut Pending> {
        match self.names.get_mut(&of.name) {
            Some(NameEntry::Pending(pending)) if Arc::ptr_eq(&pending.lookup, of) => Some(pending),
            _ => None,
        }
    }

    /// Notes that a request stops waiting for a look-up. If no request waits any more, the look-up is not begun.
    pub(super) fn give_up(&mut self, lookup: &Arc<Lookup>) {
        let Some(pending) = self.pending(lookup) else { return };
        pending.waiters -= 1;
        if pending.waiters == 0 && !lookup.has_begun() {
            self.end(lookup, Err(LookupFailure::Busy));
        }
    }

    /// The next queued look-up, which counts as running.
    pub(super) fn next(&mut self) -> Option<Arc<Lookup>> {
        let lookup = self.queue.pop_front()?;
        self.begin(&lookup);
        Some(lookup)
    }

    /// How long the name servers may now take to answer for a name.
    pub(super) fn answer_time(&mut self, workers: usize) -> Duration {
        while self.unanswered.front().is_some_and(|at| at.elapsed() > COUNTED_WITHIN) {
            self.unanswered.pop_front();
        }
        let held = u32::try_from(workers / WORKERS_PER_HELD).unwrap_or(u32::MAX).max(1);
        let names = u32::try_from(self.querying + self.unanswered.len()).unwrap_or(u32::MAX).max(1);
        (COUNTED_WITHIN * held / names).clamp(MIN_ANSWER_TIME, MAX_ANSWER_TIME)
    }

    pub(super) fn note_unanswered(&mut self) {
        self.unanswered.push_back(Instant::now());
        let too_many = self.unanswered.len().saturating_sub(MAX_COUNTED);
        self.unanswered.drain(..too_many);
    }

    /// Ends a look-up with this outcome, unless it has already ended. A name that was found before stays so, unless the outcome is
    /// that it does not exist.
    pub(super) fn end(&mut self, lookup: &Arc<Lookup>, outcome: LookupOutcome) {
        if self.pending(lookup).is_none() {
            return;
        }
        self.names.remove(&lookup.name);
        self.queue.retain(|queued| !Arc::ptr_eq(queued, lookup));
        let now = Instant::now();
        let entry = match &outcome {
            Ok(ips) => Some(NameEntry::Known { ips: Arc::clone(ips), until: now + REMEMBERED_FOR }),
            Err(LookupFailure::NotFound) => None,
            Err(_) => (lookup.standing == Standing::Found).then_some(NameEntry::Expired),
        };
        // This is the only place that sets it.
        let _ = lookup.outcome.set(outcome);
        let Some(entry) = entry else { return };
        if self.names.len() >= MAX_REMEMBERED {
            self.names.retain(|_, entry| match entry {
                NameEntry::Known { until, .. } => now < *until,
                NameEntry::Expired => false,
                NameEntry::Pending(_) => true,
            });
        }
        if self.names.len() < MAX_REMEMBERED {
            self.names.insert(lookup.name.clone(), entry);
        }
    }
}
