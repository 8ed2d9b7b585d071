//! All options at once.

use super::helm::Install;

/// The values that turn everything on.
const VALUES: &str = include_str!("everything.yaml");

/// The text that only Secrets may contain if everything is on.
pub const SECRETS: [&str; 4] = ["hush-key", "hush-proxy", "hush-variable", "hush-upstream"];

/// The installation with everything on.
pub fn everything() -> Install {
    Install::without_key().named("mirror").values(VALUES)
}

#[test]
fn each_rendering_is_the_same_to_the_byte() {
    for install in [Install::promised(), everything()] {
        for version in super::helm::HELMS {
            let [first, second] = [(), ()].map(|()| install.run(version, "template", &[]));
            assert!(first.status.success());
            assert_eq!(first.stdout, second.stdout, "helm {version}");
        }
    }
}

#[test]
fn there_is_nothing_that_is_not_asked_for() {
    let expected = ["Deployment/prometheusmirror", "Pod/prometheusmirror-test", "Secret/prometheusmirror"];
    let mut list = Install::promised().render().list();
    list.retain(|object| object != "Service/prometheusmirror");
    assert_eq!(list, expected);

    let name = "mirror-prometheusmirror";
    let expected = [
        "ConfigMap/mirror-extra".to_owned(),
        format!("ConfigMap/{name}-certificates"),
        format!("ConfigMap/{name}-dashboard"),
        format!("ConfigMap/{name}-service-ca"),
        format!("Deployment/{name}"),
        format!("HTTPRoute/{name}"),
        format!("HorizontalPodAutoscaler/{name}"),
        format!("Ingress/{name}"),
        format!("NetworkPolicy/{name}"),
        format!("Pod/{name}-test"),
        format!("PodDisruptionBudget/{name}"),
        format!("PrometheusRule/{name}"),
        format!("Secret/{name}"),
        format!("Secret/{name}-env"),
        format!("Secret/{name}-proxy"),
        format!("Secret/{name}-upstreams"),
        format!("Service/{name}"),
        "ServiceAccount/mirror".to_owned(),
        format!("ServiceMonitor/{name}"),
    ];
    assert_eq!(everything().render().list(), expected);
}

#[test]
fn further_objects_are_templates() {
    let rendered = everything().render();
    assert_eq!(rendered.named("ConfigMap", "mirror-extra")["data"]["port"], "80");
    let text = "extraObjects: [\"apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: {{ .Chart.Name }}-of-text}\\n\"]";
    Install::promised().values(text).render().named("ConfigMap", "prometheusmirror-of-text");
    let object = |name: &str| format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}");
    let two = format!("extraObjects: [{}, {:?}]", object("one"), object("two"));
    let rendered = Install::promised().values(&two).render();
    for name in ["one", "two"] {
        rendered.named("ConfigMap", name);
    }
}

#[test]
fn what_is_secret_stands_in_secrets_alone() {
    let install = everything();
    let rendered = install.render();
    let notes = install.notes();
    for secret in SECRETS {
        let encoded = [secret.to_owned(), base64(secret)];
        let holders: Vec<_> = rendered
            .all()
            .iter()
            .filter(|object| encoded.iter().any(|text| object.to_string().contains(text)))
            .collect();
        assert!(holders.iter().all(|object| object["kind"] == "Secret"), "{secret}: {holders:?}");
        assert!(encoded.iter().all(|text| !notes.contains(text)), "{notes}");
    }
    let data: String = rendered.all().iter().filter(|object| object["kind"] == "Secret").map(decoded).collect();
    assert!(SECRETS.iter().all(|secret| data.contains(secret)), "the secrets are somewhere");
}

/// The content of a Secret.
fn decoded(secret: &serde_json::Value) -> String {
    secret["data"].as_object().unwrap().values().map(|text| super::key::decoded(text.as_str().unwrap())).collect()
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
