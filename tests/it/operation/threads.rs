//! Fewer threads than the mirror needs. Limits on threads do not bind root, so each mirror here runs as a separate user.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::page::Page;
use crate::http::{address, header, read_one_response};
use crate::support::mirror::{API_KEY, BINARY, Mirror};

/// The number of clients that arrive at once, and their timeout.
const CLIENTS: usize = 40;
const PATIENCE: Duration = Duration::from_secs(30);

/// A user without processes, and a copy of the program that this user can run.
pub struct User {
    id: String,
    folder: TempDir,
}

impl User {
    pub fn new() -> User {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = 700_000 + std::process::id() % 10_000 * 10 + NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        // By another process: a copy that is open for writing here is open, too, in what other tests start meanwhile, and then it
        // cannot be run ("Text file busy").
        let copied = Command::new("cp").arg(BINARY).arg(folder.path()).status().unwrap();
        assert!(copied.success(), "{copied}");
        User { id: id.to_string(), folder }
    }

    /// A command that runs as the user.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &self.id, "--regid", &self.id, "--clear-groups", program]);
        command
    }

    /// A mirror with this limit on threads, until it is changed.
    pub fn mirror(&self, threads: usize, workers: &str) -> Command {
        let mut command = self.command("prlimit");
        command.arg(format!("--nproc={threads}:4096")).arg(self.folder.path().join("prometheusmirror"));
        command.args(["--listen", "127.0.0.1", "--port", "0", "--workers", workers]).env("API_KEY", API_KEY);
        command
    }

    /// Changes the limit on threads of a mirror.
    fn allow(&self, mirror: &Mirror, threads: usize) {
        let mut prlimit = self.command("prlimit");
        prlimit.args([format!("--pid={}", mirror.pid()), format!("--nproc={threads}:4096")]);
        assert!(prlimit.status().expect("setpriv, of Debian's util-linux").success());
    }
}

/// Whether a client gets a response in time. It connects again if its connection is closed before.
fn is_answered(mirror: &Mirror, deadline: Instant) -> bool {
    let ask = || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address(mirror))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: m\r\n\r\n")?;
        let response = read_one_response(&mut stream)?;
        if header(&response.headers, "connection") == Some("keep-alive") {
            // As a connection pool does, which keeps the thread busy.
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    };
    while Instant::now() < deadline {
        if ask().is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

/// Checks that all clients that arrive at once get responses.
fn check_answered(mirror: &Mirror, context: &str) {
    let deadline = Instant::now() + PATIENCE;
    let answered = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| is_answered(mirror, deadline))).collect();
        clients.into_iter().filter_map(|client| client.join().unwrap().then_some(())).count()
    });
    assert_eq!(answered, CLIENTS, "{context}:\n{}", mirror.log());
}

#[test]
fn a_mirror_that_cannot_have_its_threads_does_not_start_and_says_how_many_it_needs() {
    let user = User::new();
    // The process itself counts as one.
    for (threads, workers, names) in [(28, "20", "need 43 threads, but only 27 can be started"), (21, "1", "only 20")] {
        let output = user.mirror(threads, workers).output().expect("setpriv, of Debian's util-linux");
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.lines().count() == 1 && text.contains(names), "{text}");
        // With fewer workers, the first could start, so its error says so; the second could not.
        assert_eq!(text.contains("set --workers to at most 4"), workers == "20", "{text}");
        assert!(!text.contains("listening"), "{text}");
    }
}

#[test]
fn a_mirror_that_runs_out_of_threads_serves_with_those_it_has_and_recovers() {
    let user = User::new();
    let mirror = Mirror::start_by(user.mirror(40, "4"));
    check_answered(&mirror, "40 threads");
    user.allow(&mirror, 24);
    check_answered(&mirror, "24 threads");

    user.allow(&mirror, 4_096);
    check_answered(&mirror, "no limit again");
    let page = Page::of(&mirror);
    assert!(page.only("prometheusmirror_thread_shortages_total") > 0.0, "{}", mirror.log());
    assert_eq!(page.only("prometheusmirror_panics_total"), 0.0, "{}", mirror.log());
    let told = mirror.log().lines().filter(|line| !line.contains("msg=request")).count();
    assert!((2..30).contains(&told), "{told} lines:\n{}", mirror.log());
}

#[test]
fn silent_connections_make_room_for_those_that_wait_for_a_thread() {
    const SILENT: usize = 300;
    let user = User::new();
    let mirror = Mirror::start_by(user.mirror(40, "4"));
    let _silent: Vec<TcpStream> = (0..SILENT).map(|_| TcpStream::connect(address(&mirror)).unwrap()).collect();
    let begun = Instant::now();
    assert!(is_answered(&mirror, begun + PATIENCE), "{}", mirror.log());
    // Each of them alone would hold its thread for eight seconds.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(Page::of(&mirror).only("prometheusmirror_evicted_connections_total") > 100.0);
}
