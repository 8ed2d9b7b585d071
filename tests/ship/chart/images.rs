//! The source of the image, which is the same for every container.

use serde_json::{Value, json};

use super::helm::Install;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Checks that every container has this image.
fn check(install: Install, expected: &str) {
    for (name, pod) in install.render().pods() {
        let containers = pod["containers"].as_array().unwrap();
        assert_eq!(containers.iter().map(|container| &container["image"]).collect::<Vec<_>>(), [expected], "{name}");
        assert_eq!(pod.get("initContainers"), None, "{name}");
    }
}

#[test]
fn the_image_is_that_of_the_chart_unless_another_is_asked_for() {
    let new = Install::promised;
    let version = env!("CARGO_PKG_VERSION");
    check(new(), &format!("docker.io/stackstate/prometheusmirror:{version}"));
    check(new().set("image.registry=quay.io"), &format!("quay.io/stackstate/prometheusmirror:{version}"));
    check(new().set("image.repository=other/mirror"), &format!("docker.io/other/mirror:{version}"));
    check(new().set("image.tag=1.2.3-rc.1"), "docker.io/stackstate/prometheusmirror:1.2.3-rc.1");
    check(new().set("image.tag=20261231"), "docker.io/stackstate/prometheusmirror:20261231");
    check(new().set("image.tag=null"), &format!("docker.io/stackstate/prometheusmirror:{version}"));
    check(new().values("image: {tag: \"1.10\"}"), "docker.io/stackstate/prometheusmirror:1.10");
    let digest = format!("image.digest={DIGEST}");
    check(new().set(&digest), &format!("docker.io/stackstate/prometheusmirror@{DIGEST}"));
    check(new().set(&digest).set("image.tag=1.2.3"), &format!("docker.io/stackstate/prometheusmirror:1.2.3@{DIGEST}"));
}

#[test]
fn a_registry_for_all_images_may_have_a_port_and_a_path() {
    let image = concat!("stackstate/prometheusmirror:", env!("CARGO_PKG_VERSION"));
    for registry in
        ["registry.example", "registry.example:5000", "registry.example:5000/mirrored/docker.io", "[::1]:5000"]
    {
        let install = || Install::promised().with(&["--set-literal", &format!("global.imageRegistry={registry}")]);
        check(install(), &format!("{registry}/{image}"));
        check(install().set("image.registry=quay.io"), &format!("{registry}/{image}"));
        check(Install::promised().set(&format!("global.imageRegistry={registry}/")), &format!("{registry}/{image}"));
    }
    for none in ["", "null"] {
        check(Install::promised().set(&format!("global.imageRegistry={none}")), &format!("docker.io/{image}"));
    }
}

#[test]
fn what_cannot_be_the_name_of_an_image_is_refused() {
    let check = |yaml: &str, says: &[&str]| Install::promised().values(yaml).check_refused(says);
    check("image: {tag: 1.10}", &["image.tag", "put it in quotes"]);
    check("image: {tag: 1}", &["image.tag", "put it in quotes"]);
    check("global: {imageRegistry: \"https://registry.example\"}", &["global.imageRegistry", "without https://"]);
    check("image: {registry: \"http://registry.example\"}", &["image.registry", "without https://"]);
    check("image: {digest: \"sha256:abc\"}", &["digest"]);
    let none = "cannot be the name of an image";
    check("image: {repository: \"stackstate/prometheusmirror:1.2\"}", &[none, "which has no tag in it"]);
    check("image: {repository: StackState/mirror}", &[none, "docker.io/StackState/mirror"]);
    check("image: {tag: \"a b\"}", &[none, "image.tag"]);
    check("global: {imageRegistry: registry.example//}", &[none, "global.imageRegistry"]);
    check("image: {registry: \"\"}", &["registry"]);
}

#[test]
fn secrets_to_pull_with_are_names_or_maps_and_none_is_there_twice() {
    let check = |global: &str, own: &str, expected: Value| {
        let yaml = format!("global: {{imagePullSecrets: {global}}}\nimagePullSecrets: {own}");
        for (name, pod) in Install::promised().values(&yaml).render().pods() {
            assert_eq!(pod.get("imagePullSecrets").unwrap_or(&Value::Null), &expected, "{name}");
        }
    };
    check("[]", "[]", Value::Null);
    check("null", "null", Value::Null);
    check("[one]", "[]", json!([{"name": "one"}]));
    check("[{name: one}]", "[]", json!([{"name": "one"}]));
    check("[]", "[one]", json!([{"name": "one"}]));
    check(
        "[two, {name: one}]",
        "[{name: two}, three, one]",
        json!([{"name": "two"}, {"name": "one"}, {"name": "three"}]),
    );
    for bad in ["[5]", "[{}]", "[{nme: one}]", "[\"\"]", "[null]", "[{name: null}]"] {
        let yaml = format!("global: {{imagePullSecrets: {bad}}}");
        Install::promised().values(&yaml).check_refused(&["global.imagePullSecrets", "{name: NAME}"]);
    }
}

#[test]
fn the_image_is_pulled_when_it_is_said_to_be() {
    for policy in ["IfNotPresent", "Always", "Never"] {
        for (name, pod) in Install::promised().set(&format!("image.pullPolicy={policy}")).render().pods() {
            assert_eq!(pod["containers"][0]["imagePullPolicy"], *policy, "{name}");
        }
    }
}
