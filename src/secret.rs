//! Secret texts, which no log, error or `Debug` output shows.

use std::fmt;
use std::hash::{Hash, Hasher};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret such as a password or a token. It is wiped from memory when it is dropped. It has no `Display`, and its `Debug` shows
/// nothing of it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Copies a text into a secret.
    pub fn new(text: &str) -> Secret {
        Secret(Zeroizing::new(text.to_owned()))
    }

    /// The text. Pass it only to its receiver.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    /// Compares in a time that depends only on the lengths.
    fn eq(&self, other: &Secret) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_compared_but_not_shown() {
        let secret = Secret::new("hush");
        assert_eq!(format!("{secret:?} {:?}", Some(vec![&secret])).matches("hush").count(), 0);
        assert!(secret == Secret::new("hush") && secret != Secret::new("hush!") && secret != Secret::new(""));
        assert_eq!(secret.reveal(), "hush");
    }
}
