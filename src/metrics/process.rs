//! What the system knows of this process, from `/proc`; 0 where there is none.

use std::fs;

use rlimit::Resource;

/// The bytes of memory that are resident.
pub(super) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    kibibytes.map_or(0, |kibibytes: u64| kibibytes * 1024)
}

/// How many file descriptors are open.
pub(super) fn open_descriptors() -> u64 {
    // One of them is that of this directory.
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1) as u64)
}

/// How many there may be.
pub(super) fn max_descriptors() -> u64 {
    Resource::NOFILE.get_soft().unwrap_or(0)
}
