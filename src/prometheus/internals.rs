//! What fuzz targets and benchmarks use of the private parts of this module.

use std::io::Read;
use std::time::SystemTime;

use super::credentials::aws::signer::{AwsKeys, Scope, signature};
use super::decode::envelope;
use super::decode::json::Decode;
use super::http::authorize::UnsignedCall;
use crate::secret::Secret;

pub use super::decode::envelope::{Envelope, QueryResult, Status};
pub use super::decode::remote_read::{ReadFailure, decode as remote_read};

/// Decodes the response to a query. `None` if it cannot be read or is not a response of the API.
pub fn response(body: &mut impl Read) -> Option<Envelope<QueryResult>> {
    envelope::decode(body, QueryResult::decode).ok()
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
