//! The Prometheus HTTP API as a typed client: a deadline over everything, bounds, connections kept, POST or GET.
//!
//! Knows nothing of StackState. The endpoints and their parameters are those of "HTTP API" and "Remote read" in Prometheus's
//! documentation.

mod access;
mod answer;
mod api_failure;
mod circumstances;
mod client;
mod credentials;
mod deadline;
mod decode;
mod error;
mod foreign;
mod health;
mod http;
mod http_status;
pub(crate) mod internals;
mod named_upstream;
mod named_words;
mod recording;
mod redirect;
mod replicas;
mod trivial_query;
mod upstream;
mod upstreams;
mod upstreams_file;

pub use access::address::BadAddress;
pub use access::allowlist::Allowlist;
pub use access::authorities::{Authorities, BadAuthorities};
pub use access::hosts::BadHost;
pub use access::proxy::{BadProxyFile, NoProxy, Proxy};
pub use answer::{Decoded, decoded};
pub use api_failure::{ApiCause, ApiFailure};
pub use circumstances::{Before, CallKind, Circumstances, Queued};
pub use client::{Client, Lane, MAX_CALLS, Reach, SampleQuery, SamplesRead, Session};
pub use credentials::aws::environment::AwsEnvironment;
pub use credentials::failure::CredentialsFailure;
pub use deadline::Deadline;
pub use decode::envelope::ResultType;
pub use error::{Error, ErrorKind, cut, shortened};
pub use foreign::Foreign;
pub use health::{Silence, WaitedFor};
pub use http::connect_failure::{ConnectFailure, TlsFailure};
pub use http_status::{StatusFailure, StatusMeaning};
pub use recording::{CallRecord, MAX_SERIES, ReadRecord, Recording, SeriesRecord};
pub use redirect::Redirect;
pub use trivial_query::TRIVIAL_QUERY;
pub use upstream::Upstream;
pub use upstreams::BadUpstreamsFile;
pub use upstreams_file::definition::Options;
