//! What the mirror proves who it is with: what stands in the URL of Connection Details, or what the upstreams file says.
//!
//! `http` asks for it through a trait (`http/authorize`), so that whatever needs HTTP itself, as tokens do, can live here.

pub(super) mod aws;
pub(super) mod fixed;
pub(super) mod hide;
pub(super) mod named;
pub(super) mod oauth2;

mod exchange;
mod single_fetch;
