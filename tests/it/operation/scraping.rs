//! A real Prometheus that scrapes mirrors every second.

use std::path::Path;

use serde_json::{Value, json};

use crate::http::address;
use crate::support::engine::Engine;
use crate::support::mirror::Mirror;
use crate::support::process::wait_until;
use crate::support::prometheus::{Prometheus, Samples};

/// A target: host and port, and the name of the job.
pub struct Target {
    pub job: &'static str,
    pub address: String,
}

impl Target {
    /// A mirror.
    pub fn mirror(job: &'static str, mirror: &Mirror) -> Target {
        Target { job, address: address(mirror).to_owned() }
    }
}

/// The versions that judge alerts and dashboard: one with closed ranges, one with left-open ranges.
pub const ENGINES: [Engine; 2] = [Engine::Prometheus2, Engine::Prometheus3];

/// Starts a Prometheus that scrapes these and evaluates the rules of a file, if there is one. Returns after each target has been
/// scraped twice, so that later changes of counters are increases.
pub fn scrape(engine: Engine, targets: &[Target], rules: Option<&Path>) -> Prometheus {
    let job = |target: &Target| json!({"job_name": target.job, "static_configs": [{"targets": [target.address]}]});
    let config = json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": Vec::from_iter(rules),
        "scrape_configs": targets.iter().map(job).collect::<Vec<_>>(),
    });
    // JSON is YAML, too.
    let prometheus = Prometheus::start_engine(engine, &config.to_string(), Samples::None, &[]);
    let scraped = || query(&prometheus, "count_over_time(up[1m]) >= 2").len();
    wait_until(|| format!("{} of {} are scraped", scraped(), targets.len()), || scraped() == targets.len());
    prometheus
}

/// The current series of an expression.
pub fn query(prometheus: &Prometheus, promql: &str) -> Vec<Value> {
    let response = prometheus.api("/api/v1/query", &[("query", promql)]);
    response["data"]["result"].as_array().unwrap_or_else(|| panic!("{promql}: {response}")).clone()
}
