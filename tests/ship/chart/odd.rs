//! Unusual values: those of a wrong shape are refused by name, and texts stay texts.

use super::helm::Install;

#[test]
fn what_has_the_wrong_shape_is_refused_by_name() {
    let check = |yaml: &str, name: &str| Install::without_key().values(yaml).check_refused(&[name]);
    for (yaml, name) in [
        ("global: text", "global"),
        ("global: []", "global"),
        ("global: null", "global"),
        ("global: {imagePullSecrets: one}", "imagePullSecrets"),
        ("global: {commonLabels: [a]}", "commonLabels"),
        ("global: {extraEnv: text}", "extraEnv"),
        ("global: {proxy: \"http://proxy.example\"}", "proxy"),
        ("global: {customCertificates: true}", "customCertificates"),
        ("global: {customCertificates: {enabled: \"true\"}}", "enabled"),
        ("image: stackstate/prometheusmirror:1", "image"),
        ("port: \"9900\"", "port"),
        ("port: 9900.5", "port"),
        ("replicaCount: \"2\"", "replicaCount"),
        ("queueSize: \"\"", "queueSize"),
        ("networkPolicy: true", "networkPolicy"),
        ("networkPolicy: {ingress: {namespaces: a}}", "namespaces"),
        ("ingress: {hosts: mirror.example}", "hosts"),
        ("ingress: {hosts: [5]}", "hosts"),
        ("httpRoute: {parentRefs: [{nme: g}]}", "parentRefs"),
        ("serviceMonitor: {interval: 30}", "interval"),
        ("extraEnv: {A: b}", "extraEnv"),
        ("extraVolumes: [{emptyDir: {}}]", "extraVolumes"),
        ("podAnnotations: {a: [1]}", "podAnnotations"),
        ("resources: {limit: {memory: 1Gi}}", "limit"),
        ("livenessProbe: {timeoutSecond: 1}", "timeoutSecond"),
        ("strategy: {maxSurge: 1}", "maxSurge"),
        ("apiKey: text", "apiKey"),
    ] {
        check(yaml, name);
    }
}

#[test]
fn a_name_that_yaml_takes_for_something_else_stays_a_text() {
    for name in ["on", "true", "null", "y", "123", "1e3", "0x1f", "1.5"] {
        let rendered = Install::promised().named(name).set("fullnameOverride=mirror").render();
        let selector = &rendered.only("Service")["spec"]["selector"];
        assert_eq!(selector["app.kubernetes.io/instance"], name);
        for object in rendered.all() {
            assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/instance"], name);
        }
    }
    for name in ["on", "true", "null", "y", "e1"] {
        let rendered = Install::promised().with(&["--set-string", &format!("fullnameOverride={name}")]).render();
        assert_eq!(rendered.only("Service")["metadata"]["name"], name);
        assert_eq!(rendered.pod()["volumes"][0]["secret"]["secretName"], name);
    }
}

#[test]
fn a_number_may_be_written_in_another_way() {
    let rendered = Install::promised().values("port: 9900.0\nworkers: 1e2\nreplicaCount: 0x2").render();
    assert_eq!(rendered.only("Service")["spec"]["ports"][0]["port"], 9900);
    assert_eq!(rendered.variable("WORKERS"), Some("100"));
    assert_eq!(rendered.only("Deployment")["spec"]["replicas"], 2);
}

#[test]
fn no_values_at_all_are_those_of_the_chart() {
    let plain = Install::promised().render();
    for yaml in ["{}", "null", "---", "# nothing\n"] {
        assert_eq!(Install::promised().values(yaml).render().text(), plain.text(), "{yaml:?}");
    }
}
