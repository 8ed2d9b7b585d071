//! A query that every Prometheus can answer at once, which tells whether one answers at all.

use crate::model::trace::Trace;
use crate::prometheus::error::ErrorKind;
use crate::prometheus::http::deadline::Deadline;
use crate::prometheus::http::transport::{Answer, Content, Question, Target, Transport};

/// The query.
pub const TRIVIAL_QUERY: &str = "1";

/// The most bytes of the answer.
const MAX_BYTES: u64 = 64 << 10;

/// Begins to ask it.
///
/// # Errors
/// When there is no answer before the deadline.
pub(in crate::prometheus) fn ask(
    transport: &Transport,
    target: Target<'_>,
    deadline: Deadline,
    trace: Option<&Trace>,
) -> Result<Answer, ErrorKind> {
    let params = vec![("query", TRIVIAL_QUERY.to_owned())];
    let (path, content) = ("/api/v1/query", Content::Query(&params));
    transport.exchange(Question { target, path, content, deadline, trace, max_bytes: MAX_BYTES })
}
