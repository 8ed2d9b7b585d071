//! A connection that is kept from one call to the next.
//!
//! - The head of a request and its form go out together: ureq writes the one and then the other, which would be two calls of
//!   the system, two packets, and at the upstream two reads.
//! - It has a lifetime, however busy it is, so that an upstream that moved is followed.
//! - A kept connection may be dead without a sign, or be closed while the call is on its way. As calls change nothing,
//!   they may be asked twice: when a kept connection is closed before a response begins, the same bytes go out on a new one. When it
//!   stays silent, they do as well, and the connection that answers first wins. No response is put together from two.
//! - A new connection that stays silent or is closed is treated alike if the upstream has other addresses: the next connection leads to
//!   one of them. One after the other gets its chance, each for a part of the time that is left; for a short one, where all have been
//!   silent lately.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::Uri;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector as UreqConnector, NextTimeout, Transport};
use ureq::{Error, Timeout};

use crate::prometheus::error::ErrorKind;

use super::connector::{Connector, Opened, Others, Peer};
use super::failure::{ConnectError, IN_RESPONSE};
use super::tls_failure::of_rustls;
use super::ureq_time::{deadline_of, until};
use crate::prometheus::error::connect_failure::ConnectFailure;

/// How much is gathered before it goes out: 16 KiB, many times what a head and a form have.
const GATHERED_BYTES: usize = 16 << 10;

/// The longest request that is asked twice. More is not kept.
const MAX_REPEATED_BYTES: usize = 1 << 20;

/// How long a kept connection may be silent before a second one is opened, and the part of the time left that this may be.
const PATIENCE: Duration = Duration::from_secs(2);
const PATIENCE_PART: u32 = 4;

/// Where little time is left, it may be silent for this long nevertheless, or for half of it: upstreams on busy machines are.
const MIN_PATIENCE: Duration = Duration::from_millis(300);

/// How often the patience with an upstream doubles whose old connections have won in the end: it is slow, not dead.
const MAX_DOUBLINGS: u32 = 5;

/// The most connections to other addresses beside a silent one.
const MAX_RIVALS: usize = 4;

/// The most second connections that are being opened at a time, each of which has a thread.
const MAX_SECOND_DIALS: usize = 16;

/// How long each of two connections is waited for in turn, at first and at last.
const MIN_TURN: Duration = Duration::from_millis(2);
const MAX_TURN: Duration = Duration::from_millis(20);

/// How long the call may take to go out on a second connection, while the first one is not waited for.
const SECOND_SEND: Duration = Duration::from_millis(200);

/// How often a wait looks whether the server is known to be down.
const ABANDON_INTERVAL: Duration = Duration::from_millis(250);

/// The second connections that are being opened.
static SECOND_DIALS: AtomicUsize = AtomicUsize::new(0);

/// Opens connections to be kept.
#[derive(Debug, Clone)]
pub(super) struct Keep {
    connector: Arc<Connector>,
    lifetime: Duration,
    connect_patience: Duration,
    /// By scheme, host and port; of those alone that have connections.
    upstreams: Arc<Mutex<HashMap<String, Arc<Kept>>>>,
}

/// What all connections to an upstream share.
#[derive(Debug)]
struct Kept {
    connector: Arc<Connector>,
    /// Scheme, host and port.
    uri: Uri,
    lifetime: Duration,
    /// The most time that a new connection may take.
    connect_patience: Duration,
    /// The connections of an earlier generation are not used any more.
    generation: AtomicU64,
    /// Connections of earlier generations than this wait for a server that is down.
    abandoned: AtomicU64,
    /// How often in a row an old connection has answered before the new one that was to replace it.
    lost_races: AtomicU32,
}

impl Keep {
    pub(super) fn new(connector: Arc<Connector>, lifetime: Duration, connect_patience: Duration) -> Keep {
        Keep { connector, lifetime, connect_patience, upstreams: Arc::default() }
    }

    /// Ends the exchanges with a server that wait for it, for it is known to be down; see [`ErrorKind::ReplicaDown`].
    pub(super) fn abandon(&self, base: &str) {
        let Ok(uri) = base.parse::<Uri>() else { return };
        let upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = upstreams.get(&server_of(&uri)) {
            kept.abandoned.fetch_max(kept.generation.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// From now on, no connection is used that is open now, once its exchange has ended.
    pub(super) fn retire_all(&self) {
        for kept in self.upstreams.lock().unwrap_or_else(PoisonError::into_inner).values() {
            kept.generation.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn upstream(&self, uri: &Uri) -> Arc<Kept> {
        let base = server_of(uri);
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = upstreams.get(&base) {
            return Arc::clone(kept);
        }
        // Those that have no connection are forgotten, so there are no more than connections.
        upstreams.retain(|_, kept| Arc::strong_count(kept) > 1);
        let kept = Arc::new(Kept {
            connector: Arc::clone(&self.connector),
            uri: base.parse().unwrap_or_else(|_| uri.clone()),
            lifetime: self.lifetime,
            connect_patience: self.connect_patience,
            generation: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            lost_races: AtomicU32::new(0),
        });
        upstreams.insert(base, Arc::clone(&kept));
        kept
    }
}

/// The URL of a server.
fn server_of(uri: &Uri) -> String {
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    format!("{}://{authority}/", uri.scheme_str().unwrap_or_default())
}

impl UreqConnector for Keep {
    type Out = Connection;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Connection>, Error> {
        let kept = self.upstream(details.uri);
        let open = kept.open(deadline_of(details.timeout)).map_err(ConnectError)?;
        Ok(Some(Connection { kept, open, request: UnansweredCall::default() }))
    }
}

impl Kept {
    fn open(&self, deadline: Instant) -> Result<OpenConnection, ErrorKind> {
        let generation = self.generation.load(Ordering::Relaxed);
        let deadline = deadline.min(Instant::now() + self.connect_patience);
        let Opened { transport, peer } = self.connector.open(&self.uri, deadline)?;
        Ok(OpenConnection { transport, peer, generation, since: Instant::now(), has_answered: false })
    }

    /// How long a silent connection is waited for alone.
    fn patience(&self, left: Duration) -> Duration {
        let doublings = self.lost_races.load(Ordering::Relaxed).min(MAX_DOUBLINGS);
        let patience = (PATIENCE * 2_u32.pow(doublings)).min(left / PATIENCE_PART);
        patience.max(MIN_PATIENCE.min(left / 2))
    }

    /// The same with a connection that leads there. Where all addresses have been silent lately, none is waited for alone any longer than
    /// has to be.
    fn patience_with(&self, peer: Option<Peer>, left: Duration) -> Duration {
        match peer.map(|peer| peer.others) {
            Some(Others::AllMute(_)) => MIN_PATIENCE.min(left / PATIENCE_PART),
            _ => self.patience(left),
        }
    }

    /// Opens a second connection on a thread of its own, if there may be one more.
    fn open_aside(self: &Arc<Kept>, deadline: Instant) -> Option<Receiver<Result<OpenConnection, ErrorKind>>> {
        let permit = DialPermit::take()?;
        let (sender, receiver) = mpsc::channel();
        let kept = Arc::clone(self);
        let dial = move || {
            let result = kept.open(deadline);
            drop(permit);
            // Nobody wants it any more when the old connection has answered.
            let _ = sender.send(result);
        };
        thread::Builder::new().name("second-dial".to_owned()).spawn(dial).ok().map(|_| receiver)
    }
}

/// The right to open one more second connection.
struct DialPermit;

impl DialPermit {
    fn take() -> Option<DialPermit> {
        if SECOND_DIALS.fetch_add(1, Ordering::Relaxed) >= MAX_SECOND_DIALS {
            SECOND_DIALS.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(DialPermit)
    }
}

impl Drop for DialPermit {
    fn drop(&mut self) {
        SECOND_DIALS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection to an upstream, and the request that is under way on it.
#[derive(Debug)]
pub(super) struct Connection {
    kept: Arc<Kept>,
    open: OpenConnection,
    request: UnansweredCall,
}

/// A connection that is open, as far as is known.
#[derive(Debug)]
struct OpenConnection {
    transport: Box<dyn Transport>,
    /// Where it leads, unless it leads through a proxy.
    peer: Option<Peer>,
    generation: u64,
    since: Instant,
    /// Whether it was good for a response before, so that it may have died since.
    has_answered: bool,
}

impl OpenConnection {
    /// It has answered. If its address counts as mute like all others, it does so no more.
    fn note_response(&mut self, connector: &Connector) {
        self.has_answered = true;
        if let Some(peer @ Peer { others: Others::AllMute(_), .. }) = &mut self.peer {
            connector.note_response(*peer);
            peer.others = Others::Mute;
        }
    }

    /// It has let a query wait in vain.
    fn note_unanswered(&self, connector: &Connector) {
        if let Some(peer) = self.peer {
            connector.note_unanswered(peer);
        }
    }
}

/// The request under way, until its response begins.
#[derive(Default)]
struct UnansweredCall {
    is_unanswered: bool,
    bytes: Vec<u8>,
    /// How many of the bytes went out.
    sent: usize,
    /// Whether they are all of the request's.
    is_whole: bool,
    /// Why no more can go out.
    broken: Option<Error>,
    /// How often its connection was replaced by another one.
    replaced: usize,
}

impl fmt::Debug for UnansweredCall {
    /// Shows nothing of the bytes, which hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnansweredCall").field("is_unanswered", &self.is_unanswered).finish_non_exhaustive()
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.open.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if !self.request.is_unanswered {
            self.request.begin();
        }
        self.request.bytes.extend_from_slice(&self.open.transport.buffers().output()[..amount]);
        if self.request.bytes.len() - self.request.sent > GATHERED_BYTES {
            self.send(timeout);
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if !self.request.is_unanswered {
            return self.await_response(deadline_of(timeout)).map_err(in_response);
        }
        self.send(timeout);
        let begun = Instant::now();
        let first_input = self.first_input(deadline_of(timeout));
        if matches!(first_input, Err(Error::Timeout(_))) && begun.elapsed() >= MIN_PATIENCE {
            self.open.note_unanswered(&self.kept.connector);
        }
        let has_input = first_input?;
        if !self.is_tls() && speaks_tls(self.open.transport.buffers().input()) {
            return Err(ConnectError::from(ConnectFailure::OnlyTls).into());
        }
        self.request.end();
        self.open.note_response(&self.kept.connector);
        Ok(has_input)
    }

    fn is_open(&mut self) -> bool {
        !self.request.is_unanswered
            && self.open.since.elapsed() < self.kept.lifetime
            && self.open.generation == self.kept.generation.load(Ordering::Relaxed)
            && self.open.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.kept.uri.scheme_str() == Some("https")
    }
}

impl UnansweredCall {
    fn begin(&mut self) {
        let bytes = mem::take(&mut self.bytes);
        *self = UnansweredCall { is_unanswered: true, bytes, sent: 0, is_whole: true, broken: None, replaced: 0 };
    }

    fn end(&mut self) {
        self.is_unanswered = false;
        self.bytes.clear();
        self.bytes.shrink_to(GATHERED_BYTES);
    }
}

impl Connection {
    /// Sends what was gathered. What goes wrong is told when the response is awaited, which may have come nevertheless.
    fn send(&mut self, timeout: NextTimeout) {
        let UnansweredCall { bytes, sent, is_whole, broken, .. } = &mut self.request;
        if broken.is_none() {
            *broken = transmit(&mut *self.open.transport, &bytes[*sent..], timeout).err();
        }
        *sent = bytes.len();
        if bytes.len() > MAX_REPEATED_BYTES {
            (*is_whole, *sent) = (false, 0);
            bytes.clear();
        }
    }

    /// Waits for input until an instant, but no longer than until the server is known to be down.
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

    /// Waits for the first bytes of a response: on another connection, if this one was good before and is so no more, or if it stays
    /// silent and the upstream has other addresses.
    fn first_input(&mut self, deadline: Instant) -> Result<bool, Error> {
        let broken = self.request.broken.take();
        let may_be_dead = self.open.has_answered && self.request.is_whole;
        let may_be_mute = self.request.is_whole && self.open.peer.is_some_and(Peer::has_others);
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

    /// Waits for input on a connection that may take no more of the request, for it may say why.
    fn await_unless_broken(&mut self, broken: Option<Error>, until: Instant) -> Result<bool, Error> {
        match (self.await_response(until), broken) {
            (Ok(true), _) => Ok(true),
            (Err(Error::Io(error)), _) if of_rustls(&error).is_some() => Err(Error::Io(error)),
            (_, Some(error)) => Err(error),
            (waited, None) => waited,
        }
    }

    /// Asks on a new connection in the place of one that was closed before it answered, if that was good before or the upstream has
    /// other addresses.
    fn replace_dead(&mut self, waited: Result<bool, Error>, deadline: Instant) -> Result<bool, Error> {
        if !self.open.has_answered {
            match self.open.peer {
                Some(peer) if self.request.replaced < peer.chances() => self.kept.connector.note_mute(peer),
                _ => return waited,
            }
        }
        self.request.replaced += 1;
        self.open = self.kept.open(deadline).map_err(ConnectError)?;
        // The new one may be no better, and the upstream may have further addresses.
        self.request.broken = transmit(&mut *self.open.transport, &self.request.bytes, until(deadline)).err();
        self.first_input(deadline)
    }

    /// Races a silent connection, preferably against one to another address, which is preferred from now on unless this one answers.
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

    /// Opens a second connection beside a silent one, asks there as well, and goes on with the one that answers first. While the second
    /// one is silent as well and there are further addresses, others follow it.
    fn race(&mut self, deadline: Instant) -> Result<bool, Error> {
        let most = match self.open.peer.map(|peer| peer.others) {
            Some(Others::AllMute(others)) => others.min(MAX_RIVALS),
            _ => MAX_RIVALS,
        };
        let mut rivals = Rivals { most, next_at: Some(Instant::now()), ..Rivals::default() };
        let raced = self.race_against(&mut rivals, deadline);
        if matches!(raced, Err(Error::Timeout(_))) {
            let have_had_time = rivals.asking.iter().filter(|rival| rival.since.elapsed() >= MIN_PATIENCE);
            have_had_time.for_each(|rival| rival.note_unanswered(&self.kept.connector));
        }
        raced
    }

    fn race_against(&mut self, rivals: &mut Rivals, deadline: Instant) -> Result<bool, Error> {
        let mut turn = MIN_TURN;
        let mut failure = None;
        loop {
            let now = Instant::now();
            if rivals.next_at.is_some_and(|at| at <= now) {
                rivals.begin(&self.kept, self.open.has_answered, deadline);
            }
            let turn_end = deadline.min(now + turn);
            match self.await_response(turn_end) {
                _ if failure.is_some() => thread::sleep(turn_end.saturating_duration_since(Instant::now())),
                Ok(true) => {
                    self.kept.lost_races.fetch_add(1, Ordering::Relaxed);
                    return Ok(true);
                }
                Err(Error::Timeout(_)) if now < deadline => {}
                waited if is_dead(&waited) => failure = Some(waited),
                waited => return waited,
            }
            rivals.ask_opened(&self.kept, &self.request.bytes, deadline);
            if let Some(winner) = rivals.answering(&self.kept, deadline.min(Instant::now() + turn)) {
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
            turn = (turn * 2).min(MAX_TURN);
        }
    }

    /// Goes on with a connection in the place of a silent one. The others that are kept may be as dead, so they are dropped.
    fn replace_silent(&mut self, by: OpenConnection) {
        let generation = self.kept.generation.fetch_add(1, Ordering::Relaxed) + 1;
        self.kept.lost_races.store(0, Ordering::Relaxed);
        self.open = OpenConnection { generation, ..by };
    }
}

/// The connections beside a silent one.
#[derive(Default)]
struct Rivals {
    opening: Vec<Receiver<Result<OpenConnection, ErrorKind>>>,
    /// Those on which the same is asked.
    asking: Vec<OpenConnection>,
    begun: usize,
    /// The most that are begun.
    most: usize,
    /// When the next one may begin.
    next_at: Option<Instant>,
    /// Why the last one that could not be opened could not be.
    failure: Option<ErrorKind>,
}

impl Rivals {
    /// Begins a further one: the first, or one to an address that is not known to be silent.
    fn begin(&mut self, kept: &Arc<Kept>, was_good: bool, deadline: Instant) {
        let now = Instant::now();
        self.next_at = None;
        if self.begun == self.most {
            return;
        }
        if let Some(peer) = self.asking.last().and_then(|rival| rival.peer) {
            kept.connector.note_mute(peer);
        } else if !self.opening.is_empty() {
            // The address cannot be connected to. The upstream may be on its way to another one.
            kept.connector.forget_addresses(&kept.uri);
        }
        self.begun += 1;
        if let Some(opening) = kept.open_aside(deadline) {
            self.opening.push(opening);
            if was_good {
                self.next_at = Some(now + kept.patience(deadline.saturating_duration_since(now)));
            }
        }
    }

    /// Asks on those that have been opened meanwhile.
    fn ask_opened(&mut self, kept: &Kept, request: &[u8], deadline: Instant) {
        for nth in (0..self.opening.len()).rev() {
            let opened = match self.opening[nth].try_recv() {
                Err(TryRecvError::Empty) => continue,
                Err(TryRecvError::Disconnected) => None,
                Ok(Ok(opened)) => Some(opened),
                Ok(Err(failure)) => {
                    self.failure = Some(failure);
                    None
                }
            };
            self.opening.swap_remove(nth);
            self.next_at = None;
            let Some(mut opened) = opened else { continue };
            let now = Instant::now();
            let has_others = opened.peer.is_some_and(Peer::has_others);
            let is_sent = transmit(&mut *opened.transport, request, until(deadline.min(now + SECOND_SEND))).is_ok();
            if has_others {
                let patience = kept.patience_with(opened.peer, deadline.saturating_duration_since(now));
                self.next_at = Some(if is_sent { now + patience } else { now });
            }
            if is_sent || has_others {
                self.asking.push(opened);
            }
        }
    }

    /// The one that answers. Those that are closed are given up.
    fn answering(&mut self, kept: &Kept, turn_end: Instant) -> Option<OpenConnection> {
        for nth in (0..self.asking.len()).rev() {
            let waited = self.asking[nth].transport.await_input(until(turn_end));
            match waited {
                Ok(true) => return Some(self.asking.swap_remove(nth)),
                Err(Error::Timeout(_)) => {}
                _ => {
                    let closed = self.asking.swap_remove(nth);
                    if let Some(peer) = closed.peer.filter(|peer| peer.has_others()) {
                        kept.connector.note_mute(peer);
                        self.next_at = Some(Instant::now());
                    }
                }
            }
        }
        None
    }

    fn are_none(&self) -> bool {
        self.opening.is_empty() && self.asking.is_empty() && self.next_at.is_none()
    }
}

/// Sends bytes, a buffer of them at a time.
fn transmit(transport: &mut dyn Transport, bytes: &[u8], timeout: NextTimeout) -> Result<(), Error> {
    let deadline = deadline_of(timeout);
    let mut left = bytes;
    while !left.is_empty() {
        let output = transport.buffers().output();
        let (now, later) = left.split_at(left.len().min(output.len()));
        output[..now.len()].copy_from_slice(now);
        transport.transmit_output(now.len(), NextTimeout { after: until(deadline).after, ..timeout })?;
        left = later;
    }
    Ok(())
}

/// Whether a wait shows that the other side has closed the connection.
fn is_dead(waited: &Result<bool, Error>) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    match waited {
        Ok(has_input) => !has_input,
        // The system gives up on a connection that is not acknowledged any more.
        Err(Error::Io(error)) => {
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof)
        }
        Err(_) => false,
    }
}

/// A timeout while a response is being read.
fn in_response(error: Error) -> Error {
    match error {
        Error::Timeout(_) => Error::Timeout(IN_RESPONSE),
        other => other,
    }
}

/// Whether a response begins as an alert of TLS does (RFC 8446, "Record Layer"): 21, and a version 3.x.
fn speaks_tls(input: &[u8]) -> bool {
    input.starts_with(&[21, 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_shows_no_credentials() {
        const SECRET: &[u8] = b"Authorization: Basic aHVzaA==";
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let connector = Arc::new(Connector::to_everything());
        let kept = Keep::new(connector, Duration::from_secs(60), Duration::from_secs(60)).upstream(&uri);
        let open = kept.open(Instant::now() + Duration::from_secs(5)).unwrap();
        let mut connection = Connection { kept, open, request: UnansweredCall::default() };
        connection.buffers().output()[..SECRET.len()].copy_from_slice(SECRET);
        connection.transmit_output(SECRET.len(), NextTimeout::default()).unwrap();
        let shown = format!("{connection:?}");
        let (as_text, as_numbers) = ("aHVzaA", format!("{SECRET:?}"));
        assert!(!shown.contains(as_text) && !shown.contains(as_numbers.trim_matches(['[', ']'])), "{shown}");
    }

    #[test]
    fn what_begins_as_a_tls_alert_is_tls() {
        for (input, expected) in
            [(&b"\x15\x03\x01\x00\x02"[..], true), (b"\x15\x03", true), (b"\x15", false), (b"HTTP", false)]
        {
            assert_eq!(speaks_tls(input), expected, "{input:?}");
        }
    }

    #[test]
    fn patience_grows_with_an_upstream_that_is_slow_but_never_beyond_a_part_of_the_time() {
        let connector = Arc::new(Connector::to_everything());
        let kept = Keep::new(connector, Duration::from_secs(60), Duration::from_secs(60))
            .upstream(&"http://p/".parse().unwrap());
        let check = |lost: u32, left_ms: u64, expected_ms: u64| {
            kept.lost_races.store(lost, Ordering::Relaxed);
            let found = kept.patience(Duration::from_millis(left_ms));
            assert_eq!(found, Duration::from_millis(expected_ms), "{lost} {left_ms}");
        };
        check(0, 600_000, 2_000);
        check(0, 4_000, 1_000);
        check(1, 600_000, 4_000);
        check(5, 600_000, 64_000);
        check(100, 600_000, 64_000);
        check(100, 60_000, 15_000);
        check(0, 1_000, 300);
        check(0, 400, 200);
        check(0, 0, 0);
    }
}
