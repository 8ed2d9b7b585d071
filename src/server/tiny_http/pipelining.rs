//! One request of a connection at a time.
//!
//! - Defect: tiny_http reads on while a request is being answered, without a bound, and blocks whoever writes a response until
//!   the responses before it are written.
//! - Seen: a connection that sends requests without an end, or whose first request takes long, held a thread or a worker for
//!   each further request.
//! - Here: all requests but the first wait, and cost their heads only. When very many wait, the last of them is also the
//!   last that is answered.
//! - Tests: `tests/it/operation/pipelining.rs`.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many requests may wait on one connection. Whoever sends that many before an answer does not mean well.
const MAX_WAITING: usize = 100;

/// Connections on which a request is being answered, by the client's address, and what waits there.
pub(in crate::server) struct Pipelines<T>(Mutex<HashMap<SocketAddr, VecDeque<Waiting<T>>>>);

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
    /// Too many wait already.
    Beyond(T),
}

impl<T> Pipelines<T> {
    pub(in crate::server) fn new() -> Pipelines<T> {
        Pipelines(Mutex::new(HashMap::new()))
    }

    /// Begins a request's turn, or keeps it until then.
    pub(in crate::server) fn begin(&self, client: SocketAddr, request: T) -> Place<T> {
        let mut underway = self.underway();
        let Some(waiting) = underway.get_mut(&client) else {
            underway.insert(client, VecDeque::new());
            return Place::First(request);
        };
        if waiting.len() == MAX_WAITING {
            return Place::Beyond(request);
        }
        waiting.push_back(Waiting { request, is_last: waiting.len() + 1 == MAX_WAITING });
        Place::Behind
    }

    /// Ends a turn, and gives the request whose turn it is then.
    pub(in crate::server) fn end(&self, client: SocketAddr) -> Option<Waiting<T>> {
        let mut underway = self.underway();
        let next = underway.get_mut(&client)?.pop_front();
        if next.is_none() {
            underway.remove(&client);
        }
        next
    }

    fn underway(&self) -> MutexGuard<'_, HashMap<SocketAddr, VecDeque<Waiting<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_waits_for_those_before_it_on_its_connection_only() {
        let turns = Pipelines::new();
        let [a, b] = ["10.0.0.1:1", "10.0.0.1:2"].map(|client| client.parse().unwrap());
        let next = |client| turns.end(client).map(|waiting| waiting.request);
        assert_eq!([1, 2, 3].map(|nth| turns.begin(a, nth)), [Place::First(1), Place::Behind, Place::Behind]);
        assert_eq!(turns.begin(b, 4), Place::First(4));
        assert_eq!((next(a), turns.begin(a, 5)), (Some(2), Place::Behind));
        assert_eq!((next(a), next(a), next(a)), (Some(3), Some(5), None));
        assert_eq!((turns.begin(a, 6), next(b)), (Place::First(6), None));
        assert_eq!(turns.underway().len(), 1);
    }

    #[test]
    fn the_last_that_may_wait_is_told_so() {
        let (turns, client) = (Pipelines::new(), "10.0.0.1:1".parse().unwrap());
        assert_eq!(turns.begin(client, 0), Place::First(0));
        for nth in 1..=MAX_WAITING {
            assert_eq!(turns.begin(client, nth), Place::Behind);
        }
        assert_eq!(turns.begin(client, 1_000), Place::Beyond(1_000));
        for nth in 1..=MAX_WAITING {
            assert_eq!(turns.end(client), Some(Waiting { request: nth, is_last: nth == MAX_WAITING }));
        }
        assert_eq!(turns.end(client), None);
    }
}
