//! A query that every Prometheus answers at once. It shows whether a server answers at all.

use crate::model::trace::Trace;
use crate::prometheus::error::ErrorKind;
use crate::prometheus::http::{CallContent, CallTarget, Deadline, OutgoingCall, Transport, UpstreamResponse};

/// The query.
pub const TRIVIAL_QUERY: &str = "1";

/// The most bytes of the response.
const MAX_BYTES: u64 = 64 << 10;

/// Sends the query. Returns when the response begins.
///
/// # Errors
/// Fails if there is no response before the deadline.
pub(in crate::prometheus) fn send(
    transport: &Transport,
    target: CallTarget<'_>,
    deadline: Deadline,
    trace: Option<&Trace>,
) -> Result<UpstreamResponse, ErrorKind> {
    let query = format!("query={TRIVIAL_QUERY}");
    let (path, content) = ("/api/v1/query", CallContent::Query(&query));
    transport.send(OutgoingCall { target, path, content, deadline, trace, max_bytes: MAX_BYTES })
}
