//! What tests, fuzz targets and benchmarks use of the private parts of this module.

use std::io::Read;

use super::decode::envelope;
use super::decode::json::Decode;

pub use super::credentials::aws::signer::{AwsKeys, Scope, signature};
pub use super::decode::envelope::{Envelope, QueryResult, Status};
pub use super::decode::remote_read::{ReadFailure, decode as remote_read};
pub use super::http::UnsignedCall;

/// Decodes the response to a query. `None` if it cannot be read or is not a response of the API.
pub fn response(body: &mut impl Read) -> Option<Envelope<QueryResult>> {
    envelope::decode(body, QueryResult::decode).ok()
}
