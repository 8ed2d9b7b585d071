//! Real VictoriaMetrics servers with the same samples: the same API with left-open ranges.

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::engine::Engine;
use super::process::{Server, agent, wait_until};
use super::remote_write::remote_write;
use super::samples;

/// The VictoriaMetrics of the system, with the samples of the tests; one for all tests.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| start(Engine::Victoria))
}

/// The newer VictoriaMetrics that holds the same samples.
pub fn shared_newer() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| start(Engine::NewerVictoria))
}

fn start(engine: Engine) -> Server {
    let server = Server::start(&engine.program(), "victoria-metrics", |directory, port| {
        vec![
            format!("-storageDataPath={}", directory.join("data").display()),
            "-retentionPeriod=100y".to_owned(),
            format!("-httpListenAddr=127.0.0.1:{port}"),
            "-memory.allowedBytes=256MB".to_owned(),
        ]
    });
    server.wait_ready("/health");
    let import = agent().post(server.url("/api/v1/import/prometheus")).send(samples::exposition()).expect("an import");
    assert_eq!(import.status(), 204, "the import into VictoriaMetrics");
    samples::marked().for_each(|series| remote_write(&server.url("/api/v1/write"), series));
    // It does not store NaNs, and does not count staleness markers.
    let expected = samples::all().iter().flat_map(|series| &series.samples).filter(|s| !s.value.is_nan()).count();
    let stored = || {
        agent().get(server.url("/internal/force_flush")).call().expect("a flush");
        let query = r#"sum(count_over_time({__name__!=""}[30d]))"#;
        let form = [("query", query.to_owned()), ("time", (samples::T0 / 1000 + 30 * 86_400 - 3600).to_string())];
        let mut response = agent().post(server.url("/api/v1/query")).send_form(form).expect("a response");
        let response: Value = serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap();
        response["data"]["result"][0]["value"][1].clone()
    };
    wait_until(
        || format!("VictoriaMetrics counts {expected} samples, not {}", stored()),
        || stored() == json!(expected.to_string()),
    );
    server
}
