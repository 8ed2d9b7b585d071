//! The client that all requests share: connections, upstreams, and what the mirror has learnt about them.

pub(super) mod call_record;
pub(super) mod response;
pub(super) mod sample_query;
pub(super) mod session;

mod health;
mod params;

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::file::BadFile;
use crate::metrics::Metrics;

use super::access::{Allowlist, Authorities, Proxy};
use super::credentials::aws::environment::AwsEnvironment;
use super::error::{Error, ErrorKind};
use super::http::{Deadline, SharedTransport, Transport};
use super::remembered::Remembered;
use super::upstream::Upstream;
use super::upstream::all_named::Upstreams;
use health::Health;

/// The most calls that one request may make.
pub const MAX_CALLS: u32 = 100;

/// How long the mirror remembers what it has learnt about an upstream, and about how many upstreams. Then it tries again.
const LEARNT_FOR: Duration = Duration::from_secs(3600);
const MAX_LEARNT: usize = 256;

/// Queries upstreams for all requests.
///
/// The process has one. It owns the kept connections, the upstreams of the upstreams file, and what the mirror has learnt about
/// upstreams: that they accept only GET, have no remote read, are VictoriaMetrics, or do not answer. It makes no calls itself: each
/// request starts a [`Session`](session::Session) for those to its upstream.
///
/// ```text
/// let upstream = Upstream::at_url("http://prometheus:9090")?;
/// let lane = client.lane(&upstream)?;                     // how the request shares the workers
/// let mut session = client.session(upstream, deadline, partial, memory, trace);
/// let (result_type, series) = session.instant("sum(up)", None)?;
/// ```
pub struct Client {
    /// Connections to the upstreams whose addresses are in Connection Details.
    transport: Transport,
    /// The upstreams of the upstreams file.
    pub upstreams: Upstreams,
    get_only: Remembered<Upstream>,
    without_remote_read: Remembered<Upstream>,
    victoria_metrics: Remembered<Upstream>,
    health: Health,
    lanes: RandomState,
    workers: usize,
    metrics: Arc<Metrics>,
}

/// Which upstreams the mirror may query, and how it reaches them: the settings of a [`Client`].
#[derive(Debug)]
pub struct Reach {
    /// The upstreams that Connection Details may name by address.
    pub allowlist: Allowlist,
    /// The authorities that must have issued the certificates of `https` upstreams.
    pub authorities: Authorities,
    /// The proxy in front of the upstreams.
    pub proxy: Option<Proxy>,
    /// The upstreams file.
    pub upstreams_file: Option<PathBuf>,
    /// The environment variables that Amazon's SDKs read.
    pub aws: AwsEnvironment,
}

impl Client {
    /// Creates a client for this many workers, each of which may keep one connection to every upstream, for at most
    /// `connection_lifetime`.
    ///
    /// # Errors
    /// Fails if the upstreams file, or a file that it names, cannot be read or is not valid.
    pub fn new(
        workers: usize,
        reach: Reach,
        connection_lifetime: Duration,
        metrics: Arc<Metrics>,
    ) -> Result<Client, BadFile> {
        let Reach { allowlist, authorities, proxy, upstreams_file, aws } = reach;
        let shared = SharedTransport::new(workers, connection_lifetime, authorities, proxy);
        Ok(Client {
            transport: shared.to_given_upstreams(allowlist),
            upstreams: Upstreams::new(upstreams_file, shared, aws)?,
            get_only: Remembered::new(MAX_LEARNT, LEARNT_FOR),
            without_remote_read: Remembered::new(MAX_LEARNT, LEARNT_FOR),
            victoria_metrics: Remembered::new(MAX_LEARNT, LEARNT_FOR),
            health: Health::default(),
            lanes: RandomState::new(),
            workers,
            metrics,
        })
    }

    /// The lane of an upstream, which decides how its requests share the workers with those of other upstreams.
    ///
    /// # Errors
    /// Fails if waiting for a worker is pointless: the upstream does not answer, and another request is already probing it.
    pub fn lane(&self, upstream: &Upstream) -> Result<Lane, Error> {
        let responded_lately = self.health.responded_lately(&upstream.health_key(), Instant::now());
        let responded_lately =
            responded_lately.map_err(|silence| Error::uncalled(upstream.shown(), ErrorKind::Silent(silence)))?;
        Ok(Lane {
            id: self.lanes.hash_one(upstream.lane_key()),
            responded_lately,
            max_in_flight: upstream.max_in_flight(),
        })
    }

    /// The error for a request that got no worker before its deadline; `held_by_upstream` workers were busy with its upstream.
    pub fn no_worker(&self, upstream: &Upstream, deadline: Deadline, held_by_upstream: usize) -> Error {
        let kind = ErrorKind::NoWorker {
            timeout_ms: deadline.whole_ms(),
            held_by_upstream,
            workers: self.workers,
            max_in_flight: upstream.max_in_flight(),
        };
        Error::uncalled(upstream.shown(), kind)
    }
}

/// How a request shares the workers with requests to other upstreams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// Identifies what shares workers: a named upstream with all its replicas, or a server, whatever the path and the credentials.
    pub id: u64,
    /// Whether the replica or the base URL to be called has responded within the last ten minutes and is not silent now.
    pub responded_lately: bool,
    /// The most workers that may query it at a time, if `max_in_flight` is set.
    pub max_in_flight: Option<usize>,
}
