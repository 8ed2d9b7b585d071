//! What all connections to an upstream share: their generation, and how long a silent one is waited for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::Uri;
use ureq::unversioned::transport::Transport;

use crate::prometheus::error::ErrorKind;
use crate::prometheus::http::connector::{Connector, Others, Peer};
use crate::sync::{Mutex, Permits};

/// How long a kept connection may be silent before a second one is opened, and the part of the remaining time that this may be.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
pub(super) const PATIENCE_PART: u32 = 4;

/// The minimum of that time, or half of the remaining time if that is shorter, because upstreams on busy machines are slow.
pub(super) const MIN_PATIENCE: Duration = Duration::from_millis(300);

/// How often the patience with an upstream may double. It doubles each time that the old connection wins, because the upstream is
/// then slow, not dead.
pub(super) const MAX_DOUBLINGS: u32 = 5;

/// The most second connections that are opened at a time, each on a thread.
static SECOND_DIALS: Permits = Permits::new(16);

/// Opens connections that ureq keeps.
#[derive(Debug, Clone)]
pub(in crate::prometheus::http) struct Keep {
    pub(super) connector: Arc<Connector>,
    /// By scheme, host and port. Contains only upstreams with connections, and is cleaned up when one is added.
    pub(super) upstreams: Arc<Mutex<HashMap<String, Arc<Kept>>>>,
}

/// What all connections to an upstream share.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) connector: Arc<Connector>,
    /// Scheme, host and port.
    pub(super) uri: Uri,
    /// Connections of earlier generations are not reused.
    pub(super) generation: AtomicU64,
    /// Connections of earlier generations than this are waiting for a server that is down.
    pub(super) abandoned: AtomicU64,
    /// How often in a row the old connection had a response before the new one that was to replace it.
    pub(super) lost_races: AtomicU32,
}

impl Keep {
    pub(in crate::prometheus::http) fn new(connector: Arc<Connector>) -> Keep {
        Keep { connector, upstreams: Arc::default() }
    }

    /// Ends the calls that wait for a server that is known to be down; see [`ErrorKind::ReplicaDown`].
    pub(in crate::prometheus::http) fn abandon(&self, base: &str) {
        let Ok(uri) = base.parse::<Uri>() else { return };
        let upstreams = self.upstreams.lock();
        if let Some(kept) = upstreams.get(&server_of(&uri)) {
            kept.abandoned.fetch_max(kept.generation.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// Makes sure that no connection that is open now is used after its current call.
    pub(in crate::prometheus::http) fn retire_all(&self) {
        for kept in self.upstreams.lock().values() {
            kept.generation.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn upstream(&self, uri: &Uri) -> Arc<Kept> {
        let base = server_of(uri);
        let mut upstreams = self.upstreams.lock();
        if let Some(kept) = upstreams.get(&base) {
            return Arc::clone(kept);
        }
        // Forgets upstreams without connections, so that there are no more entries than connections.
        upstreams.retain(|_, kept| Arc::strong_count(kept) > 1);
        let kept = Arc::new(Kept {
            connector: Arc::clone(&self.connector),
            uri: base.parse().unwrap_or_else(|_| uri.clone()),
            generation: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            lost_races: AtomicU32::new(0),
        });
        upstreams.insert(base, Arc::clone(&kept));
        kept
    }
}

/// The URL of a server.
pub(super) fn server_of(uri: &Uri) -> String {
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    format!("{}://{authority}/", uri.scheme_str().unwrap_or_default())
}

impl Kept {
    pub(super) fn open(&self, deadline: Instant) -> Result<OpenConnection, ErrorKind> {
        let generation = self.generation.load(Ordering::Relaxed);
        let (transport, peer) = self.connector.open(&self.uri, deadline)?;
        Ok(OpenConnection { transport, peer, generation, since: Instant::now(), has_answered: false })
    }

    /// How long a silent connection is waited for before a second one is opened.
    pub(super) fn patience(&self, left: Duration) -> Duration {
        let doublings = self.lost_races.load(Ordering::Relaxed).min(MAX_DOUBLINGS);
        let patience = (PATIENCE * 2_u32.pow(doublings)).min(left / PATIENCE_PART);
        patience.max(MIN_PATIENCE.min(left / 2))
    }

    /// The patience with a connection to this address. If all addresses have been silent lately, it is short.
    pub(super) fn patience_with(&self, peer: Option<Peer>, left: Duration) -> Duration {
        match peer.map(|peer| peer.others) {
            Some(Others::AllMute(_)) => MIN_PATIENCE.min(left / PATIENCE_PART),
            _ => self.patience(left),
        }
    }

    /// Opens a second connection on a thread, if the bound allows one more.
    pub(super) fn open_aside(
        self: &Arc<Kept>,
        deadline: Instant,
    ) -> Option<Receiver<Result<OpenConnection, ErrorKind>>> {
        let permit = SECOND_DIALS.take()?;
        let (sender, receiver) = mpsc::channel();
        let kept = Arc::clone(self);
        let dial = move || {
            let result = kept.open(deadline);
            drop(permit);
            // There is no receiver any more if the old connection has won.
            let _ = sender.send(result);
        };
        thread::Builder::new().name("second-dial".to_owned()).spawn(dial).ok().map(|_| receiver)
    }
}

/// A connection that is open, as far as is known.
#[derive(Debug)]
pub(super) struct OpenConnection {
    pub(super) transport: Box<dyn Transport>,
    /// The address that it leads to; `None` through a proxy.
    pub(super) peer: Option<Peer>,
    pub(super) generation: u64,
    pub(super) since: Instant,
    /// Whether it has had a response before, so that it may have died since.
    pub(super) has_answered: bool,
}

impl OpenConnection {
    /// Notes a response. If all addresses counted as mute, this one does not any more.
    pub(super) fn note_response(&mut self, connector: &Connector) {
        self.has_answered = true;
        if let Some(peer @ Peer { others: Others::AllMute(_), .. }) = &mut self.peer {
            connector.note_response(*peer);
            peer.others = Others::Mute;
        }
    }

    /// Notes that a call waited on it without a response.
    pub(super) fn note_unanswered(&self, connector: &Connector) {
        if let Some(peer) = self.peer {
            connector.note_unanswered(peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::access::{Allowlist, Authorities};
    use crate::prometheus::http::SharedTransport;

    #[test]
    fn patience_with_a_slow_upstream_grows_up_to_a_part_of_the_time() {
        let shared = SharedTransport::new(1, Duration::from_secs(60), Authorities::default(), None);
        let transport = shared.to_given_upstreams(Allowlist::everything());
        let kept = transport.kept.upstream(&"http://p/".parse().unwrap());
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
