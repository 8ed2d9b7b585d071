//! Fields that several queries share: times and counts.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::Error;
use crate::model::time::TimeRange;

/// The time now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// The time range of a request. A start that is 0 or absent means 1970; an end that is 0 or absent means now.
pub(super) fn time_range(start: Option<i64>, end: Option<i64>) -> Result<TimeRange, Error> {
    let start = start.unwrap_or(0);
    let end = end.filter(|&end| end != 0).unwrap_or_else(|| now_ms().max(start));
    TimeRange::new(start, end).map_err(|details| Error::invalid_query("invalid_time_range", details))
}

/// A count. The error names its field.
pub(super) fn not_negative(number: Option<i64>, field: &'static str) -> Result<Option<usize>, Error> {
    let checked = |value: i64| {
        let negative =
            |_| Error::invalid_query("invalid_query", format!("{field} must not be negative, but is {value}"));
        usize::try_from(value).map_err(negative)
    };
    number.map(checked).transpose()
}
