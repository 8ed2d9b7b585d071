//! The file descriptors of this process: how many there may be, and whether one is still what it was.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use crate::log;

/// Raises the limit on them as far as that is allowed.
///
/// A connection takes two, and many systems allow 1,024 until one asks for more. Where more are not to be had, there are
/// fewer connections.
pub(in crate::server) fn raise_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        log::warn(|| log::Line::new("few descriptors").text("error", &error));
    }
}

/// A descriptor of a socket, by its number, which others may have when it is closed.
#[derive(Debug)]
pub(in crate::server) struct Descriptor {
    link: PathBuf,
    /// What names the socket.
    target: PathBuf,
}

impl Descriptor {
    /// That of a socket.
    ///
    /// # Errors
    /// When the system does not tell about descriptors under `/proc`.
    pub(in crate::server) fn of(socket: &impl AsRawFd) -> io::Result<Descriptor> {
        let link = PathBuf::from(format!("/proc/self/fd/{}", socket.as_raw_fd()));
        Ok(Descriptor { target: fs::read_link(&link)?, link })
    }

    /// Whether it is still one of that socket.
    pub(in crate::server) fn is_open(&self) -> bool {
        fs::read_link(&self.link).is_ok_and(|target| target == self.target)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_descriptor_is_open_until_its_socket_is_closed_whoever_has_its_number_then() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let clone = socket.try_clone().unwrap();
        let descriptor = Descriptor::of(&clone).unwrap();
        assert!(descriptor.is_open());
        drop(clone);
        assert!(!descriptor.is_open());
        // Some of these have the number now, if no other test was faster.
        let _others: Vec<TcpListener> = (0..5).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        assert!(!descriptor.is_open());
    }
}
