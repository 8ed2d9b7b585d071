//! A call to an upstream: its target and its content.

use super::authorize::Authorize;
use super::deadline::Deadline;
use crate::model::trace::Trace;
use crate::prometheus::access::Address;

/// What is sent, and how.
#[derive(Clone, Copy)]
pub(in crate::prometheus) enum CallContent<'a> {
    /// Encoded parameters, by POST as a form.
    Form(&'a str),
    /// An empty body, by PUT.
    EmptyPut,
    /// Encoded parameters, by GET in the URL; may be empty.
    Query(&'a str),
    /// The body of a remote read, by POST.
    RemoteRead(&'a [u8]),
}

/// Where a call goes.
#[derive(Clone, Copy)]
pub(in crate::prometheus) struct CallTarget<'a> {
    pub(in crate::prometheus) address: &'a Address,
    /// Parameters that every call has in its URL, as `name=value&...`; may be empty.
    pub(in crate::prometheus) url_query: &'a str,
    pub(in crate::prometheus) credentials: &'a dyn Authorize,
}

/// A call, before it is sent.
#[derive(Clone, Copy)]
pub(in crate::prometheus) struct OutgoingCall<'a> {
    pub(in crate::prometheus) target: CallTarget<'a>,
    /// The path below the base URL, such as `/api/v1/query`.
    pub(in crate::prometheus) path: &'a str,
    pub(in crate::prometheus) content: CallContent<'a>,
    pub(in crate::prometheus) deadline: Deadline,
    /// The trace headers of the request, which the call passes on.
    pub(in crate::prometheus) trace: Option<&'a Trace>,
    /// The most bytes of the response's body.
    pub(in crate::prometheus) max_bytes: u64,
}

/// The URL of a call with encoded parameters.
pub(in crate::prometheus) fn url(target: CallTarget<'_>, path: &str, query: &str) -> String {
    let mut url = format!("{}{path}", target.address.base());
    for (part, separator) in [target.url_query, query].into_iter().filter(|part| !part.is_empty()).zip(["?", "&"]) {
        url.extend([separator, part]);
    }
    url
}
