//! A call to an upstream: where it goes, and what it carries.

use super::authorize::Authorize;
use super::deadline::Deadline;
use super::form::{Params, form};
use crate::model::trace::Trace;
use crate::prometheus::access::address::Address;

/// What is sent, and how.
#[derive(Debug, Clone, Copy)]
pub(in crate::prometheus) enum CallContent<'a> {
    /// Parameters by POST, as a form.
    Form(&'a Params),
    /// A form that is encoded already, by POST.
    EncodedForm(&'a str),
    /// Nothing, by PUT.
    EmptyPut,
    /// Parameters by GET, in the URL.
    Query(&'a Params),
    /// The body of a remote read, by POST.
    RemoteRead(&'a [u8]),
}

/// Where a call goes.
#[derive(Debug, Clone, Copy)]
pub(in crate::prometheus) struct CallTarget<'a> {
    pub(in crate::prometheus) address: &'a Address,
    /// What stands in the URL of every call, as `name=value&...`, or nothing.
    pub(in crate::prometheus) url_query: &'a str,
    pub(in crate::prometheus) credentials: &'a dyn Authorize,
}

/// A call, before it is sent.
#[derive(Debug, Clone, Copy)]
pub(in crate::prometheus) struct OutgoingCall<'a> {
    pub(in crate::prometheus) target: CallTarget<'a>,
    /// Such as `/api/v1/query`.
    pub(in crate::prometheus) path: &'a str,
    pub(in crate::prometheus) content: CallContent<'a>,
    pub(in crate::prometheus) deadline: Deadline,
    /// What goes along.
    pub(in crate::prometheus) trace: Option<&'a Trace>,
    /// The most bytes of the response's body.
    pub(in crate::prometheus) max_bytes: u64,
}

/// The URL of a call.
pub(in crate::prometheus) fn url(target: CallTarget<'_>, path: &str, content: CallContent<'_>) -> String {
    let mut url = target.address.endpoint(path);
    let params = if let CallContent::Query(params) = content { form(params) } else { String::new() };
    for (part, separator) in
        [target.url_query, params.as_str()].into_iter().filter(|part| !part.is_empty()).zip(["?", "&"])
    {
        url.extend([separator, part]);
    }
    url
}
