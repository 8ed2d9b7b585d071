//! The tiny_http edge: takes requests in and hands those that need one to a worker.
//!
//! The thread that takes requests in never waits for a client, and no more than a few workers do (`writers`): else bodies
//! are read and replies written aside. What tiny_http 0.12 does not bound by itself is bounded by the options that
//! `server/socket` sets, by `turns`, and by the `sentinel`.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tiny_http::{Request, Response, Server};

use crate::api::{Job, Prepared, Question, Reply, Routed};
use crate::error::Error;
use crate::log;
use crate::metrics::Metrics;
use crate::server::aside::Aside;
use crate::server::body::Body;
use crate::server::descriptors::Descriptor;
use crate::server::exchange::{Edge, Exchange};
use crate::server::pool::{Outcome, Pool};
use crate::server::sentinel::Watch;
use crate::server::socket::CONNECTION_TIMEOUT;
use crate::server::turns::{Place, Turns, Waiting};
use crate::server::writers::Writers;

/// How often it is looked whether connections are still accepted.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How long to wait before trying again to take over a socket, for want of descriptors for example.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// So many descriptors must be there to be had before connections are accepted again. Where one is missing, the next would
/// be the last for long otherwise.
const SPARE_DESCRIPTORS: usize = 16;

/// After so long without a request, a server that does not accept any more has no open connections but those that wait for
/// an answer.
const RETIREMENT: Duration = CONNECTION_TIMEOUT.saturating_add(Duration::from_secs(2));

/// What serving a request takes.
pub(super) struct Listener {
    pub(super) edge: Arc<Edge>,
    pub(super) pool: Pool,
    pub(super) aside: Arc<Aside>,
    pub(super) writers: Writers,
    pub(super) turns: Turns<Arrival>,
    pub(super) watch: Arc<Watch>,
    pub(super) metrics: Arc<Metrics>,
}

/// A request, and the server it came from.
pub(super) struct Arrival {
    request: Request,
    server: Arc<Server>,
}

/// The turn of a connection's request. When it ends, the next is taken up.
struct Turn {
    listener: Arc<Listener>,
    client: SocketAddr,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(next) = self.listener.turns.end(self.client) {
            self.listener.take_up(next, self.client);
        }
    }
}

impl Listener {
    /// Serves requests for ever.
    ///
    /// tiny_http stops accepting for good when it fails to accept a single connection, for want of a descriptor for
    /// example. Then another server takes over the same socket.
    pub(super) fn serve(self: &Arc<Listener>, socket: &TcpListener) -> ! {
        loop {
            let (server, acceptor) = take_over(socket);
            let server = Arc::new(server);
            let stopped = self.serve_with(&server, acceptor.as_ref());
            self.metrics.listener_restarted();
            log::warn(|| log::Line::new("accepting anew").text("error", &stopped));
            let listener = Arc::clone(self);
            self.aside.run(move || listener.retire(&server));
        }
    }

    /// Serves requests until no more are accepted, and says why not.
    ///
    /// tiny_http tells so, unless its thread that accepts has panicked, as it does when it has accepted a connection with the
    /// last descriptor there was. Then its descriptor of the socket, `acceptor`, is closed.
    fn serve_with(self: &Arc<Listener>, server: &Arc<Server>, acceptor: Option<&Descriptor>) -> io::Error {
        let mut looked = Instant::now();
        loop {
            match server.recv_timeout(LOOK_INTERVAL) {
                Ok(Some(request)) => self.dispatch(request, server),
                Ok(None) => {}
                Err(stopped) => return stopped,
            }
            if looked.elapsed() >= LOOK_INTERVAL {
                if acceptor.is_some_and(|acceptor| !acceptor.is_open()) {
                    return io::Error::other("the thread that accepts connections has ended");
                }
                looked = Instant::now();
            }
        }
    }

    /// Serves the connections that a server has accepted before it stopped to, until all must have been closed: none has
    /// begun a request for longer than a connection may be silent, and none waits for an answer.
    fn retire(self: &Arc<Listener>, server: &Arc<Server>) {
        loop {
            match server.recv_timeout(RETIREMENT) {
                Ok(Some(request)) => self.dispatch(request, server),
                // It is held here, and by the requests it has brought.
                _ if Arc::strong_count(server) == 1 => return,
                _ => {}
            }
        }
    }

    fn dispatch(self: &Arc<Listener>, request: Request, server: &Arc<Server>) {
        if self.watch.is_own(&request) {
            // The first reply on a connection does not wait for its client.
            let _ = request.respond(Response::empty(200));
            return;
        }
        let arrival = Arrival { server: Arc::clone(server), request };
        // tiny_http has always asked the system for it.
        let Some(&client) = arrival.request.remote_addr() else { return };
        self.watch.saw_request(client);
        match self.turns.begin(client, arrival) {
            Place::First(arrival) => self.take_up(Waiting { request: arrival, is_last: false }, client),
            Place::Behind => {}
            // Nothing is written, so that the answers to those before it stay in order. Dropping it may wait for its body.
            Place::Beyond(arrival) => self.aside.run(move || drop(arrival.request.into_writer())),
        }
    }

    /// Takes up a request whose turn it is. A panic here would be a fault of ours, which costs this request and nothing else.
    fn take_up(self: &Arc<Listener>, next: Waiting<Arrival>, client: SocketAddr) {
        let turn = Turn { listener: Arc::clone(self), client };
        let _ = catch_unwind(AssertUnwindSafe(|| self.route(next, turn)));
    }

    fn route(self: &Arc<Listener>, next: Waiting<Arrival>, turn: Turn) {
        let Waiting { request: Arrival { request, server }, is_last } = next;
        let exchange = Exchange::new(request, server, Arc::clone(&self.edge), is_last);
        match exchange.route() {
            Routed::Job(job) if exchange.is_prefetched() => self.read_and_hand_over(exchange, job, turn),
            Routed::Job(job) => {
                let listener = Arc::clone(self);
                self.aside.run(move || listener.read_and_hand_over(exchange, job, turn));
            }
            Routed::Reply(reply) => self.finish(exchange, reply, turn),
        }
    }

    /// Reads the body and gives the job to a worker.
    fn read_and_hand_over(self: &Arc<Listener>, mut exchange: Exchange, job: Job, turn: Turn) {
        let body = match exchange.read_body() {
            Ok(body) => body,
            Err(error) => {
                let reply = self.edge.gateway.refuse_job(job, &error);
                return self.finish(exchange, reply, turn);
            }
        };
        match exchange.prepare(job, body.bytes()) {
            Prepared::Question(question) => self.hand_over(exchange, body, question, turn),
            Prepared::Reply(reply) => self.finish(exchange, reply, turn),
        }
    }

    /// Gives a question to a worker. The body counts until it is answered: the question was made of it.
    fn hand_over(self: &Arc<Listener>, exchange: Exchange, body: Body, question: Question, turn: Turn) {
        let (lane, deadline) = (self.edge.gateway.lane(&question), question.deadline());
        let listener = Arc::clone(self);
        let task = move |outcome| {
            let reply = match outcome {
                Outcome::Worker => exchange.perform(question),
                Outcome::Expired { held_by_upstream } => listener.edge.gateway.expire(&question, held_by_upstream),
                Outcome::NoRoom => listener.edge.gateway.refuse_question(&question, &Error::Overloaded),
            };
            drop(body);
            let writing = if outcome == Outcome::Worker { listener.writers.begin() } else { None };
            match writing {
                Some(_writing) => exchange.finish(reply, turn),
                None => listener.finish(exchange, reply, turn),
            }
        };
        self.pool.run(lane, deadline, Box::new(task));
    }

    fn finish(&self, exchange: Exchange, reply: Reply, turn: Turn) {
        self.aside.run(move || exchange.finish(reply, turn));
    }
}

/// Another server on the same socket, as soon as there can be one, and the descriptor by which it accepts, if that is told.
fn take_over(socket: &TcpListener) -> (Server, Option<Descriptor>) {
    let mut is_first = true;
    loop {
        let spare: io::Result<Vec<TcpListener>> = (0..SPARE_DESCRIPTORS).map(|_| socket.try_clone()).collect();
        // The spare ones are closed before the server takes the first connection.
        match spare.map(drop).and_then(|()| server_on(socket.try_clone()?)) {
            Ok(server) => return server,
            Err(error) if is_first => log::error(|| log::Line::new("cannot accept").text("error", &error)),
            Err(_) => {}
        }
        is_first = false;
        thread::sleep(RETRY_INTERVAL);
    }
}

fn server_on(socket: TcpListener) -> io::Result<(Server, Option<Descriptor>)> {
    let acceptor = Descriptor::of(&socket).ok();
    // It panics when there is no thread to be had.
    let server = catch_unwind(|| Server::from_listener(socket, None));
    let server = server.map_err(|_| io::Error::other("it has panicked, perhaps for want of a thread"))?;
    Ok((server.map_err(io::Error::other)?, acceptor))
}
