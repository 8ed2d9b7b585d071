//! When an upstream may be queried again (RFC 9110, "Retry-After").

/// When an upstream may be queried again.
#[derive(Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// After this many seconds.
    Seconds(u64),
    /// At this date, as the header writes it.
    Date(String),
}

impl RetryAfter {
    pub(super) fn parse(header: &str) -> Option<RetryAfter> {
        /// No date format is longer.
        const MAX_DATE_BYTES: usize = 40;
        let header = header.trim();
        if let Ok(seconds) = header.parse() {
            return Some(RetryAfter::Seconds(seconds));
        }
        let is_of_date = |byte: u8| byte.is_ascii_alphanumeric() || b" ,:-".contains(&byte);
        let is_date = header.len() <= MAX_DATE_BYTES && header.ends_with(" GMT") && header.bytes().all(is_of_date);
        is_date.then(|| RetryAfter::Date(header.to_owned()))
    }
}

/// The time as the end of a clause.
pub(super) fn again(after: Option<&RetryAfter>) -> String {
    match after {
        Some(RetryAfter::Seconds(seconds)) => format!(", again after {seconds} s"),
        Some(RetryAfter::Date(date)) => format!(", again after {date}"),
        None => String::new(),
    }
}
