//! What the server asks of the operating system: sockets, descriptors, threads, scheduling, and what happens on a panic.

pub(super) mod descriptors;
pub(super) mod panics;
pub(super) mod scheduling;
pub(super) mod socket;
pub(super) mod threads;
