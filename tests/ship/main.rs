//! The tests of the image, the chart and the bundle for air-gapped sites. This is a separate binary because it needs other programs
//! (buildah, helm) and root, and because its builds keep all cores busy, which would disturb the tests in `it` that measure time:
//! cargo runs one binary after the other.
//!
//! The real artifacts are tested: the Dockerfile is executed, real helms render the charts, the bundle is made and unpacked. If a
//! program is missing, the tests fail and say what to install; they never skip.
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
