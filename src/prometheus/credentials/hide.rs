//! Keeps secrets out of texts that a peer wrote: a server may repeat what it was sent.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::prometheus::error::{cut, one_line};
use crate::secret::Secret;

/// What stands in the place of a secret.
const HIDDEN: &str = "...";

/// A shorter secret is part of many words. It protects nothing, and to hide it would only make texts unreadable.
const MIN_BYTES: usize = 4;

/// The most characters of a peer's words that are shown.
const MAX_SHOWN_CHARS: usize = 300;

/// A text without these secrets: as they are, percent-encoded, and in Base64.
pub(in crate::prometheus) fn hidden(text: String, secrets: &[Secret]) -> String {
    secrets.iter().map(Secret::reveal).filter(|secret| secret.len() >= MIN_BYTES).fold(text, |text, secret| {
        let encoded = Zeroizing::new(utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string());
        let base64 = Zeroizing::new(BASE64_STANDARD.encode(secret));
        [secret, &encoded, &base64]
            .into_iter()
            .fold(text, |text, form| if text.contains(form) { text.replace(form, HIDDEN) } else { text })
    })
}

/// The words of a peer as they may be shown: in one line, without these secrets, and no longer than needed.
pub(super) fn shown_words(words: &str, secrets: &[Secret]) -> String {
    cut(&hidden(one_line(words), secrets), MAX_SHOWN_CHARS)
}

/// What is secret of the value of a header `Authorization`: the value behind its scheme, and of Basic ones the password.
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
        check("user a", &["a", "use"], "user a");
        check("nothing", &["hush"], "nothing");
    }

    #[test]
    fn of_basic_authentication_the_password_is_secret_as_well() {
        let secrets = |value: &str| of_authorization(&Secret::new(value));
        // `printf ever:so-hush | base64`
        assert_eq!(secrets("Basic ZXZlcjpzby1odXNo"), ["ZXZlcjpzby1odXNo", "so-hush"].map(Secret::new));
        assert_eq!(secrets("Bearer token"), [Secret::new("token")]);
        assert_eq!(secrets("token"), [Secret::new("token")]);
    }
}
