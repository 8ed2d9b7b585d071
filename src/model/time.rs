//! Instants and ranges of time, in milliseconds since the epoch.

use super::invalid_query::InvalidQuery;

/// The latest instant of a query, in milliseconds since the epoch: the end of the year 9999. Sums of such times stay far from the
/// limits of `i64`.
pub const LATEST_MS: i64 = 253_402_300_799_999;

/// A range of time in milliseconds since the epoch, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// The first instant, 0 to [`LATEST_MS`].
    pub start: i64,
    /// The last instant, `start` to [`LATEST_MS`].
    pub end: i64,
}

impl TimeRange {
    /// A range, after checking both ends.
    ///
    /// # Errors
    /// When an end is outside 0 to [`LATEST_MS`], or the start comes after the end.
    pub fn new(start: i64, end: i64) -> Result<TimeRange, InvalidQuery> {
        for (field, value) in [("startTime", start), ("endTime", end)] {
            if !(0..=LATEST_MS).contains(&value) {
                return Err(InvalidQuery::TimeOutside { field, value, latest: LATEST_MS });
            }
        }
        if start > end {
            return Err(InvalidQuery::TimesReversed { start, end });
        }
        Ok(TimeRange { start, end })
    }

    /// The distance between both ends in milliseconds.
    pub fn length(self) -> i64 {
        self.end - self.start
    }

    /// Whether an instant lies in the range, its ends included.
    pub fn contains(self, at: i64) -> bool {
        (self.start..=self.end).contains(&at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_keeps_its_ends_in_order_and_in_bounds() {
        assert!(TimeRange::new(5, 5).unwrap().contains(5));
        let outside = |field, value| Err(InvalidQuery::TimeOutside { field, value, latest: LATEST_MS });
        assert_eq!(TimeRange::new(6, 5), Err(InvalidQuery::TimesReversed { start: 6, end: 5 }));
        assert_eq!(TimeRange::new(-1, 5), outside("startTime", -1));
        assert_eq!(TimeRange::new(0, i64::MAX), outside("endTime", i64::MAX));
    }
}
