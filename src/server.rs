//! The server: starts the listener and the workers, keeps them going, and ends them in order.

mod body;
mod exchange;
mod listener;
mod os;
mod outgoing;
mod shutdown;
mod tiny_http;
mod workers;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::api::{Access, Gateway};
use crate::file::Refreshed;
use crate::key::{BadKeyFile, CurrentKey};
use crate::log;
use crate::memory::MemoryBudget;
use crate::metrics::{Metrics, WatchedFile};
use crate::prometheus::{BadUpstreamsFile, Client, Proxy};
use crate::reach::{BadReach, reach};
use crate::settings::{KeySource, Settings};

use exchange::Edge;
use listener::Listener;
use os::threads::Threads;
use os::{descriptors, panics, scheduling, socket, threads};
use shutdown::Shutdown;
use tiny_http::host::ConnectionHost;
use tiny_http::limits::LIMITS;
use tiny_http::pipelining::Pipelines;
use workers::blocking_threads::BlockingThreads;
use workers::pool::Pool;
use workers::write_permits::WritePermits;

/// How often files are read again that may change.
const FILE_INTERVAL: Duration = Duration::from_secs(5);

/// How often replicas are probed.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Why the server does not run.
#[derive(Debug)]
pub enum ServerError {
    /// The file of the key is of no use.
    KeyFile(BadKeyFile),
    /// A file of authorities, or that of the proxy, is of no use.
    Reach(BadReach),
    /// The upstreams file, or one that it names, is of no use.
    UpstreamsFile(BadUpstreamsFile),
    /// It cannot listen where it is told to.
    Listen {
        /// The address and port.
        address: SocketAddr,
        /// The system's reason.
        reason: io::Error,
    },
    /// Signals cannot be waited for.
    Signals(io::Error),
    /// There are not enough threads.
    Threads {
        /// The setting.
        workers: usize,
        /// How many threads the mirror needs with so many workers and some connections.
        needed: usize,
        /// How many could be started.
        found: usize,
    },
    /// There is no thread to be had.
    Thread(io::Error),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerError::KeyFile(bad) => write!(f, "{bad}; give another --api-key-file"),
            ServerError::Reach(bad) => bad.fmt(f),
            ServerError::UpstreamsFile(bad) => bad.fmt(f),
            ServerError::Listen { address, reason } => {
                write!(f, "cannot listen on {address}: {reason}; choose another --port or --listen")
            }
            ServerError::Signals(reason) => write!(f, "cannot wait for signals: {reason}"),
            ServerError::Threads { workers, needed, found } => {
                write!(
                    f,
                    "{workers} workers and some connections need {needed} threads, but only {found} can be started: allow \
                     this process more (the pids limit of the container, TasksMax of systemd, ulimit -u)"
                )?;
                match found.saturating_sub(threads::BESIDE_WORKERS) {
                    0 => Ok(()),
                    fewer => write!(f, ", or set --workers to at most {fewer}"),
                }
            }
            ServerError::Thread(reason) => {
                write!(f, "cannot start a thread: {reason}; allow this process more of them")
            }
        }
    }
}

impl std::error::Error for ServerError {}

/// Serves until a signal ends it.
///
/// # Errors
/// When it cannot start: a setting names something that is of no use, or there is no listening there.
pub fn run(settings: &Settings) -> Result<(), ServerError> {
    let shutdown = Shutdown::new().map_err(ServerError::Signals)?;
    descriptors::raise_limit();
    scheduling::do_not_interrupt();
    let metrics = Arc::new(Metrics::new(settings.workers, settings.queue));
    let threads = Threads::new(Arc::clone(&metrics));
    panics::watch(Arc::clone(&metrics));
    let needed = settings.workers + threads::BESIDE_WORKERS;
    let found = threads::available(needed);
    if found < needed {
        return Err(ServerError::Threads { workers: settings.workers, needed, found });
    }

    let key = Arc::new(settings.api_key.load().map_err(ServerError::KeyFile)?);
    let reach = reach(&settings.reach).map_err(ServerError::Reach)?;
    let proxy_name = reach.proxy.as_ref().map(Proxy::to_string).unwrap_or_default();
    let client = Client::new(settings.workers, reach, settings.connection_lifetime, Arc::clone(&metrics))
        .map_err(ServerError::UpstreamsFile)?;
    let named_upstreams = client.names().len();
    let gateway = Gateway::new(
        Arc::clone(&key),
        Access {
            requires_key: settings.require_api_key,
            has_named_only: settings.named_upstreams_only,
            has_explorer: settings.explorer,
        },
        client,
        MemoryBudget::new(settings.memory_budget_bytes),
        Arc::clone(&metrics),
    );
    let edge = Edge::new(gateway, metrics.in_flight.clone(), settings.max_request_bytes, Arc::clone(&threads));

    let address = SocketAddr::new(settings.listen, settings.port);
    let socket = socket::listen(address).map_err(|reason| ServerError::Listen { address, reason })?;
    let bound = socket.local_addr().unwrap_or(address);
    let listener = Arc::new(Listener {
        edge: Arc::clone(&edge),
        pool: Pool::new(settings.workers, settings.queue, Arc::clone(&metrics)).map_err(ServerError::Thread)?,
        blocking_threads: BlockingThreads::start("blocking", Arc::clone(&threads)).map_err(ServerError::Thread)?,
        write_permits: WritePermits::among(settings.workers),
        pipelines: Pipelines::default(),
    });
    if matches!(settings.api_key, KeySource::File(_)) || settings.reach.upstreams_file.is_some() {
        let (edge, metrics) = (Arc::clone(&edge), Arc::clone(&metrics));
        start("files", move || refresh_for_ever(&key, &edge.gateway, &metrics))?;
    }
    if settings.reach.upstreams_file.is_some() {
        let edge = Arc::clone(&edge);
        start("replicas", move || probe_for_ever(&edge.gateway))?;
    }
    let connection_threads = BlockingThreads::start("connection", Arc::clone(&threads)).map_err(ServerError::Thread)?;
    let host = ConnectionHost::new(threads, connection_threads, Arc::clone(&metrics));
    let server = ::tiny_http::Server::with_limits(socket, LIMITS, host).map_err(ServerError::Thread)?;
    start("listener", move || listener.serve(&server))?;
    log::info(|| {
        log::Line::new("listening")
            .text("address", bound)
            .text("version", env!("CARGO_PKG_VERSION"))
            .number("workers", settings.workers as u64)
            .number("threads_needed", needed as u64)
            .text("proxy", proxy_name)
            .number("named_upstreams", named_upstreams as u64)
    });
    shutdown.wait(&edge.gateway, &metrics.in_flight, settings.shutdown_delay, settings.shutdown_grace);
    Ok(())
}

fn start<T>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<(), ServerError> {
    let named = thread::Builder::new().name(name.to_owned());
    named.spawn(move || drop(work())).map(drop).map_err(ServerError::Thread)
}

/// Takes over what changes in the file of the key, in the upstreams file and in those that it names.
fn refresh_for_ever(key: &CurrentKey, gateway: &Gateway, metrics: &Metrics) {
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
fn probe_for_ever(gateway: &Gateway) {
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
            self.metrics.file_reloaded(self.watched, true);
            log::info(|| line().text("change", "taken over"));
        }
        let mut troubles = BTreeMap::new();
        for (path, trouble) in refreshed.troubles {
            // Several upstreams may name one file; the first tells of it.
            troubles.entry(path).or_insert(trouble);
        }
        for (path, trouble) in &troubles {
            self.metrics.file_reloaded(self.watched, false);
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
