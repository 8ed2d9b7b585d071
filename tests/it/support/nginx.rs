//! A real nginx before a Prometheus.

use std::path::Path;

use super::process::{Server, wait_until};

/// Starts an nginx with this content of its `server` block. It listens on its port, with TLS if `listen` is ` ssl`.
pub fn start(listen: &str, http: &str, server: &str) -> Server {
    let running = Server::start("nginx", "nginx-light", |directory, port| {
        let config = directory.join("nginx.conf");
        std::fs::write(&config, configuration(directory, &format!("127.0.0.1:{port}{listen}"), http, server)).unwrap();
        vec!["-e".to_owned(), "stderr".to_owned(), "-c".to_owned(), config.display().to_string()]
    });
    let address = format!("127.0.0.1:{}", running.port());
    wait_until(
        || format!("nginx listens; its log:\n{}", running.log()),
        || std::net::TcpStream::connect(&address).is_ok(),
    );
    running
}

/// One process, so that a kill leaves none, with all files in one directory.
fn configuration(directory: &Path, listen: &str, http: &str, server: &str) -> String {
    let directory = directory.display();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {directory}/{kind};\n"))
        .concat();
    format!(
        "daemon off; master_process off; pid {directory}/nginx.pid; error_log stderr;\n\
         events {{ worker_connections 64; }}\n\
         http {{ access_log off; {paths} {http}\nserver {{ listen {listen}; {server} }} }}\n"
    )
}
