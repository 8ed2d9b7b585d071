//! What the tests share: the mirror as a process, the upstreams, the samples and the oracle.

pub mod ask;
pub mod browser;
pub mod certificates;
pub mod engine;
pub mod exporter;
pub mod mirror;
pub mod name_server;
pub mod nginx;
pub mod oracle;
pub mod process;
pub mod prometheus;
pub mod protobuf;
pub mod remote_write;
pub mod samples;
pub mod streamed;
pub mod stub;
pub mod tinyproxy;
pub mod victoria;
