//! The servers that the tests run beside the mirror. They start on a free port, and end with the test process.
//!
//! A static is never dropped, and a test process may be killed, so destructors cannot end the servers. Instead, a small shell reads
//! from a pipe that only the test process holds open. When the pipe closes, it kills the server and removes its directory.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Runs the program after `$0` (a directory). Reads commands from standard input: the name of a signal, or `start` to start the
/// program again after its end. Kills it and removes the directory when standard input closes.
const GUARD: &str = r#"trap '' INT
"$@" >"$0/log" 2>&1 </dev/null &
while read -r order; do
    case $order in
    start)
        wait
        "$@" >>"$0/log" 2>&1 </dev/null &
        ;;
    *) kill -s "$order" $! ;;
    esac
done
kill -9 $!
wait
rm -rf "$0""#;

/// How long the start of a server may take.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// A running server on a port of the loopback address, with a directory of its own.
pub struct Server {
    guard: Child,
    directory: PathBuf,
    port: u16,
}

impl Server {
    /// Starts `program`, a command or a path from the Debian package `package`. `arguments` makes its arguments from the directory
    /// and the port of the server.
    pub fn start(program: &str, package: &str, arguments: impl FnOnce(&Path, u16) -> Vec<String>) -> Server {
        require(program, package);
        let name = Path::new(program).file_name().expect("a program");
        let directory = tempfile::Builder::new().prefix(name).tempdir().expect("a temporary directory").keep();
        let port = free_port();
        let guard = Command::new("sh")
            .args(["-c", GUARD])
            .arg(&directory)
            .arg(program)
            .args(arguments(&directory, port))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start sh");
        Server { guard, directory, port }
    }

    /// Waits until a GET of `path` has status 200.
    pub fn wait_ready(&self, path: &str) {
        wait_until(
            || format!("{} answers; its log:\n{}", self.url(path), self.log()),
            || agent().get(self.url(path)).call().is_ok_and(|response| response.status() == 200),
        );
    }

    /// Sends it a signal, such as `KILL`, or with `start` starts it again after its end, on the same port and data.
    pub fn order(&self, order: &str) {
        let mut guard = self.guard.stdin.as_ref().expect("a piped stdin");
        writeln!(guard, "{order}").unwrap();
    }

    /// Its whole output.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a path on this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The `connectionDetails` that point a mirror at this server.
    pub fn details(&self) -> Value {
        json!({"host": "127.0.0.1", "port": self.port})
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// Fails with a sentence that says what to install if `program` is missing.
pub fn require(program: &str, package: &str) {
    if let Err(error) = Command::new(program).arg("--version").output() {
        panic!("these tests need the program `{program}`: install the Debian package `{package}` ({error})");
    }
}

/// A file from `scripts/tools`. If it is missing, fails with a sentence that says so.
pub fn tool(name: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("a home")).join(".cache"));
    let path = cache.join("prometheusmirror").join(name);
    assert!(path.exists(), "these tests need {}: run scripts/tools", path.display());
    path
}

/// Waits until `condition` holds. Panics after a minute.
pub fn wait_until(what: impl Fn() -> String, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + START_DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {START_DEADLINE:?} in vain until {}", what());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a signal, such as `TERM`, to a process.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    let sent = status.expect("these tests need the program `kill`: install the Debian package `procps`");
    assert!(sent.success(), "kill -s {name} {pid}");
}

/// The text of a file below `/proc/PID`, such as `status`.
pub fn proc_file(pid: u32, name: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_else(|error| panic!("{name} of {pid}: {error}"))
}

/// A field of `/proc/PID/status`, without its name.
pub fn status_field(pid: u32, name: &str) -> String {
    let status = proc_file(pid, "status");
    let field = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    field.unwrap_or_else(|| panic!("no {name} in {status}")).trim().to_owned()
}

/// The id of the process that runs a program: this one, or the one that it has started.
pub fn running(program: &str, pid: u32) -> u32 {
    let runs = |pid: u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == Path::new(program));
    let started =
        || proc_file(pid, &format!("task/{pid}/children")).split_whitespace().next().unwrap().parse().unwrap();
    let found = if runs(pid) { pid } else { started() };
    assert!(runs(found), "{found} does not run {program}");
    found
}

/// A free port. It is below the range from which the kernel chooses ports, so that no other program gets it before the server binds
/// it.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id() % 1000) as u16 * 20;
    (0..20_000)
        .map(|_| 10_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000)
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// A client for direct requests to the servers. Error statuses are ordinary responses.
pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .new_agent()
}

/// A field of `/proc/PID/status` that is an amount of memory, such as `VmHWM`, the peak; in bytes.
pub fn memory(pid: u32, name: &str) -> u64 {
    status_field(pid, name).trim_end_matches(" kB").parse::<u64>().expect("a number of kilobytes") << 10
}

/// How many descriptors a process has open.
pub fn open_descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the process runs").count()
}
