//! How the licence texts of a crate are collected, and that a crate without one is not shipped.

use std::fs;
use std::path::Path;

use crate::builds::run;
use crate::bundle::files;

/// The licence texts of a crate `bare` with these files, for a binary without other crates.
fn collect(crate_files: &[&str]) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("Cargo.toml", "package = {name = 'mirror', version = '0.1.0'}\ndependencies.bare = '1'\n");
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    write(
        "Cargo.lock",
        &format!(
            "version = 4\n\n[[package]]\nname = \"bare\"\nversion = \"1.2.3\"\nsource = \"{registry}\"\n\n\
            [[package]]\nname = \"mirror\"\nversion = \"0.1.0\"\ndependencies = [\n \"bare\",\n]\n"
        ),
    );
    for name in ["src/lib.rs", "LICENSE-APACHE", "LICENSE-MIT", "vendor/bare/src/lib.rs"] {
        write(name, "");
    }
    write("vendor/bare/Cargo.toml", "package = {name = 'bare', version = '1.2.3'}\n");
    write("vendor/bare/.cargo-checksum.json", r#"{"files": {}}"#);
    for name in crate_files {
        write(&format!("vendor/bare/{name}"), "You may.\n");
    }
    write("scripts/licences", include_str!("../../scripts/licences"));
    let out = folder.path().join("out");
    run("sh", |sh| sh.current_dir(folder.path()).args(["scripts/licences", "vendor"]).arg(&out))?;
    Ok(files(&out.join("bare-1.2.3")).into_iter().collect())
}

#[test]
fn whatever_a_crate_says_of_its_licence_is_collected_and_not_its_code() {
    let check = |files: &[&str]| assert_eq!(collect(files).unwrap(), files);
    check(&["LICENSE"]);
    check(&["LICENSE-APACHE", "LICENSE-MIT"]);
    check(&["COPYING", "LICENSE-MIT", "UNLICENSE"]);
    check(&["Licence.md"]);
    check(&["COPYRIGHT", "LICENSE.txt", "NOTICE", "third_party/fiat/LICENSE"]);
    assert_eq!(collect(&["LICENSE", "src/license.rs"]).unwrap(), ["LICENSE"]);
}

#[test]
fn a_crate_without_a_licence_text_of_its_own_is_named() {
    let check = |files: &[&str]| {
        let says = collect(files).unwrap_err();
        assert!(says.contains("bare-1.2.3 has no licence text"), "{says}");
    };
    check(&[]);
    check(&["NOTICE"]);
    check(&["src/license.rs"]);
    check(&["third_party/fiat/LICENSE"]);
}

#[test]
fn crates_that_are_not_those_of_the_lock_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/licences");
    let call = |vendor: &str| run(&script, |command| command.current_dir(folder.path()).args([vendor, "out"]));
    let says = call("nowhere").unwrap_err();
    assert!(says.contains("no vendored crates at nowhere"), "{says}");
    let says = call(".").unwrap_err();
    assert!(says.contains("cargo cannot list the crates"), "{says}");
}
