//! Makes the client of upstreams from settings, and reads the files that they name.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::metrics::Metrics;
use crate::prometheus::{Authorities, Client, Proxy, Reach};
use crate::settings::{ProxySource, ReachSettings};

/// A client for `workers` queries at a time that uses each connection for `connection_lifetime`; and its proxy, if there is one.
///
/// # Errors
/// If a file that a setting names is unusable: a sentence that names the file, and says what to do.
pub fn client(
    settings: &ReachSettings,
    workers: usize,
    connection_lifetime: Duration,
    metrics: &Arc<Metrics>,
) -> Result<(Client, Option<Proxy>), String> {
    let ReachSettings { allow_upstream, upstreams_file, ca_path, proxy, aws } = settings;
    let authorities = authorities(ca_path.as_deref())?;
    let proxy = match proxy {
        None => None,
        Some(ProxySource::Given(proxy)) => Some(proxy.clone()),
        Some(ProxySource::File(path, no_proxy)) => Some(Proxy::from_file(path, no_proxy.clone())?),
    };
    let reach = Reach {
        allowlist: allow_upstream.clone(),
        authorities,
        proxy: proxy.clone(),
        upstreams_file: upstreams_file.clone(),
        aws: aws.clone(),
    };
    let client = Client::new(workers, reach, connection_lifetime, Arc::clone(metrics));
    Ok((client.map_err(|bad| bad.to_string())?, proxy))
}

/// The authorities of `--ca-path`, or the public ones.
///
/// # Errors
/// If a file is unusable: a sentence that names it.
pub fn authorities(ca_path: Option<&Path>) -> Result<Authorities, String> {
    let read = ca_path.map(Authorities::from_path).transpose();
    let bad =
        |bad| format!("--ca-path, or CA_PATH, must be the path of a PEM file, or of a directory of them, but {bad}");
    read.map(Option::unwrap_or_default).map_err(bad)
}
