//! What a request carries to prove who sends it.

use std::fmt;

use ureq::http::{HeaderMap, Uri};

use super::deadline::Deadline;
use crate::prometheus::error::ErrorKind;
use crate::secret::Secret;

/// A request that is about to be sent.
#[derive(Debug, Clone, Copy)]
pub(in crate::prometheus) struct UnsignedCall<'a> {
    /// `GET` or `POST`.
    pub(in crate::prometheus) method: &'static str,
    /// The whole URL, query included.
    pub(in crate::prometheus) uri: &'a Uri,
    pub(in crate::prometheus) body: &'a [u8],
}

/// Gives requests their credentials.
pub(in crate::prometheus) trait Authorize: fmt::Debug + Send + Sync {
    /// The headers to add to a request.
    ///
    /// # Errors
    /// When the credentials cannot be had before the deadline.
    fn headers(&self, outgoing: &UnsignedCall<'_>, deadline: Deadline) -> Result<HeaderMap, ErrorKind>;

    /// The request with these headers was refused (401 or 403). Sees whether there are other credentials than those: whether another
    /// try makes sense.
    fn renew(&self, refused: &HeaderMap) -> bool;

    /// What requests carry that no text may repeat.
    fn secrets(&self) -> Vec<Secret>;

    /// Whether there are credentials at all.
    fn has_credentials(&self) -> bool;
}
