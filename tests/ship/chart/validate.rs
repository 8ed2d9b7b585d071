//! The schemas of Kubernetes judge the manifests, from the oldest supported version to the newest.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::everything::everything;
use super::helm::{Install, text};
use super::manifests::{Manifests, kind};
use crate::support::process::tool;

/// The versions.
const VERSIONS: [&str; 3] = ["1.25", "1.30", "1.37"];

/// Kinds that Kubernetes itself does not know. Other tests check each of their fields.
const CUSTOM: [&str; 3] = ["HTTPRoute", "PrometheusRule", "ServiceMonitor"];

/// The cases, by name.
fn cases() -> Vec<(&'static str, Install)> {
    let autoscaling = "autoscaling.enabled=true,ingress.enabled=true,ingress.hosts={mirror.example}";
    vec![
        ("defaults", Install::promised()),
        ("everything", everything()),
        ("existing-secret", Install::without_key().set("global.apiKey.fromSecret=mine,global.apiKey.key=key")),
        ("registry", Install::promised().set("global.imageRegistry=registry.example:5000/mirrored")),
        ("key-of-digits", Install::without_key().set("global.apiKey=12345")),
        ("upstreams-secret", Install::promised().set("upstreamsFromSecret.name=mine,serviceAccount.create=true")),
        ("workers", Install::promised().set("workers=40")),
        ("port", Install::promised().set("port=443")),
        ("several", Install::promised().set("replicaCount=3,networkPolicy.enabled=true")),
        ("scaled", Install::promised().set(autoscaling)),
        // Texts that YAML would read as something else without quotes.
        ("odd-names", Install::promised().named("on").with(&["--set-string", "fullnameOverride=y,podLabels.a=1e3"])),
        ("nothing-optional", Install::promised().set("resources=null,strategy=null,securityContext=null")),
    ]
}

/// Writes the objects that Kubernetes knows into a file, and returns their number.
fn write(rendered: &Manifests, path: &Path) -> usize {
    let documents: Vec<_> = rendered.text().split("\n---\n").collect();
    let objects: Vec<_> =
        rendered.all().iter().zip(documents).filter(|(object, _)| !CUSTOM.contains(&kind(object))).collect();
    let text: String = objects.iter().map(|(_, document)| format!("---\n{document}\n")).collect();
    fs::write(path, text).unwrap();
    objects.len()
}

/// Checks that every object of every case is valid in a version, and has no unknown fields.
fn check(version: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = 0;
    let mut files = Vec::new();
    for (name, install) in cases() {
        let path = folder.path().join(name);
        expected += write(&install.with(&["--kube-version", version]).render(), &path);
        files.push(path);
    }
    let package = tool("kubernetes-validate-1.37.0");
    let output = Command::new("python3")
        .args(["-m", "kubernetes_validate", "--strict", "--kubernetes-version", version])
        .args(files)
        .env("PYTHONPATH", package)
        .output()
        .expect("these tests need the program `python3`: install the Debian package `python3`");
    let said = text(&output);
    assert!(output.status.success(), "{version}: {said}");
    // It only warns about kinds without a schema.
    let passed = said.lines().filter(|line| line.contains(" passed for resource ")).count();
    assert_eq!((passed, said.lines().count()), (expected, expected), "{version}: {said}");
    assert!(expected > 40, "{version}: {said}");
}

#[test]
fn every_manifest_is_valid_for_kubernetes_1_25() {
    check(VERSIONS[0]);
}

#[test]
fn every_manifest_is_valid_for_kubernetes_1_30() {
    check(VERSIONS[1]);
}

#[test]
fn every_manifest_is_valid_for_kubernetes_1_37() {
    check(VERSIONS[2]);
}
