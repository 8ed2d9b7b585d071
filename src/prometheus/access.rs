//! Which upstreams the mirror may query, through which proxy, and which certificate authorities it trusts.

pub(super) mod address;
pub(super) mod allowlist;
pub(super) mod authorities;
pub(super) mod hosts;
pub(super) mod proxy;
pub(super) mod secret_source;
pub(super) mod shown_path;
pub(super) mod tls_settings;
