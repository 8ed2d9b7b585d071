//! Receives requests from tiny_http, and hands queries to the workers.
//!
//! The thread that receives requests never waits for a client, and only a few workers do (`write_permits`). Otherwise, the
//! threads of `workers/blocking_threads` read bodies and write replies. `server/os/socket` and `server/tiny_http` bound what
//! tiny_http 0.12 does not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use tiny_http::{ConnectionHandle, Request, Server};

use crate::api::{ApiRequest, Prepared, PreparedQuery, Queued, Reply, Routed};
use crate::server::body::RequestBody;
use crate::server::exchange::{Exchange, Shared};
use crate::server::tiny_http::pipelining::{AfterTurn, Pipelines, RequestTurn};
use crate::server::workers::blocking_threads::BlockingThreads;
use crate::server::workers::pool::{Pool, TaskOutcome};
use crate::sync::Permits;

/// The threads, permits and shared state that serve requests.
pub(super) struct Listener {
    pub(super) shared: Arc<Shared>,
    pub(super) pool: Pool,
    pub(super) blocking_threads: Arc<BlockingThreads>,
    pub(super) write_permits: Permits,
    pub(super) pipelines: Pipelines<Request>,
}

/// Permits for a quarter of the workers to write their replies themselves. With fewer than four workers, none does.
///
/// Handing a reply to another thread usually costs more than writing it. But a client may be slow, and then its worker waits. A
/// quarter is enough while clients are fast. The other workers hand their replies over, and never wait for a client.
pub(super) fn write_permits(workers: usize) -> Permits {
    Permits::new(workers / 4)
}

/// The turn of a request on its connection. When it is dropped, the turn of the next request begins, unless the
/// connection has ended.
struct ConnectionTurn {
    listener: Arc<Listener>,
    connection: ConnectionHandle,
}

impl Drop for ConnectionTurn {
    fn drop(&mut self) {
        let ConnectionTurn { listener, connection } = self;
        match listener.pipelines.end(connection) {
            AfterTurn::Next(next) => listener.take_up(next.request, next.is_last),
            AfterTurn::LeaveUnanswered(waiting) => {
                if connection.has_ended() {
                    connection.close_write();
                }
                for waiting in waiting {
                    listener.leave_unanswered(waiting.request);
                }
            }
        }
    }
}

impl Listener {
    /// Serves the requests of a server, and never returns.
    pub(super) fn serve(self: &Arc<Listener>, server: &Server) -> ! {
        loop {
            // `recv` fails only after `Server::unblock`, which the mirror never calls.
            if let Ok(request) = server.recv() {
                self.dispatch(request);
            }
        }
    }

    fn dispatch(self: &Arc<Listener>, request: Request) {
        let (connection, held_bytes) = (request.connection().clone(), request.held_bytes());
        match self.pipelines.begin(&connection, request, held_bytes) {
            RequestTurn::Now(request) => self.take_up(request, false),
            RequestTurn::Later => {}
            RequestTurn::Never(request) => self.leave_unanswered(request),
        }
    }

    /// Ends a request without a response. Dropping it may wait for its body, so a blocking thread does it.
    fn leave_unanswered(&self, request: Request) {
        self.blocking_threads.run(move || drop(request.into_writer()));
    }

    /// Begins to serve a request whose turn it is. A panic ends this request only.
    fn take_up(self: &Arc<Listener>, request: Request, is_last: bool) {
        let turn = ConnectionTurn { listener: Arc::clone(self), connection: request.connection().clone() };
        let _ = catch_unwind(AssertUnwindSafe(|| self.route(request, is_last, turn)));
    }

    fn route(self: &Arc<Listener>, request: Request, is_last: bool, turn: ConnectionTurn) {
        let exchange = Exchange::new(request, Arc::clone(&self.shared), is_last);
        if exchange.is_last {
            turn.connection.end();
        }
        match exchange.route() {
            Routed::Api(request) if exchange.is_read => self.read_and_hand_over(exchange, request, turn),
            Routed::Api(request) => {
                let listener = Arc::clone(self);
                self.blocking_threads.run(move || listener.read_and_hand_over(exchange, request, turn));
            }
            Routed::Page(page) => {
                let shared = Arc::clone(&self.shared);
                self.blocking_threads.run(move || {
                    exchange.finish(shared.gateway.render(page));
                    drop(turn);
                });
            }
            Routed::Reply(reply) => self.finish_elsewhere(exchange, reply, turn),
        }
    }

    /// Reads the body, and hands the query to a worker.
    fn read_and_hand_over(self: &Arc<Listener>, mut exchange: Exchange, request: ApiRequest, turn: ConnectionTurn) {
        let body = match exchange.read_body() {
            Ok(body) => body,
            Err(error) => return self.finish_elsewhere(exchange, request.refuse(&error), turn),
        };
        match exchange.prepare(request, body.bytes()) {
            Prepared::Query(query) => self.hand_over(exchange, body, query, turn),
            Prepared::Reply(reply) => self.finish_elsewhere(exchange, reply, turn),
        }
    }

    /// Hands a query to a worker. The body counts towards the bound on all bodies until the query has run, because the query holds
    /// parts of it.
    fn hand_over(
        self: &Arc<Listener>,
        exchange: Exchange,
        body: RequestBody,
        query: PreparedQuery,
        turn: ConnectionTurn,
    ) {
        let (lane, deadline) = (query.lane, query.deadline.instant());
        let (listener, since) = (Arc::clone(self), Instant::now());
        let task = move |outcome| {
            let reply = match outcome {
                TaskOutcome::Worker { found_max_in_flight } => {
                    let in_flight = lane.max_in_flight.filter(|_| found_max_in_flight);
                    exchange.perform(query, Queued { waited_ms: since.elapsed().as_millis(), in_flight })
                }
                TaskOutcome::Expired { held_by_upstream } => listener.shared.gateway.expire(&query, held_by_upstream),
                TaskOutcome::NoRoom { full, places } => query.turn_away(full, places),
            };
            drop(body);
            let is_on_worker = matches!(outcome, TaskOutcome::Worker { .. });
            let writing = if is_on_worker { listener.write_permits.take() } else { None };
            match writing {
                Some(_writing) => {
                    exchange.finish(reply);
                    drop(turn);
                }
                None => listener.finish_elsewhere(exchange, reply, turn),
            }
        };
        self.pool.run(lane, deadline, Box::new(task));
    }

    /// Writes a reply on a blocking thread.
    fn finish_elsewhere(&self, exchange: Exchange, reply: Reply, turn: ConnectionTurn) {
        self.blocking_threads.run(move || {
            exchange.finish(reply);
            drop(turn);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_a_quarter_of_the_workers_write() {
        for (workers, most) in [(1, 0), (3, 0), (4, 1), (7, 1), (20, 5)] {
            let permits = write_permits(workers);
            for _ in 0..2 {
                let writing: Vec<_> = std::iter::from_fn(|| permits.take()).collect();
                assert_eq!(writing.len(), most, "{workers}");
            }
        }
    }
}
