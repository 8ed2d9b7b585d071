//! A transport of one upstream's own, whose certificates follow their files.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::tls::Tls;
use super::transport::{Shared, Transport};
use crate::prometheus::access::allowlist::Allowlist;
use crate::prometheus::access::authorities::Authorities;
use crate::prometheus::access::proxy::{Proxy, ProxyChoice};
use crate::prometheus::access::secret_source::Unusable;
use crate::prometheus::access::tls_settings::{TlsMaterial, TlsSettings};
use crate::prometheus::credentials::aws::environment::AwsEnvironment;

/// What all such transports are made with.
#[derive(Debug)]
pub(in crate::prometheus) struct Surroundings {
    pub(in crate::prometheus) shared: Shared,
    /// What `--ca-file` says.
    pub(in crate::prometheus) authorities: Authorities,
    /// What `--proxy` and `--no-proxy` say.
    pub(in crate::prometheus) proxy: Option<Proxy>,
    /// What Amazon's programs take from the environment.
    pub(in crate::prometheus) aws: AwsEnvironment,
}

/// Connections that are shared with no other upstream.
#[derive(Debug)]
pub(in crate::prometheus) struct RotatingTransport {
    transport: Transport,
    settings: TlsSettings,
    material: Mutex<TlsMaterial>,
}

impl RotatingTransport {
    /// A transport to any host: whoever writes the upstreams file may have any asked. The allow-list is about connection details.
    ///
    /// # Errors
    /// When TLS cannot be spoken as it is set.
    pub(in crate::prometheus) fn new(
        settings: TlsSettings,
        proxy: &ProxyChoice,
        around: &Surroundings,
        connect_patience: Duration,
    ) -> Result<RotatingTransport, Unusable> {
        let material = settings.material()?;
        let tls = Tls::new(settings.client_config(&material, &around.authorities)?, settings.server_name.as_deref());
        let proxy = match proxy {
            ProxyChoice::AsSet => around.proxy.clone(),
            ProxyChoice::Direct => None,
            ProxyChoice::Through(proxy) => Some(proxy.clone()),
        };
        let transport = Transport::new(&around.shared, Allowlist::everything(), proxy, tls, connect_patience);
        Ok(RotatingTransport { transport, settings, material: Mutex::new(material) })
    }

    /// Takes over what has changed in the files of the certificates: whether anything has.
    ///
    /// # Errors
    /// When one is of no use any more; what stood in it stays in force.
    pub(in crate::prometheus) fn refresh(&self, authorities: &Authorities) -> Result<bool, Unusable> {
        let now = self.settings.material()?;
        let mut material = self.material.lock().unwrap_or_else(PoisonError::into_inner);
        if *material == now {
            return Ok(false);
        }
        self.transport.replace_tls(self.settings.client_config(&now, authorities)?);
        *material = now;
        Ok(true)
    }

    pub(in crate::prometheus) fn transport(&self) -> &Transport {
        &self.transport
    }
}
