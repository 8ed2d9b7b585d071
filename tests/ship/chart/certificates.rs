//! CA certificates of the site, as StackState's charts configure them.

use serde_json::{Value, json};

use super::helm::Install;
use super::manifests::Manifests;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIBtest\n-----END CERTIFICATE-----\n";

fn with_pem(pem: &str) -> Install {
    let custom = json!({"global": {"customCertificates": {"enabled": true, "pemData": pem}}});
    Install::promised().values(&custom.to_string())
}

/// Checks that a ConfigMap is mounted as the directory of CA certificates.
fn check_mounted(rendered: &Manifests, config_map: &str) {
    assert_eq!(rendered.variable("CA_PATH"), Some("/etc/prometheusmirror/certificates"));
    let volume = json!({"name": "certificates", "configMap": {"name": config_map, "defaultMode": 0o444}});
    assert_eq!(rendered.pod()["volumes"][1], volume);
    let mount = json!({"name": "certificates", "mountPath": "/etc/prometheusmirror/certificates", "readOnly": true});
    assert_eq!(rendered.container()["volumeMounts"][1], mount);
}

fn checksum(rendered: &Manifests) -> &Value {
    &rendered.only("Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/restart"]
}

#[test]
fn certificates_that_are_given_become_a_config_map() {
    let rendered = with_pem(PEM).render();
    check_mounted(&rendered, "prometheusmirror-certificates");
    assert_eq!(rendered.only("ConfigMap")["data"], json!({"tls.pem": PEM}));
    let other = with_pem(&PEM.replace("test", "other")).render();
    assert_ne!(checksum(&rendered), checksum(&other), "others replace the pods");
}

#[test]
fn certificates_that_are_there_already_are_mounted() {
    let set = "global.customCertificates.enabled=true,global.customCertificates.configMapName=authorities";
    let rendered = Install::promised().set(set).render();
    check_mounted(&rendered, "authorities");
    assert!(rendered.find("ConfigMap").is_none());
}

#[test]
fn certificates_that_are_not_enabled_are_not_there() {
    for yaml in ["{pemData: x, configMapName: z}", "{enabled: null}", "null", "{}"] {
        let rendered = Install::promised().values(&format!("global: {{customCertificates: {yaml}}}")).render();
        assert_eq!(rendered.variable("CA_PATH"), None, "{yaml}");
        assert!(rendered.find("ConfigMap").is_none(), "{yaml}");
    }
}

#[test]
fn certificates_that_are_none_or_too_much_are_refused() {
    let enabled =
        |yaml: &str| Install::promised().values(&format!("global: {{customCertificates: {{enabled: true{yaml}}}}}"));
    enabled("").check_refused(&["enabled without certificates", "customCertificates.pemData", "configMapName"]);
    enabled(", pemData: x, configMapName: z").check_refused(&["pemData and configMapName", "choose one"]);
    with_pem("certificate").check_refused(&["pemData", "-----BEGIN CERTIFICATE-----"]);
    with_pem(&format!("{PEM}-----BEGIN PRIVATE KEY-----\n")).check_refused(&["pemData holds a private key"]);
}
