//! What all requests share: connections, upstreams, and what was learnt about them.

pub(super) mod recording;
pub(super) mod response;
pub(super) mod sample_query;
pub(super) mod session;

mod health;
mod params;

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cache::Cache;
use crate::file::Refreshed;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::model::query::PartialResponse;
use crate::model::trace::Trace;

use super::access::allowlist::Allowlist;
use super::access::authorities::Authorities;
use super::access::proxy::Proxy;
use super::access::tls_settings::TlsSettings;
use super::credentials::aws::environment::AwsEnvironment;
use super::error::{Error, ErrorKind};
use super::http::deadline::Deadline;
use super::http::rotating_transport::Surroundings;
use super::http::tls::Tls;
use super::http::transport::{ANY_PATIENCE, SharedTransport, Transport};
use super::upstream::Upstream;
use super::upstream::all_named::{BadUpstreamsFile, Upstreams};
use health::Health;
use session::Session;

/// How many upstreams something is remembered about, and for how long: that they take only GET, that they have no remote
/// read, that they are VictoriaMetrics. Then it is tried again.
const LEARNT_UPSTREAMS: usize = 256;
const LEARNT_LIFETIME: Duration = Duration::from_secs(3600);

/// The most calls of one request.
pub const MAX_CALLS: u32 = 100;

/// What all requests share: the kept connections and what was learnt about upstreams.
#[derive(Debug)]
pub struct Client {
    /// The connections to all upstreams that Connection Details give the addresses of.
    transport: Transport,
    upstreams: Upstreams,
    get_only: Cache<Upstream, ()>,
    without_remote_read: Cache<Upstream, ()>,
    victoria_metrics: Cache<Upstream, ()>,
    health: Health,
    lanes: RandomState,
    workers: usize,
    metrics: Arc<Metrics>,
}

/// Which upstreams may be asked, and how they are reached.
#[derive(Debug)]
pub struct Reach {
    /// Which upstreams Connection Details may give the address of.
    pub allowlist: Allowlist,
    /// What the certificates of `https` upstreams are checked against.
    pub authorities: Authorities,
    /// The proxy that upstreams are asked through.
    pub proxy: Option<Proxy>,
    /// The file of the named upstreams.
    pub upstreams_file: Option<PathBuf>,
    /// What Amazon's programs take from the environment.
    pub aws: AwsEnvironment,
}

impl Client {
    /// A client for this many workers, each of which may keep a connection to any upstream that may be asked, for as long as
    /// `connection_lifetime`.
    ///
    /// # Errors
    /// When the upstreams file, or a file that it names, is of no use.
    pub fn new(
        workers: usize,
        reach: Reach,
        connection_lifetime: Duration,
        metrics: Arc<Metrics>,
    ) -> Result<Client, BadUpstreamsFile> {
        let Reach { allowlist, authorities, proxy, upstreams_file, aws } = reach;
        let learnt = || Cache::new(LEARNT_UPSTREAMS, LEARNT_LIFETIME);
        let tls = || Tls::new(TlsSettings::default_config(&authorities), None);
        let shared = SharedTransport::new(workers, connection_lifetime, tls());
        let proxy_tls = Arc::clone(&shared.proxy_tls);
        let transport = Transport::new(&shared, allowlist, proxy.clone(), tls(), proxy_tls, ANY_PATIENCE);
        let around = Surroundings { shared, authorities, proxy };
        let upstreams = match upstreams_file {
            Some(path) => Upstreams::from_file(path, around, aws)?,
            None => Upstreams::none(around, aws),
        };
        Ok(Client {
            transport,
            upstreams,
            get_only: learnt(),
            without_remote_read: learnt(),
            victoria_metrics: learnt(),
            health: Health::default(),
            lanes: RandomState::new(),
            workers,
            metrics,
        })
    }

    /// The named upstream of this name, or the only one there is if no name is given.
    pub fn named(&self, name: Option<&str>) -> Option<Upstream> {
        self.upstreams.find(name)
    }

    /// All named upstreams, replica by replica, in the order of their file.
    pub fn all_named(&self) -> Vec<Upstream> {
        self.upstreams.all()
    }

    /// The names of all named upstreams, in the order of their file.
    pub fn names(&self) -> Vec<String> {
        self.upstreams.names()
    }

    /// Probes the replicas of named upstreams that have several, which takes seconds at most.
    pub fn probe_replicas(&self) {
        self.upstreams.probe_replicas();
    }

    /// Takes over what has changed in the upstreams file and in those that it names, whatever is wrong with some of them.
    pub fn refresh(&self) -> Refreshed<BadUpstreamsFile> {
        self.upstreams.refresh()
    }

    /// The calls of one request to one upstream, which together end before a deadline. What they find is held in `memory`.
    pub fn session(
        &self,
        upstream: Upstream,
        deadline: Deadline,
        partial: PartialResponse,
        memory: Memory,
        trace: Arc<Trace>,
    ) -> Session<'_> {
        Session::new(self, upstream, deadline, partial, memory, trace)
    }

    /// How requests to an upstream share the workers with others.
    ///
    /// # Errors
    /// When they need not wait for a worker: the upstream does not answer, and another request is finding out whether it does again.
    pub fn lane(&self, upstream: &Upstream) -> Result<Lane, Error> {
        let most = upstream.options().and_then(|options| options.max_in_flight);
        let lane = |is_known| Lane { upstream: self.lanes.hash_one(upstream.lane_key()), is_known, most };
        match self.health.is_known(&upstream.health_key(), Instant::now()) {
            Ok(is_known) => Ok(lane(is_known)),
            Err(silence) => Err(Error::uncalled(upstream.shown(), ErrorKind::Silent(silence))),
        }
    }

    /// Why a request was not answered that found no worker before its deadline, of whose upstream so many workers waited.
    pub fn no_worker(&self, upstream: &Upstream, deadline: Deadline, held_by_upstream: usize) -> Error {
        let most = upstream.options().and_then(|options| options.max_in_flight);
        let kind =
            ErrorKind::NoWorker { timeout_ms: deadline.whole_ms(), held_by_upstream, workers: self.workers, most };
        Error::uncalled(upstream.shown(), kind)
    }
}

/// How a request shares the workers with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// A number of the server that it asks, whatever the path and the credentials.
    pub upstream: u64,
    /// Whether the upstream has answered lately.
    pub is_known: bool,
    /// The most workers that may ask it at a time, if that is set.
    pub most: Option<usize>,
}
