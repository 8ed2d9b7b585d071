//! Which upstreams the mirror may query, through which proxy, and which certificate authorities it trusts.

mod address;
mod allowlist;
mod authorities;
mod hosts;
mod proxy;
mod secret_source;
mod shown_path;
mod tls_settings;

pub(super) use address::{Address, BaseUrl, basic, split_url, unbracketed};
pub(super) use allowlist::Verdict;
pub(super) use hosts::{address, host_and_port};
pub(super) use proxy::ProxyChoice;
pub(super) use secret_source::{FilePlace, LiveSecret, SecretForm, SecretOrigin, SecretSource, Unusable};
pub(super) use shown_path::{HIDDEN, shown_path};
pub(super) use tls_settings::{TlsMaterial, TlsSettings, TlsVersion};

pub use address::BadAddress;
pub use allowlist::Allowlist;
pub use authorities::Authorities;
pub use hosts::BadHost;
pub use proxy::{NoProxy, Proxy};
