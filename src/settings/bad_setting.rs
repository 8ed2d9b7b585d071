//! The error of a bad setting.

use std::fmt;

/// A bad command line or environment: a sentence that names the setting, its value, and the allowed values.
#[derive(Debug, PartialEq, Eq)]
pub struct BadSetting(pub(super) String);

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadSetting {}
