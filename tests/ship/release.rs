//! scripts/release: the version in every file that contains it, and the refusals.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::builds::run;
use crate::chart::helm::text;
use crate::support::process::require;

/// A repository with the current files in one commit.
fn repository() -> TempDir {
    require("git", "git");
    let folder = tempfile::tempdir().unwrap();
    let copy = r#"
cd "$CARGO_MANIFEST_DIR"
git ls-files -z --cached --others --exclude-standard | tar --create --null --ignore-failed-read --files-from - |
    tar --extract --directory "$0"
cd "$0"
git init --quiet
git config user.name tester
git config user.email tester@example.com
git add --all
git commit --quiet --message "As it stands"
"#;
    run("bash", |bash| bash.args(["-euo", "pipefail", "-c", copy]).arg(folder.path())).unwrap();
    folder
}

fn git(folder: &Path, args: &[&str]) -> String {
    run("git", |git| git.current_dir(folder).args(args)).unwrap()
}

/// Runs the script of the repository from another folder.
fn release(repository: &Path, args: &[&str]) -> (bool, String) {
    let output = Command::new(repository.join("scripts/release")).args(args).current_dir("/tmp").output().unwrap();
    (output.status.success(), text(&output))
}

#[test]
fn a_version_is_written_wherever_it_is_named_and_nowhere_else() {
    let repository = repository();
    let folder = repository.path();
    let before = git(folder, &["grep", "--fixed-strings", "--count", env!("CARGO_PKG_VERSION")]);
    let (done, says) = release(folder, &["version", "98.7.65"]);
    assert!(done, "{says}");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    for (file, line) in [
        ("Cargo.toml", "version = \"98.7.65\""),
        ("chart/Chart.yaml", "version: 98.7.65"),
        ("chart/Chart.yaml", "appVersion: 98.7.65"),
        ("docs/openapi.yaml", "  version: 98.7.65"),
        ("Dockerfile", "ARG VERSION=98.7.65"),
        ("compose.yaml", "    image: docker.io/stackstate/prometheusmirror:98.7.65"),
    ] {
        assert!(read(file).lines().any(|found| found == line), "no `{line}` in {file}");
    }
    // Both lock files fit, or cargo would fail.
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let args =
            ["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1", "--manifest-path", manifest];
        run("cargo", |cargo| cargo.current_dir(folder).args(args)).unwrap();
    }
    // The remaining matches are versions of something else.
    let left = git(folder, &["grep", "--fixed-strings", "--name-only", env!("CARGO_PKG_VERSION")]);
    for file in left.lines() {
        let is_other =
            file.ends_with(".lock") || ["src/", "tests/", "third_party/"].iter().any(|of| file.starts_with(of));
        assert!(is_other, "{file} still names {}", env!("CARGO_PKG_VERSION"));
    }
    assert!(before.lines().count() > left.lines().count() + 8, "{before} {left}");
    let changelog = read("CHANGELOG.md");
    let (_, rest) =
        changelog.split_once("\n## Unreleased\n\n## 98.7.65 - ").expect("a dated section below the next one");
    let date = rest.lines().next().unwrap();
    assert!(date.len() == 10 && date.starts_with("20"), "{date}");
    assert!(rest.contains("### Added"), "what was unreleased is below it");

    let (done, says) = release(folder, &["version", "98.7.65"]);
    assert!(!done && says.contains("is 98.7.65 already"), "{says}");
}

#[test]
fn what_cannot_be_released_is_refused() {
    let repository = repository();
    let folder = repository.path();
    let check = |args: &[&str], says: &str| {
        let (done, said) = release(folder, args);
        assert!(!done && said.contains(says), "{args:?}: {said}");
    };
    check(&[], "usage: ");
    check(&["version"], "usage: ");
    check(&["version", "v1.2.3"], "three numbers such as 1.2.3, not v1.2.3");
    check(&["version", "1.2"], "three numbers");
    check(&["build"], "usage: ");
    check(&["build", "/tmp"], "/tmp exists");
    let new = folder.join("new");
    let new = new.to_str().unwrap();
    check(&["build", new], concat!("CHANGELOG.md has no section for ", env!("CARGO_PKG_VERSION")));
    assert!(release(folder, &["version", "98.7.65"]).0);
    check(&["build", new], "changes that are not committed");
    git(folder, &["tag", "v98.7.65"]);
    git(folder, &["commit", "--quiet", "--all", "--message", "Release 98.7.65"]);
    check(&["build", new], "the tag v98.7.65 is on another commit");
    git(folder, &["tag", "--delete", "v98.7.65"]);
    // A build that fails leaves neither files nor a tag.
    check(&["build", "--build-image", "localhost/there-is-none", new], "localhost/there-is-none, cannot be pulled");
    assert!(!Path::new(new).exists());
    assert_eq!(git(folder, &["tag"]), "");
    assert_eq!(git(folder, &["status", "--porcelain"]), "");
}
