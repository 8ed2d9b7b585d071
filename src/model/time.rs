//! Instants and ranges of time, in milliseconds since 1970.

/// The latest instant of a query, in milliseconds since 1970: the end of the year 9999. Sums of such times stay far from the
/// limits of `i64`.
pub const LATEST_MS: i64 = 253_402_300_799_999;

/// A range of time in milliseconds since 1970, both ends included. The default one has only the instant 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    /// When an end is outside 0 to [`LATEST_MS`], or the start comes after the end, in words for the admin.
    pub fn new(start: i64, end: i64) -> Result<TimeRange, String> {
        for (field, value) in [("startTime", start), ("endTime", end)] {
            if !(0..=LATEST_MS).contains(&value) {
                return Err(format!("{field} must be milliseconds since 1970, from 0 to {LATEST_MS}, not {value}"));
            }
        }
        if start > end {
            return Err(format!("startTime {start} comes after endTime {end}: swap them"));
        }
        Ok(TimeRange { start, end })
    }

    /// The distance between both ends in milliseconds.
    pub fn length(self) -> i64 {
        self.end - self.start
    }

    /// The part of the range up to an instant; only its start if that is later.
    pub fn up_to(self, instant: i64) -> TimeRange {
        TimeRange { end: self.end.min(instant).max(self.start), ..self }
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
        let check = |start: i64, end: i64, expected: &str| {
            let error = TimeRange::new(start, end).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(6, 5, "startTime 6 comes after endTime 5");
        check(-1, 5, "startTime must be milliseconds since 1970, from 0 to 253402300799999, not -1");
        check(
            0,
            i64::MAX,
            "endTime must be milliseconds since 1970, from 0 to 253402300799999, not 9223372036854775807",
        );
    }
}
