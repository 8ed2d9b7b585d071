//! Name servers of the tests, and mirrors that use them: a real dnsmasq, or a stub that misbehaves. Each listens at a separate
//! loopback address, since `resolv.conf` does not support ports other than 53.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::mirror::Mirror;
use super::process::{Server, wait_until};

/// An address that no other name server uses, in this process or in another.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 + high % 128, low, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Starts a mirror with this `/etc/resolv.conf`, in a separate mount namespace. There, names have no other source, even on machines
/// whose `nsswitch.conf` has more, such as desktops with mDNS.
pub fn mirror_with(resolv_conf: &str, flags: &[&str]) -> (Mirror, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let script =
        r#"for file in resolv.conf nsswitch.conf; do mount --bind "$0/$file" "/etc/$file" || exit; done; exec "$@""#;
    for (file, content) in [("resolv.conf", resolv_conf), ("nsswitch.conf", "hosts: files dns\n")] {
        std::fs::write(directory.path().join(file), content).unwrap();
    }
    let wrapper = ["unshare", "--mount", "sh", "-c", script, directory.path().to_str().unwrap()];
    (Mirror::start_under(&wrapper, flags), directory)
}

/// A dnsmasq that knows some names, and no others.
pub struct Dnsmasq {
    server: Server,
    address: Ipv4Addr,
    hosts: std::path::PathBuf,
    _directory: TempDir,
}

impl Dnsmasq {
    /// Knows these names, in the form of `/etc/hosts`.
    pub fn start(hosts: &str) -> Dnsmasq {
        Dnsmasq::start_with(hosts, &[])
    }

    /// Forwards all names in the domain `silent` to another name server, any number at a time.
    pub fn start_before(silent: &BadNameServer, hosts: &str) -> Dnsmasq {
        Dnsmasq::start_with(
            hosts,
            &[format!("--server=/silent/{}", silent.address), "--dns-forward-max=100000".to_owned()],
        )
    }

    fn start_with(hosts: &str, further: &[String]) -> Dnsmasq {
        let (address, directory) = (own_address(), tempfile::tempdir().unwrap());
        let file = directory.path().join("hosts");
        std::fs::write(&file, hosts).unwrap();
        // dnsmasq drops root, and must then be able to read the file.
        let for_all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(directory.path(), for_all).unwrap();
        let server = Server::start("dnsmasq", "dnsmasq-base", |_, _| {
            let own = [
                "--keep-in-foreground".to_owned(),
                "--pid-file".to_owned(),
                "--conf-file=/dev/null".to_owned(),
                "--no-resolv".to_owned(),
                "--no-hosts".to_owned(),
                "--local=/#/".to_owned(),
                "--bind-interfaces".to_owned(),
                format!("--listen-address={address}"),
                format!("--addn-hosts={}", file.display()),
                "--log-queries".to_owned(),
                "--log-facility=-".to_owned(),
            ];
            own.into_iter().chain(further.iter().cloned()).collect()
        });
        let dnsmasq = Dnsmasq { server, address, hosts: file, _directory: directory };
        dnsmasq.wait_read(1);
        dnsmasq
    }

    fn wait_read(&self, times: usize) {
        let read = || self.server.log().matches("read ").count() >= times;
        wait_until(|| format!("dnsmasq has read its names; its log:\n{}", self.server.log()), read);
    }

    /// Knows these names from now on.
    pub fn know(&self, hosts: &str) {
        let times = self.server.log().matches("read ").count();
        std::fs::write(&self.hosts, hosts).unwrap();
        self.server.order("HUP");
        self.wait_read(times + 1);
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// How many questions it has received.
    pub fn questions(&self) -> usize {
        self.server.log().matches(" query[").count()
    }

    /// Kills it.
    pub fn kill(&self) {
        self.server.order("KILL");
        let port = SocketAddr::new(self.address.into(), 53);
        wait_until(|| "dnsmasq is gone".to_owned(), || UdpSocket::bind(port).is_ok());
    }

    /// The `resolv.conf` that names it, with further lines.
    pub fn resolv_conf(&self, lines: &str) -> String {
        format!("nameserver {}\n{lines}\n", self.address)
    }
}

/// A name server that responds to all questions with one status, or to none.
pub struct BadNameServer {
    address: Ipv4Addr,
    questions: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl BadNameServer {
    /// Responds with a status (RFC 1035, "RCODE"), such as 2 for SERVFAIL.
    pub fn start(status: Option<u8>) -> BadNameServer {
        let address = own_address();
        let socket = UdpSocket::bind((address, 53)).expect("a free port 53; the tests run as root");
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let (questions, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, ends) = (Arc::clone(&questions), Arc::clone(&is_over));
        std::thread::spawn(move || {
            let mut packet = [0; 512];
            while !ends.load(Ordering::SeqCst) {
                let Ok((length, from)) = socket.recv_from(&mut packet) else { continue };
                count.fetch_add(1, Ordering::SeqCst);
                if let Some(status) = status {
                    // The question, marked as a response with a status.
                    (packet[2], packet[3]) = (packet[2] | 0x80, status);
                    let _ = socket.send_to(&packet[..length], from);
                }
            }
        });
        BadNameServer { address, questions, is_over }
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// How many packets it has received.
    pub fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }

    /// The `resolv.conf` that names it.
    pub fn resolv_conf(&self) -> String {
        format!("nameserver {}\n", self.address)
    }
}

impl Drop for BadNameServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}
