//! Whether an upstream may be called. A silent upstream is called by one request at a time.

use std::time::Instant;

use super::Session;
use crate::prometheus::error::{Blame, ErrorKind, Silence, WaitedFor};
use crate::prometheus::upstream::trivial_query;

impl Session<'_> {
    /// Makes sure that only one request at a time queries a silent upstream, and that it sends the trivial query first.
    pub(super) fn admit(&mut self) -> Result<(), ErrorKind> {
        if self.is_admitted {
            return Ok(());
        }
        let client = self.client;
        let admitted = client.health.admit(&self.upstream.health_key(), Instant::now());
        if let Some(probe) = admitted.map_err(ErrorKind::Silent)? {
            self.probe(probe.silence)?;
        }
        self.is_admitted = true;
        Ok(())
    }

    fn probe(&mut self, silence: Silence) -> Result<(), ErrorKind> {
        let began = Instant::now();
        let response = trivial_query::send(self.transport(), self.upstream.target(), self.deadline, Some(&self.trace));
        let response = response.map(|_| ());
        self.note_health(began, response.as_ref().err(), false);
        // The text of a timeout would blame a heavy query, but the trivial query is not heavy.
        response.map_err(|kind| {
            if kind.blame() == Blame::Wait(WaitedFor::Response) { ErrorKind::Silent(silence) } else { kind }
        })
    }

    /// Notes whether an upstream has begun to answer, and whether the response is one of the Prometheus API.
    pub(super) fn note_health(&self, began: Instant, failure: Option<&ErrorKind>, as_prometheus: bool) {
        let (health, upstream) = (&self.client.health, &self.upstream.health_key());
        match failure {
            Some(kind) if !kind.is_response() => {
                if let Blame::Wait(waited_for) = kind.blame() {
                    health.note_silence(upstream, waited_for, began, Instant::now());
                }
            }
            _ => health.note_response(upstream, as_prometheus, Instant::now()),
        }
    }
}
