//! Processes the requests of a connection one at a time, and none after the connection has ended.
//!
//! - Defect: tiny_http reads further requests while one is in flight, without a bound, and blocks a thread that writes a response
//!   until the responses before it are written. It also reads on after a response with `Connection: close`.
//! - Seen: a connection that sends endless requests, or whose first request takes long, held a thread or a worker for each
//!   further request. The mirror took the rest of a body for a request.
//! - Here: all requests but the first wait, and take only the memory of their heads and short bodies. If too many or too long
//!   ones wait, the mirror answers none behind them. After a response has ended a connection, the copy of tiny_http reads no
//!   more of it, and the mirror does not answer the requests that were read before.
//! - Tests: `tests/it/operation/pipelining.rs`, `tests/it/http/framing.rs`.

use std::collections::{HashMap, VecDeque};

use tiny_http::ConnectionHandle;

use crate::sync::Mutex;

/// How many requests may wait on one connection. No well-behaved client sends that many before a response.
const MAX_WAITING: usize = 100;

/// How many bytes of requests may wait on one connection: 128 KiB, and the one that exceeds them.
const MAX_WAITING_BYTES: usize = 128 << 10;

/// How many bytes of requests may wait on all connections: 16 MiB.
const MAX_BYTES: usize = 16 << 20;

/// The connections with a request in flight, and the requests that wait behind it.
pub(in crate::server) struct Pipelines<T>(Mutex<PipelinesState<T>>);

struct PipelinesState<T> {
    connections: HashMap<ConnectionHandle, VecDeque<WaitingRequest<T>>>,
    /// The bytes of all waiting requests.
    bytes: usize,
}

impl<T> Default for Pipelines<T> {
    fn default() -> Pipelines<T> {
        Pipelines(Mutex::new(PipelinesState { connections: HashMap::new(), bytes: 0 }))
    }
}

/// A request that waits for its turn.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) struct WaitingRequest<T> {
    pub(in crate::server) request: T,
    /// Whether the mirror does not answer requests behind it.
    pub(in crate::server) is_last: bool,
    held_bytes: usize,
}

/// When the turn of a request that has arrived begins.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum RequestTurn<T> {
    /// Now: no other request of its connection is in flight.
    Now(T),
    /// Later: it waits.
    Later,
    /// Never: too many requests wait already, or its connection has ended.
    Never(T),
}

impl<T> Pipelines<T> {
    /// Begins the turn of a request, or keeps the request until then.
    pub(in crate::server) fn begin(
        &self,
        connection: &ConnectionHandle,
        request: T,
        held_bytes: usize,
    ) -> RequestTurn<T> {
        let state = &mut *self.0.lock();
        // A connection is marked as ended before its last turn ends, so no turn can begin in between.
        if connection.has_ended() {
            return RequestTurn::Never(request);
        }
        let Some(waiting) = state.connections.get_mut(connection) else {
            state.connections.insert(connection.clone(), VecDeque::new());
            return RequestTurn::Now(request);
        };
        if waiting.back().is_some_and(|last| last.is_last) {
            return RequestTurn::Never(request);
        }
        if state.bytes + held_bytes > MAX_BYTES {
            // Requests behind it must not be answered either, since responses have to keep their order.
            match waiting.back_mut() {
                Some(last) => last.is_last = true,
                None => connection.end(),
            }
            return RequestTurn::Never(request);
        }
        state.bytes += held_bytes;
        let bytes = held_bytes + waiting.iter().map(|waiting| waiting.held_bytes).sum::<usize>();
        let is_last = waiting.len() + 1 == MAX_WAITING || bytes > MAX_WAITING_BYTES;
        waiting.push_back(WaitingRequest { request, is_last, held_bytes });
        RequestTurn::Later
    }

    /// Ends a turn. Gives the request whose turn is next, or, if the connection has ended, all that still wait.
    pub(in crate::server) fn end(&self, connection: &ConnectionHandle) -> AfterTurn<T> {
        let state = &mut *self.0.lock();
        if connection.has_ended() {
            let unanswered = state.connections.remove(connection).unwrap_or_default();
            state.bytes -= unanswered.iter().map(|waiting| waiting.held_bytes).sum::<usize>();
            return AfterTurn::LeaveUnanswered(unanswered);
        }
        match state.connections.get_mut(connection).and_then(VecDeque::pop_front) {
            Some(next) => {
                state.bytes -= next.held_bytes;
                AfterTurn::Next(next)
            }
            None => {
                state.connections.remove(connection);
                AfterTurn::LeaveUnanswered(VecDeque::new())
            }
        }
    }
}

/// What follows a turn.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum AfterTurn<T> {
    /// The turn of this request.
    Next(WaitingRequest<T>),
    /// No turn. The mirror does not answer these requests, if there are any.
    LeaveUnanswered(VecDeque<WaitingRequest<T>>),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request whose turn is next, and whether it is the last; or none.
    fn next(pipelines: &Pipelines<usize>, connection: &ConnectionHandle) -> Option<(usize, bool)> {
        match pipelines.end(connection) {
            AfterTurn::Next(waiting) => Some((waiting.request, waiting.is_last)),
            AfterTurn::LeaveUnanswered(waiting) => {
                assert_eq!(waiting, []);
                None
            }
        }
    }

    #[test]
    fn a_request_waits_for_those_before_it_on_its_connection_only() {
        let pipelines = Pipelines::default();
        let [a, b] = [(); 2].map(|()| ConnectionHandle::default());
        let (begin, next) = (|on, nth| pipelines.begin(on, nth, 1), |on| next(&pipelines, on).map(|(nth, _)| nth));
        assert_eq!([1, 2, 3].map(|nth| begin(&a, nth)), [RequestTurn::Now(1), RequestTurn::Later, RequestTurn::Later]);
        assert_eq!(begin(&b, 4), RequestTurn::Now(4));
        assert_eq!((next(&a), begin(&a, 5)), (Some(2), RequestTurn::Later));
        assert_eq!((next(&a), next(&a), next(&a)), (Some(3), Some(5), None));
        assert_eq!((begin(&a, 6), next(&b)), (RequestTurn::Now(6), None));
        assert_eq!(pipelines.0.lock().connections.len(), 1);
    }

    #[test]
    fn the_last_that_may_wait_is_told_so() {
        // The length of heads, and how many of them may wait.
        for (held_bytes, most) in [(0, 100), (1_310, 100), (1_312, 100), (1_500, 88), (64 << 10, 3)] {
            let (pipelines, connection) = (Pipelines::default(), ConnectionHandle::default());
            let begin = |nth| pipelines.begin(&connection, nth, held_bytes);
            assert_eq!(begin(0), RequestTurn::Now(0));
            for nth in 1..=most {
                assert_eq!(begin(nth), RequestTurn::Later, "{nth} of {held_bytes} bytes");
            }
            assert_eq!(begin(1_000), RequestTurn::Never(1_000), "{held_bytes} bytes");
            for nth in 1..=most {
                assert_eq!(next(&pipelines, &connection), Some((nth, nth == most)), "{held_bytes} bytes");
            }
            assert_eq!(next(&pipelines, &connection), None);
        }
    }

    #[test]
    fn all_that_wait_have_16_mib_and_give_it_back() {
        let pipelines = Pipelines::default();
        // Two heads of 64 KiB wait on each: on 128 connections, they have 16 MiB.
        let connections: Vec<ConnectionHandle> = (0..128).map(|_| ConnectionHandle::default()).collect();
        let begin = |connection: &ConnectionHandle, nth: usize| pipelines.begin(connection, nth, 64 << 10);
        for connection in &connections {
            assert_eq!(
                [0, 1, 2].map(|nth| begin(connection, nth)),
                [RequestTurn::Now(0), RequestTurn::Later, RequestTurn::Later]
            );
        }
        let [alone, other] = [(); 2].map(|()| ConnectionHandle::default());
        assert_eq!((begin(&alone, 0), begin(&alone, 1)), (RequestTurn::Now(0), RequestTurn::Never(1)));
        assert!(alone.has_ended());
        assert_eq!(next(&pipelines, &connections[0]), Some((1, false)));
        assert_eq!(
            [0, 1, 2].map(|nth| begin(&other, nth)),
            [RequestTurn::Now(0), RequestTurn::Later, RequestTurn::Never(2)]
        );
        assert_eq!(next(&pipelines, &other), Some((1, true)));
        assert_eq!(begin(&other, 3), RequestTurn::Later);
        connections[1].end();
        assert!(matches!(pipelines.end(&connections[1]), AfterTurn::LeaveUnanswered(waiting) if waiting.len() == 2));
        assert_eq!(pipelines.0.lock().bytes, (16 << 20) - (128 << 10));
    }

    #[test]
    fn nothing_on_a_connection_that_has_ended_is_answered() {
        let (pipelines, ended, other) =
            (Pipelines::default(), ConnectionHandle::default(), ConnectionHandle::default());
        assert_eq!(
            (pipelines.begin(&ended, 1, 1), pipelines.begin(&ended, 2, 1)),
            (RequestTurn::Now(1), RequestTurn::Later)
        );
        ended.end();
        assert_eq!(pipelines.begin(&ended, 3, 1), RequestTurn::Never(3));
        let AfterTurn::LeaveUnanswered(waiting) = pipelines.end(&ended) else { panic!("a turn") };
        assert_eq!(waiting.into_iter().map(|waiting| waiting.request).collect::<Vec<_>>(), [2]);
        assert_eq!(pipelines.begin(&ended, 4, 1), RequestTurn::Never(4));
        assert_eq!(pipelines.begin(&other, 5, 1), RequestTurn::Now(5));
        assert_eq!(pipelines.0.lock().connections.len(), 1);
    }
}
