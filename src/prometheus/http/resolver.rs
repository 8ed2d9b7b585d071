//! Checks by its name whether an upstream may be queried. ureq calls this before every call, even on a kept connection.
//!
//! Names are not looked up here, but when a connection is made, see `connector`.

use std::sync::Arc;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::prometheus::error::ErrorKind;

use super::connector::Connector;
use super::failure::ConnectError;

/// Returns no address, but an error if the upstream may not be queried.
#[derive(Debug)]
pub(super) struct Judge(pub(super) Arc<Connector>);

impl Resolver for Judge {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let refused = |kind: ErrorKind| Error::from(ConnectError(kind));
        self.0.way_to(uri).map(|_| self.empty()).map_err(refused)
    }
}
