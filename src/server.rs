//! The server: starts the listener and the workers, and shuts them down in order.

mod body;
mod exchange;
mod listener;
mod os;
mod outgoing;
mod shutdown;
mod tiny_http;
mod watched;
mod workers;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use crate::api::Gateway;
use crate::key::CurrentKey;
use crate::log;
use crate::memory::MemoryBudget;
use crate::metrics::Metrics;
use crate::prometheus::Proxy;
use crate::reach;
use crate::settings::{KeySource, Settings};

use body::BodyBounds;
use exchange::Shared;
use listener::{Listener, write_permits};
use os::threads::Threads;
use os::{descriptors, panics, scheduling, socket, threads};
use shutdown::Shutdown;
use tiny_http::host::ConnectionHost;
use tiny_http::limits::LIMITS;
use tiny_http::pipelining::Pipelines;
use workers::blocking_threads::BlockingThreads;
use workers::pool::Pool;

/// Serves until a signal ends it.
///
/// # Errors
/// Fails if a setting names a file or an address that cannot be used, or if threads are missing: a sentence that says what to do.
pub fn run(settings: &Settings) -> Result<(), String> {
    let shutdown = Shutdown::new().map_err(|reason| format!("cannot wait for signals: {reason}"))?;
    descriptors::raise_limit();
    scheduling::do_not_interrupt();
    let metrics = Arc::new(Metrics::new(settings.workers, settings.queue_size));
    let threads = Threads::new(Arc::clone(&metrics));
    panics::watch(Arc::clone(&metrics));
    let threads_needed = check_threads(settings.workers)?;

    let key = settings.api_key.load().map_err(|bad| bad.to_string())?;
    let key = Arc::new(key);
    let (client, proxy) = reach::client(&settings.reach, settings.workers, settings.connection_lifetime, &metrics)?;
    let named_upstreams = client.upstreams.names().len();
    let memory = MemoryBudget::new(settings.memory_budget_bytes);
    let gateway = Gateway::new(Arc::clone(&key), settings.access, client, memory, Arc::clone(&metrics));
    let shared = Arc::new(Shared {
        gateway,
        in_flight: metrics.in_flight.clone(),
        bounds: BodyBounds::new(settings.max_request_bytes),
        threads: Arc::clone(&threads),
    });

    let address = SocketAddr::new(settings.listen, settings.port);
    let socket = socket::listen(address)
        .map_err(|reason| format!("cannot listen on {address}: {reason}; choose another --port or --listen"))?;
    let bound = socket.local_addr().unwrap_or(address);
    let listener = Arc::new(Listener {
        shared: Arc::clone(&shared),
        pool: Pool::new(settings.workers, settings.queue_size, Arc::clone(&metrics)).map_err(no_thread)?,
        blocking_threads: BlockingThreads::start("blocking", Arc::clone(&threads)).map_err(no_thread)?,
        write_permits: write_permits(settings.workers),
        pipelines: Pipelines::default(),
    });
    watch(settings, &key, &shared, &metrics)?;
    let connection_threads = BlockingThreads::start("connection", Arc::clone(&threads)).map_err(no_thread)?;
    let host = Arc::new(ConnectionHost { threads, connection_threads, metrics: Arc::clone(&metrics) });
    let server = ::tiny_http::Server::with_limits(socket, LIMITS, host).map_err(no_thread)?;
    start("listener", move || listener.serve(&server))?;
    log::info(|| {
        log::Line::new("listening")
            .text("address", bound)
            .text("version", env!("CARGO_PKG_VERSION"))
            .number("workers", settings.workers as u64)
            .number("threads_needed", threads_needed as u64)
            .text("proxy", proxy.as_ref().map(Proxy::to_string).unwrap_or_default())
            .number("named_upstreams", named_upstreams as u64)
    });
    shutdown.wait(&shared.gateway, &metrics.in_flight, settings.shutdown_delay, settings.shutdown_grace);
    Ok(())
}

/// How many threads the mirror needs with this many workers.
///
/// # Errors
/// Fails if it cannot start them.
fn check_threads(workers: usize) -> Result<usize, String> {
    let needed = workers + threads::BESIDE_WORKERS;
    let found = threads::available(needed);
    if found >= needed {
        return Ok(needed);
    }
    let fewer = match found.saturating_sub(threads::BESIDE_WORKERS) {
        0 => String::new(),
        fewer => format!(", or set --workers to at most {fewer}"),
    };
    Err(format!(
        "{workers} workers and some connections need {needed} threads, but only {found} can be started: allow this process more \
         (the pids limit of the container, TasksMax of systemd, ulimit -u){fewer}"
    ))
}

/// The error of a thread that cannot be started.
fn no_thread(reason: io::Error) -> String {
    format!("cannot start a thread: {reason}; allow this process more of them")
}

/// Starts the thread that re-reads files, if settings name any, and the one that probes replicas, if there is an upstreams file.
fn watch(
    settings: &Settings,
    key: &Arc<CurrentKey>,
    shared: &Arc<Shared>,
    metrics: &Arc<Metrics>,
) -> Result<(), String> {
    let has_upstreams_file = settings.reach.upstreams_file.is_some();
    if has_upstreams_file || matches!(settings.api_key, KeySource::File(_)) {
        let (key, shared, metrics) = (Arc::clone(key), Arc::clone(shared), Arc::clone(metrics));
        start("files", move || watched::refresh_for_ever(&key, &shared.gateway, &metrics))?;
    }
    if has_upstreams_file {
        let shared = Arc::clone(shared);
        start("replicas", move || watched::probe_for_ever(&shared.gateway))?;
    }
    Ok(())
}

fn start<T>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<(), String> {
    let named = thread::Builder::new().name(name.to_owned());
    named.spawn(move || drop(work())).map(drop).map_err(no_thread)
}
