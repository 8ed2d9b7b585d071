//! The limit on file descriptors.

use crate::log;

/// Raises the limit to the allowed maximum.
///
/// Each connection needs a descriptor, and many systems allow 1,024 by default. If the limit cannot be raised, the mirror
/// accepts fewer connections.
pub(in crate::server) fn raise_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        log::warn(|| log::Line::new("few descriptors").text("error", &error));
    }
}
