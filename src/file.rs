//! Reads files that settings name, whole and up to a bound.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Why a file cannot be read. The text continues a sentence that begins with its name.
#[derive(Debug)]
pub enum Unreadable {
    /// The system reports an error.
    System(io::Error),
    /// It is a directory, a pipe or a device, or a file that the kernel writes piece by piece, such as `/proc/kmsg`.
    NotRegular,
    /// It is longer than this number of bytes.
    TooLong(u64),
    /// It is not a text in UTF-8.
    NotText,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::System(error) => write!(f, "cannot be read: {error}"),
            Unreadable::NotRegular => f.write_str("is not a regular file, so it is not read"),
            Unreadable::TooLong(most) => write!(f, "is longer than {most} bytes"),
            Unreadable::NotText => f.write_str("is not a text in UTF-8"),
        }
    }
}

impl Unreadable {
    /// Why, and what to change, as a clause.
    pub fn with_remedy(&self) -> String {
        format!("{self}; {}", self.remedy())
    }

    /// What to change.
    pub fn remedy(&self) -> &'static str {
        match self {
            Unreadable::System(_) => "give the path of a file that this process may read",
            Unreadable::NotRegular => "give the path of a regular file, or of a link to one",
            Unreadable::TooLong(_) => "give a shorter one, or see whether it is the right file",
            Unreadable::NotText => "save it as UTF-8",
        }
    }
}

impl std::error::Error for Unreadable {}

/// A file that is unusable: one that a setting names, or one that such a file names. The text repeats nothing of its content.
#[derive(Debug)]
pub struct BadFile {
    /// The file to correct.
    pub path: PathBuf,
    /// What is wrong, as a sentence.
    pub text: String,
}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for BadFile {}

/// The mark that some editors put before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The content of a file, or of the target of a symbolic link, without a byte order mark.
///
/// # Errors
/// If the file cannot be read, or is longer than `max_bytes`, with the mark.
pub fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>, Unreadable> {
    if !fs::metadata(path).map_err(Unreadable::System)?.is_file() {
        return Err(Unreadable::NotRegular);
    }
    // Without O_NONBLOCK, this could wait forever: if a pipe has replaced the file, or if the kernel has not written it yet.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let mut content = Vec::new();
    file.map_err(Unreadable::System)?.take(max_bytes + 1).read_to_end(&mut content).map_err(|error| {
        match error.kind() {
            io::ErrorKind::WouldBlock => Unreadable::NotRegular,
            _ => Unreadable::System(error),
        }
    })?;
    if content.len() as u64 > max_bytes {
        return Err(Unreadable::TooLong(max_bytes));
    }
    if content.starts_with(BYTE_ORDER_MARK) {
        // In place, so that a secret leaves no copy in memory.
        content.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(content)
}

/// The text in a file. It may be a secret, so it is wiped from memory when it is dropped.
///
/// # Errors
/// As [`read`], and if it is not a text in UTF-8.
pub fn read_text(path: &Path, max_bytes: u64) -> Result<Zeroizing<String>, Unreadable> {
    let content = Zeroizing::new(read(path, max_bytes)?);
    let text = str::from_utf8(&content).map_err(|_| Unreadable::NotText)?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_in_utf_8() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "é").unwrap();
        assert_eq!(read_text(file.path(), 2).unwrap().as_str(), "é");
        for (written, text) in
            [("\u{feff}é", "é"), ("\u{feff}", ""), ("\u{feff}\u{feff}", "\u{feff}"), ("é\u{feff}", "é\u{feff}")]
        {
            fs::write(file.path(), written).unwrap();
            assert_eq!(read_text(file.path(), 6).unwrap().as_str(), text);
        }
        fs::write(file.path(), "é").unwrap();
        assert!(matches!(read_text(file.path(), 1), Err(Unreadable::TooLong(1))));
        fs::write(file.path(), [0xe9]).unwrap();
        let error = read_text(file.path(), 2).unwrap_err();
        assert_eq!(error.to_string(), "is not a text in UTF-8");
    }

    #[test]
    fn what_the_kernel_is_still_to_write_is_not_waited_for() {
        // Some systems forbid it, and in containers it may be a device. This file is endless.
        let error = read(Path::new("/proc/kmsg"), 1 << 30).unwrap_err().to_string();
        assert!(error.starts_with("is not a regular file") || error.starts_with("cannot be read"), "{error}");
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "four").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read(&file, 4).unwrap(), b"four");
        assert_eq!(read(&link, 5).unwrap(), b"four");
        for (path, most, expected) in [
            (file.as_path(), 3, "is longer than 3 bytes"),
            (folder.path(), 4, "is not a regular file"),
            (Path::new("/dev/zero"), 4, "is not a regular file"),
            (&folder.path().join("missing"), 4, "cannot be read: No such file"),
        ] {
            let error = read(path, most).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{}: {error}", path.display());
        }
    }
}
