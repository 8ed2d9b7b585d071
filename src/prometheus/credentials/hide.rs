//! Removes secrets from texts that a peer wrote, because a server may repeat what it was sent.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::prometheus::error::{cut, one_line};
use crate::prometheus::http::RESERVED;
use crate::secret::Secret;

/// Replaces a secret.
const HIDDEN: &str = "...";

/// Shorter secrets are not hidden: they occur in many words and protect nothing, and hiding them would only make texts unreadable.
const MIN_BYTES: usize = 4;

/// The most characters of a peer's words that are shown.
const MAX_SHOWN_CHARS: usize = 300;

/// Replaces these secrets in a text: as they are, percent-encoded in the usual ways, and in Base64.
pub(in crate::prometheus) fn hidden(text: String, secrets: &[Secret]) -> String {
    let secrets = secrets.iter().map(Secret::reveal).filter(|secret| secret.len() >= MIN_BYTES);
    secrets
        .flat_map(forms)
        .fold(text, |text, form| if text.contains(&*form) { text.replace(&*form, HIDDEN) } else { text })
}

/// The forms in which a server may repeat a secret, those with padding before those without.
fn forms(secret: &str) -> Vec<Zeroizing<String>> {
    let reserved = utf8_percent_encode(secret, RESERVED).to_string();
    let encoded = [utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(), reserved.replace("%20", "+"), reserved];
    let base64 = [BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD];
    let base64 = base64.map(|engine| engine.encode(secret));
    let lower = encoded.each_ref().map(|encoded| with_lower_hex(encoded));
    [secret.to_owned()].into_iter().chain(encoded).chain(lower).chain(base64).map(Zeroizing::new).collect()
}

/// A percent-encoded text with lower-case hexadecimal digits.
fn with_lower_hex(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (digits, rest) = part.split_at(part.len().min(2));
        text + "%" + &digits.to_ascii_lowercase() + rest
    })
}

/// The words of a peer as they may be shown: in one line, without these secrets, and shortened.
pub(super) fn shown_words(words: &str, secrets: &[Secret]) -> String {
    cut(&hidden(one_line(words), secrets), MAX_SHOWN_CHARS)
}

/// The secret parts of a value of the header `Authorization`: what follows the scheme, and for Basic also the password.
pub(in crate::prometheus) fn of_authorization(value: &Secret) -> Vec<Secret> {
    let Some((scheme, credentials)) = value.reveal().split_once(' ') else { return vec![value.clone()] };
    let mut secrets = vec![Secret::new(credentials)];
    if scheme.eq_ignore_ascii_case("basic")
        && let Ok(plain) = BASE64_STANDARD.decode(credentials).map(Zeroizing::new)
        && let Ok(plain) = std::str::from_utf8(&plain)
        && let Some((_, password)) = plain.split_once(':')
    {
        secrets.push(Secret::new(password));
    }
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_in_each_form_and_short_ones_are_not() {
        let check = |text: &str, secrets: &[&str], expected: &str| {
            let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(secret)).collect();
            assert_eq!(hidden(text.to_owned(), &secrets), expected);
        };
        check("you sent so/hush", &["so/hush"], "you sent ...");
        check("you sent so%2Fhush, so/hush", &["so/hush"], "you sent ..., ...");
        // `printf so/hush | base64`
        check("you sent c28vaHVzaA==", &["so/hush"], "you sent ...");
        // Only reserved characters encoded; in lower case; as in a form; without padding; for URLs.
        check("you sent hush-a%2Fb or hush-a%2fb", &["hush-a/b"], "you sent ... or ...");
        check("you sent so+much%2bhush", &["so much+hush"], "you sent ...");
        // `printf hush-a | base64`, and `printf 'hush???>' | base64`
        check("you sent aHVzaC1h, aHVzaD8_Pz4", &["hush-a", "hush???>"], "you sent ..., ...");
        check("you sent c28vaHVzaA", &["so/hush"], "you sent ...");
        check("user a", &["a", "use"], "user a");
        check("nothing", &["hush"], "nothing");
    }

    #[test]
    fn the_password_of_basic_authentication_is_secret_too() {
        let secrets = |value: &str| of_authorization(&Secret::new(value));
        // `printf ever:so-hush | base64`
        assert_eq!(secrets("Basic ZXZlcjpzby1odXNo"), ["ZXZlcjpzby1odXNo", "so-hush"].map(Secret::new));
        assert_eq!(secrets("Bearer token"), [Secret::new("token")]);
        assert_eq!(secrets("token"), [Secret::new("token")]);
    }
}
