//! A call to the issuer of credentials.

use std::io::Read;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::prometheus::error::{AtIssuer, CredentialsFailure, ErrorKind, Issuer};
use crate::prometheus::http::{CallContent, CallTarget, Deadline, OutgoingCall, Transport, UpstreamResponse};

/// The most bytes of a response: 256 KiB, many times the size of the longest tokens and keys.
const MAX_RESPONSE_BYTES: u64 = 256 << 10;

/// Makes the call. Returns the status and the complete body of the response.
///
/// # Errors
/// Fails if there is no complete response before the deadline.
pub(super) fn call_issuer(
    issuer: Issuer,
    transport: &Transport,
    target: CallTarget<'_>,
    path: &str,
    content: CallContent<'_>,
    deadline: Deadline,
) -> Result<(u16, Zeroizing<Vec<u8>>), CredentialsFailure> {
    let server = target.address.to_string();
    let unreachable = |kind: ErrorKind| CredentialsFailure::at(issuer, &server, AtIssuer::Unreachable(Arc::new(kind)));
    let call = OutgoingCall { target, path, content, deadline, trace: None, max_bytes: MAX_RESPONSE_BYTES };
    let UpstreamResponse { status, mut body, .. } = transport.send(call).map_err(unreachable)?;
    let mut bytes = Zeroizing::new(Vec::new());
    body.read_to_end(&mut bytes).map_err(|error| unreachable(body.failure(error)))?;
    Ok((status, bytes))
}
