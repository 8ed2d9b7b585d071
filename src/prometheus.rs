//! The Prometheus HTTP API as a typed client, with a deadline for every call, bounds on everything that it keeps, kept connections,
//! and GET where POST is refused.
//!
//! Knows nothing of StackState. The endpoints and their parameters are those of "HTTP API" and "Remote read" in Prometheus's
//! documentation.

mod access;
mod client;
mod credentials;
mod decode;
mod error;
mod http;
pub(crate) mod internals;
mod upstream;
mod upstreams_file;

pub use access::address::BadAddress;
pub use access::allowlist::Allowlist;
pub use access::authorities::Authorities;
pub use access::hosts::BadHost;
pub use access::proxy::{NoProxy, Proxy};
pub use client::recording::{CallRecord, MAX_SERIES, ReadRecord, Recording, SeriesRecord};
pub use client::sample_query::{SampleQuery, SamplesRead};
pub use client::session::Session;
pub use client::{Client, Lane, MAX_CALLS, Reach};
pub use credentials::aws::environment::AwsEnvironment;
pub use decode::envelope::ResultType;
pub use error::api_failure::{ApiCause, ApiFailure};
pub use error::circumstances::{Before, CallKind, Circumstances, Queued};
pub use error::connect_failure::ConnectFailure;
pub use error::credentials_failure::CredentialsFailure;
pub use error::foreign::Foreign;
pub use error::redirect::Redirect;
pub use error::shortened::{cut, shortened};
pub use error::silence::{Silence, WaitedFor};
pub use error::status_failure::{StatusFailure, StatusMeaning};
pub use error::tls_failure::TlsFailure;
pub use error::{Error, ErrorKind, ShownUpstream};
pub use http::deadline::Deadline;
pub use upstream::Upstream;
pub use upstream::all_named::BadUpstreamsFile;
pub use upstream::trivial_query::TRIVIAL_QUERY;
pub use upstreams_file::definition::Options;
