//! What locked-down clusters require of a pod: the Pod Security Standard "restricted", and more.

use serde_json::{Value, json};

use super::everything::everything;
use super::helm::Install;
use super::manifests::kind;

/// Kinds of volumes that the standard allows.
const VOLUMES: [&str; 7] =
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected"];

/// Every clause of the standard, its baseline included, for a pod of Linux.
fn check_restricted(name: &str, pod: &Value) {
    for field in ["hostNetwork", "hostPID", "hostIPC", "hostUsers"] {
        assert_eq!(pod.get(field), None, "{name}: {field}");
    }
    for volume in pod["volumes"].as_array().unwrap() {
        let fields = volume.as_object().unwrap().keys().filter(|field| *field != "name");
        let is_allowed = |field: &str| field == "secret" || VOLUMES.contains(&field);
        assert!(fields.map(String::as_str).all(is_allowed), "{name}: {volume}");
    }
    let of_pod = &pod["securityContext"];
    assert_eq!(of_pod["runAsNonRoot"], true, "{name}");
    assert_eq!(of_pod["seccompProfile"], json!({"type": "RuntimeDefault"}), "{name}");
    assert_eq!(pod.get("initContainers").or(pod.get("ephemeralContainers")), None, "{name}");
    for container in pod["containers"].as_array().unwrap() {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{name}");
        for field in ["privileged", "procMount", "seLinuxOptions", "appArmorProfile", "windowsOptions"] {
            assert_eq!(context.get(field), None, "{name}: {field}");
        }
        for port in container["ports"].as_array().into_iter().flatten() {
            assert_eq!(port.get("hostPort").or(port.get("hostIP")), None, "{name}");
        }
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            assert_eq!(container.pointer(&format!("/{probe}/httpGet/host")), None, "{name}");
        }
        assert_eq!(container.get("lifecycle"), None, "{name}");
    }
    for field in ["seLinuxOptions", "sysctls", "appArmorProfile", "windowsOptions"] {
        assert_eq!(of_pod.get(field), None, "{name}: {field}");
    }
}

#[test]
fn every_pod_meets_the_restricted_standard() {
    for install in [Install::promised(), everything()] {
        for (name, pod) in install.render().pods() {
            check_restricted(name, pod);
        }
    }
}

#[test]
fn no_pod_says_as_whom_it_runs_so_that_the_cluster_can() {
    for install in [Install::promised(), everything()] {
        for (name, pod) in install.render().pods() {
            let contexts = [&pod["securityContext"], &pod["containers"][0]["securityContext"]];
            for field in ["runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"] {
                assert!(contexts.iter().all(|context| context.get(field).is_none()), "{name}: {field}");
            }
            // Any user can read mounted files.
            for volume in pod["volumes"].as_array().unwrap() {
                let mode = volume.pointer("/secret/defaultMode").or(volume.pointer("/configMap/defaultMode"));
                assert!(volume.get("emptyDir").is_some() || mode == Some(&json!(0o444)), "{name}: {volume}");
            }
        }
    }
}

#[test]
fn no_pod_can_write_or_has_rights_in_the_cluster() {
    for install in [Install::promised(), everything()] {
        let rendered = install.render();
        for (name, pod) in rendered.pods() {
            let context = &pod["containers"][0]["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(pod["enableServiceLinks"], false, "{name}");
        }
        for object in rendered.all() {
            assert!(!kind(object).contains("Role"), "{object}");
        }
    }
}

#[test]
fn a_service_account_is_named_only_if_it_is_given() {
    let check = |install: Install, expected: Option<&str>| {
        for (name, pod) in install.render().pods() {
            assert_eq!(pod.get("serviceAccountName").and_then(Value::as_str), expected, "{name}");
        }
    };
    check(Install::promised(), None);
    check(Install::promised().set("serviceAccount.name=mirror"), Some("mirror"));
}

#[test]
fn a_security_context_can_be_added_to_and_taken_from() {
    let rendered = Install::promised()
        .set("podSecurityContext.runAsUser=1000740000,podSecurityContext.seccompProfile=null")
        .set("securityContext.readOnlyRootFilesystem=null,securityContext.runAsGroup=5")
        .render();
    for (name, pod) in rendered.pods() {
        assert_eq!(pod["securityContext"], json!({"runAsNonRoot": true, "runAsUser": 1_000_740_000}), "{name}");
        let expected = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsGroup": 5});
        assert_eq!(pod["containers"][0]["securityContext"], expected, "{name}");
    }
    for (name, pod) in Install::promised().set("podSecurityContext=null,securityContext=null").render().pods() {
        assert_eq!(pod.get("securityContext").or(pod["containers"][0].get("securityContext")), None, "{name}");
    }
}

#[test]
fn every_container_requests_resources_and_has_a_limit_of_memory_alone() {
    for (name, pod) in Install::promised().render().pods() {
        let resources = &pod["containers"][0]["resources"];
        for pointer in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
            assert!(resources.pointer(pointer).is_some_and(Value::is_string), "{name}: {resources}");
        }
        assert_eq!(resources.pointer("/limits/cpu"), None, "{name}");
    }
    for (name, pod) in Install::promised().set("resources=null").render().pods() {
        assert_eq!(pod["containers"][0].get("resources"), None, "{name}");
    }
}
