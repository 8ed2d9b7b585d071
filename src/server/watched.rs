//! What may change while the mirror runs: files, which are read again and again, and replicas, which are probed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::api::Gateway;
use crate::file::Refreshed;
use crate::key::CurrentKey;
use crate::log;
use crate::metrics::{Metrics, WatchedFile};

/// How often files are read again that may change.
const FILE_INTERVAL: Duration = Duration::from_secs(5);

/// How often replicas are probed.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Takes over what changes in the file of the key, in the upstreams file and in those that it names.
pub(super) fn refresh_for_ever(key: &CurrentKey, gateway: &Gateway, metrics: &Metrics) {
    let follow = |watched| Follow { watched, metrics, troubles: BTreeMap::new() };
    let (mut key_file, mut upstreams) = (follow(WatchedFile::Key), follow(WatchedFile::Upstreams));
    loop {
        thread::sleep(FILE_INTERVAL);
        let of_key = Refreshed::from(key.refresh());
        key_file.note(of_key.map_troubles(|bad| (bad.path().to_owned(), bad.to_string())));
        let of_upstreams = gateway.refresh_upstreams();
        upstreams.note(of_upstreams.map_troubles(|bad| (bad.path().to_owned(), bad.to_string())));
    }
}

/// Probes the replicas of upstreams that have several.
pub(super) fn probe_for_ever(gateway: &Gateway) {
    loop {
        thread::sleep(PROBE_INTERVAL);
        gateway.probe_replicas();
    }
}

/// What becomes of files that are read again and again, for the log and the metrics.
struct Follow<'m> {
    watched: WatchedFile,
    metrics: &'m Metrics,
    /// What is wrong with each file that was of no use when it was last read, by its path.
    troubles: BTreeMap<PathBuf, String>,
}

impl Follow<'_> {
    /// Counts what was taken over and each file that is of no use. Logs the trouble with a file when it begins or changes, and when it
    /// ends.
    fn note(&mut self, refreshed: Refreshed<(PathBuf, String)>) {
        let line = || log::Line::new("watched file").text("file", self.watched.name());
        if refreshed.has_changed {
            self.metrics.count_file_reload(self.watched, true);
            log::info(|| line().text("change", "taken over"));
        }
        let mut troubles = BTreeMap::new();
        for (path, trouble) in refreshed.troubles {
            // Several upstreams may name one file; the first tells of it.
            troubles.entry(path).or_insert(trouble);
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
