//! HTTP to an upstream: name look-ups, connections, the tunnel through a proxy, and the meaning of their failures.
//!
//! Knows nothing of the Prometheus API. ureq appears only here and in `access`.

pub(super) mod authorize;
pub(super) mod call;
pub(super) mod deadline;
pub(super) mod form;
pub(super) mod response;
pub(super) mod rotating_transport;
pub(super) mod tls;
pub(super) mod transport;

mod connection;
mod connector;
mod dial;
mod dns;
mod failure;
mod lookup;
mod mute;
mod tcp;
mod tls_failure;
mod tunnel;
mod ureq_time;
