//! **prometheusmirror**: a gateway that lets StackState use the telemetry of a Prometheus without copying it.
//!
//! StackState asks in its Mirror API, four POST methods with JSON. The mirror turns each question into PromQL, asks
//! Prometheus over HTTP, turns counters into rates, and answers with points. It keeps no state but small caches.
//!
//! # The map
//!
//! | room | what it owns |
//! |---|---|
//! | `main` | settings in, server up, exit code out |
//! | [`settings`] | flags and variables, checked; `settings/table` has them all with default and help, `settings/ask_flags` the flags of `ask`, `settings/shell` help, completions and the manual page made of both, `settings/allocator` those of the C library |
//! | [`check`] | the subcommand that asks another mirror whether it is ready |
//! | `check/upstreams` | the same of the named upstreams |
//! | [`reach`](mod@reach) | from settings to what a client reaches |
//! | [`key`] | the API key: compared, and read again when its file changes |
//! | [`file`](mod@file) | files that settings name, read up to a bound |
//! | [`server`] | starts the whole, and ends it: `server/shutdown` has the signals and the order of the end |
//! | `server/os` | what is asked of the operating system: `server/os/socket` the listening socket, `server/os/descriptors` the file descriptors, `server/os/threads` whether there are enough threads, `server/os/scheduling` how threads share the cores, `server/os/panics` what a panic leads to, `server/os/random` unpredictable numbers |
//! | `server/listener`, `server/exchange`, `server/body`, `server/outgoing` | the tiny_http edge: taking requests in; one from arrival to written reply; its body; its reply |
//! | `server/workers` | who does the work: `server/workers/pool` the workers and the bounded queue before them, `server/workers/blocking_threads` threads for what may wait for a client, `server/workers/write_permits` how many workers write their replies themselves |
//! | `server/tiny_http` | what exists only because of tiny_http 0.12, of which `third_party/tiny_http` has a copy with changes: `server/tiny_http/framing` requests whose end is not certain, `server/tiny_http/host` the threads that serve connections, and what happens where something is missing, `server/tiny_http/limits` what connections may cost before they have brought a request, `server/tiny_http/pipelining` one request of a connection at a time and none after the last |
//! | [`api`] | the route table, the fence against panics; `api/reply` the reply and its key |
//! | `api/connection`, `api/field_name`, `api/field_value`, `api/metric` | a handler a file: wire request in, response or error out |
//! | `api/samples` | gauges and counters: which samples are read, and what becomes of them; `api/sample_reading` reads them within the memory of a query, `api/found_points` is what a query finds |
//! | `api/expression`, `api/evaluation` | `~`: which calls are made for an expression, and what becomes of what they find |
//! | `api/promql_answer` | PromQL in the place of arithmetic, when there are too many samples |
//! | [`ask`] | `prometheusmirror ask`: `ask/request` from flags to a request, `ask/http` through a running mirror, `ask/show` tables, `ask/plot` plots, `ask/curl` the request as a command |
//! | `api/explain` | the explanation of an answer, for those who ask for it |
//! | `api/existence` | nothing found: told apart from what never existed |
//! | `api/datasource`, `api/condition` | connection details and conditions, checked and turned into our own types |
//! | `nearest` | which known names a misspelt one is near to |
//! | `api/request_head` | what is known of a request before its body is read |
//! | `api/probe` | whether the ranges of an engine include their left end |
//! | [`wire`] | what StackState sends, `wire/request` with `wire/connection_details` and `wire/conditions`, and gets, `wire/response` and `wire/metrics_response`; `wire/explanation` how an answer came to be, `wire/strict_json` objects that are not lists, `wire/scalar` and `wire/text` values of bounded size, `wire/number` numbers in JSON |
//! | [`model`] | what is asked and what was found, plain data: `model/query` the validated query, `model/time` instants and ranges, `model/sample` series and samples, `model/metric_type` declared types, `model/texts` many short texts, `model/decimal` numbers as they are written, `model/calendar` dates and times of day, `model/duration` durations as they are written, `model/trace` what ties requests to others |
//! | [`compute`] | the arithmetic: `compute/promql` from the query to PromQL text, `compute/at_modifier` the times in an expression, `compute/tokens` the texts and words in it, `compute/plan` which instants and windows to ask for, `compute/raw` raw samples and rates, `compute/aggregate` samples in buckets by the `compute/bucket_method` of `compute/gauges`, `compute/counters` or `compute/rate_sweep`, `compute/buckets` where buckets lie, `compute/rate` from a counter's samples to rates, `compute/screen` which samples count, `compute/sum` sums, `compute/origins` what points are made of, `compute/distinct` several series where one is wanted, `compute/points` limit and order, `compute/metric_kind` which metrics are offered as counters and which as gauges |
//! | [`prometheus`] | the Prometheus HTTP API as a typed client: `prometheus/upstream` which Prometheus is queried, `prometheus/upstreams_file` what the upstreams file says (`prometheus/upstreams_file/yaml` the YAML, `prometheus/upstreams_file/fields` its values, `prometheus/upstreams_file/definition` each upstream), `prometheus/named_upstream` an upstream of it in force, `prometheus/upstreams` all of them, `prometheus/replicas` which of several is asked, `prometheus/trivial_query` whether one answers at all, `prometheus/recording` what a question did, for its explanation, `prometheus/credentials` who the mirror is (`prometheus/credentials/fixed` by a fixed header, `prometheus/credentials/named` by the upstreams file, `prometheus/credentials/oauth2` by a token, `prometheus/credentials/aws` by signatures for Amazon: `prometheus/credentials/aws/signer` signs, `prometheus/credentials/aws/sources` finds the keys, `prometheus/credentials/aws/environment` in the environment, `prometheus/credentials/aws/answers` in answers; `prometheus/credentials/single_fetch` what is fetched once for all, `prometheus/credentials/exchange` from whom, `prometheus/credentials/failure` what goes wrong with it, `prometheus/credentials/hide` keeps them out of texts), `prometheus/access` who may be asked: `prometheus/access/allowlist` whether an upstream, `prometheus/access/proxy` whether through the proxy, `prometheus/access/hosts` what both lists are made of, `prometheus/access/authorities` what certificates are checked against, `prometheus/access/tls_settings` how TLS is spoken, `prometheus/access/address` the address of an upstream, `prometheus/access/shown_path` which parts of a path are shown, `prometheus/access/secret_source` secrets that rotate; `prometheus/client` the calls, `prometheus/deadline` until when they are made, `prometheus/health` which upstreams answer, `prometheus/answer` what an answer means, `prometheus/api_failure` what an error type means, `prometheus/http_status` what a status without data means, `prometheus/redirect` where a redirect points, `prometheus/foreign` what an answer is that is not Prometheus's, `prometheus/http` the HTTP: `prometheus/http/transport` the exchanges, `prometheus/http/authorize` what they carry as credentials, `prometheus/http/ureq_time` their deadlines, `prometheus/http/resolver` who may be asked, `prometheus/http/rotating_transport` the connections of an upstream's own, `prometheus/http/connector` new connections (`prometheus/http/lookup` addresses of names, `prometheus/http/dns` the same where the system's resolver would wait: `prometheus/http/dns/packet` the packets of name servers, `prometheus/http/dns/files` which servers and names, `prometheus/http/dial` the first address that answers, `prometheus/http/mute` those that say nothing, `prometheus/http/tcp` the socket, `prometheus/http/tls` what is encrypted on it, `prometheus/http/tunnel` the way through a proxy), `prometheus/http/connection` those that are kept, `prometheus/http/connect_failure` and `prometheus/http/failure` what goes wrong with them; `prometheus/decode` how answers are read (`prometheus/decode/json` the JSON, `prometheus/decode/sample_fast_path` the fast way through its samples, `prometheus/decode/envelope`, `prometheus/decode/series` and `prometheus/decode/metadata` what it carries, `prometheus/decode/lists` how much of a list is kept; `prometheus/decode/remote_read` the samples of a remote read: `prometheus/decode/remote_read/request` the question, `prometheus/decode/remote_read/frames` the pieces of the response, `prometheus/decode/remote_read/series_labels` whose samples they are, `prometheus/decode/remote_read/chunk_merge` their order in time, `prometheus/decode/remote_read/failure` what goes wrong; `prometheus/decode/xor_chunk` how samples are packed, `prometheus/decode/protobuf` how messages are; `prometheus/decode/xor_chunk/reference` and `prometheus/decode/remote_read/reference` write both for tests), `prometheus/error` what goes wrong, `prometheus/circumstances` what can help then, `prometheus/named_words` by which names it calls the settings of a named upstream |
//! | `internals`, `prometheus/internals` | what fuzz targets and benchmarks reach of the private parts |
//! | `web` | the explorer, a page that asks in a browser what StackState would ask: its page, style and scripts in `src/web`, and the headers that confine it |
//! | [`secret`] | texts that only their receiver may see |
//! | [`cache`] | a bounded memory of what was learnt |
//! | [`memory`] | the memory that all requests share |
//! | [`error`] | what a request can end with, and how StackState is told |
//! | [`log`] | lines to standard error, `log/fields` how they are written, `log/limit` how often |
//! | [`metrics`] | what the mirror tells of itself, `metrics/process` what the system knows of it, `metrics/shared_page` one page for all who ask at the same time |
//!
//! # The way of a request
//!
//! listener → exchange → api (route) → body → api (wire → model) → pool → api (handler) → compute → prometheus → compute → wire → reply.
//! docs/architecture.md draws and explains it.
//!
//! # Who may import whom
//!
//! `model` imports nothing of ours, `compute` only `model`; both are pure: no I/O, no clock, no logging. `prometheus` knows nothing of StackState, `wire` nothing
//! of Prometheus; only `api` knows both, and `error`, which says to the one what befell at the other. tiny_http appears only
//! under `server`, ureq only in `prometheus`, `check` and `ask`, `std::env` only in `settings`. A test reads the `use` lines and holds this.

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
