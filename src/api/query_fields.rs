//! Fields that several queries share: times and counts.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::Error;
use crate::model::invalid_query::InvalidQuery;
use crate::model::time::TimeRange;
use crate::wire::request::Integer;

/// The time now, in milliseconds since the epoch.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// The time range of a request. A start that is 0 or absent means the epoch; an end that is 0 or absent means now.
pub(super) fn time_range(start: Option<Integer>, end: Option<Integer>) -> Result<TimeRange, Error> {
    let start = start.map_or(0, |start| start.0);
    let end = end.map(|end| end.0).filter(|&end| end != 0).unwrap_or_else(|| now_ms().max(start));
    Ok(TimeRange::new(start, end)?)
}

/// A count. The error names its field.
pub(super) fn not_negative(number: Option<Integer>, field: &'static str) -> Result<Option<usize>, Error> {
    let checked = |Integer(value): Integer| usize::try_from(value).map_err(|_| InvalidQuery::Negative { field, value });
    Ok(number.map(checked).transpose()?)
}
