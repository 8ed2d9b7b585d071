//! The integration tests. One binary with a module for each concern; all test the real program.
//!
//! A real Prometheus and a real VictoriaMetrics, with samples of the tests, judge the numbers. A stub replaces the upstream only to
//! misbehave. If a program is missing, the tests fail and say what to install; they never skip.
#![allow(missing_docs, clippy::unwrap_used, unreachable_pub)]

mod support;

mod aggregated;
mod allowlist;
mod ask;
mod calls;
mod check;
mod conditions;
mod connection;
mod connections;
mod counter;
mod engines;
mod explain;
mod explorer;
mod expression;
mod faults;
mod fields;
mod house;
mod http;
mod named;
mod numbers;
mod openapi;
mod operation;
mod partial;
mod properties;
mod proxy;
mod raw;
mod remote_read;
mod replaced;
mod statuses;
mod tls;
mod victoria;
