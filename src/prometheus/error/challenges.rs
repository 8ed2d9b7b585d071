//! The authentication schemes that an upstream asks for (RFC 9110, "WWW-Authenticate").

use ureq::http::HeaderMap;
use ureq::http::header::WWW_AUTHENTICATE;

/// The schemes of the challenges: a header may hold several, and there may be several headers.
pub(super) fn schemes(headers: &HeaderMap) -> Vec<String> {
    /// More are not shown.
    const MAX_SCHEMES: usize = 8;
    let mut schemes = Vec::new();
    for challenges in headers.get_all(WWW_AUTHENTICATE) {
        // A realm may hold any byte.
        let unquoted = unquoted(&String::from_utf8_lossy(challenges.as_bytes()));
        schemes.extend(unquoted.split(',').filter_map(scheme));
    }
    schemes.truncate(MAX_SCHEMES);
    schemes
}

/// A header without its quoted texts.
fn unquoted(header: &str) -> String {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let is_outside = |c: &char| {
        let is_quote = *c == '"' && !is_escaped;
        let is_outside = !is_quoted && !is_quote;
        is_quoted ^= is_quote;
        is_escaped = is_quoted && *c == '\\' && !is_escaped;
        is_outside
    };
    header.chars().filter(is_outside).collect()
}

/// The scheme that this part of a header begins with, if it does not go on with the parameters of the one before it.
fn scheme(part: &str) -> Option<String> {
    const MAX_SCHEME_BYTES: usize = 30;
    let (scheme, rest) = part.trim().split_once(' ').unwrap_or((part.trim(), ""));
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_scheme = (1..=MAX_SCHEME_BYTES).contains(&scheme.len()) && scheme.bytes().all(is_token);
    (is_scheme && !rest.trim_start().starts_with('=')).then(|| scheme.to_owned())
}

/// Whether Basic credentials may do: they are among those asked for, or it is not said which are.
pub(super) fn take_basic(challenges: &[String]) -> bool {
    challenges.is_empty() || challenges.iter().any(|scheme| scheme.eq_ignore_ascii_case("Basic"))
}

/// The same as the end of a clause.
pub(super) fn asked(challenges: &[String]) -> String {
    if challenges.is_empty() { String::new() } else { format!(", WWW-Authenticate: {}", challenges.join(", ")) }
}
