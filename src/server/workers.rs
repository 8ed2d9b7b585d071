//! Who does the work: a fixed number of workers, and further threads for what may have to wait for a client.

pub(super) mod blocking_threads;
pub(super) mod pool;
mod shares;
pub(super) mod write_permits;
