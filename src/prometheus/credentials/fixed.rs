//! Credentials that do not change: those in the URL of Connection Details, those of a client at a token server, or none.

use ureq::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::prometheus::error::ErrorKind;
use crate::prometheus::http::{Authorize, Deadline, UnsignedCall};
use crate::secret::Secret;

use super::hide::of_authorization;

/// The headers that contain the credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(in crate::prometheus) struct Fixed(Vec<(HeaderName, Secret)>);

impl Fixed {
    /// A header of any name.
    pub(in crate::prometheus) fn header(name: HeaderName, value: Secret) -> Fixed {
        Fixed(vec![(name, value)])
    }

    /// The header `Authorization`; no headers without a value.
    pub(in crate::prometheus) fn authorization(value: Option<Secret>) -> Fixed {
        Fixed(value.into_iter().map(|value| (header::AUTHORIZATION, value)).collect())
    }
}

impl Authorize for Fixed {
    fn headers(&self, _: &UnsignedCall<'_>, _: Deadline) -> Result<HeaderMap, ErrorKind> {
        let mut headers = HeaderMap::new();
        for (name, secret) in &self.0 {
            headers.append(name, value(name, secret)?);
        }
        Ok(headers)
    }

    fn secrets(&self) -> Vec<Secret> {
        self.0.iter().flat_map(|(_, value)| of_authorization(value)).collect()
    }

    fn has_credentials(&self) -> bool {
        !self.0.is_empty()
    }
}

/// A secret as the value of a header.
///
/// # Errors
/// Fails if a header cannot carry it.
pub(super) fn value(name: &HeaderName, secret: &Secret) -> Result<HeaderValue, ErrorKind> {
    let mut value =
        HeaderValue::from_str(secret.reveal()).map_err(|_| ErrorKind::UnsendableCredentials(name.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}
