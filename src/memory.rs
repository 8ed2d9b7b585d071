//! The memory that all requests share: samples and points while a response is computed, and responses while they are written.
//!
//! Small needs of queries are free. Each response counts while it is written, but a short one is never refused. A query that needs
//! more, when there is no memory, waits for it until its timeout. Queries never deadlock: after each grant, at least one query can
//! still grow to the most that a query may hold, and finish.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex};

/// What every query may hold without a grant, in bytes; more than nearly all queries need.
const FREE_BYTES: usize = 1 << 20;

/// Grants are multiples of this, in bytes.
const STEP_BYTES: usize = 1 << 20;

/// A response that has been written for this long may be cut off for a query that waits for memory.
const SLOW_AFTER: Duration = Duration::from_secs(2);

/// How often a waiting query looks for such a response.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// A bound on the memory of all requests together.
#[derive(Debug)]
pub struct MemoryBudget {
    capacity: usize,
    state: Mutex<BudgetState>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct BudgetState {
    /// The bytes that each query holds, by its number.
    queries: HashMap<u64, usize>,
    /// The responses that are being written, oldest first.
    responses: BTreeMap<u64, Writing>,
    next_number: u64,
}

#[derive(Debug)]
struct Writing {
    bytes: usize,
    since: Instant,
    is_cut: Arc<AtomicBool>,
}

/// Why a query does not get the memory that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMemory {
    /// Other requests hold it: until the query's timeout, or when a long response is to be written.
    TakenByOthers {
        /// The memory of all requests, in bytes.
        capacity: usize,
    },
    /// It needs more than one query may hold.
    TooMuch {
        /// The most that one query may hold, in bytes.
        most: usize,
    },
}

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoMemory::TakenByOthers { .. } => f.write_str("no memory in time"),
            NoMemory::TooMuch { .. } => f.write_str("more memory than one query may hold"),
        }
    }
}

impl std::error::Error for NoMemory {}

impl MemoryBudget {
    /// A budget of `capacity` bytes.
    pub fn new(capacity: usize) -> Arc<MemoryBudget> {
        Arc::new(MemoryBudget { capacity, state: Mutex::default(), released: Condvar::new() })
    }

    /// The memory of a new query, which waits for grants until `deadline`.
    pub fn query(self: &Arc<MemoryBudget>, deadline: Instant) -> Memory {
        let inner = MemoryGrant {
            budget: Arc::clone(self),
            deadline,
            granted: AtomicUsize::new(FREE_BYTES),
            waited_ms: AtomicU64::new(0),
            number: Mutex::new(None),
        };
        Memory(Arc::new(inner))
    }

    /// The bytes that are granted, without the free ones.
    pub fn used(&self) -> usize {
        self.state.lock().used()
    }

    /// The most that one query may hold, and the most that all responses may hold while they are written.
    fn half(&self) -> usize {
        self.capacity / 2
    }
}

/// The memory of a query. Dropping the last clone gives it back.
#[derive(Debug, Clone)]
pub struct Memory(Arc<MemoryGrant>);

#[derive(Debug)]
struct MemoryGrant {
    budget: Arc<MemoryBudget>,
    deadline: Instant,
    /// The bytes that the query may hold.
    granted: AtomicUsize,
    /// How long it has waited for memory, in milliseconds.
    waited_ms: AtomicU64,
    /// The query's number, if it holds more than the free bytes.
    number: Mutex<Option<u64>>,
}

impl Memory {
    /// Waits until the query may hold `bytes` in all.
    ///
    /// # Errors
    /// When that is more than one query may hold, or others hold the memory until the deadline.
    pub fn hold(&self, bytes: usize) -> Result<(), NoMemory> {
        if bytes <= self.0.granted.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.0.grow(bytes.next_multiple_of(STEP_BYTES))
    }

    /// How long the query has waited for memory in all.
    pub fn waited(&self) -> Duration {
        Duration::from_millis(self.0.waited_ms.load(Ordering::Relaxed))
    }

    /// Turns it into the memory of a response of `bytes`, which is written next. If the responses that are being written have more
    /// than their half, the oldest are cut off.
    ///
    /// # Errors
    /// When there is no memory for the response.
    pub fn into_response(self, bytes: usize) -> Result<ResponseMemory, NoMemory> {
        let Memory(inner) = self;
        let budget = &inner.budget;
        let mut state = budget.state.lock();
        let held = inner.number.lock().take().and_then(|number| state.queries.remove(&number)).unwrap_or_default();
        budget.released.notify_all();
        if bytes > held.max(FREE_BYTES) && state.used() + bytes > budget.capacity {
            return Err(NoMemory::TakenByOthers { capacity: budget.capacity });
        }
        let number = state.number();
        let is_cut = Arc::new(AtomicBool::new(false));
        state.responses.insert(number, Writing { bytes, since: Instant::now(), is_cut: Arc::clone(&is_cut) });
        state.cut_oldest(budget.half());
        drop(state);
        Ok(ResponseMemory { budget: Arc::clone(budget), number, is_cut })
    }
}

impl MemoryGrant {
    fn grow(&self, bytes: usize) -> Result<(), NoMemory> {
        let budget = &self.budget;
        if bytes > budget.half() {
            return Err(NoMemory::TooMuch { most: budget.half() });
        }
        let mut state = budget.state.lock();
        let number = *self.number.lock().get_or_insert_with(|| state.number());
        let begun = Instant::now();
        while !state.may_hold(number, bytes, budget) {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(NoMemory::TakenByOthers { capacity: budget.capacity });
            }
            state = budget.released.wait_timeout(state, left.min(LOOK_INTERVAL)).0;
            state.cut_slow();
        }
        state.queries.insert(number, bytes);
        self.waited_ms.fetch_add(begun.elapsed().as_millis() as u64, Ordering::Relaxed);
        self.granted.store(bytes, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for MemoryGrant {
    fn drop(&mut self) {
        let Some(number) = self.number.lock().take() else { return };
        self.budget.state.lock().queries.remove(&number);
        self.budget.released.notify_all();
    }
}

impl BudgetState {
    /// Whether a query may grow to `bytes`: there is enough memory, and afterwards some query can still grow to the most.
    fn may_hold(&self, number: u64, bytes: usize, budget: &MemoryBudget) -> bool {
        let held = self.queries.get(&number).copied().unwrap_or_default();
        let used = self.used() - held + bytes;
        let others = self.queries.iter().filter(|&(&other, _)| other != number).map(|(_, &bytes)| bytes);
        let largest = others.max().unwrap_or_default().max(bytes);
        used <= budget.capacity && budget.capacity - used + largest >= budget.half()
    }

    /// The bytes of all queries and responses.
    fn used(&self) -> usize {
        self.queries.values().sum::<usize>() + self.responses.values().map(|writing| writing.bytes).sum::<usize>()
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Cuts off the response that has been written for the longest time, if that is long, because a query waits for its memory.
    fn cut_slow(&self) {
        let oldest = self.responses.values().find(|writing| !writing.is_cut.load(Ordering::Relaxed));
        if let Some(slow) = oldest.filter(|writing| writing.since.elapsed() >= SLOW_AFTER) {
            slow.is_cut.store(true, Ordering::Relaxed);
        }
    }

    /// Cuts off the responses that have been written for the longest time, until the others have at most `most` bytes.
    fn cut_oldest(&self, most: usize) {
        let uncut = || self.responses.values().filter(|writing| !writing.is_cut.load(Ordering::Relaxed));
        let mut bytes: usize = uncut().map(|writing| writing.bytes).sum();
        for writing in uncut() {
            if bytes <= most {
                break;
            }
            bytes -= writing.bytes;
            writing.is_cut.store(true, Ordering::Relaxed);
        }
    }
}

/// The memory of a response while it is written. Dropping it gives it back.
#[derive(Debug)]
pub struct ResponseMemory {
    budget: Arc<MemoryBudget>,
    number: u64,
    is_cut: Arc<AtomicBool>,
}

impl ResponseMemory {
    /// Whether the response must be cut off, because others need its memory.
    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }
}

impl Drop for ResponseMemory {
    fn drop(&mut self) {
        self.budget.state.lock().responses.remove(&self.number);
        self.budget.released.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const MIB: usize = 1 << 20;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    fn late() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn small_needs_are_free_and_a_query_has_half_at_most() {
        let budget = MemoryBudget::new(8 * MIB);
        let memory = budget.query(late());
        assert_eq!((memory.hold(MIB), budget.used()), (Ok(()), 0));
        assert_eq!((memory.hold(MIB + 1), budget.used()), (Ok(()), 2 * MIB));
        assert_eq!((memory.hold(MIB), budget.used()), (Ok(()), 2 * MIB));
        assert_eq!((memory.hold(4 * MIB), budget.used()), (Ok(()), 4 * MIB));
        assert_eq!(memory.hold(4 * MIB + 1), Err(NoMemory::TooMuch { most: 4 * MIB }));
        let clone = memory.clone();
        drop(memory);
        assert_eq!(budget.used(), 4 * MIB);
        drop(clone);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn memory_is_granted_while_some_query_can_grow_to_the_most() {
        // Half of 8 is 4: after each grant, the free memory and the largest share are at least 4 together.
        let check = |held: &[usize], wanted: usize, expected: bool| {
            let budget = MemoryBudget::new(8 * MIB);
            let _held: Vec<Memory> = held
                .iter()
                .map(|mib| {
                    let memory = budget.query(soon());
                    memory.hold(mib * MIB).unwrap();
                    memory
                })
                .collect();
            assert_eq!(budget.query(soon()).hold(wanted * MIB).is_ok(), expected, "{held:?} {wanted}");
        };
        check(&[], 4, true);
        check(&[4], 4, true);
        check(&[4, 4], 2, false);
        check(&[2, 2], 2, true);
        check(&[2, 2, 2], 2, false);
        check(&[3, 2], 2, true);
        check(&[3, 2, 2], 2, false);
        check(&[3, 2], 3, false);
        check(&[2, 2], 4, true);
    }

    #[test]
    fn queries_that_all_grow_to_the_most_all_finish() {
        let budget = MemoryBudget::new(8 * MIB);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let memory = budget.query(late());
                        for mib in [2, 3, 4] {
                            memory.hold(mib * MIB).unwrap();
                            assert!(budget.used() <= budget.capacity);
                            thread::yield_now();
                        }
                    }
                });
            }
        });
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_query_waits_until_its_deadline_for_memory_that_another_gives_back() {
        let budget = MemoryBudget::new(8 * MIB);
        let (one, other) = (budget.query(late()), budget.query(late()));
        one.hold(4 * MIB).unwrap();
        other.hold(4 * MIB).unwrap();
        assert_eq!(budget.query(soon()).hold(2 * MIB), Err(NoMemory::TakenByOthers { capacity: 8 * MIB }));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.query(late()).hold(2 * MIB));
            thread::sleep(Duration::from_millis(20));
            assert!(!waiting.is_finished());
            drop(one);
            assert_eq!(waiting.join().unwrap(), Ok(()));
        });
    }

    #[test]
    fn responses_keep_what_they_need_and_the_oldest_are_cut_beyond_half() {
        let budget = MemoryBudget::new(8 * MIB);
        let response = |held: usize, bytes: usize| {
            let memory = budget.query(late());
            memory.hold(held * MIB).unwrap();
            memory.into_response(bytes).unwrap()
        };
        let responses = [response(4, 2 * MIB), response(0, 10), response(3, MIB)];
        assert_eq!(budget.used(), 3 * MIB + 10);
        assert!(responses.iter().all(|response| !response.is_cut()));
        let newest = response(2, MIB);
        assert_eq!(responses.each_ref().map(ResponseMemory::is_cut), [true, false, false]);
        assert!(!newest.is_cut());
        drop(responses);
        assert_eq!(budget.used(), MIB);
        drop(newest);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_response_that_has_been_written_for_long_is_cut_for_a_query_that_waits() {
        let budget = MemoryBudget::new(8 * MIB);
        let (one, other) = (budget.query(late()), budget.query(late()));
        one.hold(2 * MIB).unwrap();
        other.hold(2 * MIB).unwrap();
        let slow = budget.query(late()).into_response(3 * MIB).unwrap();
        let began = Instant::now();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| one.hold(3 * MIB));
            while !slow.is_cut() {
                assert!(began.elapsed() < SLOW_AFTER * 2);
                thread::sleep(Duration::from_millis(10));
            }
            assert!(began.elapsed() >= SLOW_AFTER && !waiting.is_finished());
            drop(slow);
            assert_eq!(waiting.join().unwrap(), Ok(()));
        });
    }

    #[test]
    fn a_response_that_has_no_room_is_refused() {
        let budget = MemoryBudget::new(8 * MIB);
        let (one, other) = (budget.query(late()), budget.query(late()));
        one.hold(4 * MIB).unwrap();
        other.hold(4 * MIB).unwrap();
        let refused = budget.query(late()).into_response(MIB + 1).unwrap_err();
        assert_eq!(refused, NoMemory::TakenByOthers { capacity: 8 * MIB });
        assert_eq!(budget.used(), 8 * MIB);
        // A short one always has, such as the response to a connection test.
        let short = budget.query(late()).into_response(MIB).unwrap();
        assert_eq!(budget.used(), 9 * MIB);
        drop(short);
        assert_eq!(budget.used(), 8 * MIB);
    }
}
