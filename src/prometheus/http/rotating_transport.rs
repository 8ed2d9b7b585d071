//! The transport of one upstream, whose certificates are reloaded when their files change.

use std::sync::Arc;
use std::time::Duration;

use super::tls::Tls;
use super::transport::{SharedTransport, Transport};
use crate::prometheus::access::{Allowlist, Authorities, ProxyChoice, TlsMaterial, TlsSettings, Unusable};
use crate::refreshed::Refreshed;
use crate::sync::Mutex;

/// Connections that no other upstream shares.
pub(in crate::prometheus) struct RotatingTransport {
    pub(in crate::prometheus) transport: Transport,
    /// TLS with the upstream's own proxy.
    proxy_tls: Option<Arc<Tls>>,
    settings: TlsSettings,
    material: Mutex<TlsMaterial>,
}

impl RotatingTransport {
    /// A transport to any host. The allow-list is about Connection Details only: the author of the upstreams file may name any
    /// upstream.
    ///
    /// # Errors
    /// Fails if TLS cannot be set up with these settings.
    pub(in crate::prometheus) fn new(
        settings: TlsSettings,
        proxy: &ProxyChoice,
        shared: &SharedTransport,
        connect_patience: Duration,
    ) -> Result<RotatingTransport, Unusable> {
        let material = settings.material()?;
        let config = settings.client_config(&material, &shared.authorities)?;
        let (proxy, proxy_tls) = match proxy {
            ProxyChoice::AsSet => (shared.proxy.clone(), None),
            ProxyChoice::Direct => (None, None),
            // As in Prometheus, all settings except the server's name apply to the proxy, too.
            ProxyChoice::Through(proxy) => (Some(proxy.clone()), Some(Arc::new(Tls::new(config.clone(), None)))),
        };
        let tls = Tls::new(config, settings.server_name.as_deref());
        let with_proxy = Arc::clone(proxy_tls.as_ref().unwrap_or(&shared.proxy_tls));
        let transport = Transport::new(shared, Allowlist::everything(), proxy, tls, with_proxy, connect_patience);
        Ok(RotatingTransport { transport, proxy_tls, settings, material: Mutex::new(material) })
    }

    /// Reloads the files of the authorities, and those of the certificate and its key, where they have changed. A failure of one
    /// does not stop the other.
    pub(in crate::prometheus) fn refresh(&self, authorities: &Authorities) -> Refreshed<Unusable> {
        let mut material = self.material.lock();
        [TlsSettings::with_new_ca, TlsSettings::with_new_pair]
            .map(|read| {
                let now = read(&self.settings, &material)?;
                if *material == now {
                    return Ok(false);
                }
                let config = self.settings.client_config(&now, authorities)?;
                if let Some(proxy_tls) = &self.proxy_tls {
                    proxy_tls.replace(config.clone());
                }
                self.transport.replace_tls(config);
                *material = now;
                Ok(true)
            })
            .into_iter()
            .collect()
    }
}
