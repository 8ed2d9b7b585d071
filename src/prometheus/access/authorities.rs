//! The authorities that the mirror trusts to issue certificates of `https` upstreams and proxies.

use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::file::{self, Unreadable};

/// The most files that are read in a directory: twice as many as a Linux system has in its directory of public authorities.
const MAX_FILES: usize = 1_000;

/// The most bytes of one file: 1 MiB, as much as a ConfigMap can hold, and four times the size of all public authorities.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The trusted authorities; by default the public ones, which are built in.
#[derive(Debug, Clone, Default)]
pub struct Authorities(Option<Vec<CertificateDer<'static>>>);

impl Authorities {
    /// The authorities in a PEM file, or in all files of a directory, and no others.
    ///
    /// # Errors
    /// Fails if there is none, or if a file cannot be used.
    pub fn from_path(path: &Path) -> Result<Authorities, BadAuthorities> {
        let files = if path.is_dir() { files(path)? } else { vec![path.to_owned()] };
        let mut certificates = Vec::new();
        for file in files {
            let found = certificates_in(&file).map_err(|reason| BadAuthorities { path: file, reason })?;
            certificates.extend(found);
        }
        Ok(Authorities(Some(certificates)))
    }

    /// The authorities in the form that the TLS library needs.
    pub(in crate::prometheus) fn roots(&self) -> RootCertStore {
        match &self.0 {
            Some(certificates) => roots(certificates.clone()),
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        }
    }
}

/// The files of a directory, sorted by name, except those that begin with a dot, where Kubernetes keeps the contents of a mounted
/// ConfigMap.
fn files(directory: &Path) -> Result<Vec<PathBuf>, BadAuthorities> {
    let bad = |reason| BadAuthorities { path: directory.to_owned(), reason };
    let unreadable = |error| bad(AuthoritiesFault::Unreadable(Unreadable::System(error)));
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // A dangling link is not a directory either. The error names it when it cannot be read.
        if entry.file_name().as_bytes().starts_with(b".") || entry.path().is_dir() {
            continue;
        }
        if files.len() == MAX_FILES {
            return Err(bad(AuthoritiesFault::TooManyFiles));
        }
        files.push(entry.path());
    }
    if files.is_empty() {
        return Err(bad(AuthoritiesFault::NoFiles));
    }
    files.sort();
    Ok(files)
}

fn certificates_in(file: &Path) -> Result<Vec<CertificateDer<'static>>, AuthoritiesFault> {
    let pem = file::read(file, MAX_FILE_BYTES).map_err(AuthoritiesFault::Unreadable)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|_| AuthoritiesFault::NoPem)?;
    if certificates.is_empty() { Err(AuthoritiesFault::NoCertificate) } else { Ok(certificates) }
}

/// A file or a directory without usable authorities.
#[derive(Debug)]
pub struct BadAuthorities {
    path: PathBuf,
    reason: AuthoritiesFault,
}

#[derive(Debug)]
enum AuthoritiesFault {
    Unreadable(Unreadable),
    NoPem,
    NoCertificate,
    NoFiles,
    TooManyFiles,
}

impl fmt::Display for BadAuthorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.path.display())?;
        match &self.reason {
            AuthoritiesFault::Unreadable(why) => write!(f, "{why}; {}", why.remedy()),
            AuthoritiesFault::NoPem => f.write_str("is no PEM file, or a broken one"),
            AuthoritiesFault::NoCertificate => f.write_str("has no certificate in it"),
            AuthoritiesFault::NoFiles => f.write_str("has no file in it"),
            AuthoritiesFault::TooManyFiles => write!(f, "has more than {MAX_FILES} files in it"),
        }
    }
}

impl std::error::Error for BadAuthorities {}

/// The certificates that can be trusted as authorities. Others are skipped, because bundles contain some that cannot.
pub(super) fn roots(certificates: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    roots
}
