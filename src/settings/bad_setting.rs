//! What is wrong with the settings.

use std::fmt;

/// A bad command line or environment, in a sentence that names the setting, what it was given and what it may be.
#[derive(Debug, PartialEq, Eq)]
pub struct BadSetting(pub(super) String);

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadSetting {}
