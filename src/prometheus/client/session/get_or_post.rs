//! How the parameters of a call are sent: by POST, or by GET if POST is refused.

use std::time::Instant;

use super::Session;
use super::call::ApiCall;
use crate::prometheus::error::ErrorKind;
use crate::prometheus::http::{CallContent, OutgoingCall, UpstreamResponse, url, url_encoded};

/// The most bytes of a JSON response: 32 MiB, enough for a million samples.
const MAX_JSON_BYTES: u64 = 32 << 20;

/// The most bytes of a URL. ureq writes the first line of a request in one piece, which must fit into its output buffer of 16 KiB
/// (`transport`). It panics at more than 65,534 bytes.
pub(super) const MAX_URL_BYTES: usize = 16_000;

impl Session<'_> {
    /// Sends a call, by GET if the upstream refuses POST, as some read-only proxies do. Returns when the response begins.
    pub(super) fn send(&self, api_call: &ApiCall<'_>) -> Result<UpstreamResponse, ErrorKind> {
        let ApiCall { path, params, deadline, .. } = api_call;
        let params = &url_encoded(params);
        let send = |content| {
            let (target, deadline) = (self.upstream.target(), *deadline);
            if let CallContent::Query(query) = content
                && url(target, path, query).len() > MAX_URL_BYTES
            {
                return Err(ErrorKind::UrlTooLong(MAX_URL_BYTES));
            }
            self.transport().send(OutgoingCall {
                target,
                path,
                content,
                deadline,
                trace: Some(&self.trace),
                max_bytes: MAX_JSON_BYTES,
            })
        };
        if !api_call.by_post || self.upstream.options().is_some_and(|options| options.get_only) {
            return send(CallContent::Query(params));
        }
        let get_only = &self.client.get_only;
        if get_only.has(&self.upstream, Instant::now()) {
            let by_get = send(CallContent::Query(params));
            if !is_too_long(&by_get) {
                return by_get;
            }
            // This closes its connection, on which the rest of the refusal may never arrive.
            drop(by_get);
            get_only.remove(&self.upstream);
            let by_post = send(CallContent::Form(params))?;
            return if is_post_refused(&by_post) { Err(ErrorKind::TooLongForGet) } else { Ok(by_post) };
        }
        let by_post = send(CallContent::Form(params))?;
        if !is_post_refused(&by_post) {
            return Ok(by_post);
        }
        drop(by_post);
        let by_get = send(CallContent::Query(params));
        if is_too_long(&by_get) {
            return Err(ErrorKind::TooLongForGet);
        }
        let by_get = by_get?;
        if !is_post_refused(&by_get) {
            get_only.add(self.upstream.clone(), Instant::now());
        }
        Ok(by_get)
    }
}

/// Whether a response may mean that POST is not allowed.
fn is_post_refused(response: &UpstreamResponse) -> bool {
    matches!(response.status, 403 | 405 | 501)
}

/// Whether a query was too long for a GET: for the proxy in front of the upstream, or for a URL at all.
fn is_too_long(by_get: &Result<UpstreamResponse, ErrorKind>) -> bool {
    match by_get {
        Ok(response) => matches!(response.status, 413 | 414 | 431),
        Err(kind) => matches!(kind, ErrorKind::UrlTooLong(_)),
    }
}
