//! How pods are run: probes, replacement, scaling and placement.

use serde_json::{Value, json};

use super::everything::everything;
use super::helm::Install;

#[test]
fn pods_are_probed_where_the_server_answers() {
    let rendered = Install::promised().render();
    for (probe, path) in [("livenessProbe", "/-/healthy"), ("readinessProbe", "/-/ready")] {
        assert_eq!(rendered.container()[probe]["httpGet"], json!({"path": path, "port": "http"}), "{probe}");
        let other =
            Install::promised().set(&format!("{probe}.failureThreshold=9,{probe}.timeoutSeconds=null")).render();
        let other = &other.container()[probe];
        assert_eq!((&other["failureThreshold"], other.get("timeoutSeconds")), (&json!(9), None), "{probe}");
        let bare = Install::promised().set(&format!("{probe}=null")).render();
        assert_eq!(bare.container()[probe], json!({"httpGet": {"path": path, "port": "http"}}), "{probe}");
    }
    assert_eq!(rendered.container().get("startupProbe"), None);
}

#[test]
fn an_update_never_has_fewer_pods_than_before() {
    let strategy = |install: Install| install.render().only("Deployment")["spec"]["strategy"].clone();
    let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}});
    assert_eq!(strategy(Install::promised()), rolling);
    let other = strategy(Install::promised().set("strategy.rollingUpdate.maxSurge=25%"));
    assert_eq!(other["rollingUpdate"], json!({"maxUnavailable": 0, "maxSurge": "25%"}));
    // No other type allows parameters of a rolling update.
    assert_eq!(strategy(Install::promised().set("strategy.type=Recreate")), json!({"type": "Recreate"}));
    assert_eq!(strategy(Install::promised().set("strategy=null")), Value::Null);
}

#[test]
fn a_pod_is_given_the_time_that_it_gives_to_others() {
    let check = |set: &str, expected: u64| {
        let rendered = Install::promised().set(set).render();
        assert_eq!(rendered.pod()["terminationGracePeriodSeconds"], expected, "{set}");
    };
    check("shutdownDelay=5", 5 + 25 + 5);
    check("shutdownDelay=0,shutdownGrace=0", 5);
    check("shutdownDelay=30,shutdownGrace=120", 155);
    check("shutdownDelay=3600,shutdownGrace=3600", 7205);
}

#[test]
fn the_number_of_pods_is_said_by_one_alone() {
    let replicas = |install: Install| install.render().only("Deployment")["spec"].get("replicas").cloned();
    assert_eq!(replicas(Install::promised()), Some(json!(1)));
    assert_eq!(replicas(Install::promised().set("replicaCount=3")), Some(json!(3)));
    assert_eq!(replicas(Install::promised().set("replicaCount=0")), Some(json!(0)));
    assert_eq!(replicas(Install::promised().set("replicaCount=3,autoscaling.enabled=true")), None);
}

#[test]
fn there_is_a_budget_where_there_can_be_more_than_one_pod() {
    let check = |set: &str, is_there: bool| {
        let rendered = Install::promised().set(set).render();
        assert_eq!(rendered.find("PodDisruptionBudget").is_some(), is_there, "{set}");
    };
    check("replicaCount=0", false);
    check("replicaCount=1", false);
    check("replicaCount=2", true);
    check("replicaCount=2,podDisruptionBudget.enabled=false", false);
    check("autoscaling.enabled=true", true);
    check("autoscaling.enabled=true,autoscaling.minReplicas=1", true);
    check("autoscaling.enabled=true,autoscaling.minReplicas=1,autoscaling.maxReplicas=1,replicaCount=2", false);
    check("autoscaling.enabled=true,podDisruptionBudget.enabled=false", false);

    let budget = |set: &str| Install::promised().set(set).render().only("PodDisruptionBudget")["spec"].clone();
    let plain = budget("replicaCount=2");
    assert_eq!((&plain["maxUnavailable"], plain.get("minAvailable")), (&json!(1), None));
    assert_eq!(plain.get("unhealthyPodEvictionPolicy"), None, "a field that Kubernetes 1.25 does not know");
    let with_policy = budget("replicaCount=2,podDisruptionBudget.unhealthyPodEvictionPolicy=AlwaysAllow");
    assert_eq!(with_policy["unhealthyPodEvictionPolicy"], "AlwaysAllow");
}

#[test]
fn pods_are_scaled_by_what_is_asked_for() {
    let metric = |name: &str, percent: u64| {
        let target = json!({"type": "Utilization", "averageUtilization": percent});
        json!({"type": "Resource", "resource": {"name": name, "target": target}})
    };
    let check = |sets: &str, bounds: [u64; 2], metrics: Value| {
        let rendered = Install::promised().set("autoscaling.enabled=true").set(sets).render();
        let spec = &rendered.only("HorizontalPodAutoscaler")["spec"];
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "prometheusmirror"});
        let [least, most] = bounds;
        let expected = json!({"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most, "metrics": metrics});
        assert_eq!(spec, &expected, "{sets}");
    };
    check("workers=20", [2, 5], json!([metric("cpu", 80)]));
    check("autoscaling.minReplicas=3,autoscaling.maxReplicas=9", [3, 9], json!([metric("cpu", 80)]));
    let both = json!([metric("cpu", 50), metric("memory", 70)]);
    let percent = "autoscaling.targetCPUUtilizationPercentage";
    let of_memory = "autoscaling.targetMemoryUtilizationPercentage";
    check(&format!("{percent}=50,{of_memory}=70"), [2, 5], both);
    check(&format!("{percent}=null,{of_memory}=70"), [2, 5], json!([metric("memory", 70)]));
    check("resources.requests.cpu=null,resources.limits.cpu=1", [2, 5], json!([metric("cpu", 80)]));
    let behavior = everything().render().only("HorizontalPodAutoscaler")["spec"]["behavior"].clone();
    assert_eq!(behavior, json!({"scaleDown": {"stabilizationWindowSeconds": 600}}));
}

#[test]
fn scaling_that_cannot_work_is_refused() {
    let check =
        |set: &str, says: &[&str]| Install::promised().set("autoscaling.enabled=true").set(set).check_refused(says);
    check("resources.requests.cpu=null", &["autoscaling by cpu", "resources.requests.cpu"]);
    check("resources=null", &["autoscaling by cpu", "resources.requests.cpu"]);
    let by_memory = "autoscaling.targetMemoryUtilizationPercentage=70,resources.requests.memory=null";
    check(&format!("{by_memory},resources.limits=null"), &["autoscaling by memory", "resources.requests.memory"]);
    check("autoscaling.targetCPUUtilizationPercentage=null", &["autoscaling is enabled without a target"]);
    check("autoscaling.minReplicas=6", &["autoscaling.minReplicas is more than autoscaling.maxReplicas"]);
    check("autoscaling.minReplicas=0", &["minReplicas"]);
}

#[test]
fn pods_are_spread_by_constraints_that_need_not_name_them() {
    let constraint = |(at, rest): (usize, &str)| {
        format!("{{maxSkew: 1, topologyKey: zone-{at}, whenUnsatisfiable: DoNotSchedule{rest}}}")
    };
    let selectors = ["", ", labelSelector: {matchLabels: {a: b}}", ", labelSelector: {}", ", labelSelector: null"];
    let yaml = format!(
        "topologySpreadConstraints: [{}]",
        selectors.into_iter().enumerate().map(constraint).collect::<Vec<_>>().join(", ")
    );
    let rendered = Install::promised().values(&yaml).render();
    let own = rendered.only("Deployment")["spec"]["selector"].clone();
    let constraints = rendered.pod()["topologySpreadConstraints"].as_array().unwrap();
    let selectors: Vec<_> = constraints.iter().map(|constraint| constraint["labelSelector"].clone()).collect();
    assert_eq!(selectors, [own.clone(), json!({"matchLabels": {"a": "b"}}), json!({}), own]);
    let first = json!({
        "maxSkew": 1, "topologyKey": "zone-0", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selectors[0],
    });
    assert_eq!(constraints[0], first);
}

#[test]
fn what_a_pod_may_have_besides_is_passed_on() {
    let rendered = everything().render();
    let (pod, container) = (rendered.pod(), rendered.container());
    let values = &super::manifests::parse(include_str!("everything.yaml"))[0];
    for field in ["priorityClassName", "nodeSelector", "tolerations", "affinity"] {
        assert_eq!(pod[field], values[field], "{field}");
    }
    // The test pod runs where the others may, with no priority.
    let test = &rendered.only("Pod")["spec"];
    for (field, is_there) in
        [("nodeSelector", true), ("tolerations", true), ("affinity", false), ("priorityClassName", false)]
    {
        assert_eq!(test.get(field).is_some(), is_there, "{field}");
    }
    assert_eq!(pod["volumes"].as_array().unwrap().last(), Some(&json!({"name": "scratch", "emptyDir": {}})));
    let mount = json!({"name": "scratch", "mountPath": "/scratch"});
    assert_eq!(container["volumeMounts"].as_array().unwrap().last(), Some(&mount));
    let metadata = &rendered.only("Deployment")["spec"]["template"]["metadata"];
    assert_eq!(metadata["annotations"]["example.com/watched"], "true");
    assert_eq!(rendered.only("Deployment")["metadata"]["annotations"], json!({"example.com/owner": "telemetry"}));
    let selector = Install::promised().set("nodeSelector.gpu=false,nodeSelector.rack=7").render();
    assert_eq!(selector.pod()["nodeSelector"], json!({"gpu": "false", "rack": "7"}), "labels are texts");
    assert_eq!(pod["hostAliases"], values["hostAliases"]);
    let option = json!({"name": "ndots", "value": "2"});
    assert_eq!(pod["dnsConfig"], json!({"searches": ["svc.cluster.example"], "options": [option]}));
    assert_eq!(pod["dnsPolicy"], "ClusterFirst");
    assert_eq!(rendered.only("Deployment")["spec"]["revisionHistoryLimit"], 0);
    // None of it by default.
    let plain = Install::promised().render();
    for field in [
        "priorityClassName", "nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "hostAliases",
        "dnsPolicy", "dnsConfig",
    ] {
        assert_eq!(plain.pod().get(field), None, "{field}");
    }
    assert_eq!(plain.only("Deployment")["spec"].get("revisionHistoryLimit"), None);
}

#[test]
fn a_volume_of_a_name_that_is_taken_is_refused() {
    let check = |volumes: &str, name: &str| {
        let values = format!("upstreamFiles: [{{name: ca, secret: s}}]\nextraVolumes: {volumes}");
        Install::promised().values(&values).check_refused(&["extraVolumes", name, "is taken"]);
    };
    check("[{name: key, emptyDir: {}}]", "\"key\"");
    check("[{name: proxy, emptyDir: {}}]", "\"proxy\"");
    check("[{name: files-ca, emptyDir: {}}]", "\"files-ca\"");
    check("[{name: a, emptyDir: {}}, {name: a, emptyDir: {}}]", "\"a\"");
}

/// Kubernetes requires texts there, but `--set` and YAML turn some texts into numbers and booleans.
#[test]
fn values_of_labels_and_taints_are_texts_however_they_are_given() {
    let term = "{weight: 5, preference: {matchExpressions: [{key: gpu, operator: In, values: [false, 2]}]}}";
    let spread =
        "{maxSkew: 2, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {rack: 7}}}";
    let rendered = Install::promised()
        .values(&format!(
            "tolerations: [{{key: true, operator: Equal, value: 7, effect: NoExecute, tolerationSeconds: 3600}}]\n\
             affinity: {{podAffinity: null, nodeAffinity: {{preferredDuringSchedulingIgnoredDuringExecution: [{term}]}}}}\n\
             topologySpreadConstraints: [{spread}]\n\
             networkPolicy: {{enabled: true, egress: {{to: [{{podSelector: {{matchLabels: {{rack: 7}}}}}}]}}}}"
        ))
        .render();
    let pod = rendered.pod();
    let taint = json!({
        "key": "true", "operator": "Equal", "value": "7", "effect": "NoExecute", "tolerationSeconds": 3600,
    });
    assert_eq!(pod["tolerations"], json!([taint]));
    let expression = json!({"key": "gpu", "operator": "In", "values": ["false", "2"]});
    let term = json!({"weight": 5, "preference": {"matchExpressions": [expression]}});
    let expected = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}});
    assert_eq!(pod["affinity"], expected);
    let selector = json!({"matchLabels": {"rack": "7"}});
    assert_eq!(pod["topologySpreadConstraints"][0]["labelSelector"], selector);
    assert_eq!(pod["topologySpreadConstraints"][0]["maxSkew"], 2);
    let peer = &rendered.only("NetworkPolicy")["spec"]["egress"][1]["to"][0];
    assert_eq!(peer["podSelector"], selector);
    let set = Install::promised().set("tolerations[0].key=dedicated,tolerations[0].value=true").render();
    assert_eq!(set.pod()["tolerations"], json!([{"key": "dedicated", "value": "true"}]));
    let number = Install::promised().values("tolerations: [{key: a, value: 1.10}]");
    number.check_refused(&["tolerations[0].value", "quotes"]);
}
