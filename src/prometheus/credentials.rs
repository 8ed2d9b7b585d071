//! Credentials: how the mirror authenticates its calls, from the URL of Connection Details or from the upstreams file.
//!
//! `http` gets them through a trait (`http/authorize`), so that credentials that need HTTP themselves, such as tokens, can be here.

pub(super) mod aws;
pub(super) mod fixed;
pub(super) mod hide;
pub(super) mod named;
pub(super) mod oauth2;

mod issuer_call;
mod single_fetch;
