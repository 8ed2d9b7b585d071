//! Connections that are kept from one call to the next.
//!
//! - The head and the form of a call are sent together. ureq writes one after the other, which would be two system calls, two
//!   packets, and two reads at the upstream.
//! - A connection has a maximum lifetime, however busy it is, so that the mirror follows an upstream that moves.
//! - A kept connection may be dead without a sign, or be closed while a call is in flight. Calls change nothing, so they may be
//!   sent twice: if a kept connection is closed before a response begins, the same bytes are sent on a new one. If it stays silent,
//!   they are sent on a new one as well, and the first connection with a response wins. A response is never assembled from two
//!   connections.
//! - If the upstream has other addresses, the same applies to a new connection: the next connection leads to another address. Each
//!   address gets a part of the remaining time, or a short time if all addresses have been silent lately.

mod kept;
mod rivals;
mod unanswered_call;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector as UreqConnector, NextTimeout, Transport};
use ureq::{Error, Timeout};

use crate::prometheus::error::{ConnectFailure, ErrorKind};

use super::connector::{Others, Peer};
use super::failure::{ConnectError, IN_RESPONSE};
use super::tls_failure::of_rustls;
use super::ureq_time::{deadline_of, until};
use kept::{Kept, MIN_PATIENCE, OpenConnection};
use rivals::Rivals;
use unanswered_call::{GATHERED_BYTES, UnansweredCall, transmit};

pub(super) use kept::Keep;

/// The longest call that may be sent twice. A longer one is not stored.
const MAX_REPEATED_BYTES: usize = 1 << 20;

/// The most connections that are opened beside a silent one.
const MAX_RIVALS: usize = 4;

/// How long each of several connections is waited for before the next one: the first time, and at most.
const MIN_SLICE: Duration = Duration::from_millis(2);
const MAX_SLICE: Duration = Duration::from_millis(20);

/// How often a wait checks whether the server is known to be down.
const ABANDON_INTERVAL: Duration = Duration::from_millis(250);

impl UreqConnector for Keep {
    type Out = Connection;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Connection>, Error> {
        let kept = self.upstream(details.uri);
        let open = kept.open(deadline_of(details.timeout)).map_err(ConnectError)?;
        Ok(Some(Connection { kept, open, call: UnansweredCall::default() }))
    }
}

/// A connection to an upstream, and the call in flight on it.
#[derive(Debug)]
pub(super) struct Connection {
    kept: Arc<Kept>,
    open: OpenConnection,
    call: UnansweredCall,
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.open.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if !self.call.is_unanswered {
            self.call.begin();
        }
        self.call.bytes.extend_from_slice(&self.open.transport.buffers().output()[..amount]);
        if self.call.bytes.len() - self.call.sent > GATHERED_BYTES {
            self.send(timeout);
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if !self.call.is_unanswered {
            return self.await_response(deadline_of(timeout)).map_err(|error| match error {
                Error::Timeout(_) => Error::Timeout(IN_RESPONSE),
                other => other,
            });
        }
        self.send(timeout);
        let begun = Instant::now();
        let first_input = self.first_input(deadline_of(timeout));
        if matches!(first_input, Err(Error::Timeout(_))) && begun.elapsed() >= MIN_PATIENCE {
            self.open.note_unanswered(&self.kept.connector);
        }
        let has_input = first_input?;
        if !self.is_tls() && speaks_tls(self.open.transport.buffers().input()) {
            return Err(ConnectError(ErrorKind::Unconnected(ConnectFailure::OnlyTls)).into());
        }
        self.call.end();
        self.open.note_response(&self.kept.connector);
        Ok(has_input)
    }

    fn is_open(&mut self) -> bool {
        !self.call.is_unanswered
            && self.open.since.elapsed() < self.kept.connector.lifetime
            && self.open.generation == self.kept.generation.load(Ordering::Relaxed)
            && self.open.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.kept.uri.scheme_str() == Some("https")
    }
}

impl Connection {
    /// Sends the gathered bytes. A failure is reported when the response is awaited, because the response may have arrived anyway.
    fn send(&mut self, timeout: NextTimeout) {
        let UnansweredCall { bytes, sent, is_whole, broken, .. } = &mut self.call;
        if broken.is_none() {
            *broken = transmit(&mut *self.open.transport, &bytes[*sent..], timeout).err();
        }
        *sent = bytes.len();
        if bytes.len() > MAX_REPEATED_BYTES {
            (*is_whole, *sent) = (false, 0);
            bytes.clear();
        }
    }

    /// Waits for input until the deadline, or until the server is known to be down.
    fn await_response(&mut self, deadline: Instant) -> Result<bool, Error> {
        loop {
            let slice = deadline.min(Instant::now() + ABANDON_INTERVAL);
            let waited = self.open.transport.await_input(until(slice));
            if !matches!(waited, Err(Error::Timeout(_))) {
                return waited;
            }
            if self.open.generation < self.kept.abandoned.load(Ordering::Relaxed) {
                return Err(ConnectError(ErrorKind::ReplicaDown).into());
            }
            if slice == deadline {
                return waited;
            }
        }
    }

    /// Waits for the first bytes of a response. Uses another connection if this one has had responses before and is now dead or
    /// silent, or if it stays silent and the upstream has other addresses.
    fn first_input(&mut self, deadline: Instant) -> Result<bool, Error> {
        let broken = self.call.broken.take();
        let may_be_dead = self.open.has_answered && self.call.is_whole;
        let may_be_mute = self.call.is_whole && self.open.peer.is_some_and(Peer::has_others);
        if !may_be_dead && !may_be_mute {
            return self.await_unless_broken(broken, deadline);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = self.kept.patience_with(self.open.peer, left);
        let waited = self.await_unless_broken(broken, deadline.min(Instant::now() + patience));
        match waited {
            Ok(true) => Ok(true),
            Err(Error::Timeout(_)) => self.race_elsewhere(deadline),
            other if is_dead(&other) => self.replace_dead(other, deadline),
            other => other,
        }
    }

    /// Waits for input on a connection that may not accept more of the call, because the server may say why.
    fn await_unless_broken(&mut self, broken: Option<Error>, until: Instant) -> Result<bool, Error> {
        match (self.await_response(until), broken) {
            (Ok(true), _) => Ok(true),
            (Err(Error::Io(error)), _) if of_rustls(&error).is_some() => Err(Error::Io(error)),
            (_, Some(error)) => Err(error),
            (waited, None) => waited,
        }
    }

    /// Sends the call on a new connection instead of one that was closed before the response, if the old one has had responses
    /// before or the upstream has other addresses.
    fn replace_dead(&mut self, waited: Result<bool, Error>, deadline: Instant) -> Result<bool, Error> {
        if !self.open.has_answered {
            match self.open.peer {
                Some(peer) if self.call.replaced < peer.chances() => self.kept.connector.note_mute(peer),
                _ => return waited,
            }
        }
        self.call.replaced += 1;
        self.open = self.kept.open(deadline).map_err(ConnectError)?;
        // The new one may be dead as well, and the upstream may have more addresses.
        self.call.broken = transmit(&mut *self.open.transport, &self.call.bytes, until(deadline)).err();
        self.first_input(deadline)
    }

    /// Races a silent connection against another one, to another address if possible. That address is preferred from now on, unless
    /// the silent connection wins.
    fn race_elsewhere(&mut self, deadline: Instant) -> Result<bool, Error> {
        if self.open.has_answered {
            self.kept.connector.forget_addresses(&self.kept.uri);
        }
        let Some(peer) = self.open.peer else { return self.race(deadline) };
        self.kept.connector.note_mute(peer);
        let raced = self.race(deadline);
        if matches!(raced, Ok(true)) && self.open.peer == Some(peer) {
            self.kept.connector.note_response(peer);
        }
        raced
    }

    /// Opens a second connection beside a silent one, sends the call there as well, and continues with the first one that has a
    /// response. If the second one is silent, too, and the upstream has more addresses, more connections follow.
    fn race(&mut self, deadline: Instant) -> Result<bool, Error> {
        let left = match self.open.peer.map(|peer| peer.others) {
            Some(Others::AllMute(others)) => others.min(MAX_RIVALS),
            _ => MAX_RIVALS,
        };
        let mut rivals = Rivals { left, next_at: Some(Instant::now()), ..Rivals::default() };
        let raced = self.race_against(&mut rivals, deadline);
        if matches!(raced, Err(Error::Timeout(_))) {
            let have_had_time = rivals.waiting.iter().filter(|rival| rival.since.elapsed() >= MIN_PATIENCE);
            have_had_time.for_each(|rival| rival.note_unanswered(&self.kept.connector));
        }
        raced
    }

    fn race_against(&mut self, rivals: &mut Rivals, deadline: Instant) -> Result<bool, Error> {
        let mut slice = MIN_SLICE;
        let mut failure = None;
        loop {
            let now = Instant::now();
            if rivals.next_at.is_some_and(|at| at <= now) {
                rivals.begin(&self.kept, self.open.has_answered, deadline);
            }
            let slice_end = deadline.min(now + slice);
            match self.await_response(slice_end) {
                _ if failure.is_some() => thread::sleep(slice_end.saturating_duration_since(Instant::now())),
                Ok(true) => {
                    self.kept.lost_races.fetch_add(1, Ordering::Relaxed);
                    return Ok(true);
                }
                Err(Error::Timeout(_)) if now < deadline => {}
                waited if is_dead(&waited) => failure = Some(waited),
                waited => return waited,
            }
            rivals.send_on_opened(&self.kept, &self.call.bytes, deadline);
            if let Some(winner) = rivals.answering(&self.kept, deadline.min(Instant::now() + slice)) {
                if let Some(peer) = winner.peer {
                    self.kept.connector.note_response(peer);
                }
                self.replace_silent(winner);
                return Ok(true);
            }
            match failure {
                None if rivals.are_none() => return self.await_response(deadline),
                Some(waited) if rivals.are_none() => {
                    return rivals.failure.take().map_or(waited, |failure| Err(ConnectError(failure).into()));
                }
                Some(_) if now >= deadline => return Err(Error::Timeout(Timeout::Global)),
                _ => {}
            }
            slice = (slice * 2).min(MAX_SLICE);
        }
    }

    /// Continues with another connection instead of a silent one. Drops the other kept connections, because they may be dead as
    /// well.
    fn replace_silent(&mut self, by: OpenConnection) {
        let generation = self.kept.generation.fetch_add(1, Ordering::Relaxed) + 1;
        self.kept.lost_races.store(0, Ordering::Relaxed);
        self.open = OpenConnection { generation, ..by };
    }
}

/// Whether a wait shows that the server has closed the connection.
fn is_dead(waited: &Result<bool, Error>) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    match waited {
        Ok(has_input) => !has_input,
        // The system reports this if the server does not acknowledge packets any more.
        Err(Error::Io(error)) => {
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof)
        }
        Err(_) => false,
    }
}

/// Whether a response begins like a TLS alert (RFC 8446, "Record Layer"): 21, and a version 3.x.
fn speaks_tls(input: &[u8]) -> bool {
    input.starts_with(&[21, 3])
}

#[cfg(test)]
mod tests {
    use ureq::http::Uri;

    use super::*;
    use crate::prometheus::access::{Allowlist, Authorities};
    use crate::prometheus::http::SharedTransport;

    #[test]
    fn a_connection_shows_no_credentials() {
        const SECRET: &[u8] = b"Authorization: Basic aHVzaA==";
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let shared = SharedTransport::new(1, Duration::from_secs(60), Authorities::default(), None);
        let kept = shared.to_given_upstreams(Allowlist::everything()).kept.upstream(&uri);
        let open = kept.open(Instant::now() + Duration::from_secs(5)).unwrap();
        let mut connection = Connection { kept, open, call: UnansweredCall::default() };
        connection.buffers().output()[..SECRET.len()].copy_from_slice(SECRET);
        connection.transmit_output(SECRET.len(), NextTimeout::default()).unwrap();
        let shown = format!("{connection:?}");
        let (as_text, as_numbers) = ("aHVzaA", format!("{SECRET:?}"));
        assert!(!shown.contains(as_text) && !shown.contains(as_numbers.trim_matches(['[', ']'])), "{shown}");
    }

    #[test]
    fn a_response_that_begins_like_a_tls_alert_is_tls() {
        for (input, expected) in
            [(&b"\x15\x03\x01\x00\x02"[..], true), (b"\x15\x03", true), (b"\x15", false), (b"HTTP", false)]
        {
            assert_eq!(speaks_tls(input), expected, "{input:?}");
        }
    }
}
