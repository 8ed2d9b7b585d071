//! The limit on file descriptors.

use crate::log;

/// Raises the limit as far as that is allowed.
///
/// Each connection takes one, and many systems allow 1,024 until one asks for more. Where more are not to be had, there are
/// fewer connections.
pub(in crate::server) fn raise_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        log::warn(|| log::Line::new("few descriptors").text("error", &error));
    }
}
