//! How the mirror calls an upstream. The meaning of a status or a redirect depends on it.

/// How the mirror calls an upstream.
pub(in crate::prometheus) struct CallContext {
    /// Scheme, host, port and path prefix, without a slash at the end and without credentials. It must not be shown, because the
    /// prefix may be a secret.
    pub(in crate::prometheus) base: String,
    /// Whether it sends credentials.
    pub(in crate::prometheus) has_credentials: bool,
}
