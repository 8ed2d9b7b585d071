//! The credentials of a named upstream: its headers, and one scheme of authentication at most.

use ureq::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::prometheus::access::address::basic;
use crate::prometheus::access::secret_source::{BadSecretFile, LiveSecret};
use crate::prometheus::deadline::Deadline;
use crate::prometheus::error::ErrorKind;
use crate::prometheus::http::authorize::{Authorize, Outgoing};
use crate::prometheus::upstreams_file::definition::{CredentialsDefinition, Definition};
use crate::secret::Secret;

/// The credentials in force. They change with the files that they stand in.
#[derive(Debug)]
pub(in crate::prometheus) struct NamedCredentials {
    headers: Vec<(HeaderName, LiveSecret)>,
    scheme: Scheme,
}

/// How the mirror proves who it is.
#[derive(Debug)]
enum Scheme {
    None,
    Basic { username: LiveSecret, password: Option<LiveSecret> },
    Authorization { scheme: String, credentials: LiveSecret },
}

impl NamedCredentials {
    /// Those of an upstream; reads all files.
    ///
    /// # Errors
    /// When a file is of no use.
    pub(in crate::prometheus) fn new(definition: &Definition) -> Result<NamedCredentials, BadSecretFile> {
        let headers = definition.headers.iter();
        let headers = headers.map(|(name, source)| Ok((name.clone(), LiveSecret::new(source.clone())?)));
        let live = |source: &_| LiveSecret::new(Clone::clone(source));
        let scheme = match &definition.credentials {
            CredentialsDefinition::None => Scheme::None,
            CredentialsDefinition::Basic { username, password } => {
                Scheme::Basic { username: live(username)?, password: password.as_ref().map(live).transpose()? }
            }
            CredentialsDefinition::Authorization { scheme, credentials } => {
                Scheme::Authorization { scheme: scheme.clone(), credentials: live(credentials)? }
            }
        };
        Ok(NamedCredentials { headers: headers.collect::<Result<_, _>>()?, scheme })
    }

    /// Takes over what has changed in the files: whether anything has.
    ///
    /// # Errors
    /// When a file is of no use any more; what stood in it stays in force, what stands in the others is taken over.
    pub(in crate::prometheus) fn refresh(&self) -> Result<bool, BadSecretFile> {
        let mut refreshed = Ok(false);
        for secret in self.secrets() {
            refreshed = match (refreshed, secret.refresh()) {
                (Err(first), _) => Err(first),
                (_, Err(bad)) => Err(bad),
                (Ok(before), Ok(now)) => Ok(before || now),
            };
        }
        refreshed
    }

    fn secrets(&self) -> impl Iterator<Item = &LiveSecret> {
        let of_scheme = match &self.scheme {
            Scheme::None => [None, None],
            Scheme::Basic { username, password } => [Some(username), password.as_ref()],
            Scheme::Authorization { credentials, .. } => [Some(credentials), None],
        };
        self.headers.iter().map(|(_, secret)| secret).chain(of_scheme.into_iter().flatten())
    }

    fn authorization(&self) -> Option<Secret> {
        match &self.scheme {
            Scheme::None => None,
            Scheme::Basic { username, password } => {
                let password = password.as_ref().map(LiveSecret::current);
                let password = password.as_ref().map_or(&[][..], |password| password.reveal().as_bytes());
                Some(basic(username.current().reveal().as_bytes(), password))
            }
            Scheme::Authorization { scheme, credentials } => {
                Some(Secret::new(&format!("{scheme} {}", credentials.current().reveal())))
            }
        }
    }
}

impl Authorize for NamedCredentials {
    fn headers(&self, _: &Outgoing<'_>, _: Deadline) -> Result<HeaderMap, ErrorKind> {
        let mut headers = HeaderMap::new();
        for (name, secret) in &self.headers {
            headers.append(name, value(name, &secret.current())?);
        }
        if let Some(authorization) = self.authorization() {
            headers.insert(header::AUTHORIZATION, value(&header::AUTHORIZATION, &authorization)?);
        }
        Ok(headers)
    }

    fn renew(&self, refused: &HeaderMap) -> bool {
        // A file may have changed since it was read, a few seconds ago. One that is broken is told of elsewhere.
        let _ = self.refresh();
        let current = self.authorization().and_then(|current| HeaderValue::from_str(current.reveal()).ok());
        let has_other_headers = self.headers.iter().any(|(name, secret)| {
            let current = secret.current();
            !refused.get_all(name).iter().any(|value| value.as_bytes() == current.reveal().as_bytes())
        });
        has_other_headers || current.as_ref() != refused.get(header::AUTHORIZATION)
    }

    fn has_credentials(&self) -> bool {
        !matches!(self.scheme, Scheme::None)
    }
}

/// A secret as the value of a header.
fn value(name: &HeaderName, secret: &Secret) -> Result<HeaderValue, ErrorKind> {
    let mut value =
        HeaderValue::from_str(secret.reveal()).map_err(|_| ErrorKind::UnsendableCredentials(name.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}
