//! The connections of a server, and how it makes room for more of them.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::handle::ConnectionHandle;

/// How long a connection waits at least before it is closed where threads or descriptors are missing: without a request yet, when
/// one that has come is read by then, and after one.
const LEAST_WAIT: Duration = Duration::from_millis(200);
const LEAST_IDLE: Duration = Duration::from_secs(8);

/// How many handles a connection itself holds: its own and that of its seat.
const CONNECTION_HOLDERS: usize = 2;

/// The connections of a server and the bytes of the heads that arrive on them, both within bounds.
///
/// A connection *waits* while the server reads a head from it, or nothing at all. Where there is no room, one that waits is
/// closed: one that has brought no request yet, if there is one, or else one that has, and of these the one that has waited
/// longest. A head that arrives at once is never that one for long.
pub(crate) struct Room {
    most_connections: usize,
    most_head_bytes: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: usize,
    head_bytes: usize,
    next_number: u64,
    /// The longest waiting first.
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    since: Instant,
    head_bytes: usize,
    /// Whether it has brought a request.
    is_proven: bool,
    handle: ConnectionHandle,
    is_evicted: Arc<AtomicBool>,
}

impl Room {
    pub(crate) fn new(most_connections: usize, most_head_bytes: usize) -> Arc<Room> {
        Arc::new(Room { most_connections, most_head_bytes, state: Mutex::default() })
    }

    /// The place of a new connection. `None` if there is no room, and none can be made.
    pub(crate) fn seat(self: &Arc<Room>, handle: ConnectionHandle) -> Option<Seat> {
        let mut state = self.state();
        if state.open >= self.most_connections && !state.close_idle(Duration::ZERO, Duration::ZERO) {
            return None;
        }
        state.open += 1;
        drop(state);
        let is_evicted = Arc::default();
        Some(Seat { room: Arc::clone(self), handle, is_evicted, is_proven: false, number: None })
    }

    /// Closes a connection that waits while no request of it is being answered. Returns whether there was one.
    pub(crate) fn make(&self) -> bool {
        self.state().close_idle(LEAST_WAIT, LEAST_IDLE)
    }

    /// Whether a further connection needs room to be made for it.
    pub(crate) fn is_full(&self) -> bool {
        self.open() >= self.most_connections
    }

    /// How many connections there are.
    pub(crate) fn open(&self) -> usize {
        self.state().open
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Closes a connection that has waited for so long at least: without a request yet, or after one.
    fn close_idle(&mut self, without_request: Duration, after_request: Duration) -> bool {
        let longest = |is_proven, least_wait| {
            let is_idle = |waiting: &Waiting| {
                waiting.is_proven == is_proven
                    && waiting.handle.holders() <= CONNECTION_HOLDERS + 1
                    && waiting.since.elapsed() >= least_wait
            };
            self.waiting.iter().find(|(_, waiting)| is_idle(waiting)).map(|(&number, _)| number)
        };
        let found = longest(false, without_request).or_else(|| longest(true, after_request));
        found.map(|number| self.evict(number)).is_some()
    }

    /// Closes connections whose heads arrive, until the heads have at most so many bytes.
    fn bound_heads(&mut self, most_bytes: usize) {
        while self.head_bytes > most_bytes {
            let has_head = |waiting: &Waiting| waiting.head_bytes > 0;
            match self.waiting.iter().find(|(_, waiting)| has_head(waiting)).map(|(&number, _)| number) {
                Some(number) => self.evict(number),
                None => return,
            }
        }
    }

    /// It counts no longer. Its thread finds out, since there is nothing more to be read.
    fn evict(&mut self, number: u64) {
        if let Some(waiting) = self.waiting.remove(&number) {
            self.open -= 1;
            self.head_bytes -= waiting.head_bytes;
            waiting.is_evicted.store(true, Ordering::Release);
            waiting.handle.shutdown(Shutdown::Read);
        }
    }

    fn insert(&mut self, waiting: Waiting) -> u64 {
        self.next_number += 1;
        self.head_bytes += waiting.head_bytes;
        self.waiting.insert(self.next_number, waiting);
        self.next_number
    }
}

/// The place of a connection, free again when this is dropped.
pub(crate) struct Seat {
    room: Arc<Room>,
    handle: ConnectionHandle,
    is_evicted: Arc<AtomicBool>,
    is_proven: bool,
    /// That of its entry, while it waits.
    number: Option<u64>,
}

impl Seat {
    /// The connection begins to wait, now with so many bytes of a head.
    pub(crate) fn wait(&mut self, head_bytes: usize) {
        self.leave();
        if self.is_evicted() {
            return;
        }
        let mut state = self.room.state();
        self.number = Some(state.insert(Waiting {
            since: Instant::now(),
            head_bytes,
            is_proven: self.is_proven,
            handle: self.handle.clone(),
            is_evicted: Arc::clone(&self.is_evicted),
        }));
        state.bound_heads(self.room.most_head_bytes);
    }

    /// Its head has so many bytes now.
    pub(crate) fn hold(&mut self, head_bytes: usize) {
        let mut state = self.room.state();
        let waiting = self.number.and_then(|number| state.waiting.get_mut(&number));
        if let Some(waiting) = waiting {
            let more = head_bytes - waiting.head_bytes;
            waiting.head_bytes = head_bytes;
            state.head_bytes += more;
            state.bound_heads(self.room.most_head_bytes);
        }
    }

    /// Its request is there.
    pub(crate) fn prove(&mut self) {
        self.is_proven = true;
        self.leave();
    }

    fn leave(&mut self) {
        let mut state = self.room.state();
        if let Some(waiting) = self.number.take().and_then(|number| state.waiting.remove(&number)) {
            state.head_bytes -= waiting.head_bytes;
        }
    }

    /// Whether it was closed to make room.
    pub(crate) fn is_evicted(&self) -> bool {
        self.is_evicted.load(Ordering::Acquire)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
        if !self.is_evicted() {
            self.room.state().open -= 1;
        }
    }
}
