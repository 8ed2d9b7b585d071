//! Re-reads files that may change, and probes replicas, at fixed intervals.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::api::Gateway;
use crate::file::BadFile;
use crate::key::CurrentKey;
use crate::log;
use crate::metrics::{Metrics, WATCHED_FILES};
use crate::refreshed::Refreshed;

/// How often files are re-read.
const FILE_INTERVAL: Duration = Duration::from_secs(5);

/// How often replicas are probed.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Follows changes of the API key file, the upstreams file and the files it names.
pub(super) fn refresh_for_ever(key: &CurrentKey, gateway: &Gateway, metrics: &Metrics) {
    let follow = |watched| Follow { watched, metrics, troubles: BTreeMap::new() };
    let [mut key_file, mut upstreams] = WATCHED_FILES.map(follow);
    loop {
        thread::sleep(FILE_INTERVAL);
        key_file.note(key.refresh().into());
        upstreams.note(gateway.upstreams().refresh());
    }
}

/// Probes the replicas of each upstream that has several.
pub(super) fn probe_for_ever(gateway: &Gateway) {
    loop {
        thread::sleep(PROBE_INTERVAL);
        gateway.upstreams().probe_replicas();
    }
}

/// Logs and counts the results of re-reading files.
struct Follow<'m> {
    watched: &'static str,
    metrics: &'m Metrics,
    /// By path, what is wrong with each file that was unusable when it was last read.
    troubles: BTreeMap<PathBuf, String>,
}

impl Follow<'_> {
    /// Counts a change, and each unusable file. Logs the trouble with a file when it begins, changes or ends.
    fn note(&mut self, refreshed: Refreshed<BadFile>) {
        let line = || log::Line::new("watched file").text("file", self.watched);
        if refreshed.has_changed {
            self.metrics.count_file_reload(self.watched, true);
            log::info(|| line().text("change", "taken over"));
        }
        let mut troubles = BTreeMap::new();
        for BadFile { path, text } in refreshed.troubles {
            // Several upstreams may name the same file: report it once.
            troubles.entry(path).or_insert(text);
        }
        for (path, trouble) in &troubles {
            self.metrics.count_file_reload(self.watched, false);
            if self.troubles.get(path) != Some(trouble) {
                log::warn(|| {
                    line().text("path", path.display()).text("error", trouble).text("change", "not taken over")
                });
            }
        }
        for path in self.troubles.keys().filter(|path| !troubles.contains_key(*path)) {
            log::info(|| line().text("path", path.display()).text("change", "trouble has ended"));
        }
        self.troubles = troubles;
    }
}
