//! The tests of what is shipped: the image, the chart, the bundle for air-gapped sites. A binary of its own beside `it`,
//! because it needs other programs (buildah, helm) and root, and because its builds keep every core busy, which the
//! tests there that watch the clock must not suffer from: cargo runs one binary after the other.
//!
//! As there, what is tested is the real thing: the Dockerfile is executed, the charts are rendered by real helms, the
//! bundle is made and unpacked. If a program is missing, the tests fail and say what to install; they never skip.
#![allow(missing_docs, clippy::unwrap_used, unreachable_pub)]

// The two binaries share the mirror's clients and servers, each uses some of them.
#[allow(dead_code)]
#[path = "../it/support/mod.rs"]
mod support;

mod builds;
mod bundle;
mod chart;
mod compose;
mod image;
mod licences;
mod load;
mod release;
mod sbom;
mod site;
