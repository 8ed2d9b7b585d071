//! Two bundles for air-gapped sites, each with a separate image, built from the files in the working tree. All tests that need an
//! image or a bundle share them, since building takes two minutes.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use serde_json::Value;

use crate::support::process::require;

/// The folder of the bundles and of everything that makes them. They stay there after the tests.
const FOLDER: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/ship");

/// Makes a bundle in the folder `$0`, with the umask `$1`, from the files that the next commit would contain. The crates are
/// included, since the build has no network, and the image to build in is made first.
const MAKE: &str = r#"
umask "$1"
cd "$CARGO_MANIFEST_DIR"
GIT_DIR=$(git rev-parse --absolute-git-dir)
mkdir -p "$0/source"
git ls-files -z --cached --others --exclude-standard | tar --create --null --ignore-failed-read --files-from - |
    tar --extract --no-same-permissions --directory "$0/source"
cd "$0/source"
export GIT_DIR GIT_WORK_TREE=$PWD GIT_OPTIONAL_LOCKS=0
cargo vendor --locked --quiet >/dev/null

cat >../storage.conf <<CONF
[storage]
driver = "vfs"
graphroot = "$0/storage"
runroot = "$0/run"
CONF
export CONTAINERS_STORAGE_CONF=$0/storage.conf BUILDAH_ISOLATION=chroot
tests/ship/stand-in localhost/build
cd ..
source/scripts/airgap-bundle --build-image localhost/build bundle
"#;

/// A bundle.
pub struct Bundle {
    path: PathBuf,
}

impl Bundle {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of this version with this ending, such as `tgz`.
    pub fn file(&self, ending: &str) -> PathBuf {
        self.path.join(format!("prometheusmirror-{}.{ending}", env!("CARGO_PKG_VERSION")))
    }

    /// The image for `docker load`.
    pub fn docker_archive(&self) -> PathBuf {
        self.file("docker.tar")
    }

    /// The image in the OCI layout.
    pub fn oci_archive(&self) -> PathBuf {
        self.file("oci.tar")
    }

    /// The digest of the image's configuration in the archive for docker, which is docker's id of the image.
    pub fn image_id(&self) -> String {
        let manifest = from_tar(&self.docker_archive(), "manifest.json");
        let config = manifest[0]["Config"].as_str().expect("the name of a configuration");
        format!("sha256:{}", config.trim_end_matches(".json"))
    }

    /// The digest of the image's manifest in the archive for OCI.
    pub fn oci_digest(&self) -> String {
        let index = from_tar(&self.oci_archive(), "./index.json");
        index["manifests"][0]["digest"].as_str().expect("the digest of a manifest").to_owned()
    }
}

/// A JSON document in an archive.
pub fn from_tar(archive: &Path, name: &str) -> Value {
    let text = run("tar", |tar| tar.arg("--extract").arg("--to-stdout").arg("--file").arg(archive).arg(name));
    serde_json::from_str(&text.unwrap()).unwrap()
}

/// The two bundles, made by different users in different places.
pub fn bundles() -> &'static [Bundle; 2] {
    static BUNDLES: OnceLock<Result<[Bundle; 2], String>> = OnceLock::new();
    // A failure is kept as well, or every test would build again.
    BUNDLES.get_or_init(make_both).as_ref().unwrap_or_else(|why| panic!("{why}"))
}

fn make_both() -> Result<[Bundle; 2], String> {
    for (program, package) in [("buildah", "buildah"), ("jq", "jq"), ("git", "git")] {
        require(program, package);
    }
    thread::scope(|scope| {
        let first = scope.spawn(|| make("first", "022"));
        let second = scope.spawn(|| make("second", "077"));
        Ok([first.join().unwrap()?, second.join().unwrap()?])
    })
}

fn make(name: &str, umask: &str) -> Result<Bundle, String> {
    let folder = Path::new(FOLDER).join(name);
    let clear = |folder: &Path| match fs::remove_dir_all(folder) {
        Err(error) if folder.exists() => Err(format!("{}: {error}", folder.display())),
        _ => Ok(()),
    };
    clear(&folder)?;
    run("bash", |bash| bash.args(["-euo", "pipefail", "-c", MAKE]).arg(&folder).arg(umask))?;
    for scaffold in ["source", "storage", "run"] {
        clear(&folder.join(scaffold))?;
    }
    Ok(Bundle { path: folder.join("bundle") })
}

/// What a program prints, or why it failed.
pub fn run(program: impl AsRef<OsStr>, prepare: impl FnOnce(&mut Command) -> &mut Command) -> Result<String, String> {
    let mut command = Command::new(program);
    let output = prepare(&mut command).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
    }
}
