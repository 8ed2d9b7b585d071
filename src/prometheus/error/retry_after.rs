//! When an upstream may be queried again (RFC 9110, "Retry-After").

/// The time in a header, in words: seconds, or the date as the header writes it.
pub(super) fn parse(header: &str) -> Option<String> {
    /// No date format is longer.
    const MAX_DATE_BYTES: usize = 40;
    let header = header.trim();
    if let Ok(seconds) = header.parse::<u64>() {
        return Some(format!("{seconds} s"));
    }
    let is_of_date = |byte: u8| byte.is_ascii_alphanumeric() || b" ,:-".contains(&byte);
    let is_date = header.len() <= MAX_DATE_BYTES && header.ends_with(" GMT") && header.bytes().all(is_of_date);
    is_date.then(|| header.to_owned())
}
