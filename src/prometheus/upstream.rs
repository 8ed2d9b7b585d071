//! An upstream: a Prometheus that can be asked, with all that is needed to ask it.

pub(super) mod all_named;
pub(super) mod trivial_query;

mod named;
mod replicas;

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::metrics::UpstreamLabels;
use crate::secret::Secret;

use super::access::address::{Address, BadAddress, BaseUrl};
use super::credentials::fixed::Fixed;
use super::error::call_context::CallContext;
use super::error::shown_upstream::ShownUpstream;
use super::http::call::CallTarget;
use super::http::transport::Transport;
use super::upstreams_file::definition::{Definition, Options};
use named::NamedUpstream;

/// A shorter part of a URL is no secret, but may be part of many words.
const MIN_HIDDEN_BYTES: usize = 8;

/// A Prometheus to ask: one that Connection Details give the address of, or one of the upstreams file. `Display` gives its name, if it
/// has one, host, port and path prefix; nothing shows credentials.
#[derive(Clone)]
pub struct Upstream(Arc<UpstreamKind>);

#[derive(PartialEq, Eq, Hash)]
enum UpstreamKind {
    Given { address: Address, credentials: Fixed },
    Named(Named),
}

/// A replica of a named upstream.
struct Named {
    upstream: Arc<NamedUpstream>,
    replica: usize,
}

impl PartialEq for Named {
    fn eq(&self, other: &Named) -> bool {
        (self.upstream.id(), self.replica) == (other.upstream.id(), other.replica)
    }
}

impl Eq for Named {}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.upstream.id(), self.replica).hash(state);
    }
}

/// What is learnt about an upstream is remembered by this: two upstreams at one address have nothing in common.
impl PartialEq for Upstream {
    fn eq(&self, other: &Upstream) -> bool {
        self.0 == other.0
    }
}

impl Eq for Upstream {}

impl Hash for Upstream {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Upstream {
    /// The Prometheus at a host, which is a name, an IPv4 address, or an IPv6 address with or without brackets.
    ///
    /// # Errors
    /// When the host is none of these.
    pub fn at_host(host: &str, port: u16) -> Result<Upstream, BadAddress> {
        Address::at_host(host, port).map(|address| Upstream::given(address, Fixed::default()))
    }

    /// The Prometheus at a base URL, `http` or `https`, with credentials and a path prefix if it needs them.
    ///
    /// # Errors
    /// When it is no such URL.
    pub fn at_url(url: &str) -> Result<Upstream, BadAddress> {
        let BaseUrl { address, authorization } = Address::at_url(url)?;
        Ok(Upstream::given(address, Fixed::authorization(authorization)))
    }

    fn given(address: Address, credentials: Fixed) -> Upstream {
        Upstream(Arc::new(UpstreamKind::Given { address, credentials }))
    }

    /// A replica of a named upstream.
    fn named(upstream: Arc<NamedUpstream>, replica: usize) -> Upstream {
        Upstream(Arc::new(UpstreamKind::Named(Named { upstream, replica })))
    }

    /// What the upstreams file says of it, if it stands there.
    pub fn options(&self) -> Option<&Options> {
        self.definition().map(|definition| &definition.options)
    }

    /// The upstream of the upstreams file, if it is one, and which of its replicas it is.
    fn in_file(&self) -> Option<(&Arc<NamedUpstream>, usize)> {
        match &*self.0 {
            UpstreamKind::Given { .. } => None,
            UpstreamKind::Named(Named { upstream, replica }) => Some((upstream, *replica)),
        }
    }

    /// Its definition, if it is in the upstreams file.
    pub(super) fn definition(&self) -> Option<&Definition> {
        self.in_file().map(|(upstream, _)| &**upstream.definition())
    }

    /// Its name in the upstreams file, or else host, port and path prefix, never a password: what logs call it.
    pub fn name(&self) -> &str {
        match &*self.0 {
            UpstreamKind::Given { address, .. } => address.name(),
            UpstreamKind::Named(Named { upstream, .. }) => &upstream.definition().name,
        }
    }

    /// The same upstream at the replica that is to be asked now.
    pub fn at_current_replica(&self) -> Upstream {
        match self.in_file() {
            Some((upstream, _)) => Upstream::named(Arc::clone(upstream), upstream.current_replica()),
            None => self.clone(),
        }
    }

    /// The same upstream at each of its replicas, if it has several.
    pub(super) fn replicas(&self) -> Vec<Upstream> {
        let Some((upstream, _)) = self.in_file() else { return Vec::new() };
        let replicas = 0..upstream.definition().addresses.len();
        replicas.map(|nth| Upstream::named(Arc::clone(upstream), nth)).collect()
    }

    /// The replica has failed; the next query need not try it.
    pub(super) fn has_failed(&self) {
        if let Some((upstream, replica)) = self.in_file() {
            upstream.replica_failed(replica);
        }
    }

    /// What the metrics call it.
    pub(super) fn labels(&self) -> UpstreamLabels<&str> {
        match self.is_named() {
            true => UpstreamLabels { name: self.name(), replica: self.replica().unwrap_or_default() },
            false => UpstreamLabels::default(),
        }
    }

    /// The base URL of its own pages, where no part of it may be a secret.
    pub fn page_base(&self) -> Option<String> {
        let address = self.address();
        let scheme = if address.is_https() { "https" } else { "http" };
        (!address.is_shortened()).then(|| format!("{scheme}://{}", address.name()))
    }

    /// Whether it stands in the upstreams file.
    pub fn is_named(&self) -> bool {
        self.in_file().is_some()
    }

    /// The address of the replica, if it is one of several.
    pub fn replica(&self) -> Option<&str> {
        let is_one_of_several = self.definition()?.addresses.len() > 1;
        is_one_of_several.then(|| self.address().name())
    }

    /// What its health is remembered by: not for any eye, for it may hold a path that is a secret.
    pub(super) fn health_key(&self) -> Cow<'_, str> {
        match &*self.0 {
            UpstreamKind::Given { address, .. } => Cow::Borrowed(address.base()),
            // No address has this character.
            UpstreamKind::Named(Named { upstream, replica }) => Cow::Owned(format!("#{} {replica}", upstream.id())),
        }
    }

    /// What shares workers: an upstream with all its replicas, or a server whatever the path and the credentials.
    pub(super) fn lane_key(&self) -> String {
        match &*self.0 {
            UpstreamKind::Given { address, .. } => address.server(),
            UpstreamKind::Named(Named { upstream, .. }) => format!("#{}", upstream.definition().name),
        }
    }

    pub(super) fn address(&self) -> &Address {
        match &*self.0 {
            UpstreamKind::Given { address, .. } => address,
            UpstreamKind::Named(Named { upstream, replica }) => upstream.address(*replica),
        }
    }

    /// Whom its queries go to.
    pub(super) fn target(&self) -> CallTarget<'_> {
        match &*self.0 {
            UpstreamKind::Given { address, credentials } => CallTarget { address, url_query: "", credentials },
            UpstreamKind::Named(Named { upstream, replica }) => upstream.target(*replica),
        }
    }

    /// What errors show of it.
    pub(super) fn shown(&self) -> ShownUpstream {
        let definition = self.in_file().map(|(upstream, _)| Arc::clone(upstream.definition()));
        ShownUpstream { text: self.to_string(), replica: self.replica_nth(), definition }
    }

    /// Which of its replicas it is, by their order in the upstreams file.
    pub(super) fn replica_nth(&self) -> usize {
        self.in_file().map_or(0, |(_, replica)| replica)
    }

    /// What no text may repeat: its credentials, and what else may be secret of its URL.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let parameters = self.definition().into_iter().flat_map(|definition| &definition.query_parameters);
        let of_url = self.address().hidden_segments().chain(parameters.map(|(_, value)| value.clone()));
        let of_url = of_url.filter(|text| text.len() >= MIN_HIDDEN_BYTES).map(|text| Secret::new(&text));
        self.target().credentials.secrets().into_iter().chain(of_url).collect()
    }

    /// Its own connections, if it has such.
    pub(super) fn transport(&self) -> Option<&Transport> {
        self.in_file().map(|(upstream, _)| upstream.transport())
    }

    /// How it is called.
    pub(super) fn context(&self) -> CallContext {
        CallContext {
            base: self.address().base().to_owned(),
            is_https: self.address().is_https(),
            has_credentials: self.target().credentials.has_credentials(),
            is_named: self.is_named(),
            is_signed: self.in_file().is_some_and(|(upstream, _)| upstream.is_signed()),
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            UpstreamKind::Given { address, .. } => address.fmt(f),
            UpstreamKind::Named(Named { upstream, .. }) => {
                write!(f, "{} ({})", upstream.definition().name, self.address())
            }
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_another_with_other_credentials_which_are_not_shown() {
        let [one, same, other] =
            ["http://u:hush@p/x", "http://u:hush@p/x", "http://u:hushed@p/x"].map(|url| Upstream::at_url(url).unwrap());
        assert!(one == same && one != other);
        assert_eq!(format!("{one} {one:?}"), "p:80/... Upstream(p:80/...)");
        assert_eq!((one.lane_key().as_str(), &*one.health_key()), ("p:80", "http://p/x"));
    }
}
