//! The Prometheus HTTP API as a typed client: a deadline over everything, bounds, connections kept, POST or GET.
//!
//! Knows nothing of StackState. The endpoints and their parameters are those of "HTTP API" and "Remote read" in Prometheus's
//! documentation.

mod allowlist;
mod answer;
mod authorities;
mod client;
mod decode;
mod error;
mod failure;
mod gathered;
mod hosts;
pub(crate) mod internals;
mod proxy;
mod resolver;
mod transport;
mod tunnel;
mod upstream;

pub use allowlist::Allowlist;
pub use answer::{Decoded, decoded};
pub use authorities::{Authorities, BadAuthorities};
pub use client::{Client, MAX_CALLS, SampleQuery, SamplesRead, Session};
pub use decode::envelope::ResultType;
pub use error::{Error, ErrorKind, shortened};
pub use hosts::BadHost;
pub use proxy::{BadProxyFile, NoProxy, Proxy};
pub use upstream::{BadAddress, Upstream};
