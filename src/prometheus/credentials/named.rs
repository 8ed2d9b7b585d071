//! The credentials of an upstream of the upstreams file: its headers, and at most one authentication scheme.

use std::sync::atomic::{AtomicBool, Ordering};

use ureq::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::prometheus::access::{LiveSecret, Unusable, basic};
use crate::prometheus::error::ErrorKind;
use crate::prometheus::http::{Authorize, Deadline, UnsignedCall};
use crate::refreshed::Refreshed;
use crate::secret::Secret;

use super::aws::SigV4;
use super::fixed::value;
use super::hide::of_authorization;
use super::oauth2::OAuth2;

/// The current credentials, which are reloaded when their files change.
pub(in crate::prometheus) struct NamedCredentials {
    pub(in crate::prometheus) headers: Vec<(HeaderName, LiveSecret)>,
    pub(in crate::prometheus) scheme: Scheme,
    /// Whether a refused call has reloaded something since the last `refresh`.
    pub(in crate::prometheus) has_renewed: AtomicBool,
}

/// How the mirror authenticates.
pub(in crate::prometheus) enum Scheme {
    None,
    Basic { username: LiveSecret, password: Option<LiveSecret> },
    Authorization { scheme: String, credentials: LiveSecret },
    OAuth2(Box<OAuth2>),
    SigV4(Box<SigV4>),
}

impl NamedCredentials {
    /// Reloads the files that have changed since the last call. A file that cannot be used does not stop the others.
    pub(in crate::prometheus) fn refresh(&self) -> Refreshed<Unusable> {
        let refreshed = self.read_again();
        let has_changed = self.has_renewed.swap(false, Ordering::Relaxed) | refreshed.has_changed;
        Refreshed { has_changed, ..refreshed }
    }

    fn read_again(&self) -> Refreshed<Unusable> {
        let refreshed: Refreshed<Unusable> = self.live_secrets().map(LiveSecret::refresh).collect();
        match &self.scheme {
            // The token server has not refused the new secret yet.
            Scheme::OAuth2(oauth2) if refreshed.has_changed => oauth2.token.end_pause(),
            Scheme::SigV4(sigv4) if sigv4.have_files_changed() || refreshed.has_changed => sigv4.end_pause(),
            Scheme::None | Scheme::Basic { .. } | Scheme::Authorization { .. } => {}
            Scheme::OAuth2(_) | Scheme::SigV4(_) => {}
        }
        refreshed
    }

    fn live_secrets(&self) -> impl Iterator<Item = &LiveSecret> {
        let of_scheme = match &self.scheme {
            Scheme::None => [None, None],
            Scheme::Basic { username, password } => [Some(username), password.as_ref()],
            Scheme::Authorization { credentials, .. } => [Some(credentials), None],
            Scheme::OAuth2(oauth2) => [Some(&oauth2.client_secret), None],
            Scheme::SigV4(sigv4) => sigv4.live_secrets(),
        };
        self.headers.iter().map(|(_, secret)| secret).chain(of_scheme.into_iter().flatten())
    }

    /// The value of the header `Authorization`, if no issuer must be called for it.
    fn known_authorization(&self) -> Option<Secret> {
        match &self.scheme {
            Scheme::Basic { username, password } => {
                let password = password.as_ref().map(LiveSecret::current);
                let password = password.as_ref().map_or(&[][..], |password| password.reveal().as_bytes());
                Some(basic(username.current().reveal().as_bytes(), password))
            }
            Scheme::Authorization { scheme, credentials } => {
                Some(Secret::new(&format!("{scheme} {}", credentials.current().reveal())))
            }
            Scheme::None | Scheme::OAuth2(_) | Scheme::SigV4(_) => None,
        }
    }

    /// Whether a call would now carry other credentials than one with these headers did.
    fn differs(&self, sent: &HeaderMap) -> bool {
        let carries = |name: &HeaderName, secret: &Secret| {
            sent.get_all(name).iter().any(|value| value.as_bytes() == secret.reveal().as_bytes())
        };
        let authorization = self.known_authorization();
        authorization.is_some_and(|current| !carries(&header::AUTHORIZATION, &current))
            || self.headers.iter().any(|(name, secret)| !carries(name, &secret.current()))
    }
}

impl Authorize for NamedCredentials {
    fn headers(&self, outgoing: &UnsignedCall<'_>, deadline: Deadline) -> Result<HeaderMap, ErrorKind> {
        let mut headers = match &self.scheme {
            Scheme::SigV4(sigv4) => sigv4.headers(outgoing, deadline)?,
            Scheme::None | Scheme::Basic { .. } | Scheme::Authorization { .. } | Scheme::OAuth2(_) => HeaderMap::new(),
        };
        for (name, secret) in &self.headers {
            headers.append(name, value(name, &secret.current())?);
        }
        let authorization = match &self.scheme {
            Scheme::OAuth2(oauth2) => Some(oauth2.authorization(deadline)?),
            Scheme::None | Scheme::Basic { .. } | Scheme::Authorization { .. } | Scheme::SigV4(_) => {
                self.known_authorization()
            }
        };
        if let Some(authorization) = authorization {
            headers.insert(header::AUTHORIZATION, value(&header::AUTHORIZATION, &authorization)?);
        }
        Ok(headers)
    }

    fn renew(&self, refused: &HeaderMap) -> bool {
        // A file may have changed since it was read a few seconds ago. The next `refresh` reports the change, so that it is logged.
        self.has_renewed.fetch_or(self.read_again().has_changed, Ordering::Relaxed);
        let authorization = refused.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let has_other = match &self.scheme {
            Scheme::OAuth2(oauth2) => oauth2.renew(authorization),
            Scheme::SigV4(sigv4) => sigv4.renew(authorization),
            Scheme::None | Scheme::Basic { .. } | Scheme::Authorization { .. } => false,
        };
        has_other || self.differs(refused)
    }

    fn secrets(&self) -> Vec<Secret> {
        let of_scheme = match &self.scheme {
            Scheme::OAuth2(oauth2) => oauth2.token.in_force().iter().flat_map(of_authorization).collect(),
            Scheme::SigV4(sigv4) => sigv4.keys_in_force(),
            Scheme::None | Scheme::Basic { .. } | Scheme::Authorization { .. } => {
                self.known_authorization().iter().flat_map(of_authorization).collect()
            }
        };
        let given = self.headers.iter().map(|(_, secret)| Secret::clone(&secret.current()));
        given.chain(of_scheme).collect()
    }

    fn has_credentials(&self) -> bool {
        !matches!(self.scheme, Scheme::None)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::prometheus::access::{FilePlace, SecretForm, SecretOrigin, SecretSource};

    use super::*;

    #[test]
    fn a_change_that_a_refused_call_reloads_is_reported_by_the_next_refresh() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "first").unwrap();
        let origin = SecretOrigin::File(file.path().to_owned());
        let source = SecretSource { origin, form: SecretForm::HeaderValue, place: FilePlace::default() };
        let scheme =
            Scheme::Authorization { scheme: "Bearer".to_owned(), credentials: LiveSecret::new(source).unwrap() };
        let credentials = NamedCredentials { headers: Vec::new(), scheme, has_renewed: AtomicBool::new(false) };
        assert!(!credentials.refresh().has_changed);
        fs::write(file.path(), "second").unwrap();
        assert!(credentials.renew(&HeaderMap::new()));
        for has_changed in [true, false] {
            assert_eq!(credentials.refresh().has_changed, has_changed);
        }
    }
}
