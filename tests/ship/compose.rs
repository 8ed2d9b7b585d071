//! `compose.yaml`: a real compose reads it, and it agrees with the image. No engine runs containers here.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use prometheusmirror::settings::TABLE;

use crate::builds::run;
use crate::chart::manifests;
use crate::support::process::require;

/// The configuration that compose makes of these files.
fn services(files: &[&str]) -> Value {
    require("docker-compose", "docker-compose");
    let understood = run("docker-compose", |compose: &mut Command| {
        for file in files {
            compose.arg("--file").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
        }
        compose.arg("config")
    });
    manifests::parse(&understood.unwrap())[0]["services"].clone()
}

#[test]
fn compose_starts_the_image_of_this_version_as_locked_down_as_it_can_be() {
    let mirror = &services(&["compose.yaml"])["mirror"];
    let image = concat!("docker.io/stackstate/prometheusmirror:", env!("CARGO_PKG_VERSION"));
    assert_eq!(mirror["image"], image);
    assert_eq!(mirror["build"]["context"], env!("CARGO_MANIFEST_DIR"));
    assert_eq!(mirror["ports"][0]["target"], 9900);
    assert_eq!(mirror["read_only"], true);
    assert_eq!(mirror["cap_drop"], json!(["ALL"]));
    assert_eq!(mirror["security_opt"], json!(["no-new-privileges:true"]));
}

#[test]
fn the_key_is_a_file_and_only_the_prometheus_beside_it_is_queried() {
    let services = services(&["compose.yaml"]);
    let variables = services["mirror"]["environment"].as_object().unwrap();
    for name in variables.keys() {
        assert!(TABLE.iter().any(|setting| setting.variable() == *name), "{name} is no setting");
    }
    let secret = services["mirror"]["secrets"][0]["source"].as_str().unwrap();
    assert_eq!(variables["API_KEY_FILE"], format!("/run/secrets/{secret}"));
    assert_eq!(variables.get("API_KEY"), None);
    let (host, port) = variables["ALLOW_UPSTREAM"].as_str().unwrap().split_once(':').unwrap();
    assert!(services[host].is_object() && port == "9090", "{services}");
}

#[test]
fn the_example_of_tls_is_a_proxy_for_the_mirror() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/install.md")).unwrap();
    let example = page.split("```yaml\n").find(|block| block.starts_with("services:")).unwrap();
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), example.split("```").next().unwrap()).unwrap();
    let services = services(&["compose.yaml", file.path().to_str().unwrap()]);
    assert_eq!(services["caddy"]["command"], "caddy reverse-proxy --from mirror.example --to mirror:9900");
    assert_eq!(services["caddy"]["ports"][0]["target"], 443);
    assert!(services["mirror"].is_object());
}

#[test]
fn named_upstreams_are_added_by_a_second_file_as_a_folder() {
    let alone = services(&["compose.yaml"]);
    let services = services(&["compose.yaml", "compose.upstreams.yaml"]);
    let (mirror, variables) = (&services["mirror"], &services["mirror"]["environment"]);
    let [volume] = mirror["volumes"].as_array().unwrap().as_slice() else { panic!("{mirror}") };
    assert_eq!((&volume["type"], &volume["read_only"]), (&json!("bind"), &json!(true)));
    assert_eq!(volume["source"], concat!(env!("CARGO_MANIFEST_DIR"), "/upstreams"));
    assert_eq!(variables["UPSTREAMS_FILE"], format!("{}/upstreams.yaml", volume["target"].as_str().unwrap()));
    assert_eq!(variables["NAMED_UPSTREAMS_ONLY"], "true");
    for name in variables.as_object().unwrap().keys() {
        assert!(TABLE.iter().any(|setting| setting.variable() == *name), "{name} is no setting");
    }
    assert_eq!((&mirror["secrets"], &mirror["read_only"]), (&alone["mirror"]["secrets"], &json!(true)));
}
