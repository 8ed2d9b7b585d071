//! Looks up the addresses of those upstreams that may be asked.
//!
//! ureq asks before every exchange, also before one on a kept connection: what the list refuses is neither looked up nor
//! connected to, and the addresses it has checked are the very ones that are connected to.

use std::net::SocketAddr;
use std::sync::Arc;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::failure::Stop;
use crate::prometheus::access::allowlist::{Allowlist, Verdict};
use crate::prometheus::access::hosts::{address, host_and_port};
use crate::prometheus::access::proxy::Proxy;

#[derive(Debug)]
pub(super) struct AllowedResolver {
    allowlist: Allowlist,
    proxy: Option<Arc<Proxy>>,
    system: DefaultResolver,
}

impl AllowedResolver {
    pub(super) fn new(allowlist: Allowlist, proxy: Option<Arc<Proxy>>) -> AllowedResolver {
        AllowedResolver { allowlist, proxy, system: DefaultResolver::default() }
    }
}

impl Resolver for AllowedResolver {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let (host, port) = host_and_port(uri);
        let proxy = self.proxy.as_deref().filter(|proxy| proxy.leads_to(host, port));
        let mut addresses = self.empty();
        match (self.allowlist.judge(host, port), proxy) {
            (Verdict::Refused, _) => return Err(Stop::NotAllowed.into()),
            (Verdict::ByAddress, Some(proxy)) => return Err(Stop::AddressUnknown(proxy.to_string()).into()),
            // The proxy looks it up; whoever connects to that needs no address.
            (Verdict::Allowed, Some(_)) => {}
            (Verdict::Allowed, None) => match address(host) {
                // Known already; the system's resolver would be asked on a thread of its own.
                Some(ip) => addresses.push(SocketAddr::new(ip, port)),
                None => addresses = self.system.resolve(uri, config, timeout)?,
            },
            (Verdict::ByAddress, None) => {
                let found = self.system.resolve(uri, config, timeout)?;
                found.iter().filter(|at| self.allowlist.allows_at(at.ip())).for_each(|at| addresses.push(*at));
                if addresses.is_empty() {
                    return Err(Stop::NotAllowed.into());
                }
            }
        }
        Ok(addresses)
    }
}
