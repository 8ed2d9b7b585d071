//! HTTP to an upstream: connections, the proxy's tunnel, and what their failures mean.
//!
//! Knows nothing of the Prometheus API. ureq appears only here and in `access`.

pub(super) mod transport;

mod failure;
mod gathered;
mod resolver;
mod tunnel;
