//! Named upstreams: credentials, tenants and TLS settings in the upstreams file.

mod check;
mod credentials;
mod details;
mod examples;
mod files;
mod in_flight;
mod oauth2;
mod replicas;
mod sigv4;
mod tls;
mod tracing;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::mirror::Mirror;
use crate::support::process::wait_until;

/// An upstreams file and the files that it names, in a separate folder.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replaces a file by renaming, as Kubernetes does.
    fn write(&self, name: &str, text: &str) {
        let next = self.path(".next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(&next, self.path(name)).unwrap();
    }

    fn copy(&self, from: &Path, name: &str) {
        self.write(name, &std::fs::read_to_string(from).unwrap());
    }

    /// Writes the upstreams file.
    fn upstreams(&self, yaml: &str) {
        self.write("upstreams.yaml", yaml);
    }

    fn mirror(&self) -> Mirror {
        self.mirror_with(&[])
    }

    fn mirror_with(&self, flags: &[&str]) -> Mirror {
        let path = self.path("upstreams.yaml");
        Mirror::start_with(&[&["--upstreams-file", path.to_str().unwrap()], flags].concat())
    }
}

/// A mirror with one named upstream, `a`, at a URL and with these further keys.
fn with_one(files: &Files, url: &str, keys: &str) -> Mirror {
    files.upstreams(&one(url, keys));
    files.mirror()
}

/// An upstreams file with one upstream, `a`.
fn one(url: &str, keys: &str) -> String {
    format!("upstreams:\n- name: a\n  url: {url}\n{keys}\n")
}

/// The verdict of a test connection: `OK`, or the text of its error.
fn verdict(mirror: &Mirror, details: &Value) -> String {
    let response = mirror.post("/api/connection", &json!({"connectionDetails": details}));
    let error = &response.json["error"];
    if error.is_null() { response.json["status"].as_str().unwrap_or_default().to_owned() } else { error.to_string() }
}

fn named(name: &str) -> Value {
    json!({"upstream": name})
}

/// Waits until the verdict on the upstream `a` has these words.
fn until_verdict(mirror: &Mirror, says: &str) {
    wait_until(
        || format!("the verdict is {says}: {}", verdict(mirror, &named("a"))),
        || verdict(mirror, &named("a")).contains(says),
    );
}
