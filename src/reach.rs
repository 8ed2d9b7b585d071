//! From settings to what a client reaches: the files that settings name are read here, once.

use std::fmt;

use crate::prometheus::{Authorities, BadAuthorities, BadProxyFile, Proxy, Reach};
use crate::settings::{ProxySource, ReachSettings};

/// A file that a setting names and that is of no use.
#[derive(Debug)]
pub enum BadReach {
    /// A file of authorities.
    CaFile(BadAuthorities),
    /// The file of the proxy.
    ProxyFile(BadProxyFile),
}

impl fmt::Display for BadReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadReach::CaFile(bad) => {
                write!(f, "--ca-file must be the path of a PEM file, or of a directory of them, but {bad}")
            }
            BadReach::ProxyFile(bad) => write!(f, "{bad}; give another --proxy"),
        }
    }
}

impl std::error::Error for BadReach {}

/// What a client reaches by these settings.
///
/// # Errors
/// When a file that one of them names is of no use. The upstreams file is read by the client.
pub fn reach(settings: &ReachSettings) -> Result<Reach, BadReach> {
    let ReachSettings { allow_upstream, upstreams_file, ca_file, proxy, aws } = settings;
    let authorities =
        ca_file.as_ref().map(|path| Authorities::from_path(path)).transpose().map_err(BadReach::CaFile)?;
    let proxy = match proxy {
        None => None,
        Some(ProxySource::Given(proxy)) => Some(proxy.clone()),
        Some(ProxySource::File(path, no_proxy)) => {
            Some(Proxy::from_file(path, no_proxy.clone()).map_err(BadReach::ProxyFile)?)
        }
    };
    Ok(Reach {
        allowlist: allow_upstream.clone(),
        authorities: authorities.unwrap_or_default(),
        proxy,
        upstreams_file: upstreams_file.clone(),
        aws: aws.clone(),
    })
}
