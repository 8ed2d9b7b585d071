//! docs/openapi.yaml against the running mirror, by schemathesis: it describes every response, and every response is as described.

use std::path::Path;
use std::process::Command;

use crate::operation::page::Page;
use crate::support::mirror::{API_KEY, Mirror};
use crate::support::process::tool;
use crate::support::prometheus;

/// The checks. A typed error of the Mirror API has the status 500, which alone is not a fault: the schema judges its body.
const CHECKS: &str =
    "status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";

/// The program that runs it, from scripts/tools.
const SCHEMATHESIS: &str = "schemathesis-4.32.5";

/// The number of generated requests for each path.
const EXAMPLES: &str = "60";

fn check(mirror: &Mirror, headers: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("python3");
    command.args(["-m", "schemathesis.cli", "run"]).arg(root.join("docs/openapi.yaml"));
    command.args(["--url", mirror.base(), "--checks", CHECKS, "--phases", "examples,coverage,fuzzing"]);
    command.args(["--max-examples", EXAMPLES, "--seed", "1", "--suppress-health-check", "all", "--warnings", "off"]);
    command.args(headers.iter().flat_map(|header| ["--header", header]));
    command
        .current_dir(folder.path())
        .env("PYTHONPATH", format!("{}:{}", tool(SCHEMATHESIS).display(), root.join("tests/it").display()))
        .env("SCHEMATHESIS_HOOKS", "openapi_hooks")
        .env("MIRROR_DETAILS", prometheus::shared().details().to_string());
    let output = command.output().expect("Python: install the Debian package `python3`");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{headers:?}: {report}\n{}", String::from_utf8_lossy(&output.stderr));
    let page = Page::of(mirror);
    for route in ["connection", "connection_check", "field_name", "field_value", "metric"] {
        let good = page.sum("prometheusmirror_requests_total", &[("route", route), ("status", "200")]);
        assert!(good >= 10.0, "{route}: {good} good responses are too few to judge by");
    }
}

#[test]
fn every_response_is_described_and_is_as_described() {
    // Generated Connection Details reach only the Prometheus of the tests.
    let mirror = Mirror::start_with(&["--allow-upstream", "127.0.0.1"]);
    check(&mirror, &[]);
    check(&mirror, &["X-MIRROR-EXPLAIN: true"]);
}

#[test]
fn with_a_key_required_every_response_is_described_too() {
    let mirror = Mirror::start_with(&["--allow-upstream", "127.0.0.1", "--require-api-key", "true"]);
    check(&mirror, &[&format!("X-MIRROR-API-KEY: {API_KEY}")]);
}
