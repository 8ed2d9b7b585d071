//! One request of a connection at a time, and none after the last.
//!
//! - Defect: tiny_http reads on while a request is being answered, without a bound, and blocks whoever writes a response until
//!   the responses before it are written. It reads on after a response that says `Connection: close`, too.
//! - Seen: a connection that sends requests without an end, or whose first request takes long, held a thread or a worker for
//!   each further request. Bytes that were left of a body were answered as a request.
//! - Here: all requests but the first wait, and cost their heads only. When very many wait, the last of them is also the
//!   last that is answered. When a response has ended a connection, nothing that comes on it is answered.
//! - Tests: `tests/it/operation/pipelining.rs`, `tests/it/http/framing.rs`.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::server::os::connections::{self, Connection};

/// How many requests may wait on one connection. Whoever sends that many before an answer does not mean well.
const MAX_WAITING: usize = 100;

/// For so long, a connection that was seen to be the one that has ended is taken for it without another look.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// For so long without a request, an ended connection is remembered where the system does not list connections.
const UNLISTED_MEMORY: Duration = Duration::from_secs(60);

/// After so many ended connections, those that are closed are forgotten.
const SWEEP_INTERVAL: usize = 256;

/// Lists the connections of the server.
type List = Box<dyn Fn() -> io::Result<Vec<Connection>> + Send + Sync>;

/// Connections on which a request is being answered, by the client's address, and what waits there; and ended ones.
pub(in crate::server) struct Pipelines<T> {
    state: Mutex<State<T>>,
    list: List,
}

struct State<T> {
    pipelines: HashMap<SocketAddr, Pipeline<T>>,
    ended_since_sweep: usize,
}

enum Pipeline<T> {
    /// A request is being answered, and these wait.
    Open(VecDeque<Waiting<T>>),
    /// The last response is written.
    Ended(Ended),
}

/// A connection that has ended for us; tiny_http reads on until its client closes it, or is silent for long.
#[derive(Clone, Copy)]
struct Ended {
    socket: Socket,
    seen: Instant,
}

/// What tells a connection from a later one of the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Socket {
    Listed(u64),
    /// It is closed.
    Gone,
    /// The system does not tell.
    Unknown,
}

impl Socket {
    fn of(client: SocketAddr, list: &io::Result<Vec<Connection>>) -> Socket {
        match list {
            Err(_) => Socket::Unknown,
            Ok(list) => list
                .iter()
                .find(|connection| connection.client == plain(client))
                .map_or(Socket::Gone, |connection| Socket::Listed(connection.socket)),
        }
    }
}

impl<T> State<T> {
    /// Notes which ended connections a list shows to be open still, all of them: a list takes 10 ms or more, so there must not be
    /// one for each.
    fn see(&mut self, list: &[Connection], looked: Instant) {
        for connection in list {
            if let Some(Pipeline::Ended(ended)) = self.pipelines.get_mut(&connection.client)
                && ended.socket == Socket::Listed(connection.socket)
            {
                ended.seen = looked;
            }
        }
    }
}

/// A request that waits for its turn.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) struct Waiting<T> {
    pub(in crate::server) request: T,
    /// Whether there may be requests behind it that are not answered.
    pub(in crate::server) is_last: bool,
}

/// What is to be done with a request that has arrived.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum Place<T> {
    /// It is its turn.
    First(T),
    /// It waits.
    Behind,
    /// It is not answered: too many wait already, or its connection has ended.
    Beyond(T),
}

impl<T> Pipelines<T> {
    /// Those of the server that listens on a port.
    pub(in crate::server) fn new(port: u16) -> Pipelines<T> {
        Pipelines::listed_by(Box::new(move || connections::to_port(port)))
    }

    fn listed_by(list: List) -> Pipelines<T> {
        Pipelines { state: Mutex::new(State { pipelines: HashMap::new(), ended_since_sweep: 0 }), list }
    }

    /// Begins a request's turn, or keeps it until then.
    pub(in crate::server) fn begin(&self, client: SocketAddr, request: T) -> Place<T> {
        loop {
            let mut state = self.state();
            match state.pipelines.get_mut(&client) {
                None => {
                    state.pipelines.insert(client, Pipeline::Open(VecDeque::new()));
                    return Place::First(request);
                }
                Some(Pipeline::Open(waiting)) if waiting.len() < MAX_WAITING => {
                    waiting.push_back(Waiting { request, is_last: waiting.len() + 1 == MAX_WAITING });
                    return Place::Behind;
                }
                Some(Pipeline::Open(_)) => return Place::Beyond(request),
                Some(Pipeline::Ended(_)) => {}
            }
            drop(state);
            if self.has_ended(client) {
                return Place::Beyond(request);
            }
        }
    }

    /// Ends a turn, and gives the request whose turn it is then.
    pub(in crate::server) fn end(&self, client: SocketAddr) -> Option<Waiting<T>> {
        let mut state = self.state();
        let Pipeline::Open(waiting) = state.pipelines.get_mut(&client)? else { return None };
        let next = waiting.pop_front();
        if next.is_none() {
            state.pipelines.remove(&client);
        }
        next
    }

    /// Ends a turn and its connection, and gives the requests that wait there, which are not answered.
    pub(in crate::server) fn end_connection(&self, client: SocketAddr) -> VecDeque<Waiting<T>> {
        let ended = Ended { socket: Socket::of(client, &(self.list)()), seen: Instant::now() };
        let mut state = self.state();
        let before = state.pipelines.insert(client, Pipeline::Ended(ended));
        state.ended_since_sweep += 1;
        let is_due = state.ended_since_sweep >= SWEEP_INTERVAL;
        drop(state);
        if is_due {
            self.sweep();
        }
        match before {
            Some(Pipeline::Open(waiting)) => waiting,
            _ => VecDeque::new(),
        }
    }

    /// Whether the connection that this client has now has ended.
    fn has_ended(&self, client: SocketAddr) -> bool {
        let Some(&Pipeline::Ended(ended)) = self.state().pipelines.get(&client) else { return false };
        if ended.seen.elapsed() < LOOK_INTERVAL {
            return true;
        }
        let looked = Instant::now();
        let list = (self.list)();
        let is_same = match (ended.socket, Socket::of(client, &list)) {
            (Socket::Unknown, _) | (_, Socket::Unknown) => ended.seen.elapsed() < UNLISTED_MEMORY,
            // What has come from a connection that is closed by now came from the one that has ended: another would be
            // there still, but for a client that has left.
            (_, Socket::Gone) => true,
            (before, now) => before == now,
        };
        let mut state = self.state();
        state.see(&list.unwrap_or_default(), looked);
        if is_same {
            state.pipelines.insert(client, Pipeline::Ended(Ended { seen: Instant::now(), ..ended }));
        } else {
            state.pipelines.remove(&client);
        }
        is_same
    }

    /// Forgets the ended connections that are closed.
    fn sweep(&self) {
        let listed: Option<HashMap<SocketAddr, u64>> = (self.list)()
            .ok()
            .map(|list| list.iter().map(|connection| (connection.client, connection.socket)).collect());
        let mut state = self.state();
        state.ended_since_sweep = 0;
        state.pipelines.retain(|client, pipeline| match (pipeline, &listed) {
            (Pipeline::Open(_), _) => true,
            // It may have a request on its way here.
            (Pipeline::Ended(ended), _) if ended.seen.elapsed() < LOOK_INTERVAL => true,
            (Pipeline::Ended(Ended { socket: Socket::Listed(socket), .. }), Some(listed)) => {
                listed.get(&plain(*client)) == Some(socket)
            }
            (Pipeline::Ended(ended), _) => ended.seen.elapsed() < UNLISTED_MEMORY,
        });
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address as the system lists it, without the scope of IPv6.
fn plain(client: SocketAddr) -> SocketAddr {
    SocketAddr::new(client.ip(), client.port())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const CLIENT: &str = "10.0.0.1:1";

    /// What the system lists, if it does.
    type Listed = Arc<Mutex<Option<Vec<Connection>>>>;

    /// Pipelines whose connections the test lists.
    fn listed<T>() -> (Pipelines<T>, Listed) {
        let list: Listed = Arc::new(Mutex::new(Some(Vec::new())));
        let of_pipelines = Arc::clone(&list);
        let list_now = move || of_pipelines.lock().unwrap().clone().ok_or_else(|| io::Error::other("no list"));
        (Pipelines::listed_by(Box::new(list_now)), list)
    }

    #[test]
    fn a_request_waits_for_those_before_it_on_its_connection_only() {
        let (pipelines, _) = listed();
        let [a, b] = ["10.0.0.1:1", "10.0.0.1:2"].map(|client| client.parse().unwrap());
        let next = |client| pipelines.end(client).map(|waiting| waiting.request);
        assert_eq!([1, 2, 3].map(|nth| pipelines.begin(a, nth)), [Place::First(1), Place::Behind, Place::Behind]);
        assert_eq!(pipelines.begin(b, 4), Place::First(4));
        assert_eq!((next(a), pipelines.begin(a, 5)), (Some(2), Place::Behind));
        assert_eq!((next(a), next(a), next(a)), (Some(3), Some(5), None));
        assert_eq!((pipelines.begin(a, 6), next(b)), (Place::First(6), None));
        assert_eq!(pipelines.state().pipelines.len(), 1);
    }

    #[test]
    fn the_last_that_may_wait_is_told_so() {
        let (pipelines, client) = (listed().0, CLIENT.parse().unwrap());
        assert_eq!(pipelines.begin(client, 0), Place::First(0));
        for nth in 1..=MAX_WAITING {
            assert_eq!(pipelines.begin(client, nth), Place::Behind);
        }
        assert_eq!(pipelines.begin(client, 1_000), Place::Beyond(1_000));
        for nth in 1..=MAX_WAITING {
            assert_eq!(pipelines.end(client), Some(Waiting { request: nth, is_last: nth == MAX_WAITING }));
        }
        assert_eq!(pipelines.end(client), None);
    }

    /// Makes the memory of all ended connections so much older.
    fn age(pipelines: &Pipelines<u32>, by: Duration) {
        for pipeline in pipelines.state().pipelines.values_mut() {
            if let Pipeline::Ended(ended) = pipeline {
                ended.seen -= by;
            }
        }
    }

    #[test]
    fn nothing_on_a_connection_that_has_ended_is_answered_until_its_client_has_another() {
        let client: SocketAddr = CLIENT.parse().unwrap();
        let connection = |socket| Some(vec![Connection { client, socket }]);
        let (gone, unknown) = (Some(Vec::new()), None);
        // When it ended, when the next request comes, after how long, and whether that is answered.
        for (then, now, after_s, is_answered) in [
            (connection(7), connection(7), 2, false),
            (connection(7), connection(7), 3_600, false),
            (connection(7), gone.clone(), 3_600, false),
            (connection(7), connection(8), 2, true),
            (gone.clone(), connection(8), 2, true),
            (unknown.clone(), connection(8), 2, false),
            (unknown.clone(), unknown.clone(), 59, false),
            (unknown.clone(), unknown.clone(), 61, true),
            (connection(7), unknown.clone(), 2, false),
        ] {
            let (pipelines, list) = listed();
            list.lock().unwrap().clone_from(&then);
            assert_eq!((pipelines.begin(client, 1), pipelines.begin(client, 2)), (Place::First(1), Place::Behind));
            let waited = pipelines.end_connection(client);
            assert_eq!(waited, [Waiting { request: 2, is_last: false }]);
            assert_eq!(pipelines.end(client), None);
            age(&pipelines, Duration::from_secs(after_s));
            list.lock().unwrap().clone_from(&now);
            let expected = if is_answered { Place::First(3) } else { Place::Beyond(3) };
            assert_eq!(pipelines.begin(client, 3), expected, "{then:?}, {now:?} after {after_s} s");
        }
    }

    #[test]
    fn one_look_finds_all_ended_connections_that_are_open() {
        let clients: Vec<SocketAddr> = (1..=50).map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect();
        let open = clients.iter().map(|&client| Connection { client, socket: u64::from(client.port()) }).collect();
        let (open, looks): (Vec<Connection>, _) = (open, Arc::new(Mutex::new(0)));
        let counted = Arc::clone(&looks);
        let pipelines: Pipelines<u32> = Pipelines::listed_by(Box::new(move || {
            *counted.lock().unwrap() += 1;
            Ok(open.clone())
        }));
        for &client in &clients {
            let _ = (pipelines.begin(client, 1), pipelines.end_connection(client));
        }
        age(&pipelines, Duration::from_secs(2));
        *looks.lock().unwrap() = 0;
        for &client in &clients {
            assert_eq!(pipelines.begin(client, 2), Place::Beyond(2));
        }
        assert_eq!(*looks.lock().unwrap(), 1);
    }

    #[test]
    fn ended_connections_are_forgotten_when_they_are_closed() {
        let (pipelines, list) = listed();
        let client = |nth: usize| SocketAddr::from(([10, 0, (nth >> 8) as u8, nth as u8], 1));
        for nth in 0..SWEEP_INTERVAL {
            *list.lock().unwrap() = Some(vec![Connection { client: client(nth), socket: nth as u64 + 1 }]);
            let _ = (pipelines.begin(client(nth), 1), pipelines.end_connection(client(nth)));
            age(&pipelines, LOOK_INTERVAL);
        }
        // The last is open still.
        pipelines.sweep();
        assert_eq!(pipelines.state().pipelines.keys().collect::<Vec<_>>(), [&client(SWEEP_INTERVAL - 1)]);
    }
}
