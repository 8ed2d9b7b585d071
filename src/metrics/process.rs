//! Memory and descriptors of this process, from `/proc`; 0 if the system has no `/proc`.

use std::fs;
use std::time::{Duration, Instant};

use crate::sync::Mutex;

/// How long the number of open descriptors is cached. Counting takes the kernel microseconds for each.
const COUNTED_FOR: Duration = Duration::from_secs(1);

/// Resident memory in bytes.
pub(super) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    kibibytes.map_or(0, |kibibytes: u64| kibibytes * 1024)
}

/// The number of open file descriptors, at most one second old.
#[derive(Debug, Default)]
pub(super) struct OpenDescriptors(Mutex<Option<(Instant, u64)>>);

impl OpenDescriptors {
    pub(super) fn count(&self, now: Instant) -> u64 {
        let mut counted = self.0.lock();
        match *counted {
            Some((at, count)) if now.saturating_duration_since(at) < COUNTED_FOR => count,
            _ => counted.insert((now, open_descriptors())).1,
        }
    }
}

fn open_descriptors() -> u64 {
    // One of them is for the directory itself.
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_counted_once_a_second() {
        let (descriptors, now) = (OpenDescriptors::default(), Instant::now());
        let at = |ms: u64| descriptors.count(now + Duration::from_millis(ms));
        let before = at(0);
        // Other tests open and close descriptors meanwhile.
        let opened: Vec<fs::File> = (0..200).map(|_| fs::File::open("/proc/self/status").unwrap()).collect();
        assert_eq!(at(999), before);
        assert!(before > 0 && at(1_000) > before + 100);
        drop(opened);
        assert!(at(1_999) > before + 100 && at(2_000) < before + 100);
    }
}
