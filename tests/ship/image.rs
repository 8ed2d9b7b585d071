//! The image: its metadata, its content, and that its program runs with nothing else, as any user, on a read-only file system.
//!
//! No engine runs containers here. The root of a container is the layer of the image, with the files that an engine or a kubelet
//! adds. The program runs in it by chroot, in a separate mount namespace.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::builds;
use crate::support::ask::assert_points;
use crate::support::mirror::{API_KEY, Mirror, condition};
use crate::support::oracle::{self, Nan};
use crate::support::process::require;
use crate::support::prometheus;
use crate::support::samples::{HOUR, T0, one};

/// The user of the image.
const USER: &str = "65532:65532";

/// A user as OpenShift assigns it to a container.
const ANY_USER: &str = "1000670000:0";

/// The program in the image.
const PROGRAM: &str = "/prometheusmirror";

/// An image that has been unpacked.
struct Image {
    config: Value,
    layers: Vec<PathBuf>,
    folder: TempDir,
}

impl Image {
    /// Unpacks the first of the two that were built.
    fn unpack() -> Image {
        let folder = tempfile::tempdir().unwrap();
        untar(&builds::bundles()[0].docker_archive(), folder.path());
        let file = |name: &Value| folder.path().join(name.as_str().unwrap());
        let parsed = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
        let manifest = parsed(&folder.path().join("manifest.json"));
        let layers = manifest[0]["Layers"].as_array().unwrap().iter().map(file).collect();
        Image { config: parsed(&file(&manifest[0]["Config"])), layers, folder }
    }

    /// Unpacks the OCI image of the bundle for air-gapped sites.
    fn unpack_oci() -> Image {
        let folder = tempfile::tempdir().unwrap();
        untar(&builds::bundles()[0].oci_archive(), folder.path());
        let blob = |of: &Value| folder.path().join("blobs").join(of["digest"].as_str().unwrap().replace(':', "/"));
        let parsed = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
        let manifest = parsed(&blob(&parsed(&folder.path().join("index.json"))["manifests"][0]));
        let layers = manifest["layers"].as_array().unwrap().iter().map(blob).collect();
        Image { config: parsed(&blob(&manifest["config"])), layers, folder }
    }

    /// Makes the root of a container from its layers.
    fn into_root(self) -> Root {
        let root = Root { path: self.folder.path().join("root"), _folder: self.folder };
        fs::create_dir(&root.path).unwrap();
        for layer in &self.layers {
            untar(layer, &root.path);
        }
        root
    }
}

fn untar(archive: &Path, folder: &Path) {
    let output = Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(folder).output().unwrap();
    assert!(output.status.success(), "{}: {}", archive.display(), String::from_utf8_lossy(&output.stderr));
}

/// The root of a container.
struct Root {
    path: PathBuf,
    _folder: TempDir,
}

impl Root {
    /// Writes a file there, as an engine would.
    fn put(&self, name: &str, text: &str) {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A command that executes the program of the image as this user, in this root, which it cannot write.
    fn command(&self, user: &str) -> Command {
        require("unshare", "util-linux");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-euc"]);
        command.arg(
            r#"root=$1 user=$2; shift 2
            mount --bind "$root" "$root"
            mount -o remount,bind,ro "$root"
            exec chroot --userspec="$user" "$root" "$@""#,
        );
        command.args(["sh", self.path.to_str().unwrap(), user, PROGRAM]).env_clear().env("PATH", "/usr/sbin:/usr/bin");
        command
    }

    /// The output of the program with these arguments.
    fn run(&self, user: &str, args: &[&str], variables: &[(&str, &str)]) -> Output {
        self.command(user).args(args).envs(variables.iter().copied()).output().unwrap()
    }
}

/// A name server with one name, at a separate loopback address.
struct NameServer(UdpSocket);

impl NameServer {
    const ADDRESS: &str = "127.99.0.53";

    /// The full name, and the short one that the search list of a cluster completes to it.
    const NAME: &str = "prometheus.monitoring.svc.cluster.local";
    const SHORT: &str = "prometheus.monitoring";

    /// The file that a kubelet writes into a pod.
    fn resolv_conf() -> String {
        format!("nameserver {}\nsearch mirror.svc.cluster.local svc.cluster.local\noptions ndots:5\n", Self::ADDRESS)
    }

    /// Responds to questions for the IPv4 address of the name with 127.0.0.1, to other questions for the name without records, and
    /// to others that the name does not exist (RFC 1035). Never returns.
    fn start() {
        let socket = UdpSocket::bind((Self::ADDRESS, 53)).expect("these tests need root, for a name server's port");
        let server = NameServer(socket);
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = server.0.recv_from(&mut question) {
                let _ = server.0.send_to(&Self::response(&question[..length]), from);
            }
        });
    }

    fn response(question: &[u8]) -> Vec<u8> {
        let (mut at, mut labels) = (12, Vec::new());
        while question[at] > 0 {
            let end = at + 1 + question[at] as usize;
            labels.push(String::from_utf8_lossy(&question[at + 1..end]).to_ascii_lowercase());
            at = end;
        }
        let end = at + 5;
        let is_known = labels.join(".") == Self::NAME;
        let is_for_ipv4 = question[at + 1..at + 3] == [0, 1];
        let answers = u8::from(is_known && is_for_ipv4);
        let code = if is_known { 0 } else { 3 };
        let mut response = question[..2].to_vec();
        response.extend([0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
        response.extend(&question[12..end]);
        if answers > 0 {
            response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
        }
        response
    }
}

#[test]
fn two_builds_make_the_same_image() {
    let [first, second] = builds::bundles();
    assert_eq!(first.image_id(), second.image_id());
    assert_eq!(fs::read(first.docker_archive()).unwrap(), fs::read(second.docker_archive()).unwrap());
}

#[test]
fn the_image_says_how_it_is_to_be_run() {
    let Image { config, .. } = &Image::unpack();
    let check = |pointer: &str, expected: Value| assert_eq!(config.pointer(pointer), Some(&expected), "{pointer}");
    check("/os", json!("linux"));
    check("/config/User", json!(USER));
    check("/config/ExposedPorts", json!({"9900/tcp": {}}));
    check("/config/Entrypoint", json!([PROGRAM]));
    check("/config/StopSignal", json!("SIGTERM"));
    check("/config/Healthcheck/Test", json!(["CMD", PROGRAM, "check"]));
    let label = |name: &str| config["config"]["Labels"][format!("org.opencontainers.image.{name}")].clone();
    assert_eq!(label("title"), "prometheusmirror");
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(label("licenses"), env!("CARGO_PKG_LICENSE"));
    assert_eq!(label("description"), env!("CARGO_PKG_DESCRIPTION"));
    let revision = label("revision").as_str().unwrap().to_owned();
    let commit = revision.strip_suffix("-dirty").unwrap_or(&revision);
    assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{revision}");
    // No variable that is a setting: the program has its own defaults.
    assert!(config["config"]["Env"].as_array().unwrap().iter().all(|env| env.as_str().unwrap().starts_with("PATH=")));
}

#[test]
fn what_the_dockerfile_says_twice_is_what_the_project_says() {
    let read = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let dockerfile = read("Dockerfile");
    let default = |name: &str| {
        let line = dockerfile.lines().find_map(|line| line.strip_prefix(&format!("ARG {name}=")));
        line.unwrap_or_else(|| panic!("no default for {name}")).to_owned()
    };
    assert_eq!(default("VERSION"), env!("CARGO_PKG_VERSION"));
    let parts = |version: &str| version.split('.').map(|part| part.parse().unwrap()).collect::<Vec<u32>>();
    let (used, needed) = (default("RUST_VERSION"), env!("CARGO_PKG_RUST_VERSION"));
    assert!(parts(&used) >= parts(needed), "Rust {used} is older than {needed}");

    let config = read(".cargo/config.toml");
    let flags = config.lines().find_map(|line| line.strip_prefix("rustflags = ")).expect("flags");
    let flags: Vec<String> = serde_json::from_str(flags).unwrap();
    let of_image = dockerfile.split_once("RUSTFLAGS='").and_then(|(_, rest)| rest.split_once('\'')).expect("flags").0;
    assert!(!flags.is_empty() && flags.iter().all(|flag| of_image.split(' ').any(|one| one == flag)), "{of_image}");
}

#[test]
fn there_is_one_program_in_it_and_the_licences_and_little_of_both() {
    let image = Image::unpack();
    assert_eq!(image.layers.len(), 1);
    let root = image.into_root();
    let mut entries: Vec<_> = fs::read_dir(&root.path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    entries.sort();
    assert_eq!(entries, ["licenses", "prometheusmirror"]);
    let mode = fs::metadata(root.path.join("prometheusmirror")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);

    let mut files = Vec::new();
    let mut folders = vec![root.path.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (0, 0), "{}", path.display());
            if metadata.is_dir() { folders.push(path) } else { files.push((metadata.len(), path)) }
        }
    }
    let size: u64 = files.iter().map(|(size, _)| size).sum();
    assert!(size < 8_000_000, "{size} bytes");
    for text in ["LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(root.path.join("licenses").join(text).is_file(), "{text}");
    }
}

#[test]
fn its_program_answers_from_a_prometheus_it_finds_by_name() {
    NameServer::start();
    let root = Image::unpack().into_root();
    root.put("etc/resolv.conf", &NameServer::resolv_conf());
    // As Kubernetes mounts a Secret.
    root.put("etc/prometheusmirror/key/apiKey", API_KEY);
    let key = ("API_KEY_FILE", "/etc/prometheusmirror/key/apiKey");
    let prometheus = prometheus::shared().details();
    let (start, end) = (T0, T0 + HOUR);
    let labels = [("pod", "a"), ("code", "200")];
    let expected = oracle::rates(one("http_requests_total", &labels), start, end, Nan::None);
    assert!(expected.len() > 100);
    for user in [USER, ANY_USER] {
        let mut command = root.command(user);
        command.args(["--listen", "127.0.0.1", "--port", "0"]).env(key.0, key.1);
        let mirror = Mirror::start_by(command);
        for host in [NameServer::NAME, NameServer::SHORT] {
            let details = json!({"host": host, "port": prometheus["port"]});
            let response = mirror.post("/api/connection", &json!({"connectionDetails": details}));
            assert_eq!((response.status, &response.json["status"]), (200, &json!("OK")), "{user} {host}: {response:?}");
            let mut conditions = vec![condition("__counter__", "http_requests_total")];
            conditions.extend(labels.iter().map(|(key, value)| condition(key, value)));
            let query = json!({"conditions": conditions, "startTime": start, "endTime": end});
            let response = mirror.post("/api/metric", &json!({"connectionDetails": details, "query": query}));
            assert_points(&response, &expected, 1e-9, &format!("{user} {host}"));
            assert_eq!(response.key.as_deref(), Some(API_KEY));
        }
        // The health check, as an engine runs it.
        let port = mirror.base().rsplit_once(':').unwrap().1;
        let healthy = root.run(user, &["check"], &[("PORT", port), key]);
        assert!(healthy.status.success(), "{healthy:?}");
        assert!(String::from_utf8(healthy.stdout).unwrap().contains("and the right key"));
        mirror.signal("TERM");
        assert_eq!(mirror.end(Duration::from_secs(3)).code(), Some(0), "{user}");
        let gone = root.run(user, &["check"], &[("PORT", port), key]);
        assert_eq!(gone.status.code(), Some(1), "{gone:?}");
    }
}

/// `ask` of the program of an image, in a root with nothing else.
fn check_ask(image: Image) {
    let root = image.into_root();
    let url = prometheus::shared().url("");
    let (start, end) = (T0.to_string(), (T0 + HOUR).to_string());
    let counter = ["--counter", "http_requests_total", "--label", "pod=a", "--label", "code=200"];
    let range = ["--start", &start, "--end", &end, "--format", "csv"];
    let expected =
        oracle::rates(one("http_requests_total", &[("pod", "a"), ("code", "200")]), T0, T0 + HOUR, Nan::None);
    for user in [USER, ANY_USER] {
        let ask = |args: &[&str]| {
            let output = root.run(user, &[&["ask", "--url", &url], args].concat(), &[]);
            assert!(output.status.success() && output.stderr.is_empty(), "{user} {args:?}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(ask(&["--test"]), "OK\n");
        let csv = ask(&[&counter[..], &range].concat());
        let values: Vec<f64> =
            csv.lines().skip(1).map(|line| line.rsplit_once(',').unwrap().1.parse().unwrap()).collect();
        assert_eq!(values.len(), expected.len());
        assert!(values.iter().zip(&expected).all(|(value, point)| oracle::close(*value, point[0], 1e-9)), "{csv}");
    }
}

#[test]
fn ask_works_in_a_shell_of_the_image() {
    check_ask(Image::unpack());
}

#[test]
fn ask_works_in_a_shell_with_the_program_of_the_bundle() {
    check_ask(Image::unpack_oci());
}

#[test]
fn without_a_key_it_says_what_to_give() {
    let root = Image::unpack().into_root();
    let output = root.run(USER, &[], &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("API_KEY") && said.contains("API_KEY_FILE"), "{said}");
}

#[test]
fn a_wrong_call_of_the_script_is_refused_with_its_usage() {
    let check = |args: &[&str], says: &str| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/image");
        let output = Command::new(script).args(args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(says) && said.ends_with(" TAG\n"), "{args:?}: {said}");
    };
    for nameless in [&[][..], &["--help"], &["-h"], &["--platform", "linux/amd64", "--help"]] {
        check(nameless, "the name of the image is missing: ");
    }
    check(&["--verbose", "on", "name"], "there is no option --verbose: ");
}
