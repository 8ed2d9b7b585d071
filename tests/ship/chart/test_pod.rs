//! `helm test`: a pod of the same image that sends a request to the Service and compares the key.

use serde_json::{Value, json};

use super::everything::everything;
use super::helm::Install;

#[test]
fn the_test_is_a_hook_that_leaves_nothing_behind() {
    for install in [Install::promised(), everything()] {
        let rendered = install.render();
        let pod = rendered.only("Pod");
        let expected = json!({
            "helm.sh/hook": "test",
            "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
        });
        assert_eq!(pod["metadata"]["annotations"], expected);
        assert_eq!(pod["spec"]["restartPolicy"], "Never");
    }
}

/// The name of a pod is its host name, too.
#[test]
fn the_name_of_the_test_is_a_host_name() {
    let check = |fullname: &str, expected: &str| {
        let rendered = Install::promised().set(&format!("fullnameOverride={fullname}")).render();
        assert_eq!(rendered.only("Pod")["metadata"]["name"], expected);
        // The Service keeps the whole name.
        let args = &rendered.only("Pod")["spec"]["containers"][0]["args"];
        assert_eq!(args[1], format!("http://{fullname}:9900/"));
    };
    for length in 53..=58 {
        check(&"m".repeat(length), &format!("{}-test", "m".repeat(length)));
    }
    for length in 59..=63 {
        check(&"m".repeat(length), &format!("{}-test", "m".repeat(58)));
    }
    check(&format!("{}--{}", "m".repeat(56), "m".repeat(5)), &format!("{}-test", "m".repeat(56)));
}

#[test]
fn the_test_requests_the_service_by_name_and_port() {
    let check = |install: Install, url: &str| {
        let rendered = install.render();
        let pod = rendered.only("Pod");
        assert_eq!(pod["spec"]["containers"][0]["args"], json!(["check", url]));
        assert_eq!(pod["spec"]["containers"][0].get("command"), None, "the image's own program");
    };
    check(Install::promised(), "http://prometheusmirror:9900/");
    check(Install::promised().named("mine").set("port=80"), "http://mine-prometheusmirror:80/");
    check(Install::promised().values("port: 65535"), "http://prometheusmirror:65535/");
}

#[test]
fn the_test_inherits_what_lets_the_mirror_run() {
    let check = |install: Install| {
        let rendered = install.render();
        let [(_, mirror), (_, test)] = rendered.pods();
        for field in [
            "imagePullSecrets", "securityContext", "serviceAccountName", "enableServiceLinks", "nodeSelector",
            "tolerations",
        ] {
            assert_eq!(test.get(field), mirror.get(field), "{field}");
        }
        let containers: [&Value; 2] = [&test["containers"][0], &mirror["containers"][0]];
        for field in ["image", "imagePullPolicy", "securityContext", "resources"] {
            assert_eq!(containers[0].get(field), containers[1].get(field), "{field}");
        }
        // Only the key: it needs neither the proxy nor secret variables.
        let names: Vec<_> = test["volumes"].as_array().unwrap().iter().map(|volume| &volume["name"]).collect();
        assert_eq!(names, ["key"]);
        assert_eq!(containers[0]["env"].as_array().unwrap().len(), 1);
    };
    check(Install::promised());
    check(everything());
    check(Install::without_key().set("global.apiKey.fromSecret=mine,resources=null,securityContext=null"));
}
