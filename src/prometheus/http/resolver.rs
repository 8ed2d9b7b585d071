//! Judges by its name whether an upstream may be asked. ureq asks before every exchange, also before one on a kept connection.
//!
//! No name is looked up here: whoever makes a connection does that, see `connector`.

use std::sync::Arc;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::prometheus::error::ErrorKind;

use super::connector::Connector;
use super::failure::ConnectError;

/// Gives no address, but an error for what may not be asked.
#[derive(Debug)]
pub(super) struct Judge(pub(super) Arc<Connector>);

impl Resolver for Judge {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let refused = |kind: ErrorKind| Error::from(ConnectError(kind));
        self.0.way_to(uri).map(|_| self.empty()).map_err(refused)
    }
}
