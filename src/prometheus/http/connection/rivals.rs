//! Further connections beside a silent one, on which the same call is sent.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use ureq::Error;

use crate::prometheus::error::ErrorKind;
use crate::prometheus::http::connector::Peer;
use crate::prometheus::http::ureq_time::until;

use super::kept::{Kept, OpenConnection};
use super::unanswered_call::transmit;

/// How long sending the call on a second connection may take, because the first one is not checked meanwhile.
const SECOND_SEND: Duration = Duration::from_millis(200);

/// The connections beside a silent one.
#[derive(Default)]
pub(super) struct Rivals {
    pub(super) opening: Vec<Receiver<Result<OpenConnection, ErrorKind>>>,
    /// Those on which the call was sent.
    pub(super) waiting: Vec<OpenConnection>,
    /// How many more may begin.
    pub(super) left: usize,
    /// When the next one may begin; `None` if none may.
    pub(super) next_at: Option<Instant>,
    /// The error of the last one that could not be opened.
    pub(super) failure: Option<ErrorKind>,
}

impl Rivals {
    /// Begins another connection: the first one, or one to an address that is not known to be silent.
    pub(super) fn begin(&mut self, kept: &Arc<Kept>, was_good: bool, deadline: Instant) {
        let now = Instant::now();
        self.next_at = None;
        if self.left == 0 {
            return;
        }
        if let Some(peer) = self.waiting.last().and_then(|rival| rival.peer) {
            kept.connector.note_mute(peer);
        } else if !self.opening.is_empty() {
            // The address cannot be connected to. The upstream may be moving to another one.
            kept.connector.forget_addresses(&kept.uri);
        }
        self.left -= 1;
        if let Some(opening) = kept.open_aside(deadline) {
            self.opening.push(opening);
            if was_good {
                self.next_at = Some(now + kept.patience(deadline.saturating_duration_since(now)));
            }
        }
    }

    /// Sends the call on those that have been opened meanwhile.
    pub(super) fn send_on_opened(&mut self, kept: &Kept, request: &[u8], deadline: Instant) {
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
                self.waiting.push(opened);
            }
        }
    }

    /// The first one with a response. Drops those that are closed.
    pub(super) fn answering(&mut self, kept: &Kept, slice_end: Instant) -> Option<OpenConnection> {
        for nth in (0..self.waiting.len()).rev() {
            let waited = self.waiting[nth].transport.await_input(until(slice_end));
            match waited {
                Ok(true) => return Some(self.waiting.swap_remove(nth)),
                Err(Error::Timeout(_)) => {}
                _ => {
                    let closed = self.waiting.swap_remove(nth);
                    if let Some(peer) = closed.peer.filter(|peer| peer.has_others()) {
                        kept.connector.note_mute(peer);
                        self.next_at = Some(Instant::now());
                    }
                }
            }
        }
        None
    }

    pub(super) fn are_none(&self) -> bool {
        self.opening.is_empty() && self.waiting.is_empty() && self.next_at.is_none()
    }
}
