//! The API key: which texts are valid, how it is compared, and how it follows its file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::file::{self, BadFile, Unreadable};
use crate::secret::Secret;
use crate::sync::Current;

/// The maximum length of a key.
const MAX_LENGTH: usize = 1_024;

/// The maximum length of a file with a key: more than a key, because of line ends.
const MAX_FILE_BYTES: u64 = 2 * MAX_LENGTH as u64;

/// A key of 1 to 1024 visible ASCII characters, which a header can carry unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey(Secret);

impl ApiKey {
    /// A key, if the text is valid.
    pub fn new(text: &str) -> Option<ApiKey> {
        let is_good = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_good.then(|| ApiKey(Secret::new(text)))
    }

    /// Whether a text is the key. The time of the comparison reveals only the length of the key.
    pub fn is(&self, text: &str) -> bool {
        self.0 == Secret::new(text)
    }

    /// The text of the key, for a header.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

/// The key in force, which may change while the mirror runs.
#[derive(Debug)]
pub struct CurrentKey {
    current: Current<ApiKey>,
    file: Option<PathBuf>,
}

impl CurrentKey {
    /// A key that does not change.
    pub fn fixed(key: ApiKey) -> CurrentKey {
        CurrentKey { current: Current::new(key), file: None }
    }

    /// The key in a file, without the line ends after it.
    ///
    /// # Errors
    /// If the file does not contain a valid key.
    pub fn from_file(path: PathBuf) -> Result<CurrentKey, BadFile> {
        let key = read(&path)?;
        Ok(CurrentKey { file: Some(path), ..CurrentKey::fixed(key) })
    }

    /// The key in force.
    pub fn get(&self) -> Arc<ApiKey> {
        self.current.get()
    }

    /// Re-reads the file, if there is one. Returns whether the key has changed.
    ///
    /// # Errors
    /// If the file does not contain a valid key any more. Then the previous key stays in force.
    pub fn refresh(&self) -> Result<bool, BadFile> {
        let Some(path) = &self.file else { return Ok(false) };
        let key = read(path)?;
        if *self.get() == key {
            return Ok(false);
        }
        self.current.set(key);
        Ok(true)
    }
}

/// Opens the file each time, since Kubernetes replaces a mounted Secret by renaming.
fn read(path: &Path) -> Result<ApiKey, BadFile> {
    let bad = |what: &str| BadFile {
        path: path.to_owned(),
        text: format!("the file of the key (--api-key-file, or API_KEY_FILE), {}, {what}", path.display()),
    };
    let no_key = || bad(&format!("must hold 1 to {MAX_LENGTH} visible ASCII characters and nothing else"));
    let text = file::read_text(path, MAX_FILE_BYTES).map_err(|why| match why {
        Unreadable::NotText => no_key(),
        other => bad(&other.with_remedy()),
    })?;
    let key = text.trim_end_matches(['\n', '\r']);
    if key.is_empty() {
        return Err(bad("is empty; write the key into it"));
    }
    ApiKey::new(key).ok_or_else(no_key)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_is_visible_ascii_and_not_shown() {
        for good in ["k", "!~", &"k".repeat(1_024)] {
            assert!(ApiKey::new(good).is_some_and(|key| key.is(good) && !key.is("other") && !key.is("")), "{good}");
        }
        for bad in ["", " ", "two words", "k\n", "ké", &"k".repeat(1_025)] {
            assert_eq!(ApiKey::new(bad), None, "{bad:?}");
        }
        assert_eq!(format!("{:?}", CurrentKey::fixed(ApiKey::new("hush").unwrap())).matches("hush").count(), 0);
    }

    #[test]
    fn a_changed_file_is_taken_over_and_a_bad_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let write = |text: &str| {
            // Kubernetes replaces the file by renaming.
            let next = folder.path().join("next");
            fs::write(&next, text).unwrap();
            fs::rename(&next, &path).unwrap();
        };
        assert!(CurrentKey::from_file(path.clone()).is_err());
        write("first\r\n");
        let current = CurrentKey::from_file(path.clone()).unwrap();
        let check = |refreshed: Option<bool>, key: &str| {
            let found = current.refresh();
            assert_eq!((found.ok(), current.get().reveal()), (refreshed, key));
        };
        check(Some(false), "first");
        write("\u{feff}second\n\n");
        check(Some(true), "second");
        for bad in ["", "\n", "two words", "tw\no", &"k".repeat(5_000)] {
            write(bad);
            check(None, "second");
            let error = current.refresh().unwrap_err().to_string();
            assert!(error.contains("next") || error.contains("key") && !error.contains("two"), "{error}");
        }
        fs::remove_file(&path).unwrap();
        check(None, "second");
        fs::create_dir(&path).unwrap();
        check(None, "second");
        fs::remove_dir(&path).unwrap();
        write("second");
        check(Some(false), "second");
        assert_eq!(CurrentKey::fixed(ApiKey::new("k").unwrap()).refresh().ok(), Some(false));
    }
}
