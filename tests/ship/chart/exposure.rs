//! How the mirror is reached: by its Service, an Ingress, an HTTPRoute, and by the Prometheus that scrapes it.

use serde_json::{Value, json};

use super::everything::everything;
use super::helm::Install;

#[test]
fn a_service_is_of_the_cluster_unless_another_is_asked_for() {
    let spec = |install: Install| install.render().only("Service")["spec"].clone();
    let plain = spec(Install::promised());
    let fields: Vec<_> = plain.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["ports", "selector", "type"]);
    let port = json!({
        "name": "http", "port": 9900, "targetPort": "http", "protocol": "TCP", "appProtocol": "http",
    });
    assert_eq!(plain["ports"], json!([port]));

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

/// Kubernetes would refuse it only after Helm has changed other objects.
#[test]
fn what_a_service_of_its_type_cannot_have_is_refused() {
    let check = |set: &str, says: &[&str]| Install::promised().set(set).check_refused(says);
    let outside = "to be NodePort or LoadBalancer, not ClusterIP";
    check("service.nodePort=30990", &["service.nodePort needs service.type", outside]);
    check("service.externalTrafficPolicy=Local", &["service.externalTrafficPolicy needs service.type", outside]);
    let balancer = "to be LoadBalancer, not NodePort";
    check("service.type=NodePort,service.loadBalancerClass=a", &["service.loadBalancerClass needs", balancer]);
    let ranges = "service.loadBalancerSourceRanges={192.0.2.0/24}";
    check(&format!("service.type=NodePort,{ranges}"), &["service.loadBalancerSourceRanges needs", balancer]);
    check(ranges, &["to be LoadBalancer, not ClusterIP"]);
    let range = "service.type=LoadBalancer,service.loadBalancerSourceRanges={192.0.2.1}";
    check(range, &["service.loadBalancerSourceRanges", "\"192.0.2.1\" is not a network"]);
    let class = "service.type=LoadBalancer,service.loadBalancerClass=A/b/c";
    check(class, &["service.loadBalancerClass", "\"A/b/c\" cannot be the name of a class"]);
    for policy in ["", "null", "SingleStack"] {
        let set = format!("service.ipFamilyPolicy={policy},service.ipFamilies={{IPv4,IPv6}}");
        check(&set, &["service.ipFamilies with two families needs service.ipFamilyPolicy"]);
    }
    check("service.ipFamilyPolicy=PreferDualStack,service.ipFamilies={IPv4,IPv4}", &["ipFamilies"]);
}

#[test]
fn a_host_that_is_no_host_name_is_refused() {
    let check = |value: &str, host: &str| {
        let enabled =
            "ingress.enabled=true,ingress.hosts[0]=a.example,httpRoute.enabled=true,httpRoute.parentRefs[0].name=g";
        let literal = format!("{value}={host}");
        let install = Install::promised().set(enabled).with(&["--set-literal", &literal]);
        let value = value.split("[").next().unwrap();
        install.check_refused(&[value, &format!("{host:?} is not a host name in lower case")]);
    };
    for value in ["ingress.hosts[0]", "ingress.tls[0].hosts[0]", "httpRoute.hostnames[0]"] {
        for host in [
            "Mirror.example", "mirror.example:443", "https://mirror.example", "mirror.example/", "a..b", "-a.b",
            "192.0.2.7",
        ] {
            check(value, host);
        }
        check(value, &format!("{}.example", "m".repeat(64)));
        check(value, &"mm.".repeat(85).trim_end_matches('.').replacen("mm", "mmm", 1));
        let enabled =
            "ingress.enabled=true,ingress.hosts[0]=a.example,httpRoute.enabled=true,httpRoute.parentRefs[0].name=g";
        for host in ["*.example", "mirror", "a-1.b.example"] {
            Install::promised().set(enabled).set(&format!("{value}={host}")).render();
        }
    }
}

#[test]
fn an_ingress_leads_every_host_to_the_service() {
    let rendered = everything().render();
    let rule = |host: &str| {
        let service = json!({"name": "mirror-prometheusmirror", "port": {"name": "http"}});
        let path = json!({"path": "/mirror", "pathType": "Exact", "backend": {"service": service}});
        json!({"host": host, "http": {"paths": [path]}})
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
    let path = &plain.only("Ingress")["spec"]["rules"][0]["http"]["paths"][0];
    assert_eq!((&path["path"], &path["pathType"]), (&json!("/"), &json!("Prefix")));
    Install::promised().set("ingress.path=mirror").check_refused(&["path"]);
    Install::promised().set("ingress.pathType=Regex").check_refused(&["pathType", "Prefix"]);
    let enabled = Install::promised().set("ingress.enabled=true,ingress.hosts={mirror.example}");
    for path in ["/a//b", "/a/../b", "/./a", "/a/..", "/a%2Fb", "/a%2fb"] {
        for path_type in ["Prefix", "Exact", ""] {
            let set = format!("ingress.path={path},ingress.pathType={path_type}");
            enabled.clone().set(&set).check_refused(&["ingress.path", path, "an empty part"]);
        }
        enabled.clone().set(&format!("ingress.path={path},ingress.pathType=ImplementationSpecific")).render();
    }
    enabled.clone().set("ingress.path=/a..b/.c/").render();
    let class = enabled.clone().set("ingress.className=My Class");
    class.check_refused(&["ingress.className: \"My Class\" cannot be the name of an object"]);
    let secret = enabled.clone().set("ingress.tls[0].secretName=My_Secret");
    secret.check_refused(&["ingress.tls: \"My_Secret\" cannot be the name of an object"]);
    enabled.clone().set("ingress.tls[0].secret=a").check_refused(&["ingress", "tls", "secret"]);
    enabled.set("ingress.tls[0].hosts=a.example").check_refused(&["ingress", "tls", "hosts"]);
    Install::promised()
        .set("ingress.enabled=true")
        .check_refused(&["ingress is enabled without a host", "ingress.hosts"]);
}

#[test]
fn a_route_leads_from_its_gateways_to_the_service() {
    let route = |port: u16| {
        let path = json!({"type": "PathPrefix", "value": "/"});
        let name = "mirror-prometheusmirror";
        let backend = json!({"group": "", "kind": "Service", "name": name, "port": port, "weight": 1});
        json!([{"matches": [{"path": path}], "backendRefs": [backend]}])
    };
    // With the fields that the server adds, so that it is the same when it is applied again.
    let gateway = |mut rest: Value| {
        rest["group"] = json!("gateway.networking.k8s.io");
        rest["kind"] = json!("Gateway");
        rest
    };
    let rendered = everything().render();
    let object = rendered.only("HTTPRoute");
    assert_eq!(object["apiVersion"], "gateway.networking.k8s.io/v1");
    let expected = json!({
        "parentRefs": [gateway(json!({"name": "gateway", "namespace": "gateways", "sectionName": "https"}))],
        "hostnames": ["mirror.example"],
        "rules": route(80),
    });
    assert_eq!(object["spec"], expected);
    assert_eq!(object["metadata"]["annotations"], json!({"example.com/route": "true"}));

    let plain =
        Install::promised().named("mirror").set("httpRoute.enabled=true,httpRoute.parentRefs[0].name=g").render();
    let expected = json!({"parentRefs": [gateway(json!({"name": "g"}))], "rules": route(9900)});
    assert_eq!(plain.only("HTTPRoute")["spec"], expected);
    let service = "httpRoute.enabled=true,httpRoute.parentRefs[0].name=g,httpRoute.parentRefs[0].kind=Service";
    let other = Install::promised().set(service).set("httpRoute.parentRefs[0].group=").render();
    assert_eq!(other.only("HTTPRoute")["spec"]["parentRefs"], json!([{"name": "g", "kind": "Service", "group": ""}]));
    let refused = |route: &str, says: &[&str]| {
        Install::promised().values(&format!("httpRoute: {{enabled: true, {route}}}")).check_refused(says);
    };
    refused(
        "parentRefs: [{name: My Gateway}]",
        &["httpRoute.parentRefs: \"My Gateway\" cannot be the name of an object"],
    );
    refused("parentRefs: [{name: \"\"}]", &["name"]);
    refused("parentRefs: [{name: g, port: 65536}]", &["port"]);
    refused("parentRefs: [{name: g, section: https}]", &["section"]);
    refused("parentRefs: [{name: g}, {name: g}]", &["parentRefs"]);
    let hosts: Vec<_> = (0..17).map(|n| format!("h{n}.example")).collect();
    refused(&format!("parentRefs: [{{name: g}}], hostnames: [{}]", hosts.join(", ")), &["hostnames", "16"]);
    // The renderer requires that no object contains null.
    let nulls = "httpRoute: {enabled: true, parentRefs: [{name: g, namespace: null, kind: null}]}";
    let rendered = Install::promised().values(nulls).render();
    assert_eq!(rendered.only("HTTPRoute")["spec"]["parentRefs"], json!([gateway(json!({"name": "g"}))]));
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
    // It selects by labels of the Service itself.
    let labels = rendered.only("Service")["metadata"]["labels"].as_object().unwrap();
    let selector = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    assert!(selector.iter().all(|(name, value)| labels.get(name) == Some(value)), "{labels:?}");

    let plain = Install::promised().set("serviceMonitor.enabled=true").render();
    let monitor = plain.only("ServiceMonitor");
    assert_eq!(monitor["metadata"].get("namespace"), None);
    assert_eq!(monitor["spec"]["endpoints"], json!([{"port": "http", "path": "/metrics"}]));
    for field in ["interval", "scrapeTimeout"] {
        for duration in ["\"30\"", "half a minute", "1.5m", "30sec"] {
            let values = format!("serviceMonitor: {{enabled: true, {field}: {duration}}}");
            Install::promised().values(&values).check_refused(&["serviceMonitor", field]);
        }
        Install::promised().values(&format!("serviceMonitor: {{enabled: true, {field}: 1m30s}}")).render();
    }
    let both = |interval: &str, timeout: &str| {
        let values = format!("serviceMonitor: {{enabled: true, interval: {interval}, scrapeTimeout: {timeout}}}");
        Install::promised().values(&values)
    };
    for (interval, timeout) in [("30s", "31s"), ("1m30s", "90001ms"), ("1s", "1m"), ("1d", "25h")] {
        both(interval, timeout).check_refused(&["serviceMonitor.scrapeTimeout", interval, timeout]);
    }
    for (interval, timeout) in [("30s", "30s"), ("1m30s", "90s"), ("1m", "1000ms"), ("1y", "52w")] {
        both(interval, timeout).render();
    }
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
