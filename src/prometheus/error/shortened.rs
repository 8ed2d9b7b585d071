//! Shortens long texts.

/// The most characters of a query, or of an error message of Prometheus, that an error shows.
const MAX_SHOWN_CHARS: usize = 1_000;

/// The most characters of a query that the log shows.
const MAX_LOGGED_CHARS: usize = 4_096;

/// A text, shortened for an error.
pub fn shortened(text: &str) -> String {
    cut(text, MAX_SHOWN_CHARS)
}

/// A query, shortened for the log. A query may have several megabytes.
pub(in crate::prometheus) fn logged(query: &str) -> String {
    cut(query, MAX_LOGGED_CHARS)
}

/// A text in one line, without control characters.
pub(in crate::prometheus) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// The first `chars` characters of a text, and `...` if there are more.
pub fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
