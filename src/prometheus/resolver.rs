//! Looks up the addresses of those upstreams that may be asked.
//!
//! ureq asks before every exchange, also before one on a kept connection: what the list refuses is neither looked up nor
//! connected to, and the addresses it has checked are the very ones that are connected to.

use std::fmt;
use std::net::SocketAddr;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::allowlist::{Allowlist, Verdict};
use super::hosts::{address, host_and_port};

/// The failure of an exchange with an upstream that may not be asked.
#[derive(Debug)]
pub(super) struct NotAllowed;

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not allowed")
    }
}

impl std::error::Error for NotAllowed {}

#[derive(Debug)]
pub(super) struct AllowedResolver {
    allowlist: Allowlist,
    system: DefaultResolver,
}

impl AllowedResolver {
    pub(super) fn new(allowlist: Allowlist) -> AllowedResolver {
        AllowedResolver { allowlist, system: DefaultResolver::default() }
    }
}

impl Resolver for AllowedResolver {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let refused = || ureq::Error::Other(Box::new(NotAllowed));
        let (host, port) = host_and_port(uri);
        let mut addresses = self.empty();
        match self.allowlist.judge(host, port) {
            Verdict::Refused => return Err(refused()),
            Verdict::Allowed => match address(host) {
                // Known already; the system's resolver would be asked on a thread of its own.
                Some(ip) => addresses.push(SocketAddr::new(ip, port)),
                None => addresses = self.system.resolve(uri, config, timeout)?,
            },
            Verdict::ByAddress => {
                let found = self.system.resolve(uri, config, timeout)?;
                found.iter().filter(|at| self.allowlist.allows_at(at.ip())).for_each(|at| addresses.push(*at));
                if addresses.is_empty() {
                    return Err(refused());
                }
            }
        }
        Ok(addresses)
    }
}
