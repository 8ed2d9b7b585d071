//! How an upstream is called, on which hangs what a status or a redirect of it means.

/// How an upstream is called.
pub(in crate::prometheus) struct CallContext {
    /// Scheme, host, port and path prefix, without a slash at the end and without credentials. It must not be shown: the prefix may be a
    /// secret.
    pub(in crate::prometheus) base: String,
    /// Whether by https.
    pub(in crate::prometheus) is_https: bool,
    /// Whether with credentials.
    pub(in crate::prometheus) has_credentials: bool,
    /// Whether the upstream is in the upstreams file.
    pub(in crate::prometheus) is_named: bool,
    /// Whether its calls are signed for Amazon.
    pub(in crate::prometheus) is_signed: bool,
}
