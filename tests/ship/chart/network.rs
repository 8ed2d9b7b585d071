//! The NetworkPolicy: which pods reach the mirror, and what it reaches.

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
    // A policy sees the port of the pod.
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

/// Kubernetes refuses a network whose address has bits after the prefix. The right results here were found by hand.
#[test]
fn a_network_is_one_as_kubernetes_takes_it() {
    let wherever = [
        ("egress: {ipBlocks: [NETWORK]}", "networkPolicy.egress.ipBlocks"),
        ("egress: {to: [{ipBlock: {cidr: NETWORK}}]}", "networkPolicy.egress.to"),
        ("ingress: {from: [{ipBlock: {cidr: NETWORK}}]}", "networkPolicy.ingress.from"),
        ("ingress: {from: [{ipBlock: {cidr: 0.0.0.0/0, except: [NETWORK]}}]}", "networkPolicy.ingress.from"),
    ];
    let policy = |form: &str, network: &str| {
        let values =
            format!("networkPolicy: {{enabled: true, {}}}", form.replace("NETWORK", &format!("\"{network}\"")));
        Install::promised().values(&values)
    };
    for network in [
        "0.0.0.0/0", "10.0.0.0/8", "10.128.0.0/9", "10.1.2.0/23", "255.255.255.255/32", "::/0", "::1/128",
        "2001:db8::/32", "2001:DB8:0:8000::/49", "fe80::/10", "fe80::/9", "1:2:3:4:5:6:7:8/128", "1:2:3:4:5:6:7::/112",
    ] {
        policy(wherever[0].0, network).render();
    }
    for network in [
        "10.1.2.3", "10.1.2", "10.1.2.0/33", "10.1.2.0/024", "010.1.2.0/24", "256.0.0.0/8", "10.0.0.0/", "prometheus",
        "2001:db8::", "2001:db8::/129", "1:2:3:4:5:6:7/64", "1:2:3:4:5:6:7::8/128", "1::2::/64", ":::/64",
        "12345::/32", ":1::/64", ":1:2:3:4:5:6:7:8/128", "1:2:3:4:5:6:7:8:/128", "1:2:3:4:5:6:7:8::1::2/128",
        "10.0.0.0/8/8",
    ] {
        policy(wherever[0].0, network).check_refused(&[wherever[0].1, "is not a network such as", network]);
    }
    for network in
        ["10.1.2.3/31", "10.129.0.0/8", "0.0.0.1/0", "::1/127", "2001:db8::1/32", "fea0::/10", "2001:db8:0:8000::/48"]
    {
        policy(wherever[0].0, network).check_refused(&[wherever[0].1, network, "bits set beyond its prefix"]);
    }
    for (form, value) in wherever {
        policy(form, "10.1.2.0/24").render();
        policy(form, "10.1.2.3").check_refused(&[value, "is not a network such as"]);
        policy(form, "10.1.2.3/24").check_refused(&[value, "bits set beyond its prefix of 24"]);
    }
}

/// An empty selector is a selector, too.
#[test]
fn a_peer_is_one_as_kubernetes_takes_it() {
    let policy = |peer: &str| {
        let values = format!("networkPolicy: {{enabled: true, egress: {{to: [{peer}]}}, ingress: {{from: [{peer}]}}}}");
        Install::promised().values(&values)
    };
    let except = |network: &str, part: &str| format!("{{ipBlock: {{cidr: \"{network}\", except: [\"{part}\"]}}}}");
    for (network, part) in [
        ("10.0.0.0/8", "11.0.0.0/16"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/8", "8.0.0.0/5"),
        ("10.128.0.0/9", "10.0.0.0/10"),
        ("2001:db8::/33", "2001:db8:8000::/34"),
    ] {
        let says = format!("except has \"{part}\", which is not a part of the network \"{network}\"");
        policy(&except(network, part)).check_refused(&["networkPolicy.", &says]);
    }
    for (network, part) in [("0.0.0.0/0", "10.0.0.0/8"), ("10.128.0.0/9", "10.192.0.0/10"), ("::/0", "fe80::/10")] {
        policy(&except(network, part)).render();
    }
    policy("{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}").check_refused(&["a peer has ipBlock and a selector"]);
    policy("{ipBlock: {cidr: 10.0.0.0/8}, namespaceSelector: {}}").check_refused(&["ipBlock and a selector"]);
    policy("{podSelector: {}, namespaceSelector: {}}").render();
    policy("{}").check_refused(&["networkPolicy"]);
    policy("{podselector: {}}").check_refused(&["podselector"]);
    policy("{ipBlock: {}}").check_refused(&["ipBlock", "cidr"]);
    for value in ["ingress", "egress"] {
        let says = [&format!("networkPolicy.{value}.namespaces"), "\"A b\" cannot be the name of a namespace"];
        let values = format!("networkPolicy: {{enabled: true, {value}: {{namespaces: [A b]}}}}");
        Install::promised().values(&values).check_refused(&says);
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
