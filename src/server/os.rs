//! What the server needs from the operating system: sockets, descriptors, threads and scheduling; and the panic hook.

pub(super) mod descriptors;
pub(super) mod panics;
pub(super) mod scheduling;
pub(super) mod socket;
pub(super) mod threads;
