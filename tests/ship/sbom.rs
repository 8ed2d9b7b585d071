//! The SBOM and the licences in the bundle, compared with Cargo's data on the crates and with the image.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::builds::{bundles, run};
use crate::bundle::files;
use crate::support::process::tool;

/// This crate, and the crates that are linked into the binary or were needed to compile it, by name and version, with their
/// licences.
fn crates() -> (String, BTreeMap<String, String>) {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let text = run("cargo", |cargo| {
        cargo.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", &target])
    });
    let metadata: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let find =
        |list: &Value, id: &Value| list.as_array().unwrap().iter().find(|entry| entry["id"] == *id).unwrap().clone();
    let name = |id: &Value| {
        let package = find(&metadata["packages"], id);
        format!("{}-{}", package["name"].as_str().unwrap(), package["version"].as_str().unwrap())
    };
    let root = &metadata["resolve"]["root"];
    let (mut found, mut left) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(id) = left.pop() {
        let licence = find(&metadata["packages"], &id)["license"].as_str().unwrap().to_owned();
        if found.insert(name(&id), licence).is_none() {
            let node = find(&metadata["resolve"]["nodes"], &id);
            let needed = node["deps"].as_array().unwrap().iter().filter(|dependency| {
                dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null())
            });
            left.extend(needed.map(|dependency| dependency["pkg"].clone()));
        }
    }
    let own = name(root);
    found.remove(&own);
    (own, found)
}

fn sbom() -> Value {
    serde_json::from_slice(&fs::read(bundles()[0].file("cdx.json")).unwrap()).unwrap()
}

/// The content of one component.
fn field<'a>(component: &'a Value, pointer: &str) -> &'a str {
    component.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {component}"))
}

/// The root of a container from the OCI archive; the SBOM was made of the other archive.
fn root() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    run("tar", |tar| tar.arg("-xf").arg(bundles()[0].oci_archive()).arg("-C").arg(folder.path())).unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    for blob in fs::read_dir(folder.path().join("blobs/sha256")).unwrap() {
        let blob = blob.unwrap().path();
        if fs::read(&blob).unwrap().starts_with(b"\x1f\x8b") {
            run("tar", |tar| tar.arg("-xzf").arg(blob).arg("-C").arg(&root)).unwrap();
        }
    }
    folder
}

#[test]
fn the_sbom_is_what_the_schema_of_cyclonedx_calls_for() {
    let judge = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read()))";
    let tools = ["cyclonedx-python-lib-11.12.0", "kubernetes-validate-1.37.0"].map(tool);
    run("python3", |python| {
        let path = std::env::join_paths(&tools).unwrap();
        python.args(["-c", judge]).arg(bundles()[0].file("cdx.json")).env("PYTHONPATH", path)
    })
    .unwrap();
    assert_eq!(sbom()["specVersion"], "1.6");
}

#[test]
fn the_sbom_names_every_crate_of_the_binary_and_no_other() {
    let (own, crates) = crates();
    for stranger in ["proptest-", "rcgen-", "tempfile-", "cc-"] {
        assert!(!crates.keys().any(|name| name.starts_with(stranger)), "{stranger}");
    }
    let lock = include_str!("../../Cargo.lock");
    let sbom = sbom();
    let mut named = BTreeMap::new();
    for component in sbom["components"].as_array().unwrap() {
        let [name, version] = ["/name", "/version"].map(|pointer| field(component, pointer));
        if !field(component, "/purl").starts_with("pkg:cargo/") {
            continue;
        }
        assert_eq!(field(component, "/purl"), format!("pkg:cargo/{name}@{version}"));
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        let locked = lock.split_once(&entry).unwrap().1.split("[[package]]").next().unwrap();
        match locked.split("checksum = \"").nth(1) {
            Some(sum) => assert_eq!(field(component, "/hashes/0/content"), &sum[..64], "{name}"),
            // A copy in this repository.
            None => assert!(field(component, "/pedigree/notes").contains(&format!("third_party/{name}/CHANGES.md"))),
        }
        named.insert(format!("{name}-{version}"), field(component, "/licenses/0/expression").to_owned());
    }
    // An older way to write a choice.
    let crates: BTreeMap<_, _> = crates.into_iter().map(|(name, text)| (name, text.replace('/', " OR "))).collect();
    assert_eq!(named, crates);

    let itself = &sbom["metadata"]["component"];
    assert_eq!(format!("{}-{}", field(itself, "/name"), field(itself, "/version")), own);
    let root = root();
    let sum = run("sha256sum", |sum| sum.arg(root.path().join("root/prometheusmirror"))).unwrap();
    assert_eq!(field(itself, "/hashes/0/content"), &sum[..64]);
}

#[test]
fn the_sbom_names_what_is_linked_in_besides_in_the_version_that_is_in_the_binary() {
    // The replacement of the build image uses the toolchain of this machine.
    let installed = |package: &str| {
        run("dpkg-query", |query| {
            query.args(["--show", "--showformat", "${source:Package} ${source:Version}", package])
        })
        .unwrap()
    };
    let gcc = run("gcc", |gcc| gcc.arg("-dumpversion")).unwrap();
    let rust = run("rustc", |rustc| rustc.arg("--version")).unwrap();
    let sbom = sbom();
    let purls: BTreeSet<_> = sbom["components"].as_array().unwrap().iter().map(|part| field(part, "/purl")).collect();
    let others: BTreeSet<_> = purls.into_iter().filter(|purl| !purl.starts_with("pkg:cargo/")).collect();
    let debian = |package: &str| {
        let (source, version) = installed(package).split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        format!("pkg:deb/debian/{source}@{}?arch=source", version.replace('+', "%2B"))
    };
    let expected = [
        debian("libc6-dev"),
        debian(&format!("libgcc-{}-dev", gcc.trim())),
        format!("pkg:generic/rust-std@{}", rust.split(' ').nth(1).unwrap()),
    ];
    assert_eq!(others, expected.iter().map(String::as_str).collect());
}

#[test]
fn the_licences_of_all_that_the_sbom_names_are_in_the_bundle_and_in_the_image() {
    let folder = bundles()[0].path().join("licenses");
    let sbom = sbom();
    let mut expected: BTreeSet<_> = ["LICENSE-APACHE", "LICENSE-MIT"].map(str::to_owned).into();
    for component in sbom["components"].as_array().unwrap() {
        let name = format!("{}-{}", field(component, "/name"), field(component, "/version"));
        let texts = files(&folder.join(&name));
        assert!(!texts.is_empty(), "{name}");
        expected.insert(name);
    }
    let there = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(expected, there);

    let root = root();
    let image = root.path().join("root/licenses");
    let names = files(&folder);
    assert_eq!(names, files(&image));
    for name in names {
        let read = |folder: &Path| fs::read(folder.join(&name)).unwrap();
        assert!(!read(&folder).is_empty(), "{name} is empty");
        assert!(read(&folder) == read(&image), "{name} differs");
    }
}
