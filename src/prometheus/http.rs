//! HTTP to an upstream: name look-ups, connections, the tunnel through a proxy, and the meaning of their failures.
//!
//! Knows nothing of the Prometheus API. Other parts use only ureq's types of headers and URLs (`ureq::http`), and `access` its TLS.

mod authorize;
mod call;
mod connection;
mod connector;
mod deadline;
mod dial;
mod dns;
mod failure;
mod form;
mod lookup;
mod response;
mod rotating_transport;
mod tcp;
mod tls;
mod tls_failure;
mod transport;
mod tunnel;
mod ureq_time;

pub(super) use authorize::Authorize;
pub(super) use call::{CallContent, CallTarget, OutgoingCall, url};
pub(super) use form::{Params, RESERVED, url_encoded};
pub(super) use response::{UpstreamResponse, content_type};
pub(super) use rotating_transport::RotatingTransport;
pub(super) use transport::{ANY_PATIENCE, SharedTransport, Transport};

pub use authorize::UnsignedCall;
pub use deadline::Deadline;
pub use tls_failure::mirror_without_tls;
