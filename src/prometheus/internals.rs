//! What fuzz targets and benchmarks use of the private parts of this module.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::SystemTime;

use super::credentials::aws::signer::{AwsKeys, Scope, signature};
use super::decode::remote_read;
use super::http::authorize::UnsignedCall;
use super::upstreams_file::definition;
use crate::model::sample::{Labels, Sample, SampleSink, Series};
use crate::model::time::TimeRange;
use crate::secret::Secret;

pub use super::decode::remote_read::{RemoteReadCounts, request as remote_read_request};

/// Decodes the response to a remote read.
///
/// # Errors
/// Fails with what is wrong with it.
pub fn remote_read(
    body: &mut impl Read,
    range: TimeRange,
    sink: &mut impl SampleSink,
) -> Result<RemoteReadCounts, String> {
    remote_read::decode(body, range, sink).map_err(|failure| failure.to_string())
}

/// Decodes all series of a response to a remote read.
///
/// # Errors
/// Fails with what is wrong with it.
pub fn remote_read_series(body: &mut impl Read, range: TimeRange) -> Result<Vec<Series>, String> {
    let mut collected = Collected(Vec::new());
    remote_read(body, range, &mut collected)?;
    Ok(collected.0)
}

struct Collected(Vec<Series>);

impl SampleSink for Collected {
    fn begin(&mut self, labels: impl FnOnce() -> Labels) {
        self.0.push(Series { labels: labels(), ..Series::default() });
    }

    fn take(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        if let Some(series) = self.0.last_mut() {
            series.samples.extend_from_slice(samples);
        }
        ControlFlow::Continue(())
    }
}

/// The number of upstreams in an upstreams file.
///
/// # Errors
/// Fails with what is wrong with it.
pub fn upstreams_file(text: &str) -> Result<usize, String> {
    definition::parse(text, Path::new("")).map(|definitions| definitions.len())
}

/// A request to sign for Amazon.
#[derive(Debug)]
pub struct ToSign<'a> {
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    /// The URL.
    pub url: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// The id of the key, the secret key, and the token of temporary keys.
    pub keys: (&'a str, &'a str, Option<&'a str>),
    /// The region and the service.
    pub scope: (&'a str, &'a str),
}

/// The headers that sign a request; `None` if the URL is not valid.
pub fn sign(request: &ToSign<'_>, at: SystemTime) -> Option<Vec<(&'static str, String)>> {
    let (access_key, secret_key, session_token) = request.keys;
    let keys = AwsKeys {
        access_key: access_key.to_owned(),
        secret_key: Secret::new(secret_key),
        session_token: session_token.map(Secret::new),
    };
    let uri = request.url.parse().ok()?;
    let outgoing = UnsignedCall { method: request.method, uri: &uri, body: request.body };
    let (region, service) = request.scope;
    let headers = signature(&outgoing, &keys, Scope { region, service }, at);
    Some(headers.into_iter().map(|(name, value)| (name, value.reveal().to_owned())).collect())
}
