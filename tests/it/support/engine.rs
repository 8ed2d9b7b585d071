//! The engines that judge the numbers: two versions of Prometheus and two of VictoriaMetrics. They differ in ranges (closed or
//! left-open), in what they store and in their responses. Each runs once for all tests, with all samples.

use std::collections::BTreeMap;

use serde_json::Value;

use super::process::{Server, agent, tool};
use super::samples::{Sample, Series};
use super::{prometheus, victoria};

/// A kind of upstream that the tests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Prometheus 2 of Debian 12: closed ranges.
    Prometheus2,
    /// Prometheus 3, which `scripts/engines` fetches: left-open ranges.
    Prometheus3,
    /// VictoriaMetrics 1.79 of Debian 12.
    Victoria,
    /// VictoriaMetrics 1.101 or newer, which `scripts/engines` fetches.
    NewerVictoria,
}

impl Engine {
    /// All of them.
    pub const ALL: [Engine; 4] = [Engine::Prometheus2, Engine::Prometheus3, Engine::Victoria, Engine::NewerVictoria];

    /// The running server, which has the samples of the tests.
    pub fn shared(self) -> &'static Server {
        match self {
            Engine::Prometheus2 => prometheus::shared().server(),
            Engine::Prometheus3 => prometheus::shared_3().server(),
            Engine::Victoria => victoria::shared(),
            Engine::NewerVictoria => victoria::shared_newer(),
        }
    }

    /// The `connectionDetails` that point a mirror at it.
    pub fn details(self) -> Value {
        self.shared().details()
    }

    /// Its name in the message of a failed test.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Prometheus2 => "Prometheus 2",
            Engine::Prometheus3 => "Prometheus 3",
            Engine::Victoria => "VictoriaMetrics 1.79",
            Engine::NewerVictoria => "VictoriaMetrics, newer",
        }
    }

    /// Its program: a command, or a path in the cache of `scripts/engines`.
    pub fn program(self) -> String {
        match self {
            Engine::Prometheus2 => "prometheus".to_owned(),
            Engine::Prometheus3 => tool("prometheus-3/prometheus").display().to_string(),
            Engine::Victoria => "victoria-metrics".to_owned(),
            Engine::NewerVictoria => tool("victoria-metrics-newer/victoria-metrics").display().to_string(),
        }
    }

    /// The relative error to allow: sums are rounded in another order, and VictoriaMetrics stores about twelve decimal digits.
    pub fn tolerance(self) -> f64 {
        if self.is_victoria() { 1e-9 } else { 1e-12 }
    }

    /// Whether it is a VictoriaMetrics.
    pub fn is_victoria(self) -> bool {
        matches!(self, Engine::Victoria | Engine::NewerVictoria)
    }

    /// What a range selector finds in `(start, end]`, or in `[start, end]` on Prometheus 2: the labels of each series with its
    /// name, and its samples.
    pub fn find(self, selector: &str, start: i64, end: i64) -> Vec<(BTreeMap<String, String>, Vec<Sample>)> {
        let query = format!("{selector}[{}ms]", end - start);
        let form = [("query", query), ("time", format!("{}.{:03}", end / 1000, end % 1000))];
        let mut response = agent().post(self.shared().url("/api/v1/query")).send_form(form).expect("a response");
        let text = response.body_mut().with_config().limit(256 << 20).read_to_string().unwrap();
        let response: Value = serde_json::from_str(&text).unwrap();
        let results = response["data"]["result"].as_array().unwrap_or_else(|| panic!("{selector}: {response}"));
        let labels = |metric: &Value| serde_json::from_value(metric.clone()).unwrap();
        let sample = |pair: &Value| Sample {
            time: (pair[0].as_f64().unwrap() * 1000.0).round() as i64,
            value: pair[1].as_str().unwrap().parse().unwrap(),
        };
        let samples = |values: &Value| values.as_array().unwrap().iter().map(sample).collect();
        results.iter().map(|result| (labels(&result["metric"]), samples(&result["values"]))).collect()
    }

    /// A series as it is stored: VictoriaMetrics drops NaNs, except staleness markers.
    pub fn stored(self, series: &Series) -> Series {
        let mut stored = series.clone();
        stored.samples.retain(|sample| !self.is_victoria() || sample.is_stale() || !sample.value.is_nan());
        stored
    }
}
