//! The chart: what it renders, for whom, and what it refuses. Every rule that it promises is a test on manifests that both a
//! real helm 4 and a real helm 3 have rendered from it; the schemas of Kubernetes judge them besides.

mod certificates;
mod environment;
mod everything;
mod exposure;
pub mod helm;
mod images;
mod key;
mod limits;
pub mod manifests;
mod names;
mod network;
mod notes;
mod odd;
mod operation;
mod proxy;
mod readme;
mod restricted;
mod running;
mod schema;
mod settings;
mod subchart;
mod test_pod;
mod upstreams;
mod validate;
mod watching;
