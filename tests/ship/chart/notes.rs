//! The notes after an installation.

use serde_json::Value;

use super::everything::{SECRETS, everything};
use super::helm::{Install, KEY};

/// Checks that the notes contain these, and not those.
fn check(install: Install, says: &[&str], not: &[&str]) {
    let notes = install.notes();
    for part in says {
        assert!(notes.contains(part), "do not say {part}: {notes}");
    }
    for part in not.iter().chain(&[KEY]).chain(&SECRETS) {
        assert!(!notes.contains(part), "say {part}: {notes}");
    }
}

#[test]
fn the_notes_have_what_stackstate_asks_for() {
    check(Install::promised(), &["\n  http://prometheusmirror.monitoring.svc.cluster.local:9900/\n"], &[]);
    let other = Install::promised().named("mine").set("port=8080,clusterDomain=cluster.example");
    check(other, &["\n  http://mine-prometheusmirror.monitoring.svc.cluster.example:8080/\n"], &[]);
    Install::promised().set("clusterDomain=cluster local").check_refused(&["clusterDomain"]);
    let notes = Install::promised().notes();
    let details = notes.lines().find(|line| line.trim_start().starts_with('{')).expect("Connection Details");
    let details: Value = serde_json::from_str(details).unwrap();
    for field in ["host", "port", "requestTimeout"] {
        assert!(!details[field].is_null(), "{details}");
    }
}

#[test]
fn the_notes_say_how_to_read_the_key_but_not_the_key() {
    let command = |secret: &str, entry: &str| {
        format!(
            "kubectl get secret --namespace monitoring {secret} \\\n    \
             --output go-template='{{{{index .data \"{entry}\" | base64decode}}}}{{{{\"\\n\"}}}}'\n"
        )
    };
    check(Install::promised(), &[&command("prometheusmirror", "apiKey")], &[]);
    check(Install::promised().named("mine"), &[&command("mine-prometheusmirror", "apiKey")], &[]);
    let existing = Install::without_key().set("global.apiKey.fromSecret=mine,global.apiKey.key=mirror.key");
    check(existing, &[&command("mine", "mirror.key")], &[]);
}

#[test]
fn the_notes_warn_of_the_key_of_the_documentation() {
    let warning = "The key is the text choose-a-key, which";
    check(Install::without_key().set("global.apiKey=choose-a-key"), &["Warnings:", warning], &[]);
    let readme = include_str!("../../../chart/README.md");
    assert!(readme.contains("--set global.apiKey=choose-a-key"));
    check(Install::promised(), &[], &[warning]);
    check(Install::without_key().set("global.apiKeyFromSecret=mine"), &[], &[warning]);
}

#[test]
fn the_notes_warn_of_certificates_without_effect() {
    let warning = "The certificates in global.customCertificates have no effect: add --set";
    for yaml in ["{pemData: x}", "{configMapName: z, enabled: false}"] {
        check(Install::promised().values(&format!("global: {{customCertificates: {yaml}}}")), &[warning], &[]);
    }
    for yaml in ["{configMapName: z, enabled: true}", "null", "{}"] {
        check(Install::promised().values(&format!("global: {{customCertificates: {yaml}}}")), &[], &[warning]);
    }
}

#[test]
fn the_notes_say_how_to_test() {
    check(Install::promised().named("mine"), &["\n  helm test mine --namespace monitoring"], &[]);
}

#[test]
fn the_notes_say_how_to_reach_the_explorer() {
    let command = "kubectl port-forward --namespace monitoring service/mine-prometheusmirror ";
    let install = |port: &str| Install::promised().named("mine").set(&format!("port={port}"));
    // Only root may listen on a port below 1024.
    for (port, local) in [("9911", "9911"), ("1024", "1024"), ("1023", "9900"), ("80", "9900")] {
        let forward = format!("{command}{local}:{port}\n");
        check(install(port), &[&format!("at http://localhost:{local}/"), &forward], &[]);
    }
    check(install("9911").set("explorer=false"), &[], &["port-forward"]);
}

#[test]
fn the_notes_warn_of_a_memory_limit_below_twice_the_budget() {
    // The default limit is twice the default budget.
    let memory = "The memory limit is less than twice memoryBudgetMib";
    check(Install::promised(), &[], &[memory]);
    check(Install::promised().set("memoryBudgetMib=257"), &[memory], &[]);
    check(Install::promised().set("memoryBudgetMib=257,resources.limits.memory=0.51Gi"), &[], &[memory]);
    check(Install::promised().set("memoryBudgetMib=1024,resources.limits=null"), &[], &[memory]);
}

#[test]
fn the_notes_warn_where_something_is_open() {
    let upstream = "connect to any host";
    let policy = "No NetworkPolicy";
    let key = "reads the key in the response";
    check(Install::promised(), &["Warnings:", upstream, policy, key], &["Ingress", "gateway", "outside"]);
    let named = "allowUpstream={prometheus.monitoring.svc}";
    check(Install::promised().set(named), &[policy, key], &[upstream]);
    check(Install::promised().set("allowUpstream={a,*}"), &[upstream], &[]);
    check(Install::promised().set("networkPolicy.enabled=true"), &[upstream, key], &[policy]);
    check(Install::promised().set("requireApiKey=true"), &[upstream, policy], &[key]);
    check(Install::promised().set("service.type=NodePort"), &["is a NodePort", "outside"], &[]);
    let ingress = "ingress.enabled=true,ingress.hosts={a.example}";
    check(Install::promised().set(ingress), &["The Ingress has no TLS", "ingress.tls"], &[]);
    check(Install::promised().set(ingress).set("ingress.tls[0].secretName=t"), &[], &["The Ingress has no TLS"]);
    let route = "httpRoute.enabled=true,httpRoute.parentRefs[0].name=g";
    check(Install::promised().set(route), &["listener of the gateway without TLS"], &[]);
    // No warnings.
    check(Install::promised().set(named).set("networkPolicy.enabled=true,requireApiKey=true"), &[], &["Warnings"]);
    check(everything(), &["is a LoadBalancer", "gateway"], &[upstream, policy, key, "no TLS"]);
}
