//! Secrets in the upstreams file or in files of their own, which may rotate.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::file::{self, Unreadable};
use crate::secret::Secret;
use crate::sync::Current;

/// The most bytes of a file with a secret: 64 KiB, several times the longest tokens.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// The most bytes of a file with certificates: 1 MiB, as much as a ConfigMap can hold.
const MAX_PEM_BYTES: u64 = 1 << 20;

/// A place in the upstreams file. All places are equal, so that a definition that only moves is not a changed one.
#[derive(Debug, Clone, Default)]
pub(in crate::prometheus) struct FilePlace {
    /// The line, which counts from 1.
    pub(in crate::prometheus) line: usize,
    /// The path, such as `upstreams[0].basic_auth.password_file`.
    pub(in crate::prometheus) path: String,
}

impl FilePlace {
    /// The path below the upstream, such as `basic_auth.password_file`.
    pub(in crate::prometheus) fn key(&self) -> &str {
        self.path.split_once("].").map_or(&self.path, |(_, key)| key)
    }
}

impl PartialEq for FilePlace {
    fn eq(&self, _: &FilePlace) -> bool {
        true
    }
}

impl Eq for FilePlace {}

/// Where a secret comes from, and which form it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prometheus) struct SecretSource {
    pub(in crate::prometheus) origin: SecretOrigin,
    pub(in crate::prometheus) form: SecretForm,
    pub(in crate::prometheus) place: FilePlace,
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prometheus) enum SecretOrigin {
    /// The upstreams file contains it.
    Given(Secret),
    /// It is in a file of its own, which is read again when it changes.
    File(PathBuf),
}

/// The form that a secret must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::prometheus) enum SecretForm {
    /// The value of a header, or a part of one.
    HeaderValue,
    /// One line of any text, which is encoded before it is sent.
    Line,
    /// PEM, of any number of lines.
    Pem,
}

impl SecretForm {
    /// What is wrong with a text, in words that repeat nothing of it.
    pub(in crate::prometheus) fn fault(self, text: &str) -> Option<&'static str> {
        match self {
            SecretForm::Pem => None,
            _ if text.contains(['\n', '\r']) => Some("has a line break inside; it must be one line"),
            _ if text.contains(|c: char| c.is_control() && (c != '\t' || self == SecretForm::Line)) => {
                Some("has a control character, which cannot be sent; remove it")
            }
            SecretForm::HeaderValue if !text.is_ascii() => {
                Some("has a character outside of ASCII, which a header cannot carry; use ASCII characters only")
            }
            _ => None,
        }
    }

    /// Reads a file. PEM may be among texts in any encoding; what is not UTF-8 there becomes replacement characters.
    fn read(self, path: &Path) -> Result<Zeroizing<String>, Unreadable> {
        match self {
            SecretForm::HeaderValue | SecretForm::Line => file::read_text(path, MAX_FILE_BYTES),
            SecretForm::Pem => {
                let pem = Zeroizing::new(file::read(path, MAX_PEM_BYTES)?);
                Ok(Zeroizing::new(String::from_utf8_lossy(&pem).into_owned()))
            }
        }
    }
}

/// Why a value of the upstreams file, or all of it, cannot be used. Nothing secret is repeated.
#[derive(Debug)]
pub(in crate::prometheus) struct Unusable {
    /// Its place in the upstreams file when it was read.
    pub(in crate::prometheus) place: FilePlace,
    /// The file that contains it, if it has one of its own.
    pub(in crate::prometheus) file: Option<PathBuf>,
    /// The predicate of a sentence about the value.
    what: String,
}

impl Unusable {
    /// A value that cannot be used, for a reason that is the predicate of a sentence about it.
    pub(in crate::prometheus) fn at(place: FilePlace, what: impl Into<String>) -> Unusable {
        Unusable { place, file: None, what: what.into() }
    }

    /// Leaves the upstream's index out of the path, for a text that names the upstream: the index may have changed since the value
    /// was read.
    pub(in crate::prometheus) fn of_named(mut self) -> Unusable {
        self.place.path = self.place.key().to_owned();
        self
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place.path)?;
        if let Some(file) = &self.file {
            write!(f, ": the file {}", file.display())?;
        }
        write!(f, " {}", self.what)
    }
}

impl std::error::Error for Unusable {}

impl SecretSource {
    /// Reads the secret. Blanks around the content of a file are ignored, as in Prometheus.
    ///
    /// # Errors
    /// Fails if the file has none, or one of another form.
    pub(in crate::prometheus) fn read(&self) -> Result<Secret, Unusable> {
        let secret = match &self.origin {
            SecretOrigin::Given(secret) => secret.clone(),
            SecretOrigin::File(path) => {
                let text = self.form.read(path).map_err(|why| self.faulty(why.with_remedy()))?;
                if text.trim().is_empty() {
                    let key = self.place.key();
                    return Err(self.faulty(format!("is empty; write the value into it, or remove {key}")));
                }
                Secret::new(text.trim())
            }
        };
        match self.form.fault(secret.reveal()) {
            Some(fault) => Err(self.faulty(fault)),
            None => Ok(secret),
        }
    }

    /// An error about a secret that cannot be used, for a reason that is the predicate of a sentence about it.
    pub(in crate::prometheus) fn faulty(&self, what: impl Into<String>) -> Unusable {
        let file = match &self.origin {
            SecretOrigin::Given(_) => None,
            SecretOrigin::File(path) => Some(path.clone()),
        };
        Unusable { place: self.place.clone(), file, what: what.into() }
    }
}

/// A secret that is reloaded when its file changes.
pub(in crate::prometheus) struct LiveSecret {
    source: SecretSource,
    current: Current<Secret>,
}

impl LiveSecret {
    /// Reads a secret for the first time.
    ///
    /// # Errors
    /// Fails if there is none.
    pub(in crate::prometheus) fn new(source: SecretSource) -> Result<LiveSecret, Unusable> {
        let current = Current::new(source.read()?);
        Ok(LiveSecret { source, current })
    }

    /// The current secret.
    pub(in crate::prometheus) fn current(&self) -> Arc<Secret> {
        self.current.get()
    }

    /// Reads the file again, if there is one. Returns whether the secret has changed.
    ///
    /// # Errors
    /// Fails if the file has none any more, or one of another form. The previous secret then stays in force.
    pub(in crate::prometheus) fn refresh(&self) -> Result<bool, Unusable> {
        if let SecretOrigin::Given(_) = self.source.origin {
            return Ok(false);
        }
        let now = self.source.read()?;
        if *self.current() == now {
            return Ok(false);
        }
        self.current.set(now);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn source(origin: SecretOrigin, form: SecretForm) -> SecretSource {
        SecretSource { origin, form, place: FilePlace { line: 3, path: "upstreams[0].key".to_owned() } }
    }

    #[test]
    fn a_secret_follows_its_file_and_survives_a_broken_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let source = || source(SecretOrigin::File(path.clone()), SecretForm::HeaderValue);
        assert!(LiveSecret::new(source()).is_err());
        fs::write(&path, " first \n").unwrap();
        let secret = LiveSecret::new(source()).unwrap();
        let check = |refreshed: Option<bool>, expected: &str| {
            let found = secret.refresh();
            assert_eq!((found.ok(), secret.current().reveal()), (refreshed, expected));
        };
        check(Some(false), "first");
        fs::write(&path, "second").unwrap();
        check(Some(true), "second");
        let broken: [(&[u8], &str); 6] = [
            (b"", "is empty; "),
            (b"\n", "is empty; "),
            (b"\xff", "UTF-8; "),
            (b"so\nhush", "line break"),
            (b"so\x01hush", "control character"),
            ("hus\u{e9}".as_bytes(), "outside of ASCII"),
        ];
        for (bad, says) in broken {
            fs::write(&path, bad).unwrap();
            check(None, "second");
            let error = secret.refresh().unwrap_err().to_string();
            assert!(error.starts_with("upstreams[0].key: the file ") && error.contains("token"), "{error}");
            assert!(error.contains(says) && !error.contains("hus"), "{error}");
        }
        fs::write(&path, "x".repeat(65_537)).unwrap();
        check(None, "second");
        fs::remove_file(&path).unwrap();
        check(None, "second");
        fs::write(&path, "\u{feff}third\r\n").unwrap();
        check(Some(true), "third");
    }

    #[test]
    fn a_given_secret_stays_as_it_is_written() {
        let secret = LiveSecret::new(source(SecretOrigin::Given(Secret::new(" a ")), SecretForm::HeaderValue)).unwrap();
        assert!(!secret.refresh().unwrap());
        assert_eq!(secret.current().reveal(), " a ");
    }

    #[test]
    fn each_form_has_its_characters() {
        let check = |text: &str, in_header: bool, as_line: bool, as_pem: bool| {
            for (form, expected) in
                [(SecretForm::HeaderValue, in_header), (SecretForm::Line, as_line), (SecretForm::Pem, as_pem)]
            {
                assert_eq!(form.fault(text).is_none(), expected, "{form:?} {text:?}");
            }
        };
        check("a b~!", true, true, true);
        check("a\tb", true, false, true);
        check("caf\u{e9}", false, true, true);
        check("a\u{7f}", false, false, true);
        check("a\r\nb", false, false, true);
    }
}
