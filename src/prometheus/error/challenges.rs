//! The authentication schemes that an upstream requires (RFC 9110, "WWW-Authenticate"), and how to satisfy them.

use ureq::http::HeaderMap;
use ureq::http::header::WWW_AUTHENTICATE;

use super::vocabulary::Vocabulary;

/// The schemes of all challenges. A header may contain several, and there may be several headers.
pub(super) fn schemes(headers: &HeaderMap) -> Vec<String> {
    /// The most schemes that are shown.
    const MAX_SCHEMES: usize = 8;
    let mut schemes = Vec::new();
    for challenges in headers.get_all(WWW_AUTHENTICATE) {
        // A realm may contain any byte.
        let unquoted = unquoted(&String::from_utf8_lossy(challenges.as_bytes()));
        schemes.extend(unquoted.split(',').filter_map(scheme));
    }
    schemes.truncate(MAX_SCHEMES);
    schemes
}

/// A header without its quoted strings.
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

/// The scheme that this part of a header begins with, unless the part is a parameter of the challenge before it.
fn scheme(part: &str) -> Option<String> {
    const MAX_SCHEME_BYTES: usize = 30;
    let (scheme, rest) = part.trim().split_once(' ').unwrap_or((part.trim(), ""));
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_scheme = (1..=MAX_SCHEME_BYTES).contains(&scheme.len()) && scheme.bytes().all(is_token);
    (is_scheme && !rest.trim_start().starts_with('=')).then(|| scheme.to_owned())
}

/// Whether Basic credentials may be accepted: Basic is among the schemes, or there is no scheme.
fn take_basic(challenges: &[String]) -> bool {
    challenges.is_empty() || challenges.iter().any(|scheme| scheme.eq_ignore_ascii_case("Basic"))
}

/// The challenges as the end of a clause.
pub(super) fn listed(challenges: &[String]) -> String {
    if challenges.is_empty() { String::new() } else { format!(", WWW-Authenticate: {}", challenges.join(", ")) }
}

/// What to do if credentials are missing, as the end of a sentence.
pub(super) fn how_to_give_credentials(words: Vocabulary<'_>, challenges: &[String]) -> &'static str {
    match (words.is_named(), take_basic(challenges)) {
        (true, _) => "; give them with basic_auth, authorization, oauth2, sigv4 or http_headers in the upstreams file",
        (false, true) => {
            "; give them as https://user:password@host/ in the url of the Connection Details, or list it in the \
             --upstreams-file of this mirror"
        }
        (false, false) => {
            "; the url of the Connection Details can hold Basic credentials only: list it in the --upstreams-file of this \
             mirror with authorization, oauth2 or sigv4, and give its name as upstream in the Connection Details"
        }
    }
}

/// What to do if credentials are refused, as the end of a sentence.
pub(super) fn how_to_correct_credentials(words: Vocabulary<'_>, challenges: &[String]) -> &'static str {
    match (words.is_named(), take_basic(challenges)) {
        (true, _) => {
            "; check them, and that they are of the scheme that it requires (basic_auth, authorization, oauth2 or sigv4)"
        }
        (false, true) => {
            "; check user and password in the url of the Connection Details, with special characters percent-encoded (/ is \
             %2F, @ is %40)"
        }
        (false, false) => {
            "; check user and password in the url of the Connection Details, with special characters percent-encoded (/ is \
             %2F, @ is %40); the mirror sends them as Basic, but the upstream requires another scheme: list it in the --upstreams-file of \
             this mirror"
        }
    }
}

/// What to do if access is denied, as the end of a sentence.
pub(super) fn how_to_allow(words: Vocabulary<'_>, has_credentials: bool, challenges: &[String]) -> &'static str {
    match (words.is_named(), has_credentials, take_basic(challenges)) {
        _ if words.is_signed() => {
            "; check that the access key that signs the requests may query it (policy AmazonPrometheusQueryAccess), region in the \
             upstreams file, and the clock of this mirror's machine"
        }
        (true, true, _) => "; allow the user of the credentials in the upstreams file to query it",
        (true, false, _) => {
            "; allow this mirror to query it, or give credentials with basic_auth, authorization, oauth2, sigv4 or \
             http_headers in the upstreams file"
        }
        (false, true, true) => "; allow the user in the url of the Connection Details to query it",
        (false, false, true) => {
            "; allow this mirror to query it, or give credentials as https://user:password@host/ in the url of the Connection Details"
        }
        (false, _, false) => {
            "; allow this mirror to query it, or list it in the --upstreams-file of this mirror with \
             authorization, oauth2 or sigv4: the url of the Connection Details can hold Basic credentials only"
        }
    }
}
