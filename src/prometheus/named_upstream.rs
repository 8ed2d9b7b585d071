//! An upstream of the upstreams file, in force: its connections, its credentials, and how they follow their files.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::access::address::Address;
use super::access::allowlist::Allowlist;
use super::access::authorities::Authorities;
use super::access::proxy::Proxy;
use super::access::secret_source::BadSecretFile;
use super::access::tls_settings::{BadTls, TlsMaterial};
use super::credentials::named::NamedCredentials;
use super::http::authorize::Authorize;
use super::http::tls::Tls;
use super::http::transport::{Shared, Transport, url_query};
use super::upstreams_file::definition::{Definition, ProxyDefinition};

/// An upstream with a name. It shares neither connections nor anything learnt with any other, not even with one of the same address, and
/// not with what had its name before the file changed.
#[derive(Debug)]
pub(super) struct NamedUpstream {
    id: u64,
    definition: Definition,
    url_query: String,
    credentials: NamedCredentials,
    transport: Transport,
    tls_material: Mutex<TlsMaterial>,
}

/// What all named upstreams are made with.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) shared: Shared,
    /// What `--ca-file` says.
    pub(super) authorities: Authorities,
    /// What `--proxy` and `--no-proxy` say.
    pub(super) proxy: Option<Proxy>,
}

/// Why an upstream cannot be used as it is defined.
#[derive(Debug)]
pub enum BadUpstream {
    /// The file of a secret is of no use.
    Secret(BadSecretFile),
    /// TLS cannot be spoken as it is set.
    Tls(BadTls),
}

impl fmt::Display for BadUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadUpstream::Secret(bad) => bad.fmt(f),
            BadUpstream::Tls(bad) => bad.fmt(f),
        }
    }
}

impl NamedUpstream {
    /// The upstream of a definition. Reads all files that it names.
    ///
    /// # Errors
    /// When one is of no use.
    pub(super) fn new(definition: Definition, around: &Surroundings) -> Result<NamedUpstream, BadUpstream> {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let credentials = NamedCredentials::new(&definition).map_err(BadUpstream::Secret)?;
        let tls_material = definition.tls.material().map_err(BadUpstream::Tls)?;
        let config = definition.tls.client_config(&tls_material, &around.authorities).map_err(BadUpstream::Tls)?;
        let proxy = match &definition.proxy {
            ProxyDefinition::AsSet => around.proxy.clone(),
            ProxyDefinition::Direct => None,
            ProxyDefinition::Url(proxy) => Some(proxy.clone()),
        };
        let tls = Tls::new(config, definition.tls.server_name.as_deref());
        Ok(NamedUpstream {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            url_query: url_query(&definition.query_parameters),
            credentials,
            // Whoever writes the file may have any host asked. The allow-list is about connection details.
            transport: Transport::new(&around.shared, Allowlist::everything(), proxy, tls),
            tls_material: Mutex::new(tls_material),
            definition,
        })
    }

    /// Takes over what has changed in the files that the definition names: whether anything has.
    ///
    /// # Errors
    /// When a file is of no use any more; what stood in it stays in force.
    pub(super) fn refresh(&self, authorities: &Authorities) -> Result<bool, BadUpstream> {
        let secrets = self.credentials.refresh().map_err(BadUpstream::Secret);
        let tls = self.refresh_tls(authorities).map_err(BadUpstream::Tls);
        Ok(secrets? | tls?)
    }

    fn refresh_tls(&self, authorities: &Authorities) -> Result<bool, BadTls> {
        let settings = &self.definition.tls;
        let now = settings.material()?;
        let mut material = self.tls_material.lock().unwrap_or_else(PoisonError::into_inner);
        if *material == now {
            return Ok(false);
        }
        self.transport.replace_tls(settings.client_config(&now, authorities)?);
        *material = now;
        Ok(true)
    }

    /// A number that no other has.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The address of a replica; of one that there is not, that of the first.
    pub(super) fn address(&self, replica: usize) -> &Address {
        let addresses = &self.definition.addresses;
        addresses.get(replica).unwrap_or(&addresses[0])
    }

    /// What stands in the URL of every call, as `name=value&...`, or nothing.
    pub(super) fn url_query(&self) -> &str {
        &self.url_query
    }

    pub(super) fn credentials(&self) -> &dyn Authorize {
        &self.credentials
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }
}
