//! The bundle for air-gapped sites: its content, that it is reproducible, and that it is created as a whole or not at all.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::builds::{Bundle, bundles, from_tar, run};
use crate::chart::helm::{HELMS, Install, chart, helm, text};
use crate::support::process::require;

fn bundle() -> &'static Bundle {
    &bundles()[0]
}

/// The names of all files below a folder, as seen from there.
pub fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.insert(name);
        }
    }
    found
}

#[test]
fn two_bundles_made_by_different_people_in_different_places_are_the_same() {
    let [first, second] = bundles();
    let names = files(first.path());
    assert_eq!(names, files(second.path()));
    for name in names {
        let read = |bundle: &Bundle| fs::read(bundle.path().join(&name)).unwrap();
        assert!(read(first) == read(second), "{name} differs");
    }
}

#[test]
fn every_file_is_in_the_sums_and_as_they_say() {
    let folder = bundle().path();
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    let listed: BTreeSet<_> = sums.lines().map(|line| line.split_once("  ").unwrap().1.to_owned()).collect();
    let mut there = files(folder);
    there.remove("SHA256SUMS");
    assert_eq!(there, listed);
    run("sha256sum", |command| command.args(["--check", "--strict", "SHA256SUMS"]).current_dir(folder)).unwrap();
    for name in ["README.txt", "images.txt", "load.sh", "licenses/LICENSE-MIT"] {
        assert!(listed.contains(name), "no {name}");
    }
}

#[test]
fn images_txt_is_what_the_chart_refers_to_by_default() {
    let images = fs::read_to_string(bundle().path().join("images.txt")).unwrap();
    for version in HELMS {
        let rendered = text(&Install::of(&bundle().file("tgz")).set("global.apiKey=k").run(version, "template", &[]));
        assert_eq!(referred(&rendered), images.lines().collect(), "{rendered}");
    }
}

/// The images that manifests refer to.
pub fn referred(manifests: &str) -> BTreeSet<&str> {
    let lines = manifests.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("image: "));
    lines.map(|image| image.trim_matches(['"', '\''])).collect()
}

#[test]
fn the_chart_is_the_one_of_this_version() {
    for version in HELMS {
        let render = |chart: &Path| text(&Install::of(chart).set("global.apiKey=k").run(version, "template", &[]));
        let packed = bundle().file("tgz");
        assert_eq!(render(&packed), render(&chart()), "helm {version}");
        let about = text(&helm(version, &["show", "chart", packed.to_str().unwrap()], ""));
        for line in ["name: prometheusmirror", concat!("version: ", env!("CARGO_PKG_VERSION"))] {
            assert!(about.lines().any(|shown| shown == line), "no `{line}` in {about}");
        }
    }
    // Files that are only for readers.
    let list = run("tar", |tar| tar.arg("--list").arg("--file").arg(bundle().file("tgz"))).unwrap();
    assert!(list.lines().any(|name| name == "prometheusmirror/README.md"), "{list}");
    assert!(list.lines().all(|name| name.starts_with("prometheusmirror/")), "{list}");
}

#[test]
fn both_archives_hold_the_image_under_its_name() {
    let name = format!("docker.io/stackstate/prometheusmirror:{}", env!("CARGO_PKG_VERSION"));
    let (docker, oci) = (bundle().docker_archive(), bundle().oci_archive());

    let manifest = &from_tar(&docker, "manifest.json")[0];
    assert_eq!(manifest["RepoTags"], Value::from(vec![name.as_str()]));
    let first = from_tar(&docker, manifest["Config"].as_str().unwrap());

    let index = &from_tar(&oci, "./index.json")["manifests"];
    assert_eq!(index.as_array().unwrap().len(), 1);
    assert_eq!(index[0]["annotations"]["org.opencontainers.image.ref.name"], name.as_str());
    let blob = |digest: &Value| format!("./blobs/{}", digest.as_str().unwrap().replace(':', "/"));
    let second = from_tar(&oci, &blob(&from_tar(&oci, &blob(&index[0]["digest"]))["config"]["digest"]));

    // The same layers and the same configuration.
    for key in ["rootfs", "os", "architecture", "created"] {
        assert_eq!((&first[key], first[key].is_null()), (&second[key], false), "{key}");
    }
    for key in ["Entrypoint", "User", "ExposedPorts", "Labels", "StopSignal"] {
        assert_eq!((&first["config"][key], first["config"][key].is_null()), (&second["config"][key], false), "{key}");
    }
}

/// Calls the script in a folder.
fn airgap_bundle(folder: &Path, args: &[&str]) -> (bool, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/airgap-bundle");
    let mut command = Command::new(script);
    command.args(args).current_dir(folder).env("BUILDAH_ISOLATION", "chroot").env("STORAGE_DRIVER", "vfs");
    let output = command.output().unwrap();
    (output.status.success(), text(&output))
}

#[test]
fn a_bundle_that_cannot_be_made_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (made, says) = airgap_bundle(folder.path(), &["--build-image", "localhost/there-is-none", "sub/bundle"]);
    assert!(!made, "{says}");
    let parts =
        ["the image to build in, localhost/there-is-none, cannot be pulled", "HTTPS_PROXY", "--build-image REF"];
    for part in parts {
        assert!(says.contains(part), "no `{part}` in {says}");
    }
    assert_eq!(files(folder.path()), BTreeSet::new());
    assert_eq!(fs::read_dir(folder.path().join("sub")).unwrap().count(), 0);
}

/// Behind a proxy that signs TLS with its own CA, cargo must trust that CA. The cargo of this build prints its settings, and ends
/// the build.
#[test]
fn the_build_trusts_the_authority_that_it_is_given() {
    require("busybox", "busybox-static");
    let folder = tempfile::tempdir().unwrap();
    let make = r#"
container=$(buildah from scratch)
root=$(buildah mount "$container")
mkdir -p "$root/bin" "$root/tmp"
cp "$(command -v busybox)" "$root/bin/sh"
ln -s sh "$root/bin/cat"
cat >"$root/bin/cargo" <<'CARGO'
#!/bin/sh
echo "cargo $1 trusts: $(cat "${CARGO_HTTP_CAINFO:-/dev/null}")"  >&2
exit 1
CARGO
chmod 755 "$root/bin/cargo"
buildah config --env PATH=/bin "$container"
buildah commit --quiet "$container" localhost/says-its-authority
buildah rm "$container"
"#;
    run("sh", |sh| sh.args(["-euc", make]).env("STORAGE_DRIVER", "vfs")).unwrap();
    fs::write(folder.path().join("ca.pem"), "the authority").unwrap();
    let image = ["--build-image", "localhost/says-its-authority"];
    let (made, says) = airgap_bundle(folder.path(), &[&image[..], &["--ca", "ca.pem", "bundle"]].concat());
    assert!(!made && says.contains("cargo vendor trusts: the authority\n"), "{says}");
    let (made, says) = airgap_bundle(folder.path(), &[&image[..], &["bundle"]].concat());
    assert!(!made && says.contains("cargo vendor trusts: \n"), "{says}");
}

#[test]
fn what_is_called_wrongly_is_refused_and_a_folder_that_holds_something_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("full")).unwrap();
    fs::write(folder.path().join("full/file"), "precious").unwrap();
    fs::write(folder.path().join("file"), "precious").unwrap();
    let before = files(folder.path());
    let check = |args: &[&str], parts: &[&str]| {
        let (made, says) = airgap_bundle(folder.path(), args);
        assert!(!made, "{says}");
        for part in parts {
            assert!(says.contains(part), "no `{part}` in {says}");
        }
        assert_eq!(files(folder.path()), before);
    };
    check(&[], &["the new folder is missing: ", " DIR"]);
    check(&["full"], &["/full", "choose a new one"]);
    check(&["file"], &["/file", "choose a new one"]);
    check(&["one", "another"], &["only one folder"]);
    check(&["--platform", "linux/s390x", "new"], &["linux/amd64 or linux/arm64", "s390x"]);
    check(&["--platform"], &["--platform must be followed"]);
    check(&["--verbose", "new"], &["no option --verbose: ", "[--ca FILE]"]);
    check(&["--ca"], &["--ca must be followed"]);
    check(&["--ca", "nowhere.pem", "new"], &["there is no file", "/nowhere.pem"]);
}
