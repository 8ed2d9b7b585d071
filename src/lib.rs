//! **prometheusmirror**: a gateway that lets StackState use the telemetry of a Prometheus without copying it.
//!
//! StackState sends queries in its Mirror API: four POST methods with JSON. The mirror plans which samples answer a query, reads
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
//! | `server/os` | what is asked of the operating system: sockets, descriptors, threads, scheduling, panics |
//! | [`api`] | StackState's side: routes, a handler for each method, Connection Details and conditions, existence, explanations |
//! | [`wire`] | the JSON that StackState sends and gets |
//! | [`model`] | what is asked and what was found, as plain data |
//! | [`compute`] | the arithmetic: which samples to read, rates, buckets, points, and PromQL where there are too many samples |
//! | [`prometheus`] | Prometheus's side: a typed client of its HTTP API |
//! | `prometheus/error` | what goes wrong on the way to an upstream, and what an admin can do about it |
//! | `prometheus/access` | which upstreams may be asked, through which proxy, with which certificates and secrets |
//! | `prometheus/credentials` | who the mirror is: fixed headers, OAuth 2 |
//! | `prometheus/credentials/aws` | signatures for Amazon, and where their keys come from |
//! | `prometheus/http` | exchanges and connections: deadlines, proxies, TLS, connections that are kept |
//! | `prometheus/http/connection` | what is kept of an upstream; connections beside a silent one |
//! | `prometheus/http/lookup` | what is known of names and of their look-ups |
//! | `prometheus/http/dns` | addresses of names, where the system's resolver would wait |
//! | `prometheus/decode` | how responses are read: JSON, lists, metadata |
//! | `prometheus/decode/json` | tokens of JSON, and what is skipped |
//! | `prometheus/decode/remote_read` | the frames and messages of a streamed remote read |
//! | `prometheus/decode/xor_chunk` | how samples are packed in a chunk; a reference for tests |
//! | `prometheus/upstreams_file` | what the upstreams file says |
//! | `prometheus/upstreams_file/definition` | parts of an upstream's definition: credentials, TLS and proxy, headers |
//! | `prometheus/upstream` | the upstreams in force: connections, replicas, and how they follow their file |
//! | `prometheus/client` | what all requests share, health of upstreams, meaning of responses, recordings |
//! | `prometheus/client/session` | the calls of one request |
//! | `web` | the explorer: a page that sends in a browser what StackState would send |
//! | [`ask`], [`check`] | the subcommands |
//! | [`error`], [`mod@log`], [`metrics`] | what a request can end with, and what the mirror tells of itself |
//! | [`cache`], [`mod@file`], [`key`], [`memory`], [`mod@reach`], [`secret`] | a bounded cache, files that change, the API key, the memory that requests share, who may be reached, texts that are not shown |
//!
//! Each file begins with what it owns; the documentation of a folder lists them (`cargo doc --document-private-items`).
//!
//! # The way of a request
//!
//! listener → exchange → api (route) → body → api (wire → model) → pool → api (handler) → compute → prometheus → compute → wire → reply.
//! docs/architecture.md draws and explains it.
//!
//! # Who may import whom
//!
//! `model` imports nothing of ours, `compute` only `model`; both are pure: no I/O, no clock, no logging. `prometheus` knows nothing
//! of StackState, `wire` nothing of Prometheus; only `api` knows both, and `error`, which tells the one what happened at the other.
//! tiny_http appears only under `server`, ureq only in `prometheus`, `check` and `ask`, `std::env` only in `settings`. A test reads
//! the imports and holds this.

pub mod api;
pub mod ask;
pub mod cache;
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
pub mod secret;
pub mod server;
pub mod settings;
mod web;
pub mod wire;

/// What fuzz targets and benchmarks reach of the private parts. Not an interface: it may change at any time.
#[doc(hidden)]
pub mod internals {
    pub use crate::prometheus::internals::*;
}
