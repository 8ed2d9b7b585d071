//! The dashboard of the chart, with a real Prometheus that scrapes a mirror: every panel shows data.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::page::Page;
use super::scraping::{ENGINES, Target, query, scrape};
use crate::http::address;
use crate::support::mirror::{Mirror, condition};
use crate::support::process::{free_port, wait_until};
use crate::support::prometheus::{self, Prometheus};
use crate::support::samples::{HOUR, T0};

fn dashboard() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("chart/files/dashboard.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A text with the variables of the dashboard replaced as Grafana does it for "All".
fn replaced(text: &str) -> String {
    let text = text.replace("$job", ".+").replace("$instance", ".+").replace("$__rate_interval", "15s");
    assert!(!text.contains('$'), "{text}");
    text
}

/// The words of a text, of letters, digits and underscores.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// Whether a word of an expression is the name of a metric of the mirror's.
fn is_metric(word: &str) -> bool {
    word.starts_with("prometheusmirror_") || word.starts_with("process_")
}

/// Panels of graphs: the title, the expression and the legend of each of their lines.
fn lines(dashboard: &Value) -> Vec<(String, String, String)> {
    let panels = dashboard["panels"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_panel = |panel: &Value| {
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let line =
            |target: Value| (text(&panel["title"]), replaced(&text(&target["expr"])), text(&target["legendFormat"]));
        targets.into_iter().map(line).collect::<Vec<_>>()
    };
    panels.iter().flat_map(of_panel).collect()
}

/// Sends a mirror requests that succeed and requests that fail.
fn ask(mirror: &Mirror) {
    let metric = |details: &Value, key: &str, name: &str| {
        let query = json!({"conditions": [condition(key, name)], "startTime": T0, "endTime": T0 + HOUR});
        mirror.metric(details, query)
    };
    let details = prometheus::shared().details();
    assert_eq!(metric(&details, "__gauge__", "room_celsius").status, 200);
    assert_eq!(metric(&details, "__counter__", "odd_total").status, 200);
    assert_eq!(metric(&details, "__gauge__", "no_such_metric").status, 500);
    assert_eq!(metric(&json!({"upstream": "shop"}), "__gauge__", "room_celsius").status, 500);
    assert_eq!(mirror.get("/nowhere").status, 404);
}

/// What is wrong with a line of a panel: `None` if it has numbers and all labels of its legend.
fn trouble(prometheus: &Prometheus, promql: &str, legend: &str) -> Option<String> {
    let found = query(prometheus, promql);
    let labels = legend.split("{{").skip(1).map(|rest| rest.split_once("}}").unwrap().0);
    let unknown: Vec<&str> =
        labels.filter(|label| found.iter().all(|series| series["metric"][label].is_null())).collect();
    let is_number = |series: &Value| series["value"][1].as_str().unwrap().parse::<f64>().unwrap().is_finite();
    (!found.iter().any(is_number) || !unknown.is_empty()).then(|| format!("{found:?} without {unknown:?}"))
}

/// Checks that every panel soon has data of a mirror that an engine scrapes.
fn check_panels(prometheus: &Prometheus, mirror: &Mirror, lines: &[(String, String, String)]) {
    let empty = || {
        let trouble = |(title, promql, legend): &(String, String, String)| {
            trouble(prometheus, promql, legend).map(|trouble| format!("{title}: {promql}: {trouble}"))
        };
        lines.iter().filter_map(trouble).collect::<Vec<_>>()
    };
    wait_until(
        || format!("all panels show something, but for {:#?}", empty()),
        || {
            ask(mirror);
            empty().is_empty()
        },
    );
}

/// Checks that the variables of the dashboard list the only job and instance.
fn check_variables(prometheus: &Prometheus, mirror: &Mirror, dashboard: &Value) {
    for (variable, expected) in [("job", "mirror"), ("instance", address(mirror))] {
        let list = dashboard["templating"]["list"].as_array().unwrap();
        let asked = &list.iter().find(|listed| listed["name"] == variable).unwrap()["query"]["query"];
        let asked = replaced(asked.as_str().unwrap());
        let (selector, label) =
            asked.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')?.rsplit_once(", ")).unwrap();
        // The request that Grafana sends.
        let response = prometheus.api(&format!("/api/v1/label/{label}/values"), &[("match[]", selector)]);
        assert_eq!(response["data"], json!([expected]), "{asked}");
    }
}

#[test]
fn every_panel_shows_something_of_a_mirror() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("upstreams.yaml");
    let urls = [free_port(), free_port()].map(|port| format!("http://127.0.0.1:{port}"));
    std::fs::write(&file, format!("upstreams: [{{name: shop, urls: {}}}]", json!(urls))).unwrap();
    let mirror = Mirror::start_with(&["--upstreams-file", file.to_str().unwrap()]);
    let dashboard = dashboard();
    let lines = lines(&dashboard);
    assert!(lines.len() > 30, "{lines:?}");
    for engine in ENGINES {
        let prometheus = scrape(engine, &[Target::mirror("mirror", &mirror)], None);
        check_panels(&prometheus, &mirror, &lines);
        check_variables(&prometheus, &mirror, &dashboard);
    }

    let page = Page::of(&mirror);
    let known: BTreeSet<&str> = page.samples.iter().map(|sample| sample.name.as_str()).collect();
    let words = lines.iter().flat_map(|(_, promql, _)| words(promql));
    let named: BTreeSet<&str> = words.filter(|word| is_metric(word)).collect();
    assert!(named.is_subset(&known), "{:?}", named.difference(&known));
}
