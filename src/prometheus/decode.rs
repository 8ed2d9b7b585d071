//! The responses of the Prometheus HTTP API, decoded while they arrive. Knows nothing of HTTP, only of bytes.

pub(super) mod envelope;
pub(super) mod json;
pub(super) mod lists;
mod metadata;
mod protobuf;
pub(super) mod remote_read;
mod sample_fast_path;
pub(super) mod series;
mod xor_chunk;
