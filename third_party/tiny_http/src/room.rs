//! The connections of a server, and how it makes room for more of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::handle::ConnectionHandle;
use crate::limits::{Host, Limits};

/// How long a connection waits at least before it is closed where threads or descriptors are missing: while it owes the rest of a
/// request, which is read by then if it has come; and idle after a request.
const LEAST_WAIT: Duration = Duration::from_millis(200);
const LEAST_IDLE: Duration = Duration::from_secs(8);

/// Beyond the bound there may be one connection more for so many, which waits for one that was closed to end.
const ROOM_PART: usize = 8;

/// The connections of a server and the bytes of the heads that arrive on them, both within bounds.
///
/// A connection *waits* while the server reads from it and writes nothing. Where there is no room, one that waits is closed: one
/// that owes its first request, the rest of a head or of a body, if there is one, or else one that is idle between two requests; and
/// of these the one that has waited longest. What arrives at once never waits for long.
pub(crate) struct Room {
    limits: Limits,
    host: Arc<dyn Host>,
    /// How many sockets there are. Not in the state, which may be locked when one ends.
    open: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
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
    /// Whether a response is being made or written.
    is_in_use: Arc<dyn Fn() -> bool + Send + Sync>,
    handle: ConnectionHandle,
}

impl Waiting {
    /// Whether a part of a request is missing.
    fn owes(&self) -> bool {
        !self.is_proven || self.head_bytes > 0 || self.handle.awaits_body()
    }

    /// Whether nothing is done for it.
    fn is_idle(&self) -> bool {
        self.handle.awaits_body() || !(self.is_in_use)()
    }
}

impl Room {
    pub(crate) fn new(limits: Limits, host: Arc<dyn Host>) -> Arc<Room> {
        Arc::new(Room { limits, host, open: AtomicUsize::new(0), state: Mutex::default() })
    }

    /// Takes in a connection. `None` if there is no room, and none can be made.
    pub(crate) fn admit(self: &Arc<Room>, connection: Connection) -> Option<Arc<Socket>> {
        let most = self.limits.connections;
        if self.open() >= most {
            let is_made = self.state().close_idle(Duration::ZERO, Duration::ZERO);
            let is_beyond = self.open() >= most + most / ROOM_PART;
            self.host.closed_for_room();
            if !is_made || is_beyond {
                return None;
            }
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Arc::new(Socket { connection, room: self.clone() }))
    }

    /// Closes a connection that waits, where threads or descriptors are missing.
    pub(crate) fn make(&self) {
        if self.state().close_idle(LEAST_WAIT, LEAST_IDLE) {
            self.host.closed_for_room();
        }
    }

    /// How many connections there are.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Closes a connection that has waited for so long at least: one that owes something, or one that is idle. Returns whether
    /// there was one.
    fn close_idle(&mut self, owing: Duration, idle: Duration) -> bool {
        let longest = |owes: bool, least_wait: Duration| {
            let is_it = |waiting: &Waiting| {
                waiting.owes() == owes && waiting.is_idle() && waiting.since.elapsed() >= least_wait
            };
            self.waiting.iter().find(|(_, waiting)| is_it(waiting)).map(|(&number, _)| number)
        };
        let found = longest(true, owing).or_else(|| longest(false, idle));
        found.map(|number| self.evict(number)).is_some()
    }

    /// Closes connections whose heads arrive, until the heads have at most so many bytes. Returns how many.
    fn bound_heads(&mut self, most_bytes: usize) -> usize {
        let mut closed = 0;
        while self.head_bytes > most_bytes {
            let has_head = |waiting: &Waiting| waiting.head_bytes > 0;
            match self.waiting.iter().find(|(_, waiting)| has_head(waiting)).map(|(&number, _)| number) {
                Some(number) => self.evict(number),
                None => break,
            }
            closed += 1;
        }
        closed
    }

    fn evict(&mut self, number: u64) {
        if let Some(waiting) = self.waiting.remove(&number) {
            self.head_bytes -= waiting.head_bytes;
            waiting.handle.evict();
        }
    }

    fn insert(&mut self, waiting: Waiting) -> u64 {
        self.next_number += 1;
        self.head_bytes += waiting.head_bytes;
        self.waiting.insert(self.next_number, waiting);
        self.next_number
    }
}

/// The socket of a connection, which counts as open until this is dropped.
pub(crate) struct Socket {
    connection: Connection,
    room: Arc<Room>,
}

impl Socket {
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.connection.fmt(f)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.room.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a connection waits for, as its server's room knows it.
pub(crate) struct Seat {
    room: Arc<Room>,
    handle: ConnectionHandle,
    is_in_use: Arc<dyn Fn() -> bool + Send + Sync>,
    is_proven: bool,
    /// That of its entry, while it waits.
    number: Option<u64>,
}

impl Seat {
    pub(crate) fn new(
        room: Arc<Room>,
        handle: ConnectionHandle,
        is_in_use: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Seat {
        Seat { room, handle, is_in_use, is_proven: false, number: None }
    }

    /// The connection begins to wait, now with so many bytes of a head.
    pub(crate) fn wait(&mut self, head_bytes: usize) {
        self.leave();
        if self.handle.is_evicted() {
            return;
        }
        let mut state = self.room.state();
        self.number = Some(state.insert(Waiting {
            since: Instant::now(),
            head_bytes,
            is_proven: self.is_proven,
            is_in_use: self.is_in_use.clone(),
            handle: self.handle.clone(),
        }));
        let closed = state.bound_heads(self.room.limits.heads_bytes);
        drop(state);
        self.tell(closed);
    }

    /// It waits for its client to take in the last response: it is worth no more than one that owes its first request.
    pub(crate) fn linger(&mut self) {
        self.is_proven = false;
        self.wait(0);
    }

    /// Its head has so many bytes now.
    pub(crate) fn hold(&mut self, head_bytes: usize) {
        let mut state = self.room.state();
        let waiting = self.number.and_then(|number| state.waiting.get_mut(&number));
        let Some(waiting) = waiting else { return };
        let more = head_bytes - waiting.head_bytes;
        waiting.head_bytes = head_bytes;
        state.head_bytes += more;
        let closed = state.bound_heads(self.room.limits.heads_bytes);
        drop(state);
        self.tell(closed);
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

    fn tell(&self, closed: usize) {
        for _ in 0..closed {
            self.room.host.closed_for_room();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}
