//! Secrets that stand in the upstreams file or in files of their own, which rotate.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use crate::file::{self, Unreadable};
use crate::secret::Secret;

/// The most bytes of a file with a secret: 64 KiB, several times what the longest tokens have. Certificates may have more.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::prometheus) enum SecretSource {
    /// It stands in the upstreams file.
    Given(Secret),
    /// It stands in a file of its own, which is read again when it changes.
    File(PathBuf),
}

/// Why the file of a secret is of no use. Nothing of what stands in it is repeated.
#[derive(Debug)]
pub struct BadSecretFile {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Unreadable(Unreadable),
    Empty,
}

impl fmt::Display for BadSecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the file {} ", self.path.display())?;
        match &self.reason {
            Reason::Unreadable(why) => write!(f, "{why}"),
            Reason::Empty => f.write_str("is empty"),
        }
    }
}

impl std::error::Error for BadSecretFile {}

impl SecretSource {
    /// The secret; that of a file without the blanks around it, as Prometheus reads it.
    ///
    /// # Errors
    /// When there is none in the file.
    pub(in crate::prometheus) fn read(&self) -> Result<Secret, BadSecretFile> {
        self.read_up_to(MAX_FILE_BYTES)
    }

    /// The same of a file with at most so many bytes.
    ///
    /// # Errors
    /// When there is none in the file.
    pub(in crate::prometheus) fn read_up_to(&self, most: u64) -> Result<Secret, BadSecretFile> {
        let path = match self {
            SecretSource::Given(secret) => return Ok(secret.clone()),
            SecretSource::File(path) => path,
        };
        let bad = |reason| BadSecretFile { path: path.clone(), reason };
        let text = file::read_text(path, most).map_err(|why| bad(Reason::Unreadable(why)))?;
        if text.trim().is_empty() { Err(bad(Reason::Empty)) } else { Ok(Secret::new(text.trim())) }
    }
}

/// A secret in force, which changes with its file.
#[derive(Debug)]
pub(in crate::prometheus) struct LiveSecret {
    source: SecretSource,
    current: RwLock<Arc<Secret>>,
}

impl LiveSecret {
    /// A secret that is read now for the first time.
    ///
    /// # Errors
    /// When there is none.
    pub(in crate::prometheus) fn new(source: SecretSource) -> Result<LiveSecret, BadSecretFile> {
        let current = RwLock::new(Arc::new(source.read()?));
        Ok(LiveSecret { source, current })
    }

    /// The secret in force.
    pub(in crate::prometheus) fn current(&self) -> Arc<Secret> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file again, if there is one, and takes over a secret that has changed: whether one has.
    ///
    /// # Errors
    /// When there is none any more; the one before stays in force.
    pub(in crate::prometheus) fn refresh(&self) -> Result<bool, BadSecretFile> {
        if let SecretSource::Given(_) = self.source {
            return Ok(false);
        }
        let now = self.source.read()?;
        if *self.current() == now {
            return Ok(false);
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(now);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_secret_follows_its_file_and_survives_a_broken_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(LiveSecret::new(SecretSource::File(path.clone())).is_err());
        fs::write(&path, " first \n").unwrap();
        let secret = LiveSecret::new(SecretSource::File(path.clone())).unwrap();
        let check = |refreshed: Option<bool>, expected: &str| {
            let found = secret.refresh();
            assert_eq!((found.ok(), secret.current().reveal()), (refreshed, expected));
        };
        check(Some(false), "first");
        fs::write(&path, "second").unwrap();
        check(Some(true), "second");
        for (bad, says) in [(b"".as_slice(), "is empty"), (b"\n", "is empty"), (b"\xff", "UTF-8")] {
            fs::write(&path, bad).unwrap();
            check(None, "second");
            let error = secret.refresh().unwrap_err().to_string();
            assert!(error.contains("token") && error.contains(says), "{error}");
        }
        fs::write(&path, "x".repeat(65_537)).unwrap();
        check(None, "second");
        fs::remove_file(&path).unwrap();
        check(None, "second");
        fs::write(&path, "third").unwrap();
        check(Some(true), "third");
    }

    #[test]
    fn a_given_secret_stays_as_it_is_written() {
        let secret = LiveSecret::new(SecretSource::Given(Secret::new(" a "))).unwrap();
        assert!(!secret.refresh().unwrap());
        assert_eq!(secret.current().reveal(), " a ");
    }
}
