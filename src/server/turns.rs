//! One request of a connection at a time.
//!
//! tiny_http reads on while a request is being answered, and takes a reply only when those before it are written. So a
//! connection on which requests come without an end, or on which the first takes long, would hold a thread or a worker for
//! each. Here all but the first wait, and cost their heads.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Connections on which a request is being answered, by the client's address, and what waits there.
pub(super) struct Turns<T>(Mutex<HashMap<SocketAddr, VecDeque<T>>>);

impl<T> Turns<T> {
    pub(super) fn new() -> Turns<T> {
        Turns(Mutex::new(HashMap::new()))
    }

    /// Gives a request back if it is its turn, else keeps it until then.
    pub(super) fn begin(&self, client: SocketAddr, request: T) -> Option<T> {
        let mut underway = self.underway();
        if let Some(waiting) = underway.get_mut(&client) {
            waiting.push_back(request);
            return None;
        }
        underway.insert(client, VecDeque::new());
        Some(request)
    }

    /// Ends a turn, and gives the request whose turn it is then.
    pub(super) fn end(&self, client: SocketAddr) -> Option<T> {
        let mut underway = self.underway();
        let next = underway.get_mut(&client)?.pop_front();
        if next.is_none() {
            underway.remove(&client);
        }
        next
    }

    fn underway(&self) -> MutexGuard<'_, HashMap<SocketAddr, VecDeque<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_waits_for_those_before_it_on_its_connection_only() {
        let turns = Turns::new();
        let [a, b] = ["10.0.0.1:1", "10.0.0.1:2"].map(|client| client.parse().unwrap());
        assert_eq!((turns.begin(a, 1), turns.begin(a, 2), turns.begin(a, 3)), (Some(1), None, None));
        assert_eq!(turns.begin(b, 4), Some(4));
        assert_eq!((turns.end(a), turns.begin(a, 5)), (Some(2), None));
        assert_eq!((turns.end(a), turns.end(a), turns.end(a)), (Some(3), Some(5), None));
        assert_eq!((turns.begin(a, 6), turns.end(b)), (Some(6), None));
        assert_eq!(turns.underway().len(), 1);
    }
}
