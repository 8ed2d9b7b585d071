//! The upstreams of the upstreams file, which are reloaded when the file changes.

use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use crate::file::{self, BadFile};
use crate::refreshed::Refreshed;

use super::Upstream;
use super::named::NamedUpstream;
use crate::prometheus::access::Unusable;
use crate::prometheus::credentials::aws::environment::AwsEnvironment;
use crate::prometheus::http::SharedTransport;
use crate::prometheus::upstreams_file::definition::{self, Definition};
use crate::sync::Current;

/// The most bytes of the file: 1 MiB, as much as a Kubernetes Secret can hold.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The upstreams of the upstreams file.
pub struct Upstreams {
    path: Option<PathBuf>,
    shared: SharedTransport,
    aws: AwsEnvironment,
    current: Current<Vec<Arc<NamedUpstream>>>,
}

impl Upstreams {
    /// The upstreams of a file; none without a file.
    ///
    /// # Errors
    /// Fails if the file, or one that it names, cannot be used.
    pub(in crate::prometheus) fn new(
        path: Option<PathBuf>,
        shared: SharedTransport,
        aws: AwsEnvironment,
    ) -> Result<Upstreams, BadFile> {
        let upstreams = Upstreams { path, shared, aws, current: Current::default() };
        if let Some(path) = &upstreams.path {
            upstreams.take_over(path, read(path)?)?;
        }
        Ok(upstreams)
    }

    /// Reloads the file and the files that it names, where they have changed. A file that cannot be used keeps its old content
    /// and does not stop the others.
    pub fn refresh(&self) -> Refreshed<BadFile> {
        let Some(path) = &self.path else { return Ok(false).into() };
        let own = read(path).and_then(|definitions| {
            let has_changed = self.current.get().iter().map(|one| &*one.definition).ne(&definitions);
            if has_changed { self.take_over(path, definitions).map(|()| true) } else { Ok(false) }
        });
        let current = self.current.get();
        let named = current.iter().map(|upstream| {
            // The line of the value may have changed since the upstream was created.
            let no_longer = |unusable: Unusable| {
                let to_correct = unusable.file.as_deref().unwrap_or(path).to_owned();
                let what = format!(", upstream {}: {}", upstream.definition.name, unusable.of_named());
                BadFile { path: to_correct, ..bad(path, &what) }
            };
            upstream.refresh(&self.shared.authorities).map_troubles(no_longer)
        });
        iter::once(own.into()).chain(named).collect()
    }

    /// Puts new definitions in force. An upstream whose definition has not changed keeps its connections and all that was learnt
    /// about it.
    fn take_over(&self, path: &Path, definitions: Vec<Definition>) -> Result<(), BadFile> {
        let before = self.current.get();
        let now = definitions.into_iter().map(|definition| {
            if let Some(same) = before.iter().find(|one| *one.definition == definition) {
                return Ok(Arc::clone(same));
            }
            let name = definition.name.clone();
            NamedUpstream::new(definition, &self.shared, &self.aws)
                .map(Arc::new)
                .map_err(|unusable| bad(path, &format!(", upstream {name}, line {}: {unusable}", unusable.place.line)))
        });
        self.current.set(now.collect::<Result<_, _>>()?);
        Ok(())
    }

    /// The upstream with this name. Without a name, the only upstream of the file; `None` if it has several.
    pub fn find(&self, name: Option<&str>) -> Option<Upstream> {
        let current = self.current.get();
        let found = match name {
            Some(name) => current.iter().find(|one| one.definition.name == name),
            None if current.len() == 1 => current.first(),
            None => None,
        };
        found.map(|upstream| Upstream::named(Arc::clone(upstream), upstream.current_replica()))
    }

    /// Probes the replicas of each upstream that has several, on a thread each. Returns when all probes are done, after a few
    /// seconds at most.
    pub fn probe_replicas(&self) {
        let current = self.current.get();
        thread::scope(|scope| {
            for upstream in current.iter().filter(|one| one.definition.addresses.len() > 1) {
                let probe = thread::Builder::new().name("replica-probe".to_owned());
                // Without a thread, the next round probes it.
                let _ = probe.spawn_scoped(scope, || upstream.probe_replicas());
            }
        });
    }

    /// All upstreams, one item for each replica, in the order of the file.
    pub fn all(&self) -> Vec<Upstream> {
        self.current.get().iter().flat_map(|one| Upstream::named(Arc::clone(one), 0).replicas()).collect()
    }

    /// The names in the order of the file.
    pub fn names(&self) -> Vec<String> {
        self.current.get().iter().map(|one| one.definition.name.clone()).collect()
    }
}

/// Reads the file by its path each time, because a mounted Secret is replaced by renaming.
fn read(path: &Path) -> Result<Vec<Definition>, BadFile> {
    let text = file::read_text(path, MAX_FILE_BYTES)
        .map_err(|why| bad(path, &format!(" {} (--upstreams-file, or UPSTREAMS_FILE)", why.with_remedy())))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    definition::parse(&text, folder).map_err(|what| bad(path, &format!(", {what}")))
}

/// An error about the upstreams file.
fn bad(path: &Path, what: &str) -> BadFile {
    BadFile { path: path.to_owned(), text: format!("the upstreams file {}{what}", path.display()) }
}
