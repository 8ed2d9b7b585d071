//! The Prometheus HTTP API as a typed client, with a deadline for every call, bounds on everything that it keeps, kept connections,
//! and GET where POST is refused.
//!
//! Imports nothing of StackState's side; only its error texts name the fields of Connection Details. The endpoints and their
//! parameters are those of "HTTP API" and "Remote read" in Prometheus's documentation.

mod access;
mod client;
mod credentials;
mod decode;
mod error;
mod http;
pub(crate) mod internals;
mod remembered;
mod upstream;
mod upstreams_file;

pub use access::{Allowlist, Authorities, BadAddress, BadHost, NoProxy, Proxy};
pub use client::call_record::CallRecord;
pub use client::sample_query::{SampleQuery, SamplesRead};
pub use client::session::Session;
pub use client::{Client, Lane, MAX_CALLS, Reach};
pub use credentials::aws::environment::AwsEnvironment;
pub use decode::envelope::ResultType;
pub use error::{
    ApiCause, ApiFailure, Before, Blame, CallKind, Circumstances, ConnectFailure, CredentialsFailure, Error, ErrorKind,
    Foreign, LookupFailure, Queued, Redirect, ServersSeen, ShownUpstream, Silence, StatusFailure, StatusMeaning,
    TlsFailure, WaitedFor, cut, shortened,
};
pub use http::{Deadline, mirror_without_tls};
pub use upstream::Upstream;
pub use upstream::all_named::Upstreams;
pub use upstream::trivial_query::TRIVIAL_QUERY;
pub use upstreams_file::definition::Options;
