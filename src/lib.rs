//! **prometheusmirror**: a gateway that lets StackState use the telemetry of a Prometheus without copying it.
//!
//! StackState sends four kinds of query by its Mirror API: POST with JSON. The mirror plans which samples answer a query, reads
//! them from Prometheus over HTTP, turns counters into rates, and responds with points. It keeps no state but small caches.
//!
//! # The map
//!
//! | folder | what it owns |
//! |---|---|
//! | [`settings`] | flags and variables with default and help, in one table; the only place that reads the environment |
//! | [`server`] | listens, takes requests, reads their bodies, writes replies; starts and ends the whole |
//! | `server/workers` | the workers and the bounded queue before them, threads for what may wait for a client |
//! | `server/tiny_http` | what exists only because of tiny_http 0.12, of which `third_party/tiny_http` has a copy with changes |
//! | `server/os` | calls to the operating system: sockets, descriptors, threads, scheduling, panics |
//! | [`api`] | StackState's side: routes, a handler for each kind of query, Connection Details and conditions, existence, explanations |
//! | [`wire`] | the JSON that StackState sends and gets |
//! | [`model`] | queries, series and samples, as plain data |
//! | [`compute`] | the arithmetic: which samples to read, rates, buckets, points, and PromQL where there are too many samples or buckets |
//! | [`prometheus`] | Prometheus's side: a typed client of its HTTP API |
//! | `prometheus/error` | errors of calls to an upstream, and what an admin can do about them |
//! | `prometheus/access` | which upstreams may be called, through which proxy, with which certificates and secrets |
//! | `prometheus/credentials` | how the mirror authenticates: fixed headers, OAuth 2 |
//! | `prometheus/credentials/aws` | signatures for Amazon (SigV4), and where the keys for them come from |
//! | `prometheus/http` | calls and their connections: deadlines, proxies, TLS, the connection pool |
//! | `prometheus/http/connection` | lifetimes of connections; second connections beside a silent one |
//! | `prometheus/http/lookup` | remembered addresses of names, and look-ups in progress |
//! | `prometheus/http/dns` | a DNS client, used where the system's resolver could block |
//! | `prometheus/decode` | how responses are read: JSON, lists, metadata |
//! | `prometheus/decode/json` | JSON tokens, and skipping values |
//! | `prometheus/decode/remote_read` | the frames and messages of a streamed remote read |
//! | `prometheus/upstreams_file` | reading and checking the upstreams file |
//! | `prometheus/upstreams_file/definition` | parts of an upstream's definition: credentials, TLS and proxy, headers |
//! | `prometheus/upstream` | the upstreams in use: connections, replicas, and changes of their file |
//! | `prometheus/client` | state that all requests share, health of upstreams, meaning of responses, records of calls |
//! | `prometheus/client/session` | the calls of one request |
//! | `web` | the explorer: a page that sends in a browser what StackState would send |
//! | [`ask`], [`check`] | the subcommands |
//! | [`error`], [`mod@log`], [`metrics`] | errors of requests, the log, and the mirror's own metrics |
//! | [`mod@file`], [`refreshed`] | files that settings name, results of re-reading them |
//! | [`key`], [`secret`] | the API key, secret texts |
//! | [`memory`], [`mod@sync`] | the memory that requests share, locks and permits |
//! | [`mod@reach`] | the client that the settings describe |
//! | `nearest` | the name that a mistyped one may stand for |
//!
//! Each file begins with a comment that says what it owns. `cargo doc --document-private-items` lists the files of each folder.
//!
//! docs/architecture.md draws and explains how a request goes through them.
//!
//! # Who may import whom
//!
//! `model` imports no other folder, and `compute` imports only `model`; both are pure: no I/O, no clock, no logging.
//! `prometheus` imports nothing of StackState's side, and `wire` nothing of Prometheus's. Only `api` imports both, and `error`,
//! which tells StackState what failed at Prometheus. tiny_http appears only under `server`, ureq only in `prometheus`, `check`
//! and `ask`, `std::env` only in `settings`. A test checks the imports.

pub mod api;
pub mod ask;
pub mod check;
pub mod compute;
pub mod error;
pub mod file;
pub mod key;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod model;
mod nearest;
pub mod prometheus;
pub mod reach;
pub mod refreshed;
pub mod secret;
pub mod server;
pub mod settings;
pub mod sync;
mod web;
pub mod wire;

/// Private parts that fuzz targets and benchmarks need. Not a public interface: it may change at any time.
#[doc(hidden)]
pub mod internals {
    pub use crate::prometheus::internals::*;
}
