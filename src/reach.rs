//! Makes the client of upstreams from settings, and reads the files that they name.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::metrics::Metrics;
use crate::prometheus::{Authorities, BadUpstreamsFile, Client, Proxy, Reach};
use crate::settings::{ProxySource, ReachSettings};

/// A file that a setting names and that is unusable.
#[derive(Debug)]
pub enum BadReach {
    /// A file of CA certificates: which, and why.
    CaFile(String),
    /// The file with the URL of the proxy: which, and why.
    ProxyFile(String),
    /// The upstreams file, or one that it names.
    UpstreamsFile(BadUpstreamsFile),
}

impl fmt::Display for BadReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadReach::CaFile(bad) => {
                write!(f, "--ca-path must be the path of a PEM file, or of a directory of them, but {bad}")
            }
            BadReach::ProxyFile(bad) => write!(f, "{bad}; give another --proxy-file"),
            BadReach::UpstreamsFile(bad) => bad.fmt(f),
        }
    }
}

impl std::error::Error for BadReach {}

/// A client for `workers` queries at a time that uses each connection for `connection_lifetime`; and its proxy, if there is one.
///
/// # Errors
/// If a file that a setting names is unusable.
pub fn client(
    settings: &ReachSettings,
    workers: usize,
    connection_lifetime: Duration,
    metrics: &Arc<Metrics>,
) -> Result<(Client, Option<Proxy>), BadReach> {
    let ReachSettings { allow_upstream, upstreams_file, ca_path, proxy, aws } = settings;
    let authorities =
        ca_path.as_ref().map(|path| Authorities::from_path(path)).transpose().map_err(BadReach::CaFile)?;
    let proxy = match proxy {
        None => None,
        Some(ProxySource::Given(proxy)) => Some(proxy.clone()),
        Some(ProxySource::File(path, no_proxy)) => {
            Some(Proxy::from_file(path, no_proxy.clone()).map_err(BadReach::ProxyFile)?)
        }
    };
    let reach = Reach {
        allowlist: allow_upstream.clone(),
        authorities: authorities.unwrap_or_default(),
        proxy: proxy.clone(),
        upstreams_file: upstreams_file.clone(),
        aws: aws.clone(),
    };
    let client = Client::new(workers, reach, connection_lifetime, Arc::clone(metrics));
    Ok((client.map_err(BadReach::UpstreamsFile)?, proxy))
}
