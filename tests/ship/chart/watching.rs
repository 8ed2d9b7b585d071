//! Alerts and a dashboard, as the chart installs them and as files for any Prometheus and Grafana. The tests of the server check
//! whether alerts fire and panels show data.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::everything::everything;
use super::helm::{Install, chart, text};
use super::manifests;
use crate::support::process::require;

fn file(name: &str) -> String {
    fs::read_to_string(chart().join("files").join(name)).unwrap()
}

/// The rules of the file.
fn rules() -> Vec<Value> {
    let rules = &manifests::parse(&file("alerts.yaml"))[0]["groups"][0]["rules"];
    rules.as_array().unwrap().clone()
}

#[test]
fn the_rule_object_has_the_alerts_of_the_file_with_a_link_each() {
    let check = |install: Install, page: &str| {
        let rendered = install.render();
        let rule = rendered.only("PrometheusRule");
        assert_eq!(rule["apiVersion"], "monitoring.coreos.com/v1");
        let mut expected = manifests::parse(&file("alerts.yaml")).remove(0);
        for rule in expected["groups"][0]["rules"].as_array_mut().unwrap() {
            let heading = rule["alert"].as_str().unwrap().to_lowercase();
            rule["annotations"]["runbook_url"] = json!(format!("{page}#{heading}"));
        }
        assert_eq!(rule["spec"], expected);
    };
    check(everything(), "https://wiki.example/mirror");
    let enabled = Install::promised().set("prometheusRule.enabled=true");
    check(enabled.clone(), "docs/troubleshooting.md");
    enabled.clone().set("prometheusRule.runbookUrl=https://wiki.example/a#b").check_refused(&["runbookUrl"]);
    let elsewhere = enabled.set("prometheusRule.namespace=observers,namespaceOverride=other").render();
    assert_eq!(elsewhere.only("PrometheusRule")["metadata"]["namespace"], "observers");
    assert!(Install::promised().render().find("PrometheusRule").is_none());
}

#[test]
fn each_alert_is_explained_where_its_link_leads() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/troubleshooting.md")).unwrap();
    let (_, alerts) = page.split_once("\n## Alerts\n").unwrap();
    let explained: Vec<_> = alerts.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    let rules = rules();
    let named: Vec<_> = rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    assert_eq!(explained, named);
    for rule in &rules {
        for annotation in ["summary", "description"] {
            assert!(rule["annotations"][annotation].as_str().is_some_and(|text| text.ends_with('.')), "{rule}");
        }
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{rule}");
    }
}

/// The series make each alert fire once, and no others beside it.
#[test]
fn each_alert_fires_on_its_series_alone() {
    require("promtool", "prometheus");
    let mirror = r#"job="mirror", instance="m:1""#;
    let build = format!("prometheusmirror_build_info{{{mirror}, version=\"1\"}}");
    // The alert, its series with values once a minute for 2 hours, and the labels besides job, instance and severity.
    let cases = [
        ("PrometheusMirrorDown", vec![("up", "1x10 0x110")], vec![("version", "")]),
        (
            "PrometheusMirrorOverloaded",
            vec![(r#"prometheusmirror_rejected_requests_total{reason="overloaded"}"#, "0+1x120")],
            vec![("reason", "overloaded")],
        ),
        ("PrometheusMirrorQueueing", vec![("prometheusmirror_queue_length", "1x120")], vec![]),
        (
            "PrometheusMirrorUpstreamFailing",
            vec![(
                r#"prometheusmirror_upstream_requests_total{endpoint="query",outcome="timeout",upstream="a",replica="b:1"}"#,
                "0+1x120",
            )],
            vec![("outcome", "timeout"), ("upstream", "a")],
        ),
        (
            "PrometheusMirrorProxyFailing",
            vec![(r#"prometheusmirror_upstream_requests_total{endpoint="query",outcome="proxy"}"#, "0+1x120")],
            vec![("outcome", "proxy")],
        ),
        (
            "PrometheusMirrorUpstreamNotAllowed",
            vec![(r#"prometheusmirror_upstream_requests_total{endpoint="query",outcome="not_allowed"}"#, "0+1x120")],
            vec![("outcome", "not_allowed")],
        ),
        (
            "PrometheusMirrorUnauthorized",
            vec![(r#"prometheusmirror_rejected_requests_total{reason="unauthorized"}"#, "0+1x120")],
            vec![("reason", "unauthorized")],
        ),
        ("PrometheusMirrorPanicked", vec![("prometheusmirror_panics_total", "0x100 1x20")], vec![]),
        ("PrometheusMirrorCannotAccept", vec![("prometheusmirror_accept_failures_total", "0+1x120")], vec![]),
        (
            "PrometheusMirrorEvictingConnections",
            vec![("prometheusmirror_evicted_connections_total", "0+11x120")],
            vec![],
        ),
        (
            "PrometheusMirrorDescriptorsScarce",
            vec![("process_open_fds", "81x120"), ("process_max_fds", "100x120")],
            vec![],
        ),
        ("PrometheusMirrorThreadsScarce", vec![("prometheusmirror_thread_shortages_total", "0+1x120")], vec![]),
        (
            "PrometheusMirrorFileUnusable",
            vec![(r#"prometheusmirror_file_reloads_total{file="key",outcome="failed"}"#, "0+1x120")],
            vec![("file", "key")],
        ),
        (
            "PrometheusMirrorPointsDropped",
            vec![(r#"prometheusmirror_points_dropped_total{reason="nan"}"#, "0+1x120")],
            vec![],
        ),
    ];
    let names: Vec<_> = cases.iter().map(|(alert, ..)| *alert).collect();
    let rules = rules();
    assert_eq!(names, rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect::<Vec<_>>());

    let mut tests = Vec::new();
    for (alert, series, labels) in &cases {
        let with_mirror = |name: &str| match name.strip_suffix('}') {
            Some(open) => format!("{open},{mirror}}}"),
            None => format!("{name}{{{mirror}}}"),
        };
        let mut input: Vec<_> =
            series.iter().map(|(name, values)| json!({"series": with_mirror(name), "values": values})).collect();
        // Only the page of a mirror that answers has it.
        let up = if *alert == "PrometheusMirrorDown" { "1x10 stale" } else { "1x120" };
        input.push(json!({"series": build, "values": up}));
        // Healthy mirrors, for which nothing may fire.
        input.push(json!({"series": r#"up{job="other", instance="o:1"}"#, "values": "0x120"}));
        for outcome in ["ok", "api_error", "no_remote_read", "out_of_order"] {
            let quiet = format!(
                "prometheusmirror_upstream_requests_total{{endpoint=\"query\",outcome=\"{outcome}\",{mirror}}}"
            );
            input.push(json!({"series": quiet, "values": "0+60x120"}));
        }
        let severity = rules.iter().find(|rule| rule["alert"] == *alert).unwrap()["labels"]["severity"].clone();
        let mut expected = json!({"job": "mirror", "instance": "m:1", "severity": severity});
        for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
            expected[*name] = json!(value);
        }
        let asked: Vec<_> = names
            .iter()
            .map(|other| {
                let fires = if other == alert { vec![json!({"exp_labels": expected})] } else { vec![] };
                json!({"eval_time": "110m", "alertname": other, "exp_alerts": fires})
            })
            .collect();
        // Nothing fires at the start: each alert needs its duration.
        tests.push(json!({"name": alert, "interval": "1m", "input_series": input, "alert_rule_test": asked}));
    }
    let folder = tempfile::tempdir().unwrap();
    // This test checks labels; the texts differ with the values.
    let mut plain = manifests::parse(&file("alerts.yaml")).remove(0);
    for rule in plain["groups"][0]["rules"].as_array_mut().unwrap() {
        rule.as_object_mut().unwrap().remove("annotations");
    }
    fs::write(folder.path().join("alerts.yaml"), plain.to_string()).unwrap();
    let test = json!({"rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": tests});
    fs::write(folder.path().join("test.yaml"), test.to_string()).unwrap();
    let output =
        Command::new("promtool").args(["test", "rules", "test.yaml"]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let whole =
        Command::new("promtool").args(["check", "rules"]).arg(chart().join("files/alerts.yaml")).output().unwrap();
    assert!(whole.status.success(), "{}", text(&whole));
}

#[test]
fn the_dashboard_is_the_file_in_a_map_that_the_sidecar_selects() {
    let rendered = everything().render();
    let map = rendered.named("ConfigMap", "mirror-prometheusmirror-dashboard");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(map["metadata"]["annotations"], json!({"grafana_folder": "Mirrors"}));
    assert_eq!(map["data"], json!({"prometheusmirror.json": file("dashboard.json")}));
    let other = "dashboard.enabled=true,dashboard.namespace=grafana,dashboard.labels.grafana_dashboard=null,dashboard.labels.mine=1";
    let rendered = Install::promised().set(other).render();
    let metadata = &rendered.named("ConfigMap", "prometheusmirror-dashboard")["metadata"];
    assert_eq!((&metadata["namespace"], &metadata["labels"]["mine"]), (&json!("grafana"), &json!("1")));
    assert_eq!(metadata["labels"].get("grafana_dashboard"), None);
}

#[test]
fn the_dashboard_is_one_that_grafana_reads() {
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids: Vec<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    ids.dedup();
    assert_eq!(ids.len(), panels.len());
    let mut taken = std::collections::BTreeSet::new();
    for panel in panels {
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{panel}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "two panels overlap: {}", panel["title"]);
            }
        }
        if panel["type"] != "row" {
            assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{}", panel["title"]);
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{}", panel["title"]);
        }
    }
}
