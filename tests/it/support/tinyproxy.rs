//! A real proxy, and its log.

use std::net::TcpStream;

use super::process::{Server, wait_until};

/// The user of every proxy of the tests.
pub const USER: &str = "ever";
/// The password. tinyproxy does not accept characters that have a meaning in a URL.
pub const PASSWORD: &str = "hush-hush";

/// A running tinyproxy, which requires a password.
pub struct Tinyproxy {
    server: Server,
}

impl Tinyproxy {
    /// Starts one with further lines of configuration.
    pub fn start(lines: &str) -> Tinyproxy {
        let server = Server::start("tinyproxy", "tinyproxy-bin", |directory, port| {
            let config = directory.join("tinyproxy.conf");
            let basics = format!("Listen 127.0.0.1\nPort {port}\nLogLevel Connect\nBasicAuth {USER} {PASSWORD}\n");
            std::fs::write(&config, format!("{basics}{lines}\n")).unwrap();
            vec!["-d".to_owned(), "-c".to_owned(), config.display().to_string()]
        });
        let proxy = Tinyproxy { server };
        proxy.wait_ready();
        proxy
    }

    /// Kills it, which cuts the connections through it.
    pub fn kill(&self) {
        self.server.order("KILL");
        wait_until(|| "the proxy is gone".to_owned(), || TcpStream::connect(self.address()).is_err());
    }

    /// Starts it again on the same port.
    pub fn start_again(&self) {
        self.server.order("start");
        self.wait_ready();
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    /// Its URL with the right password.
    pub fn url(&self) -> String {
        self.url_with(&format!("{USER}:{PASSWORD}@"))
    }

    /// Its URL with these credentials.
    pub fn url_with(&self, credentials: &str) -> String {
        format!("http://{credentials}{}", self.address())
    }

    /// How many connections to this host and port it was asked for.
    pub fn tunnels(&self, to: &str) -> usize {
        self.server.log().matches(&format!("CONNECT {to} HTTP/1.1")).count()
    }

    fn wait_ready(&self) {
        wait_until(
            || format!("the proxy listens; its log:\n{}", self.server.log()),
            || TcpStream::connect(self.address()).is_ok(),
        );
    }
}
