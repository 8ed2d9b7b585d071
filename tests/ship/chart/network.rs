//! The NetworkPolicy: who reaches the mirror, and whom it reaches.

use serde_json::{Value, json};

use super::everything::everything;
use super::helm::Install;

fn policy(values: &str) -> Value {
    let install = Install::promised().set("networkPolicy.enabled=true").values(values);
    install.render().only("NetworkPolicy")["spec"].clone()
}

fn pods(component: &str) -> Value {
    let labels = json!({
        "app.kubernetes.io/name": "prometheusmirror",
        "app.kubernetes.io/instance": "prometheusmirror",
        "app.kubernetes.io/component": component,
    });
    json!({"podSelector": {"matchLabels": labels}})
}

fn namespace(name: &str) -> Value {
    json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}})
}

fn tcp(ports: &[u16]) -> Value {
    ports.iter().map(|port| json!({"protocol": "TCP", "port": port})).collect()
}

#[test]
fn a_policy_is_for_the_pods_of_the_mirror_both_ways() {
    let spec = policy("");
    assert_eq!(spec["podSelector"], pods("mirror")["podSelector"]);
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    assert!(Install::promised().render().find("NetworkPolicy").is_none());
}

#[test]
fn the_mirror_is_reached_at_its_port_from_where_it_is_said() {
    let check = |values: &str, port: u16, others: Value| {
        let mut from = vec![pods("test")];
        from.extend(others.as_array().unwrap().iter().cloned());
        assert_eq!(policy(values)["ingress"], json!([{"ports": tcp(&[port]), "from": from}]), "{values}");
    };
    let own = json!([{"podSelector": {}}]);
    check("", 9900, own.clone());
    check("port: 8080", 8080, own.clone());
    // What a policy sees is the port of the pod.
    check("port: 80", 9900, own.clone());
    check("networkPolicy: {ingress: {namespaces: null, from: null}}", 9900, own);
    check("networkPolicy: {ingress: {namespaces: [a, b]}}", 9900, json!([namespace("a"), namespace("b")]));
    let block = json!({"ipBlock": {"cidr": "192.0.2.0/24"}});
    check("networkPolicy: {ingress: {from: [{ipBlock: {cidr: 192.0.2.0/24}}]}}", 9900, json!([block]));
    let both = "networkPolicy: {ingress: {namespaces: [a], from: [{ipBlock: {cidr: 192.0.2.0/24}}]}}";
    check(both, 9900, json!([namespace("a"), block]));
}

#[test]
fn the_namespace_of_the_monitor_is_let_in_if_there_is_one() {
    let from = |monitor: &str, namespaces: &str| {
        let values = format!("serviceMonitor: {monitor}\nnetworkPolicy: {{ingress: {{namespaces: {namespaces}}}}}");
        policy(&values)["ingress"][0]["from"].as_array().unwrap()[1..].to_vec()
    };
    let own = json!({"podSelector": {}});
    assert_eq!(from("{enabled: true, namespace: observers}", "[a]"), [namespace("a"), namespace("observers")]);
    assert_eq!(from("{enabled: true, namespace: a}", "[a]"), [namespace("a")]);
    assert_eq!(from("{enabled: true, namespace: observers}", "[]"), [own.clone(), namespace("observers")]);
    assert_eq!(from("{enabled: true}", "[]"), [own]);
    assert_eq!(from("{enabled: false, namespace: observers}", "[a]"), [namespace("a")]);
}

#[test]
fn the_mirror_reaches_name_servers_and_prometheus_where_it_is_said() {
    let dns = json!({"ports": [
        {"protocol": "UDP", "port": 53},
        {"protocol": "TCP", "port": 53},
        {"protocol": "UDP", "port": 5353},
        {"protocol": "TCP", "port": 5353},
    ]});
    let check =
        |values: &str, expected: Value| assert_eq!(policy(values)["egress"], json!([dns, expected]), "{values}");
    check("", json!({"ports": tcp(&[9090])}));
    check("networkPolicy: {egress: {ports: [8428, 443]}}", json!({"ports": tcp(&[8428, 443])}));
    let to = json!([namespace("a"), namespace("b")]);
    check("networkPolicy: {egress: {namespaces: [a, b]}}", json!({"ports": tcp(&[9090]), "to": to}));
    let to = json!([{"ipBlock": {"cidr": "198.51.100.0/24"}}]);
    check("networkPolicy: {egress: {ipBlocks: [198.51.100.0/24]}}", json!({"ports": tcp(&[9090]), "to": to}));
    let to = json!([{"podSelector": {"matchLabels": {"app": "p"}}}]);
    check(
        "networkPolicy: {egress: {to: [{podSelector: {matchLabels: {app: p}}}]}}",
        json!({"ports": tcp(&[9090]), "to": to}),
    );
}

#[test]
fn the_mirror_reaches_its_proxy_at_the_port_of_that() {
    for (url, port) in [
        ("http://proxy.example:3128", 3128),
        ("http://proxy.example", 80),
        ("HTTPS://proxy.example/", 443),
        ("http://user:pass%3A99@proxy.example:8080/", 8080),
        ("http://user:99@proxy.example", 80),
        ("http://[fd00::99]", 80),
        ("http://[fd00::99]:1", 1),
    ] {
        let egress = policy(&format!("global: {{proxy: {{url: \"{url}\"}}}}"))["egress"].clone();
        assert_eq!(egress[2], json!({"ports": tcp(&[port])}), "{url}");
        assert_eq!(egress.as_array().unwrap().len(), 3);
    }
}

#[test]
fn a_policy_without_ports_would_allow_all_and_is_refused() {
    for ports in ["[]", "null", "[0]", "[65536]", "[http]"] {
        let values = format!("networkPolicy: {{egress: {{ports: {ports}}}}}");
        Install::promised().values(&values).check_refused(&["ports"]);
    }
}

#[test]
fn a_policy_with_everything_has_all_of_it() {
    let spec = everything().render().only("NetworkPolicy")["spec"].clone();
    assert_eq!(spec["ingress"][0]["from"].as_array().unwrap().len(), 4);
    assert_eq!(spec["egress"].as_array().unwrap().len(), 3);
    assert_eq!(spec["egress"][1]["to"].as_array().unwrap().len(), 3);
}
