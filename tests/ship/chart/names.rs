//! The names and labels of objects.

use serde_json::{Value, json};

use super::everything::everything;
use super::helm::{Install, chart, copy_folder};
use super::manifests::{Manifests, kind};

/// The name of the Service, which all objects share.
fn name_of(install: &Install) -> String {
    let rendered = install.render();
    let name = rendered.only("Service")["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(rendered.only("Deployment")["metadata"]["name"], *name);
    for object in rendered.list() {
        // The name of the test pod is shorter, since it is a host name, too.
        let name = if object.starts_with("Pod/") { name[..name.len().min(58)].trim_end_matches('-') } else { &name };
        assert!(object.split_once('/').unwrap().1.starts_with(name), "{object}");
    }
    name
}

#[test]
fn the_promised_installation_has_the_promised_service() {
    let rendered = Install::promised().render();
    let service = rendered.only("Service");
    assert_eq!(service["metadata"]["name"], "prometheusmirror");
    assert_eq!(service["spec"]["ports"][0]["port"], 9900);
    assert_eq!(service["spec"]["type"], "ClusterIP");
    assert_eq!(rendered.variable("WORKERS"), Some("20"));
}

#[test]
fn things_are_called_after_the_release() {
    let check = |release: &str, expected: &str| assert_eq!(name_of(&Install::promised().named(release)), expected);
    check("prometheusmirror", "prometheusmirror");
    check("my-prometheusmirror-2", "my-prometheusmirror-2");
    check("mine", "mine-prometheusmirror");
    check("my.release", "my-release-prometheusmirror");
    // Helm allows 53 characters, a Service 63.
    let longest = "r".repeat(53);
    check(&longest, &format!("{longest}-prometheu"));
    check("true", "true-prometheusmirror");
}

#[test]
fn names_can_be_chosen() {
    let check = |set: &str, expected: &str| assert_eq!(name_of(&Install::promised().named("mine").set(set)), expected);
    check("nameOverride=mirror", "mine-mirror");
    assert_eq!(name_of(&Install::promised().set("nameOverride=mirror")), "prometheusmirror");
    check("nameOverride=mine", "mine");
    check("fullnameOverride=mirror", "mirror");
    check(&format!("fullnameOverride={}", "m".repeat(63)), &"m".repeat(63));
    // Cut before dashes at the end, of which there may be several.
    let dashes = format!("{}---end", "m".repeat(56));
    check(&format!("nameOverride={dashes}"), &format!("mine-{}", "m".repeat(56)));
    let text = Install::promised().with(&["--set-string", "fullnameOverride=on"]);
    assert_eq!(name_of(&text), "on");
}

#[test]
fn a_name_that_no_service_may_have_is_refused_with_the_way_out() {
    let check = |install: Install, says: &[&str]| install.check_refused(&[&["name of a Service"], says].concat());
    check(Install::promised().named("9lives"), &["9lives-prometheusmirror", "--set fullnameOverride=NAME"]);
    check(Install::promised().set("fullnameOverride=Mirror"), &["Mirror", "--set fullnameOverride=NAME"]);
    check(Install::promised().set("fullnameOverride=my.mirror"), &["my.mirror", "--set fullnameOverride=NAME"]);
    check(Install::promised().set("fullnameOverride=mirror-"), &["mirror-", "--set fullnameOverride=NAME"]);
    check(Install::promised().set(&format!("fullnameOverride={}", "m".repeat(64))), &["--set fullnameOverride=NAME"]);
    check(Install::promised().set("nameOverride=my_mirror"), &["my_mirror", "--set nameOverride=NAME"]);
}

#[test]
fn objects_are_in_the_namespace_that_is_asked_for() {
    for object in Install::promised().render().all() {
        assert_eq!(object["metadata"].get("namespace"), None, "Helm says which: {object}");
    }
    let install = everything().set("namespaceOverride=elsewhere");
    let rendered = install.render();
    for object in rendered.all() {
        let namespace = if kind(object) == "ServiceMonitor" { "observers" } else { "elsewhere" };
        // Names of the users' own objects are unchanged.
        if object["metadata"]["labels"].is_object() {
            assert_eq!(object["metadata"]["namespace"], namespace, "{object}");
        }
    }
    let watched = &rendered.only("ServiceMonitor")["spec"]["namespaceSelector"]["matchNames"];
    assert_eq!(watched, &json!(["elsewhere"]));
    let notes = install.notes();
    assert!(notes.contains("http://mirror-prometheusmirror.elsewhere.svc.cluster.example:80/"), "{notes}");
    assert!(notes.contains("kubectl get secret --namespace elsewhere"), "{notes}");
    assert!(notes.contains("helm test mirror --namespace monitoring"), "Helm's own records stay: {notes}");
    let long = "n".repeat(64);
    for name in ["a.b", "A", "-a", &long] {
        let says = format!("namespaceOverride: {name:?} cannot be the name of a namespace");
        Install::promised().set(&format!("namespaceOverride={name}")).check_refused(&[&says]);
    }
    Install::promised().set(&format!("namespaceOverride={}", "n".repeat(63))).render();
    for value in ["serviceMonitor", "prometheusRule", "dashboard"] {
        let set = format!("{value}.enabled=true,{value}.namespace=A");
        let says = format!("{value}.namespace: \"A\" cannot be the name of a namespace");
        Install::promised().set(&set).check_refused(&[&says]);
    }
}

/// The places of labels: every object, and the pods of the Deployment.
fn labels(rendered: &Manifests) -> Vec<(String, &Value)> {
    let own = rendered.all().iter().filter(|object| object["metadata"]["labels"].is_object());
    let of_objects = own.map(|object| (kind(object).to_owned(), &object["metadata"]["labels"]));
    let of_pods = &rendered.only("Deployment")["spec"]["template"]["metadata"]["labels"];
    of_objects.chain([("pods".to_owned(), of_pods)]).collect()
}

#[test]
fn every_object_and_pod_is_labelled() {
    let rendered = everything().render();
    for (of, labels) in labels(&rendered) {
        if labels["grafana_dashboard"] == "1" {
            continue;
        }
        let component = if of == "Pod" { "test" } else { "mirror" };
        let version = env!("CARGO_PKG_VERSION");
        let mut expected = json!({
            "app.kubernetes.io/name": "prometheusmirror",
            "app.kubernetes.io/instance": "mirror",
            "app.kubernetes.io/component": component,
            "app.kubernetes.io/version": version,
            "app.kubernetes.io/managed-by": "Helm",
            "helm.sh/chart": format!("prometheusmirror-{version}"),
            "team": "telemetry",
            "cost-centre": "4711",
        });
        match of.as_str() {
            "pods" => expected["example.com/tier"] = json!("2"),
            "ServiceMonitor" | "PrometheusRule" => expected["release"] = json!("kube-prometheus-stack"),
            "Service" => expected["example.com/pool"] = json!("3"),
            _ => {}
        }
        assert_eq!(labels, &expected, "{of}");
    }
}

#[test]
fn a_label_of_one_object_wins_over_one_of_all() {
    let rendered =
        Install::promised().set("global.commonLabels.team=a,podLabels.team=b,service.labels.team=c").render();
    for (of, labels) in labels(&rendered) {
        let expected = match of.as_str() {
            "pods" => "b",
            "Service" => "c",
            _ => "a",
        };
        assert_eq!(labels["team"], expected, "{of}");
    }
}

/// The version of a build from source may contain a plus, which a label may not.
#[test]
fn the_version_of_the_chart_is_a_label_whatever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("chart");
    copy_folder(&chart(), &copy);
    let about = std::fs::read_to_string(copy.join("Chart.yaml")).unwrap();
    let version = format!("\nversion: {}", env!("CARGO_PKG_VERSION"));
    assert!(about.contains(&version), "{about}");
    let long = format!("{version}+{}", "b".repeat(60));
    std::fs::write(copy.join("Chart.yaml"), about.replace(&version, &long)).unwrap();
    let rendered = Install::of(&copy).set("global.apiKey=k").render();
    let label = rendered.only("Service")["metadata"]["labels"]["helm.sh/chart"].as_str().unwrap();
    let expected = format!("prometheusmirror-{}_{}", env!("CARGO_PKG_VERSION"), "b".repeat(60));
    assert_eq!(label, &expected[..63]);
}

#[test]
fn a_label_that_kubernetes_refuses_is_refused_before() {
    let check = |yaml: &str, says: &[&str]| Install::promised().values(yaml).check_refused(says);
    let long = "l".repeat(64);
    for name in ["a b", "-a", "a/", "Example.com/a", "a/b/c", &long] {
        let says = ["global.commonLabels", name, "cannot be the name of a label"];
        check(&format!("global: {{commonLabels: {{\"{name}\": x}}}}"), &says);
    }
    for value in ["a b", "-a", "a.", "a/b", &long] {
        check(
            &format!("podLabels: {{team: \"{value}\"}}"),
            &["podLabels.team", value, "cannot be the value of a label"],
        );
    }
    check("service: {labels: {team: a b}}", &["service.labels.team"]);
    let longest = "l".repeat(63);
    let values = format!("podLabels: {{\"{longest}\": {longest}, example.com/A_b.c: \"\", a: A-b_c.1}}");
    Install::promised().values(&values).render();
}

/// The selectors of pods in a rendering, in all places.
fn selectors(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, field)| match name.as_str() {
            "matchLabels" | "selector" if field.get("app.kubernetes.io/name").is_some() => found.push(field.clone()),
            _ => selectors(field, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| selectors(item, found)),
        _ => {}
    }
}

#[test]
fn pods_are_found_by_three_labels_that_no_value_changes() {
    let mut found = Vec::new();
    let rendered = everything()
        .set("global.commonLabels.app\\.kubernetes\\.io/component=other")
        .set("podLabels.app\\.kubernetes\\.io/name=other")
        .set("nameOverride=other,fullnameOverride=another")
        .render();
    rendered.all().iter().for_each(|object| selectors(object, &mut found));
    let selector = |component: &str| {
        json!({
            "app.kubernetes.io/name": "prometheusmirror",
            "app.kubernetes.io/instance": "mirror",
            "app.kubernetes.io/component": component,
        })
    };
    // Of the Service, the Deployment, its spread, the budget, the policy and the monitor; and the test pod in the policy.
    let of_mirror = found.iter().filter(|found| **found == selector("mirror")).count();
    let of_test = found.iter().filter(|found| **found == selector("test")).count();
    assert_eq!((of_mirror, of_test, found.len()), (6, 1, 7), "{found:?}");

    let pods = &rendered.only("Deployment")["spec"]["template"]["metadata"]["labels"];
    let test = &rendered.only("Pod")["metadata"]["labels"];
    let covers = |labels: &Value, selector: Value| {
        selector.as_object().unwrap().iter().all(|(name, value)| labels.get(name) == Some(value))
    };
    assert!(covers(pods, selector("mirror")) && !covers(test, selector("mirror")));
    assert!(covers(test, selector("test")));
}

#[test]
fn labels_and_annotations_are_texts_whatever_they_were_given_as() {
    let rendered = Install::promised()
        .values(
            "global: {commonLabels: {number: 67108864, yes: true, none: null, empty: \"\"}}\n\
             annotations: {number: 67108864}\npodAnnotations: {truth: false}\nservice: {annotations: {zero: 0}}",
        )
        .render();
    for (of, labels) in labels(&rendered) {
        assert_eq!((&labels["number"], &labels["empty"]), (&json!("67108864"), &json!("")), "{of}");
        assert_eq!((&labels["true"], labels.get("none")), (&json!("true"), None), "{of}");
    }
    assert_eq!(rendered.only("Deployment")["metadata"]["annotations"], json!({"number": "67108864"}));
    assert_eq!(rendered.only("Deployment")["spec"]["template"]["metadata"]["annotations"], json!({"truth": "false"}));
    assert_eq!(rendered.only("Service")["metadata"]["annotations"], json!({"zero": "0"}));
    let refused = |yaml: &str, name: &str| Install::promised().values(yaml).check_refused(&[name, "quotes"]);
    refused("global: {commonLabels: {version: 1.10}}", "global.commonLabels.version");
    refused("podAnnotations: {version: 1.10}", "podAnnotations.version");
    let list = Install::promised().values("global: {commonLabels: {team: [a]}}");
    list.check_refused(&["global.commonLabels.team", "not a map or a list"]);
}
