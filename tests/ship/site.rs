//! A site without internet access: its registry, and a machine with a copy of the bundle and some of the tools that load.sh
//! supports. All are real and new, with separate storages, sockets and logins.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::builds::{Bundle, run};
use crate::support::process::{Server, agent, require, wait_until};

/// A user who may push to a registry with authentication, and the stored login of docker, podman and skopeo.
pub const USER: &str = "ever";
pub const PASSWORD: &str = "ever/so:hush";
const LOGIN: &str = "ZXZlcjpldmVyL3NvOmh1c2g=";

/// The password as a bcrypt hash.
const HASH: &str = "$2b$04$U8D66NyKaDD/cdGl8YejYeU6eMDFYJE1sVYUak3cYn1zqoMQXXRtC";

/// A registry without TLS.
pub struct Registry {
    server: Server,
}

impl Registry {
    /// One to which everyone may push.
    pub fn open() -> Registry {
        Registry::start("", 200)
    }

    /// One to which only the user may push.
    pub fn closed() -> Registry {
        Registry::start("auth: {htpasswd: {realm: site, path: DIRECTORY/htpasswd}}", 401)
    }

    fn start(auth: &str, status: u16) -> Registry {
        let server = Server::start("docker-registry", "docker-registry", |directory, port| {
            let config = format!(
                "version: 0.1\nhttp: {{addr: '127.0.0.1:{port}'}}\n\
                storage: {{filesystem: {{rootdirectory: DIRECTORY/images}}}}\n{auth}\n"
            );
            let file = directory.join("config.yml");
            fs::write(&file, config.replace("DIRECTORY", directory.to_str().unwrap())).unwrap();
            fs::write(directory.join("htpasswd"), format!("{USER}:{HASH}\n")).unwrap();
            vec!["serve".to_owned(), file.to_str().unwrap().to_owned()]
        });
        let registry = Registry { server };
        let is_up =
            || agent().get(registry.server.url("/v2/")).call().is_ok_and(|response| response.status() == status);
        wait_until(|| "the registry answers".to_owned(), is_up);
        registry
    }

    /// Its address in the name of an image.
    pub fn address(&self) -> String {
        self.server.url("").replace("http://", "")
    }

    /// The manifest of an image and its digest, if the image is there.
    pub fn manifest(&self, repository: &str) -> Option<(String, Value)> {
        let tag = env!("CARGO_PKG_VERSION");
        let kinds = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json";
        let request = agent().get(self.server.url(&format!("/v2/{repository}/manifests/{tag}")));
        let request = request.header("Accept", kinds).header("Authorization", format!("Basic {LOGIN}"));
        let mut response = request.call().unwrap();
        let digest = response.headers().get("docker-content-digest").map(|digest| digest.to_str().unwrap().to_owned());
        let text = response.body_mut().read_to_string().unwrap();
        assert!(response.status() == 200 || response.status() == 404, "{repository}: {text}");
        Some((digest?, serde_json::from_str(&text).unwrap()))
    }
}

/// The machine.
pub struct Machine {
    folder: TempDir,
    engines: Vec<Server>,
    variables: Vec<(&'static str, PathBuf)>,
}

/// The result of a script.
#[derive(Debug)]
pub struct Outcome {
    pub succeeded: bool,
    pub out: String,
    pub err: String,
}

impl Outcome {
    fn of(output: io::Result<Output>) -> Outcome {
        let output = output.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Outcome { succeeded: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Machine {
    /// A machine with a bundle, the usual programs, and these tools, whose engines run.
    pub fn new(bundle: &Bundle, tools: &[&str]) -> Machine {
        let mut machine = Machine { folder: tempfile::tempdir().unwrap(), engines: vec![], variables: vec![] };
        for folder in ["bin", "home"] {
            fs::create_dir(machine.path(folder)).unwrap();
        }
        run("cp", |cp| cp.arg("--recursive").arg(bundle.path()).arg(machine.bundle())).unwrap();
        for program in ["cat", "cut", "dirname", "sha256sum"] {
            machine.install(program);
        }
        machine.set("PATH", machine.path("bin"));
        machine.set("HOME", machine.path("home"));
        for tool in tools {
            machine.equip(tool);
        }
        machine
    }

    fn equip(&mut self, tool: &str) {
        let packages = [("docker", "docker.io"), ("ctr", "containerd")];
        require(tool, packages.iter().find(|(program, _)| *program == tool).map_or(tool, |(_, package)| package));
        self.install(tool);
        match tool {
            "docker" => self.start_docker(),
            "ctr" => {
                let socket = self.start_containerd();
                self.set("CONTAINERD_ADDRESS", socket);
            }
            _ => {
                let storage = self.path("storage");
                let text =
                    format!("[storage]\ndriver = 'vfs'\ngraphroot = '{0}'\nrunroot = '{0}-run'\n", storage.display());
                fs::write(self.path("storage.conf"), text).unwrap();
                self.set("CONTAINERS_STORAGE_CONF", self.path("storage.conf"));
            }
        }
    }

    fn start_containerd(&mut self) -> PathBuf {
        let mut socket = PathBuf::new();
        let engine = Server::start("containerd", "containerd", |directory, _| {
            socket = directory.join("socket");
            let file = directory.join("config.toml");
            let text =
                "version = 2\nroot = 'DIRECTORY/root'\nstate = 'DIRECTORY/state'\ngrpc.address = 'DIRECTORY/socket'\n";
            fs::write(&file, text.replace("DIRECTORY", directory.to_str().unwrap())).unwrap();
            vec!["--config".to_owned(), file.to_str().unwrap().to_owned()]
        });
        wait_until(|| "containerd listens".to_owned(), || socket.exists());
        self.engines.push(engine);
        socket
    }

    /// Without a network for containers, since there are none. In a separate namespace, because it mounts its data.
    fn start_docker(&mut self) {
        require("dockerd", "docker.io");
        let containerd = self.start_containerd();
        let mut host = PathBuf::new();
        let engine = Server::start("unshare", "util-linux", |directory, _| {
            host = PathBuf::from(format!("unix://{}/socket", directory.display()));
            fs::write(directory.join("config.json"), "{}").unwrap();
            let command = "--mount dockerd --config-file=DIRECTORY/config.json --data-root=DIRECTORY/data \
                --exec-root=DIRECTORY/exec --pidfile=DIRECTORY/pid --host=unix://DIRECTORY/socket --group=root \
                --storage-driver=vfs --bridge=none --iptables=false --ip6tables=false --userland-proxy=false";
            let command = command.replace("DIRECTORY", directory.to_str().unwrap());
            let containerd = format!("--containerd={}", containerd.display());
            command.split_whitespace().map(str::to_owned).chain([containerd]).collect()
        });
        self.engines.push(engine);
        self.set("DOCKER_HOST", host);
        let version = || self.run("docker", &["version"]);
        wait_until(|| format!("docker answers: {:?}", version()), || version().is_ok());
    }

    /// Makes a program of the developer's machine available here.
    pub fn install(&self, program: &str) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
        let found = found.unwrap_or_else(|| panic!("these tests need the program `{program}`"));
        symlink(found, self.path("bin").join(program)).unwrap();
    }

    /// Removes a program.
    pub fn uninstall(&self, program: &str) {
        fs::remove_file(self.path("bin").join(program)).unwrap();
    }

    /// Sets an environment variable.
    pub fn set(&mut self, variable: &'static str, value: impl Into<PathBuf>) {
        self.variables.push((variable, value.into()));
    }

    /// Logs the user in for docker, podman and skopeo.
    pub fn log_in(&mut self, registry: &Registry) {
        let text = format!(r#"{{"auths": {{"{}": {{"auth": "{LOGIN}"}}}}}}"#, registry.address());
        fs::write(self.path("home/config.json"), text).unwrap();
        self.set("DOCKER_CONFIG", self.path("home"));
        self.set("REGISTRY_AUTH_FILE", self.path("home/config.json"));
    }

    /// The path of the bundle, such as on a USB stick.
    pub fn bundle(&self) -> PathBuf {
        self.path("usb stick")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a program of the machine.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<String, String> {
        run(self.path("bin").join(program), |command| self.settle(command).args(args))
    }

    /// Runs load.sh from the folder of the bundle.
    pub fn load(&self, args: &[&str]) -> Outcome {
        self.load_from(&self.bundle(), args)
    }

    /// Runs load.sh from another folder.
    pub fn load_from(&self, folder: &Path, args: &[&str]) -> Outcome {
        let mut command = Command::new("/bin/sh");
        command.current_dir(folder).arg(self.bundle().join("load.sh")).args(args);
        Outcome::of(self.settle(&mut command).output())
    }

    /// Runs a program in the folder of the bundle, with a line of input.
    pub fn run_with_input(&self, command: &[&str], line: &str) -> Outcome {
        let mut program = Command::new(self.path("bin").join(command[0]));
        program.args(&command[1..]).current_dir(self.bundle());
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.settle(&mut program).spawn().unwrap();
        writeln!(child.stdin.as_ref().unwrap(), "{line}").unwrap();
        Outcome::of(child.wait_with_output())
    }

    fn settle<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)))
    }
}
