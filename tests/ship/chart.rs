//! The chart: what it renders and what it refuses. Each rule has a test on manifests that a real helm 4 and a real helm 3 have
//! rendered. The schemas of Kubernetes judge them, too.

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
