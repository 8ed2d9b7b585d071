//! How to connect to a server: TLS, and the proxy.

use std::path::Path;

use crate::prometheus::access::{NoProxy, Proxy, ProxyChoice, SecretForm, TlsSettings, TlsVersion, Unusable};
use crate::prometheus::upstreams_file::fields::{FileField, FileFields};

use super::secrets::secret;

/// The TLS settings of an upstream or of a token server.
pub(super) fn tls_settings(fields: &FileFields<'_>, folder: &Path) -> Result<TlsSettings, Unusable> {
    const KEYS: [&str; 10] = [
        "ca", "ca_file", "cert", "cert_file", "key", "key_file", "server_name", "min_version", "max_version",
        "insecure_skip_verify",
    ];
    let Some(field) = fields.get("tls_config") else { return Ok(TlsSettings::default()) };
    let tls = field.fields(&KEYS, "{ca_file: ca.pem}")?;
    let versions = [("TLS12", TlsVersion::Tls12), ("TLS13", TlsVersion::Tls13)];
    let version = |key: &str| tls.get(key).map(|field| field.word(versions)).transpose();
    let settings = TlsSettings {
        place: field.place.clone(),
        ca: secret(&tls, ["ca", "ca_file"], folder, SecretForm::Pem)?,
        certificate: secret(&tls, ["cert", "cert_file"], folder, SecretForm::Pem)?,
        key: secret(&tls, ["key", "key_file"], folder, SecretForm::Pem)?,
        server_name: tls.get("server_name").map(|field| server_name(&field)).transpose()?,
        min_version: version("min_version")?,
        max_version: version("max_version")?,
        insecure_skip_verify: tls.get("insecure_skip_verify").map_or(Ok(false), |field| field.boolean())?,
    };
    match (&settings.certificate, &settings.key) {
        (Some(_), None) => return Err(tls.bad("has a certificate (cert or cert_file), but no key or key_file")),
        (None, Some(_)) => return Err(tls.bad("has a key (key or key_file), but no cert or cert_file")),
        _ => {}
    }
    if settings.insecure_skip_verify && settings.ca.is_some() {
        return Err(tls.bad("has both ca_file (or ca) and insecure_skip_verify: true; keep one of them"));
    }
    match (settings.min_version, settings.max_version) {
        (Some(TlsVersion::Tls13), Some(TlsVersion::Tls12)) => Err(tls.bad("has a min_version above its max_version")),
        _ => Ok(settings),
    }
}

fn server_name(field: &FileField<'_>) -> Result<String, Unusable> {
    let text = field.text()?;
    match TlsSettings::is_server_name(text) {
        true => Ok(text.to_owned()),
        false => Err(field.bad("must be a host name or an IP address, without a port")),
    }
}

pub(super) fn proxy(fields: &FileFields<'_>) -> Result<ProxyChoice, Unusable> {
    let no_proxy = fields.get("no_proxy");
    let Some(field) = fields.get("proxy_url") else {
        return match no_proxy {
            Some(field) => Err(field.bad("needs a proxy_url beside it")),
            None => Ok(ProxyChoice::AsSet),
        };
    };
    let url = field.text_or_empty()?.trim();
    if url.is_empty() {
        return Ok(ProxyChoice::Direct);
    }
    let hosts = |field: FileField<'_>| {
        field.text().ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
            field.bad("must be a comma-separated list of hosts, .domains and networks, such as .svc,10.0.0.0/8")
        })
    };
    let no_proxy: NoProxy = no_proxy.map_or(Ok(NoProxy::default()), hosts)?;
    Proxy::at_url(url, no_proxy).map(ProxyChoice::Through).ok_or_else(|| {
        field.bad("must be a URL such as http://user:password@proxy.example:3128 (http or https), or empty")
    })
}
