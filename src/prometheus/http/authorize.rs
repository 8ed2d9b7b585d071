//! How calls get their credentials.

use ureq::http::{HeaderMap, Uri};

use super::deadline::Deadline;
use crate::prometheus::error::ErrorKind;
use crate::secret::Secret;

/// A call that is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct UnsignedCall<'a> {
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    /// The complete URL with its query.
    pub uri: &'a Uri,
    /// The body.
    pub body: &'a [u8],
}

/// Gives calls their credentials.
pub(in crate::prometheus) trait Authorize: Send + Sync {
    /// The headers to add to a call.
    ///
    /// # Errors
    /// Fails if there are no credentials before the deadline.
    fn headers(&self, outgoing: &UnsignedCall<'_>, deadline: Deadline) -> Result<HeaderMap, ErrorKind>;

    /// The upstream refused the call with these headers (401 or 403). Checks whether there are other credentials now. Returns
    /// whether a retry makes sense. It makes none with credentials that do not change.
    fn renew(&self, _refused: &HeaderMap) -> bool {
        false
    }

    /// The secrets that calls carry, which no text may contain.
    fn secrets(&self) -> Vec<Secret>;

    /// Whether there are credentials at all.
    fn has_credentials(&self) -> bool;
}
