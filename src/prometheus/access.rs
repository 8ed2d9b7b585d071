//! Which upstreams may be queried, whether through the proxy, and which certificate authorities are trusted.

pub(super) mod address;
pub(super) mod allowlist;
pub(super) mod authorities;
pub(super) mod hosts;
pub(super) mod proxy;
pub(super) mod secret_source;
pub(super) mod shown_path;
pub(super) mod tls_settings;
