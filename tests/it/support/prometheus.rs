//! A real Prometheus with the samples of the tests, and direct queries to it: it judges rates and expressions.

use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::engine::Engine;
use super::process::{Server, agent, require};
use super::remote_write::remote_write;
use super::samples;

const PACKAGE: &str = "prometheus";

/// The Prometheus 2 with the samples of the tests; one for all tests.
pub fn shared() -> &'static Prometheus {
    static SHARED: OnceLock<Prometheus> = OnceLock::new();
    SHARED.get_or_init(|| Prometheus::start("", Samples::Loaded, &[]))
}

/// The Prometheus 3 that holds the same samples.
pub fn shared_3() -> &'static Prometheus {
    static SHARED: OnceLock<Prometheus> = OnceLock::new();
    SHARED.get_or_init(|| Prometheus::start_engine(Engine::Prometheus3, "", Samples::Loaded, &[]))
}

/// The content of a Prometheus at its start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Samples {
    /// The samples of [`samples::all`].
    Loaded,
    /// Nothing.
    None,
}

/// A running Prometheus.
pub struct Prometheus {
    server: Server,
    prefix: String,
    agent: ureq::Agent,
}

impl Prometheus {
    /// Starts a Prometheus 2 with this configuration file, which may be empty, and further flags.
    pub fn start(config: &str, content: Samples, flags: &[&str]) -> Prometheus {
        Prometheus::start_engine(Engine::Prometheus2, config, content, flags)
    }

    /// Starts one of either version.
    pub fn start_engine(engine: Engine, config: &str, content: Samples, flags: &[&str]) -> Prometheus {
        let prefix =
            flags.iter().find_map(|flag| flag.strip_prefix("--web.route-prefix=")).unwrap_or_default().to_owned();
        let server = Server::start(&engine.program(), PACKAGE, |directory, port| {
            let data = directory.join("data");
            std::fs::write(directory.join("prometheus.yml"), config).unwrap();
            if content == Samples::Loaded {
                require("promtool", PACKAGE);
                let text = directory.join("samples.txt");
                std::fs::write(&text, samples::openmetrics()).unwrap();
                // Both versions read blocks of this promtool. Long blocks load faster than those of two hours. There are several,
                // so that ranges are cut as usual.
                let load = Command::new("promtool")
                    .args(["tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=54h"])
                    .args([&text, &data])
                    .output()
                    .expect("run promtool");
                assert!(load.status.success(), "promtool: {}", String::from_utf8_lossy(&load.stderr));
            }
            let mut arguments = vec![
                format!("--config.file={}", directory.join("prometheus.yml").display()),
                format!("--storage.tsdb.path={}", data.display()),
                "--storage.tsdb.retention.time=100y".to_owned(),
                // Keep the blocks unchanged.
                "--storage.tsdb.min-block-duration=2h".to_owned(),
                "--storage.tsdb.max-block-duration=2h".to_owned(),
                "--web.enable-remote-write-receiver".to_owned(),
                format!("--web.listen-address=127.0.0.1:{port}"),
            ];
            arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
            arguments
        });
        server.wait_ready(&format!("{prefix}/-/ready"));
        if content == Samples::Loaded {
            samples::marked().for_each(|series| remote_write(&server.url(&format!("{prefix}/api/v1/write")), series));
        }
        Prometheus { server, prefix, agent: agent() }
    }

    /// Sends it a signal, such as `KILL`.
    pub fn signal(&self, name: &str) {
        self.server.order(name);
    }

    /// Starts it again after its end, and waits until it answers.
    pub fn start_again(&self) {
        self.server.order("start");
        self.server.wait_ready(&format!("{}/-/ready", self.prefix));
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The `connectionDetails` that point a mirror here.
    pub fn details(&self) -> Value {
        self.server.details()
    }

    /// The URL of a path, below the path prefix.
    pub fn url(&self, path: &str) -> String {
        self.server.url(&format!("{}{path}", self.prefix))
    }

    /// The response of an API path to these parameters.
    pub fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let request = self.agent.get(self.url(path)).query_pairs(parameters.iter().copied());
        let mut response = request.call().expect("Prometheus answers");
        serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// Its version, such as `2.42.0`.
    pub fn version(&self) -> String {
        let response = self.api("/api/v1/status/buildinfo", &[]);
        response["data"]["version"].as_str().unwrap_or_else(|| panic!("no version: {response}")).to_owned()
    }

    /// The value of an expression with at most one result, at a time in milliseconds.
    pub fn value(&self, promql: &str, time: i64) -> Option<f64> {
        let response = self.api("/api/v1/query", &[("query", promql), ("time", &seconds(time))]);
        let results = response["data"]["result"].as_array().unwrap_or_else(|| panic!("{promql}: {response}"));
        assert!(results.len() <= 1, "{promql} has {} results", results.len());
        results.first().map(|result| number(&result["value"][1]))
    }

    /// The values of an expression with at most one result at `start`, `start + step` and so on, as `[value, time]`.
    pub fn values(&self, promql: &str, start: i64, end: i64, step: i64) -> Vec<Vec<f64>> {
        let mut points = Vec::new();
        // Prometheus refuses more than 11,000 steps in one query.
        for start in (start..=end).step_by((10_000 * step) as usize) {
            let end = end.min(start + 9_999 * step);
            let [start, end, step] = [start, end, step].map(seconds);
            let parameters = [("query", promql), ("start", &start), ("end", &end), ("step", &step)];
            let response = self.api("/api/v1/query_range", &parameters);
            let results = response["data"]["result"].as_array().unwrap_or_else(|| panic!("{promql}: {response}"));
            assert!(results.len() <= 1, "{promql} has {} results", results.len());
            for pair in results.iter().flat_map(|result| result["values"].as_array().unwrap()) {
                points.push(vec![number(&pair[1]), (pair[0].as_f64().unwrap() * 1000.0).round()]);
            }
        }
        points
    }

    /// The error message of the response to an instant query.
    pub fn error(&self, promql: &str) -> String {
        let response = self.api("/api/v1/query", &[("query", promql)]);
        response["error"].as_str().unwrap_or_else(|| panic!("{promql}: {response}")).to_owned()
    }

    /// The value of an expression for each whole bucket of a range, queried separately at the last millisecond of the bucket.
    pub fn buckets(&self, promql: &str, start: i64, end: i64, bucket: i64) -> Vec<Vec<f64>> {
        let starts = (0..(end - start) / bucket).map(|index| start + index * bucket);
        let ask = |start| Some(vec![self.value(promql, start + bucket - 1)?, start as f64, (start + bucket) as f64]);
        starts.filter_map(ask).collect()
    }
}

fn seconds(millis: i64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

fn number(value: &Value) -> f64 {
    let text = value.as_str().unwrap();
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}
