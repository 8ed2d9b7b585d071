//! The chart as a part of another chart, which shares `global` with it and can disable it.

use std::fs;

use tempfile::TempDir;

use super::helm::{HELMS, Install, KEY, chart, copy_folder, text};
use super::key::decoded;

/// A chart that has this one as a dependency, and a manifest of its own.
struct Parent(TempDir);

impl Parent {
    fn new(values: &str) -> Parent {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        write(
            "Chart.yaml",
            &format!(
                "apiVersion: v2\nname: parent\nversion: 1.0.0\ndependencies:\n\
                 - {{name: prometheusmirror, version: {version}, condition: prometheusmirror.enabled}}\n"
            ),
        );
        write("values.yaml", values);
        fs::create_dir(folder.path().join("templates")).unwrap();
        write("templates/own.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n");
        fs::create_dir(folder.path().join("charts")).unwrap();
        copy_folder(&chart(), &folder.path().join("charts/prometheusmirror"));
        Parent(folder)
    }

    fn install(&self) -> Install {
        Install::of(self.0.path()).named("stack")
    }
}

#[test]
fn a_parent_shares_its_global_values_and_sets_others() {
    let parent = Parent::new(&format!(
        "global: {{apiKey: {KEY}, imageRegistry: registry.example/all, commonLabels: {{team: a}}, other: [1]}}\n\
         prometheusmirror: {{enabled: true, workers: 3}}"
    ));
    let rendered = parent.install().set("prometheusmirror.port=8080").render();
    let name = "stack-prometheusmirror";
    assert_eq!(rendered.only("Service")["metadata"]["name"], name);
    assert_eq!(decoded(rendered.only("Secret")["data"]["apiKey"].as_str().unwrap()), KEY);
    assert_eq!((rendered.variable("WORKERS"), rendered.variable("PORT")), (Some("3"), Some("8080")));
    let image = rendered.container()["image"].as_str().unwrap();
    assert!(image.starts_with("registry.example/all/stackstate/prometheusmirror:"), "{image}");
    assert_eq!(rendered.only("Deployment")["metadata"]["labels"]["team"], "a");
}

#[test]
fn a_parent_may_name_a_secret_and_set_globals_to_null() {
    let parent = Parent::new("global: {apiKey: {fromSecret: mine}, imagePullSecrets: null, imageRegistry: null}");
    let rendered = parent.install().render();
    assert_eq!(rendered.pod()["volumes"][0]["secret"]["secretName"], "mine");
    assert!(rendered.find("Secret").is_none());
}

#[test]
fn the_key_of_a_parent_without_values_comes_from_a_secret() {
    for set in ["global.apiKeyFromSecret=mine", "global.apiKey.fromSecret=mine"] {
        for values in ["", "global: {}", "prometheusmirror: {}"] {
            let rendered = Parent::new(values).install().set(set).render();
            assert_eq!(rendered.pod()["volumes"][0]["secret"]["secretName"], "mine", "{set} {values}");
            assert!(rendered.find("Secret").is_none(), "{set} {values}");
        }
    }
}

#[test]
fn the_text_of_a_parent_and_a_secret_of_the_user_are_told_apart() {
    let of_text = Parent::new("global: {apiKey: hush}");
    let of_secret = Parent::new("global: {apiKeyFromSecret: theirs, apiKeySecretEntry: entry}");
    let says = ["global.apiKey and global.apiKeyFromSecret are both given", "--set global.apiKey= or"];
    let both = of_text.install().set("global.apiKeyFromSecret=mine");
    both.check_refused(&says);
    for version in HELMS {
        assert!(!text(&both.run(version, "template", &[])).contains("hush"), "repeats the key");
    }
    of_secret.install().set(&format!("global.apiKey={KEY}")).check_refused(&says);

    let parent_of_map = Parent::new("global: {apiKey: {fromSecret: theirs}}");
    let of_map = parent_of_map.install().set("global.apiKeyFromSecret=mine");
    of_map.check_refused(&["global.apiKey.fromSecret and global.apiKeyFromSecret are both given"]);
    let rendered = of_map.set("global.apiKey.fromSecret=").render();
    assert_eq!(rendered.pod()["volumes"][0]["secret"]["secretName"], "mine");

    let rendered = both.set("global.apiKey=").render();
    assert_eq!(rendered.pod()["volumes"][0]["secret"]["secretName"], "mine");
    let without = "global.apiKeyFromSecret=,global.apiKeySecretEntry=";
    let rendered = of_secret.install().set(&format!("global.apiKey={KEY},{without}")).render();
    assert_eq!(decoded(rendered.only("Secret")["data"]["apiKey"].as_str().unwrap()), KEY);
}

#[test]
fn a_parent_decides_whether_it_is_there() {
    for (enabled, count) in [("true", 5), ("false", 1)] {
        let parent = Parent::new(&format!("global: {{apiKey: {KEY}}}\nprometheusmirror: {{enabled: {enabled}}}"));
        assert_eq!(parent.install().render().all().len(), count, "{enabled}");
        assert_eq!(parent.install().set("prometheusmirror.enabled=false").render().list(), ["ConfigMap/own"]);
    }
}

#[test]
fn what_is_wrong_is_said_of_the_chart_in_the_parent_too() {
    let parent = Parent::new("prometheusmirror: {workerz: 3}");
    parent.install().check_refused(&["prometheusmirror", "workerz"]);
    Parent::new("{}").install().check_refused(&["global.apiKey is missing"]);
}
