//! Values that Kubernetes refuses, in pods, scaling, rollouts and routes. Helm would have changed other objects before the
//! refusal, so the chart refuses them first. The rules are those of Kubernetes' validation.

use super::helm::Install;

/// Checks that values are refused with these words.
fn check(values: &str, says: &[&str]) {
    Install::promised().values(values).check_refused(says);
}

/// Checks that each of these renders.
fn check_renders(all: &[&str]) {
    for values in all {
        Install::promised().values(values).render();
    }
}

#[test]
fn probes_have_the_bounds_of_kubernetes() {
    for probe in ["livenessProbe", "readinessProbe"] {
        for field in ["periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold"] {
            check(&format!("{probe}: {{{field}: 0}}"), &[probe, field, "1"]);
        }
        check(&format!("{probe}: {{initialDelaySeconds: -1}}"), &[probe, "initialDelaySeconds", "0"]);
    }
    check("livenessProbe: {successThreshold: 2}", &["livenessProbe", "successThreshold", "1"]);
    check("livenessProbe: {terminationGracePeriodSeconds: 0}", &["terminationGracePeriodSeconds", "1"]);
    check("readinessProbe: {terminationGracePeriodSeconds: 5}", &["readinessProbe", "terminationGracePeriodSeconds"]);
    check_renders(&[
        "readinessProbe: {successThreshold: 2}",
        "livenessProbe: {initialDelaySeconds: 0, successThreshold: 1, terminationGracePeriodSeconds: 1}",
    ]);
}

#[test]
fn an_update_can_replace_pods() {
    for zero in ["0", "0%", "\"00%\""] {
        check(
            &format!("strategy: {{rollingUpdate: {{maxSurge: {zero}}}}}"),
            &["maxSurge and maxUnavailable are both 0"],
        );
    }
    check("strategy: {rollingUpdate: {maxSurge: some}}", &["maxSurge"]);
    check("strategy: {rollingUpdate: {maxSurge: -1}}", &["maxSurge"]);
    check("strategy: {rollingUpdate: {maxUnavailable: 101%}}", &["maxUnavailable"]);
    check("strategy: {rollingUpdate: {maxUnavailabel: 1}}", &["maxUnavailabel"]);
    check("replicaCount: 2147483648", &["replicaCount"]);
    check("revisionHistoryLimit: 2147483648", &["revisionHistoryLimit"]);
    check_renders(&[
        "strategy: {rollingUpdate: {maxSurge: 200%}}",
        "strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 100%}}",
        "strategy: {type: Recreate, rollingUpdate: null}",
    ]);
}

#[test]
fn the_behaviour_of_scaling_is_one_that_kubernetes_takes() {
    let behaviour = |inside: &str| format!("autoscaling: {{enabled: true, behavior: {{{inside}}}}}");
    for (inside, says) in [
        ("scaledown: {}", "scaledown"),
        ("scaleDown: {stabilizationWindowSeconds: 3601}", "stabilizationWindowSeconds"),
        ("scaleDown: {selectPolicy: max}", "selectPolicy"),
        ("scaleUp: {policies: []}", "policies"),
        ("scaleUp: {policies: [{type: Pods, value: 1}]}", "periodSeconds"),
        ("scaleUp: {policies: [{type: Pods, value: 0, periodSeconds: 60}]}", "value"),
        ("scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 1801}]}", "periodSeconds"),
    ] {
        check(&behaviour(inside), &["behavior", says]);
    }
    let whole = "scaleUp: {selectPolicy: Max, policies: [{type: Percent, value: 100, periodSeconds: 15}]}";
    check_renders(&[&behaviour(whole), &behaviour("scaleDown: {selectPolicy: Disabled}")]);
}

#[test]
fn a_request_is_a_quantity_and_within_its_limit() {
    for quantity in ["64Mb", "64 Mi", "-1", "\"\"", "Mi", "1.2.3", "64mi"] {
        let says = ["resources.requests.memory", "is not a quantity such as", quantity.trim_matches('"')];
        check(&format!("resources: {{requests: {{memory: {quantity}}}}}"), &says);
    }
    check("resources: {limits: {memory: 1GB}}", &["resources.limits.memory", "\"1GB\" is not a quantity"]);
    check("resources: {requests: {mem: 1Gi}}", &["resources.requests: \"mem\" is not a resource"]);
    // The default limit of memory is 512Mi.
    for (resource, request, limit) in [
        ("memory", "513Mi", "512Mi"),
        ("memory", "1Gi", "512Mi"),
        ("memory", "536870913", "512Mi"),
        ("cpu", "1001m", "1"),
        ("cpu", "50m", "0.049"),
        ("example.com/device", "2", "1"),
    ] {
        let values = format!("resources: {{requests: {{{resource}: {request}}}, limits: {{{resource}: {limit}}}}}");
        check(&values, &[&format!("resources.requests.{resource} is more than resources.limits.{resource}")]);
    }
    for (unit, bytes) in [
        ("k", 1_000_u64),
        ("Ki", 1 << 10),
        ("M", 1_000_000),
        ("Mi", 1 << 20),
        ("G", 1_000_000_000),
        ("Gi", 1 << 30),
        ("T", 1_000_000_000_000),
        ("Ti", 1 << 40),
        ("P", 1_000_000_000_000_000),
        ("Pi", 1 << 50),
    ] {
        let values =
            |bytes: u64| format!("resources: {{requests: {{memory: \"{bytes}\"}}, limits: {{memory: 1{unit}}}}}");
        check_renders(&[&values(bytes)]);
        check(&values(bytes + bytes / 1_000), &["resources.requests.memory is more than resources.limits.memory"]);
    }
    check_renders(&[
        "resources: {requests: {memory: 512Mi, cpu: 1.5}, limits: {cpu: 1500m}}",
        "resources: {requests: {memory: 0.5Gi, cpu: \".5\"}}",
        "resources: {requests: {memory: 536870912}}",
        "resources: {requests: {cpu: 1000m}, limits: {cpu: 1}}",
        "resources: {requests: {cpu: 2300m}, limits: {cpu: 2.3}}",
        "resources: {requests: {cpu: 9m}, limits: {cpu: 0.009}}",
        "resources: {requests: {memory: 5e8, hugepages-2Mi: 4Mi}, limits: {hugepages-2Mi: 4Mi}}",
        "resources: {requests: null}",
    ]);
}

#[test]
fn names_are_looked_up_by_addresses() {
    let not_address = "is not an IP address, such as 192.0.2.7";
    check("hostAliases: [{ip: prometheus, hostnames: [a]}]", &["hostAliases: \"prometheus\"", not_address]);
    check("hostAliases: [{ip: 192.0.2.0/24, hostnames: [a]}]", &["hostAliases: \"192.0.2.0/24\"", not_address]);
    check("hostAliases: [{ip: 192.0.2.7, hostnames: [A_b]}]", &["hostAliases", "hostnames"]);
    check("dnsConfig: {nameservers: [192.0.2.256]}", &["dnsConfig.nameservers: \"192.0.2.256\"", not_address]);
    check("dnsConfig: {nameservers: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4]}", &["nameservers", "3"]);
    check("dnsConfig: {searches: [a b]}", &["searches"]);
    check(&format!("dnsConfig: {{searches: [{}]}}", ["a.example"; 33].join(", ")), &["searches", "32"]);
    check("dnsConfig: {options: [{name: ndots, vaule: 2}]}", &["vaule"]);
    for config in ["", "\ndnsConfig: {searches: [a.example]}", "\ndnsConfig: {nameservers: []}"] {
        check(&format!("dnsPolicy: None{config}"), &["dnsPolicy is None", "dnsConfig.nameservers"]);
    }
    check_renders(&[
        "dnsPolicy: None\ndnsConfig: {nameservers: [192.0.2.1, \"2001:db8::1\"]}",
        "hostAliases: [{ip: \"fd00::7\", hostnames: [a.example, b-1]}]",
    ]);
}

#[test]
fn a_toleration_is_one_that_kubernetes_takes() {
    for (toleration, says) in [
        ("{key: a, operator: Exists, value: b}", "tolerations[0] has a value"),
        ("{key: a, operator: Exists, value: false}", "tolerations[0] has a value"),
        ("{operator: Equal, value: b}", "tolerations[0] has no key"),
        ("{value: b}", "tolerations[0] has no key"),
        ("{key: a, tolerationSeconds: 0}", "tolerations[0] has tolerationSeconds"),
        ("{key: a, effect: NoSchedule, tolerationSeconds: 5}", "needs the effect NoExecute"),
        ("{key: a, effect: noSchedule}", "effect"),
        ("{key: a, operator: equals}", "operator"),
        ("{key: a, vaule: b}", "vaule"),
    ] {
        check(&format!("tolerations: [{toleration}]"), &[says]);
    }
    check_renders(&["tolerations: [{operator: Exists}, {key: a, operator: Exists, value: \"\"}]"]);
}

#[test]
fn pods_are_placed_by_what_kubernetes_knows() {
    check("affinity: {nodeaffinity: {}}", &["nodeaffinity"]);
    check("nodeSelector: {\"a b\": c}", &["nodeSelector", "\"a b\" cannot be the name of a label"]);
    check("nodeSelector: {a: b c}", &["nodeSelector.a", "\"b c\" cannot be the value of a label"]);
    let constraint = |rest: &str| format!("{{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: {rest}}}");
    check(&format!("topologySpreadConstraints: [{}]", constraint("Never")), &["whenUnsatisfiable"]);
    check("topologySpreadConstraints: [{maxSkew: 1}]", &["topologyKey"]);
    check(
        "topologySpreadConstraints: [{maxSkew: 0, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]",
        &["maxSkew"],
    );
    let twice = format!("topologySpreadConstraints: [{0}, {0}]", constraint("DoNotSchedule"));
    check(&twice, &["two have zone and DoNotSchedule"]);
    let both = [constraint("DoNotSchedule"), constraint("ScheduleAnyway")].join(", ");
    check_renders(&[&format!("topologySpreadConstraints: [{both}]")]);
}

#[test]
fn a_volume_is_mounted_where_none_is_yet() {
    let mounts = |mounts: &str| format!("extraVolumes: [{{name: a, emptyDir: {{}}}}]\nextraVolumeMounts: [{mounts}]");
    for path in ["/etc/prometheusmirror/key", "/etc/prometheusmirror/proxy/", "/etc/prometheusmirror/files/ca"] {
        let values = mounts(&format!("{{name: a, mountPath: {path}}}")) + "\nupstreamFiles: [{name: ca, secret: s}]";
        check(&values, &["extraVolumeMounts: the path", path, "is taken"]);
    }
    check(&mounts("{name: a, mountPath: /x}, {name: a, mountPath: /x}"), &["\"/x\" is taken"]);
    check(&mounts("{name: b, mountPath: /x}"), &["there is no volume \"b\"", "extraVolumes"]);
    check(&mounts("{name: a, mountPath: \"a:b\"}"), &["mountPath"]);
    check("extraVolumes: [{name: A_b, emptyDir: {}}]", &["extraVolumes", "name"]);
    check_renders(&[&mounts("{name: a, mountPath: /x}, {name: a, mountPath: /y}, {name: key, mountPath: /z}")]);
}

#[test]
fn a_variable_has_one_source() {
    let from = "valueFrom: {fieldRef: {fieldPath: spec.nodeName}}";
    check(&format!("extraEnv: [{{name: NODE, value: x, {from}}}]"), &["extraEnv: NODE has value and valueFrom"]);
    check("extraEnv: [{name: NODE, valu: x}]", &["valu"]);
    check_renders(&[&format!("extraEnv: [{{name: NODE, value: \"\", {from}}}, {{name: EMPTY, value: \"\"}}]")]);
}

#[test]
fn what_pods_name_has_a_name_that_kubernetes_takes() {
    let long = "l".repeat(254);
    for name in ["A b", "My-Class", "-a", "a..b", "a_b", &long] {
        for (values, value) in [
            ("priorityClassName: NAME", "priorityClassName"),
            ("serviceAccount: {name: NAME}", "serviceAccount.name"),
            ("imagePullSecrets: [NAME]", "imagePullSecrets"),
            ("global: {imagePullSecrets: [{name: NAME}]}", "imagePullSecrets"),
        ] {
            let says = [value, &format!("{name:?} cannot be the name of an object of Kubernetes")];
            check(&values.replace("NAME", &format!("{name:?}")), &says);
        }
    }
    check_renders(&[&format!("priorityClassName: {}", "l".repeat(253)), "serviceAccount: {name: a.b.c-1}"]);
    for name in ["a..b", "a.-b", &long] {
        for (values, value) in [
            ("upstreamsFromSecret: {name: NAME}", "upstreamsFromSecret.name"),
            ("upstreamFiles: [{name: ca, secret: NAME}]", "upstreamFiles"),
            ("upstreamFiles: [{name: ca, configMap: NAME}]", "upstreamFiles"),
            (
                "global: {customCertificates: {enabled: true, configMapName: NAME}}",
                "global.customCertificates.configMapName",
            ),
        ] {
            let says = [value, &format!("{name:?} cannot be the name of an object of Kubernetes")];
            check(&values.replace("NAME", &format!("{name:?}")), &says);
        }
        for value in ["global.apiKeyFromSecret", "global.apiKey.fromSecret"] {
            let install = Install::without_key().set(&format!("{value}={name}"));
            install.check_refused(&[&format!("{value} must be the name of a Secret")]);
        }
    }
}

#[test]
fn annotations_have_names_and_a_size_that_kubernetes_takes() {
    for value in ["annotations", "podAnnotations", "service.annotations"] {
        let set = Install::promised().with(&["--set-json", &format!("{value}={{\"a b\": \"c\"}}")]);
        set.check_refused(&[value, "\"a b\" cannot be the name of an annotation"]);
    }
    check(&format!("podAnnotations: {{a: {}}}", "x".repeat(262_144)), &["podAnnotations", "256 KiB"]);
    check_renders(&[
        "annotations: {Example.com/A_b: any text, a: \"\"}",
        &format!("annotations: {{a: {}}}", "x".repeat(262_000)),
    ]);
}

#[test]
fn what_a_map_or_a_secret_cannot_hold_is_refused() {
    let filler = "x".repeat(1_000_000);
    let certificates = format!("-----BEGIN CERTIFICATE-----{filler}");
    check(
        &format!("global: {{customCertificates: {{enabled: true, pemData: {certificates}}}}}"),
        &["global.customCertificates.pemData has more than 1000000 bytes"],
    );
    check(
        &format!("upstreams: [{{name: a, url: \"http://a\", tls_config: {{ca: {filler}}}}}]"),
        &["upstreams have more than 1000000 bytes"],
    );
    check("extraObjects: [{kind: ConfigMap, metadata: {name: a}}]", &["extraObjects", "apiVersion"]);
}
