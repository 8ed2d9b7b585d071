//! Credentials that stay as they are: those in the URL of connection details, those of a client at a token server, or none.

use ureq::http::{HeaderMap, HeaderValue, header};

use crate::prometheus::deadline::Deadline;
use crate::prometheus::error::ErrorKind;
use crate::prometheus::http::authorize::{Authorize, Outgoing};
use crate::secret::Secret;

/// The value of the header `Authorization`, if there is to be one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::prometheus) struct Fixed(pub(in crate::prometheus) Option<Secret>);

impl Authorize for Fixed {
    fn headers(&self, _: &Outgoing<'_>, _: Deadline) -> Result<HeaderMap, ErrorKind> {
        let mut headers = HeaderMap::new();
        if let Fixed(Some(authorization)) = self {
            let mut value = HeaderValue::from_str(authorization.reveal()).map_err(|_| ErrorKind::Unsent)?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(headers)
    }

    fn renew(&self, _: &HeaderMap) -> bool {
        false
    }

    fn has_credentials(&self) -> bool {
        self.0.is_some()
    }
}
