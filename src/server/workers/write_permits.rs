//! Bounds how many workers write their replies themselves.
//!
//! Handing a reply to another thread usually costs more than writing it. But a client may be slow, and then its worker waits.
//! So at most a quarter of the workers write at a time, which is enough while clients are fast. The other workers hand their
//! replies over, and never wait for a client.

use crate::sync::Permits;

/// Permits for a quarter of the workers. With fewer than four workers, none writes.
pub(in crate::server) fn write_permits(workers: usize) -> Permits {
    Permits::new(workers / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_a_quarter_of_the_workers_write() {
        for (workers, most) in [(1, 0), (3, 0), (4, 1), (7, 1), (20, 5)] {
            let permits = write_permits(workers);
            for _ in 0..2 {
                let writing: Vec<_> = std::iter::from_fn(|| permits.take()).collect();
                assert_eq!(writing.len(), most, "{workers}");
            }
        }
    }
}
