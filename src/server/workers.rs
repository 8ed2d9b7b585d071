//! The threads that process requests: a fixed number of workers, and further threads for work that may wait for a client.

pub(super) mod blocking_threads;
pub(super) mod pool;
mod shares;
