//! How the mirror is reached: its Service, an Ingress, an HTTPRoute, and by the Prometheus that watches it.

use serde_json::{Value, json};

use super::everything::everything;
use super::helm::Install;

#[test]
fn a_service_is_of_the_cluster_unless_another_is_asked_for() {
    let spec = |install: Install| install.render().only("Service")["spec"].clone();
    let plain = spec(Install::promised());
    let fields: Vec<_> = plain.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["ports", "selector", "type"]);

    let full = spec(everything());
    for (field, expected) in [
        ("type", json!("LoadBalancer")),
        ("loadBalancerClass", json!("example.com/internal")),
        ("loadBalancerSourceRanges", json!(["192.0.2.0/24"])),
        ("externalTrafficPolicy", json!("Local")),
        ("ipFamilyPolicy", json!("PreferDualStack")),
        ("ipFamilies", json!(["IPv6", "IPv4"])),
    ] {
        assert_eq!(full[field], expected, "{field}");
    }
    assert_eq!(full["ports"][0]["nodePort"], 30_990);
    let node_port = spec(Install::promised().set("service.type=NodePort"));
    assert_eq!((&node_port["type"], node_port["ports"][0].get("nodePort")), (&json!("NodePort"), None));
    Install::promised().set("service.type=ExternalName").check_refused(&["type", "LoadBalancer"]);
    Install::promised().set("service.ipFamilyPolicy=Dual").check_refused(&["ipFamilyPolicy", "PreferDualStack"]);
}

#[test]
fn an_ingress_leads_every_host_to_the_service() {
    let rendered = everything().render();
    let rule = |host: &str| {
        let service = json!({"name": "mirror-prometheusmirror", "port": {"name": "http"}});
        json!({"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": service}}]}})
    };
    let expected = json!({
        "ingressClassName": "nginx",
        "tls": [{"secretName": "mirror-tls", "hosts": ["mirror.example", "mirror.example.com"]}],
        "rules": [rule("mirror.example"), rule("mirror.example.com")],
    });
    assert_eq!(rendered.only("Ingress")["spec"], expected);
    assert_eq!(rendered.only("Ingress")["metadata"]["annotations"], json!({"example.com/timeout": "60"}));

    let plain = Install::promised().set("ingress.enabled=true,ingress.hosts={mirror.example}").render();
    let fields: Vec<_> = plain.only("Ingress")["spec"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["rules"]);
    Install::promised()
        .set("ingress.enabled=true")
        .check_refused(&["ingress is enabled without a host", "ingress.hosts"]);
}

#[test]
fn a_route_leads_from_its_gateways_to_the_service() {
    let route = |port: u16| {
        let path = json!({"type": "PathPrefix", "value": "/"});
        json!([{"matches": [{"path": path}], "backendRefs": [{"name": "mirror-prometheusmirror", "port": port}]}])
    };
    let rendered = everything().render();
    let object = rendered.only("HTTPRoute");
    assert_eq!(object["apiVersion"], "gateway.networking.k8s.io/v1");
    let expected = json!({
        "parentRefs": [{"name": "gateway", "namespace": "gateways", "sectionName": "https"}],
        "hostnames": ["mirror.example"],
        "rules": route(80),
    });
    assert_eq!(object["spec"], expected);
    assert_eq!(object["metadata"]["annotations"], json!({"example.com/route": "true"}));

    let plain =
        Install::promised().named("mirror").set("httpRoute.enabled=true,httpRoute.parentRefs[0].name=g").render();
    assert_eq!(plain.only("HTTPRoute")["spec"], json!({"parentRefs": [{"name": "g"}], "rules": route(9900)}));
    let without = Install::promised().set("httpRoute.enabled=true");
    without.check_refused(&["httpRoute is enabled without a gateway", "httpRoute.parentRefs"]);
}

#[test]
fn a_monitor_finds_the_service_in_the_namespace_of_the_release() {
    let rendered = everything().render();
    let monitor = rendered.only("ServiceMonitor");
    assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(monitor["metadata"]["namespace"], "observers");
    let expected = json!({
        "jobLabel": "app.kubernetes.io/name",
        "namespaceSelector": {"matchNames": ["monitoring"]},
        "selector": {"matchLabels": rendered.only("Service")["spec"]["selector"]},
        "endpoints": [{
            "port": "http",
            "path": "/metrics",
            "interval": "30s",
            "scrapeTimeout": "10s",
            "relabelings": [{"action": "labeldrop", "regex": "pod"}],
            "metricRelabelings": [{"action": "drop", "sourceLabels": ["__name__"], "regex": "go_.*"}],
        }],
    });
    assert_eq!(monitor["spec"], expected);
    // What it selects by are labels of the Service itself.
    let labels = rendered.only("Service")["metadata"]["labels"].as_object().unwrap();
    let selector = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    assert!(selector.iter().all(|(name, value)| labels.get(name) == Some(value)), "{labels:?}");

    let plain = Install::promised().set("serviceMonitor.enabled=true").render();
    let monitor = plain.only("ServiceMonitor");
    assert_eq!(monitor["metadata"].get("namespace"), None);
    assert_eq!(monitor["spec"]["endpoints"], json!([{"port": "http", "path": "/metrics"}]));
}

#[test]
fn what_is_only_for_a_cluster_with_more_than_kubernetes_is_off() {
    let rendered = Install::promised().render();
    for object in rendered.all() {
        let version = object["apiVersion"].as_str().unwrap();
        assert!(["v1", "apps/v1"].contains(&version), "{version}");
    }
    let named = |value: &Value| value["metadata"].get("namespace").is_none();
    assert!(rendered.all().iter().all(named), "helm says which namespace");
}
