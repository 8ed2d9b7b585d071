//! The authorities that the mirror trusts to issue certificates of `https` upstreams and proxies.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::tls::{Certificate, RootCerts};

use crate::file::{self, Unreadable};

/// The most files that are read in a directory: twice as many as a Linux system has in its directory of public authorities.
const MAX_FILES: usize = 1_000;

/// The most bytes of one file: 1 MiB, as much as a ConfigMap can hold, and four times the size of all public authorities.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What is wrong with a file without certificates of authorities.
const UNUSABLE: &str = "has no certificate that can be used; it needs one of X.509 version 3, in PEM, from -----BEGIN CERTIFICATE----- \
                        to -----END CERTIFICATE-----";

/// The trusted authorities; by default the public ones, which are built in.
#[derive(Debug, Clone, Default)]
pub struct Authorities(Option<Vec<CertificateDer<'static>>>);

impl Authorities {
    /// The authorities in a PEM file, or in all files of a directory, and no others.
    ///
    /// # Errors
    /// Fails if there is no file, or if a file cannot be used: which file or directory, and why, as a sentence.
    pub fn from_path(path: &Path) -> Result<Authorities, String> {
        let files = if path.is_dir() { files(path).map_err(|what| bad(path, &what))? } else { vec![path.to_owned()] };
        let mut certificates = Vec::new();
        for file in files {
            certificates.extend(certificates_in(&file).map_err(|what| bad(&file, &what))?);
        }
        Ok(Authorities(Some(certificates)))
    }

    /// The authorities in the form that ureq's own TLS needs.
    pub fn root_certs(&self) -> RootCerts {
        let root = |der: &CertificateDer<'_>| Certificate::from_der(der).to_owned();
        self.0.as_ref().map_or(RootCerts::WebPki, |certificates| certificates.iter().map(root).into())
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
fn files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| Unreadable::System(error).with_remedy();
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // A dangling link is not a directory either. The error names it when it cannot be read.
        if entry.file_name().as_bytes().starts_with(b".") || entry.path().is_dir() {
            continue;
        }
        if files.len() == MAX_FILES {
            return Err(format!(
                "has more than {MAX_FILES} files in it; give a directory that has only CA certificates"
            ));
        }
        files.push(entry.path());
    }
    if files.is_empty() {
        return Err("has no file in it; put the CA certificates there".to_owned());
    }
    files.sort();
    Ok(files)
}

fn certificates_in(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = file::read(file, MAX_FILE_BYTES).map_err(|why| why.with_remedy())?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|_| "has PEM that is broken or cut off; copy it again")?;
    let is_usable = !roots(certificates.clone()).is_empty();
    is_usable.then_some(certificates).ok_or_else(|| UNUSABLE.to_owned())
}

/// An error about a file or a directory.
fn bad(path: &Path, what: &str) -> String {
    format!("{} {what}", path.display())
}

/// The certificates that can be trusted as authorities. Others are skipped, because bundles contain some that cannot.
pub(super) fn roots(certificates: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    roots
}
