//! An upstream: a Prometheus that the mirror can query, with its address, credentials and connections.

pub(super) mod all_named;
pub(super) mod trivial_query;

mod named;
mod replicas;

use std::fmt;
use std::sync::Arc;

use crate::metrics::UpstreamLabels;
use crate::secret::Secret;

use super::access::{Address, BadAddress, BaseUrl};
use super::credentials::fixed::Fixed;
use super::error::{CallContext, ShownUpstream};
use super::http::{CallTarget, Transport};
use super::upstreams_file::definition::{Definition, Options};
use named::NamedUpstream;

/// Shorter parts of a URL are not hidden: they occur in many words and protect nothing.
const MIN_HIDDEN_BYTES: usize = 8;

/// A Prometheus to query, at an address in Connection Details or defined in the upstreams file: its address, its credentials, and if
/// it is in the upstreams file also its own connections and options.
///
/// Two upstreams are equal if they have the same address and credentials, or are the same replica of the same definition. Only then do
/// they share what the mirror has learnt about them. `Display` writes the name, if there is one, host, port and the well-known segments
/// of the path prefix; neither `Display` nor `Debug` shows a credential.
///
/// ```text
/// Upstream::at_host("prometheus.monitoring.svc", 9090)?        prometheus.monitoring.svc:9090
/// Upstream::at_url("https://user:password@p.example/prom")?    p.example:443/prom
/// client.upstreams.find(Some("mimir"))                         mimir (mimir.example:443/prometheus)
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Upstream(Arc<UpstreamKind>);

#[derive(PartialEq, Eq, Hash)]
enum UpstreamKind {
    Given { address: Address, credentials: Fixed },
    Named { upstream: Arc<NamedUpstream>, replica: usize },
}

impl Upstream {
    /// The Prometheus at a host, which is a name, an IPv4 address, or an IPv6 address with or without brackets, by `http`.
    ///
    /// # Errors
    /// Fails if the host is none of these.
    pub fn at_host(host: &str, port: u16) -> Result<Upstream, BadAddress> {
        Address::at_host(host, port).map(|address| Upstream::given(address, Fixed::default()))
    }

    /// The Prometheus at a base URL, `http` or `https`, with optional credentials and path prefix.
    ///
    /// # Errors
    /// Fails if it is not such a URL.
    pub fn at_url(url: &str) -> Result<Upstream, BadAddress> {
        let BaseUrl { address, authorization } = Address::at_url(url)?;
        Ok(Upstream::given(address, Fixed::authorization(authorization)))
    }

    fn given(address: Address, credentials: Fixed) -> Upstream {
        Upstream(Arc::new(UpstreamKind::Given { address, credentials }))
    }

    /// A replica of a named upstream.
    fn named(upstream: Arc<NamedUpstream>, replica: usize) -> Upstream {
        Upstream(Arc::new(UpstreamKind::Named { upstream, replica }))
    }

    /// Its options, if it is defined in the upstreams file.
    pub fn options(&self) -> Option<&Options> {
        self.definition().map(|definition| &definition.options)
    }

    /// The most workers that may query it at a time, if `max_in_flight` is set.
    pub(super) fn max_in_flight(&self) -> Option<usize> {
        self.options()?.max_in_flight
    }

    /// The upstream of the upstreams file and the index of this replica, if it is defined there.
    fn in_file(&self) -> Option<(&Arc<NamedUpstream>, usize)> {
        match &*self.0 {
            UpstreamKind::Given { .. } => None,
            UpstreamKind::Named { upstream, replica } => Some((upstream, *replica)),
        }
    }

    /// Its definition, if it is defined in the upstreams file.
    pub(super) fn definition(&self) -> Option<&Definition> {
        self.in_file().map(|(upstream, _)| &*upstream.definition)
    }

    /// Its name in the upstreams file, or else host, port and path prefix, never a password. Logs show this name.
    pub fn name(&self) -> &str {
        match &*self.0 {
            UpstreamKind::Given { address, .. } => address.name(),
            UpstreamKind::Named { upstream, .. } => &upstream.definition.name,
        }
    }

    /// The same upstream at the replica that is queried now.
    pub fn at_current_replica(&self) -> Upstream {
        match self.in_file() {
            Some((upstream, _)) => Upstream::named(Arc::clone(upstream), upstream.current_replica()),
            None => self.clone(),
        }
    }

    /// The same upstream at each of its replicas; one item if it has one, none if it is not defined in the upstreams file.
    pub(super) fn replicas(&self) -> Vec<Upstream> {
        let Some((upstream, _)) = self.in_file() else { return Vec::new() };
        let replicas = 0..upstream.definition.addresses.len();
        replicas.map(|nth| Upstream::named(Arc::clone(upstream), nth)).collect()
    }

    /// Notes that this replica has failed, so that the next query need not try it.
    pub(super) fn note_failure(&self) {
        if let Some((upstream, replica)) = self.in_file() {
            upstream.note_failure(replica);
        }
    }

    /// Its labels in the metrics.
    pub(super) fn labels(&self) -> UpstreamLabels {
        let name = self.definition().map(|definition| definition.name.clone()).unwrap_or_default();
        UpstreamLabels { name, replica: self.replica().unwrap_or_default().to_owned() }
    }

    /// The base URL of its web pages, unless a part of it may be a secret.
    pub fn page_base(&self) -> Option<String> {
        self.address().page_base()
    }

    /// The address of this replica, if the upstream has several.
    pub fn replica(&self) -> Option<&str> {
        let is_one_of_several = self.definition()?.addresses.len() > 1;
        is_one_of_several.then(|| self.address().name())
    }

    /// The key for its health. It must not be shown, because the path may be a secret.
    pub(super) fn health_key(&self) -> String {
        match &*self.0 {
            UpstreamKind::Given { address, .. } => address.base().to_owned(),
            // No address contains this character.
            UpstreamKind::Named { upstream, replica } => format!("#{} {replica}", upstream.id),
        }
    }

    /// What shares workers: an upstream of the upstreams file with all its replicas, or a server whatever the path and the
    /// credentials.
    pub(super) fn lane_key(&self) -> String {
        match &*self.0 {
            UpstreamKind::Given { address, .. } => address.server(),
            UpstreamKind::Named { upstream, .. } => format!("#{}", upstream.definition.name),
        }
    }

    pub(super) fn address(&self) -> &Address {
        match &*self.0 {
            UpstreamKind::Given { address, .. } => address,
            UpstreamKind::Named { upstream, replica } => upstream.address(*replica),
        }
    }

    /// Where its calls go.
    pub(super) fn target(&self) -> CallTarget<'_> {
        match &*self.0 {
            UpstreamKind::Given { address, credentials } => CallTarget { address, url_query: "", credentials },
            UpstreamKind::Named { upstream, replica } => upstream.target(*replica),
        }
    }

    /// What errors show of it.
    pub(super) fn shown(&self) -> ShownUpstream {
        let definition = self.in_file().map(|(upstream, _)| Arc::clone(&upstream.definition));
        ShownUpstream { text: self.to_string(), replica: self.replica_nth(), definition }
    }

    /// The index of this replica, in the order of the upstreams file.
    pub(super) fn replica_nth(&self) -> usize {
        self.in_file().map_or(0, |(_, replica)| replica)
    }

    /// The secrets that no text may contain: its credentials, and the parts of its URL that may be secret.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let parameters = self.definition().into_iter().flat_map(|definition| &definition.query_parameters);
        let of_url = self.address().hidden_segments().chain(parameters.map(|(_, value)| value.clone()));
        let of_url = of_url.filter(|text| text.len() >= MIN_HIDDEN_BYTES).map(|text| Secret::new(&text));
        self.target().credentials.secrets().into_iter().chain(of_url).collect()
    }

    /// Its own connections, if it is defined in the upstreams file.
    pub(super) fn transport(&self) -> Option<&Transport> {
        self.in_file().map(|(upstream, _)| upstream.transport())
    }

    /// How the mirror calls it.
    pub(super) fn context(&self) -> CallContext {
        CallContext {
            base: self.address().base().to_owned(),
            has_credentials: self.target().credentials.has_credentials(),
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            UpstreamKind::Given { address, .. } => address.fmt(f),
            UpstreamKind::Named { upstream, .. } => {
                write!(f, "{} ({})", upstream.definition.name, self.address())
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
        assert_eq!((one.lane_key().as_str(), one.health_key().as_str()), ("p:80", "http://p/x"));
    }
}
