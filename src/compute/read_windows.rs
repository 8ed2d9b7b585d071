//! The windows in which a range of samples is read.

use crate::model::query::Order;
use crate::model::time::TimeRange;

/// After more than this many windows in a row with few samples, the next ones are longer.
const MAX_SPARSE_WINDOWS: u32 = 2;

/// The windows in which a range is read, starting from the end that comes first in the order: one window, unless that has too many
/// samples.
#[derive(Debug, Clone, Copy)]
pub struct ReadWindows {
    unread: Option<TimeRange>,
    length_ms: i64,
    /// If the oldest samples come first: the latest end of the current window.
    max_end: i64,
    /// How many windows in a row were sparse.
    sparse: u32,
    order: Order,
}

impl ReadWindows {
    /// A range as one window.
    pub fn over(range: TimeRange, order: Order) -> ReadWindows {
        ReadWindows { unread: Some(range), length_ms: range.length(), max_end: range.end, sparse: 0, order }
    }

    /// The window to read next; `None` after the last one.
    pub fn current(&self) -> Option<TimeRange> {
        let left = self.unread?;
        Some(match self.order {
            Order::OldestFirst => TimeRange { end: left.end.min(self.max_end), ..left },
            Order::NewestFirst => TimeRange { start: left.start.max(left.end - self.length_ms), ..left },
        })
    }

    /// Makes the windows shorter, because the current one has more samples than can be kept. `read` spans the samples that were
    /// kept, which are the oldest. Returns false if the window cannot be made shorter.
    pub fn shorten(&mut self, read: TimeRange) -> bool {
        let Some(window) = self.current().filter(|window| window.length() > 0) else { return false };
        self.length_ms = match self.order {
            Order::OldestFirst => (read.length() / 2).clamp(0, window.length() - 1),
            // The samples that were read do not show where the newest ones lie, so this searches for them by halves.
            Order::NewestFirst => window.length() / 2,
        };
        // A window that ends before the newest sample that was kept has few enough samples.
        self.max_end = (read.end - 1).clamp(window.start, window.end - 1);
        self.sparse = 0;
        true
    }

    /// Goes on to the next window. The windows become longer after some sparse ones, which have less than half of the samples that
    /// can be kept.
    pub fn advance(&mut self, is_sparse: bool) {
        let (Some(left), Some(read)) = (self.unread, self.current()) else { return };
        self.sparse = if is_sparse { self.sparse + 1 } else { 0 };
        if self.sparse > MAX_SPARSE_WINDOWS {
            self.length_ms = self.length_ms.saturating_mul(2).max(1);
        }
        let left = match self.order {
            Order::OldestFirst => TimeRange { start: read.end + 1, ..left },
            Order::NewestFirst => TimeRange { end: read.start - 1, ..left },
        };
        self.max_end = left.start.saturating_add(self.length_ms);
        self.unread = Some(left).filter(|left| left.start <= left.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: i64, end: i64) -> TimeRange {
        TimeRange::new(start, end).unwrap()
    }

    /// Reads a range in windows that may each have `kept` samples; returns the samples and the number of calls.
    fn read_in_windows(whole: TimeRange, order: Order, samples: &[i64], kept: usize) -> (Vec<i64>, usize) {
        let mut windows = ReadWindows::over(whole, order);
        assert_eq!(windows.current(), Some(whole));
        let (mut next, mut found, mut calls) = (whole, Vec::new(), 0);
        while let Some(window) = windows.current() {
            calls += 1;
            // It continues where the window before it stopped.
            match order {
                Order::OldestFirst => assert_eq!(window.start, next.start),
                Order::NewestFirst => assert_eq!(window.end, next.end),
            }
            let inside: Vec<i64> = samples.iter().copied().filter(|&at| window.contains(at)).collect();
            if inside.len() > kept && windows.shorten(TimeRange { start: inside[0], end: inside[kept] }) {
                continue;
            }
            assert!(inside.len() <= kept, "{} samples in {window:?}", inside.len());
            next = TimeRange { start: window.end + 1, end: window.start - 1 };
            windows.advance(inside.len() < kept / 2);
            found.extend(inside);
        }
        (found, calls)
    }

    #[test]
    fn windows_cover_a_range_without_gap_or_overlap() {
        for order in [Order::OldestFirst, Order::NewestFirst] {
            for length in [0, 1, 2, 9, 100, 1_000] {
                for kept in [1, 2, 10, 1_001] {
                    let whole = range(5_000, 5_000 + length);
                    // A sample each millisecond from the middle of the range on.
                    let samples: Vec<i64> = (whole.start + length / 2..=whole.end).collect();
                    let (mut found, _) = read_in_windows(whole, order, &samples, kept);
                    found.sort_unstable();
                    assert_eq!(found, samples, "{order:?} {length} {kept}");
                }
            }
        }
        assert!(!ReadWindows::over(range(7, 7), Order::OldestFirst).shorten(range(7, 7)));
    }

    #[test]
    fn few_windows_find_samples_that_lie_close_together_in_decades() {
        const KEPT: usize = 1_000;
        let (now, decades_ago) = (1_700_000_000_000, 1_000_000_000_000);
        for first in [1, decades_ago, now - 5_000] {
            let samples: Vec<i64> = (first..first + 5_000).collect();
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let (found, calls) = read_in_windows(range(0, now), order, &samples, KEPT);
                assert_eq!(found.len(), samples.len());
                assert!(calls < 100, "{calls} calls for samples at {first}, {order:?}");
            }
        }
    }
}
