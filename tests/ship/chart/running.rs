//! The real server accepts what the chart sets: its variables, and its files as a kubelet mounts them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::certificates::{Certificates, ENCODED, PASSWORD};
use crate::support::mirror::{BINARY, Mirror};
use crate::support::process::wait_until;

use super::everything::everything;
use super::helm::{Install, KEY};
use super::key::decoded;
use super::manifests::Manifests;

/// An object that exists in the cluster: the name of a Secret or ConfigMap, and a file in it.
type Present<'a> = (&'a str, &'a str, String);

/// A pod on this machine: the files of its container, below a folder, and its variables.
struct Pod {
    _folder: TempDir,
    variables: Vec<String>,
    arguments: Vec<String>,
}

impl Pod {
    fn new(rendered: &Manifests, spec: &Value, present: &[Present<'_>]) -> Pod {
        let folder = tempfile::tempdir().unwrap();
        let container = &spec["containers"][0];
        let root = |path: &str| format!("{}{path}", folder.path().display());
        for mount in container["volumeMounts"].as_array().unwrap() {
            let volumes = spec["volumes"].as_array().unwrap();
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).expect("the volume of a mount");
            project(&files_of(rendered, volume, present), Path::new(&root(mount["mountPath"].as_str().unwrap())));
        }
        let variables = container["env"].as_array().unwrap().iter().map(|variable| {
            let value = match variable["value"].as_str() {
                Some(path) if path.starts_with("/etc/") => root(path),
                Some(text) => text.to_owned(),
                None => "from elsewhere".to_owned(),
            };
            format!("{}={value}", variable["name"].as_str().unwrap())
        });
        let arguments = container["args"].as_array().into_iter().flatten();
        let arguments = arguments.map(|argument| argument.as_str().unwrap().to_owned()).collect();
        Pod { variables: variables.collect(), arguments, _folder: folder }
    }

    /// Starts the mirror in it, with another port and address.
    fn start(&self) -> Mirror {
        let wrapper: Vec<&str> = ["env", "-i"].into_iter().chain(self.variables.iter().map(String::as_str)).collect();
        Mirror::start_under(&wrapper, &[])
    }
}

/// The files of a volume, by name: those of a Secret or a ConfigMap that exists or is rendered, or none.
fn files_of(rendered: &Manifests, volume: &Value, present: &[Present<'_>]) -> Vec<(String, String)> {
    let source = volume.pointer("/secret/secretName").or(volume.pointer("/configMap/name"));
    let of_source = present.iter().filter(|(object, ..)| source.is_some_and(|source| source == object));
    let found: Vec<_> = of_source.map(|(_, name, text)| ((*name).to_owned(), text.clone())).collect();
    if !found.is_empty() {
        return found;
    }
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let entries = |kind: &str, name: &Value| rendered.named(kind, name.as_str().unwrap())["data"].clone();
    let files = |data: Value| {
        data.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect::<Vec<_>>()
    };
    if let Some(secret) = volume.get("secret") {
        let data = files(entries("Secret", &secret["secretName"]));
        let data = data.into_iter().map(|(name, value)| (name, decoded(&value)));
        return match secret["items"].as_array() {
            Some(items) => data
                .filter_map(|(name, value)| {
                    let item = items.iter().find(|item| item["key"] == *name)?;
                    Some((text(&item["path"]), value))
                })
                .collect(),
            None => data.collect(),
        };
    }
    volume.get("configMap").map(|map| files(entries("ConfigMap", &map["name"]))).unwrap_or_default()
}

/// Writes files into a folder like a kubelet: links, by way of another link, to a folder with the current version.
fn project(files: &[(String, String)], folder: &Path) {
    fs::create_dir_all(folder.join("..2026_11_25")).unwrap();
    symlink("..2026_11_25", folder.join("..data")).unwrap();
    for (name, text) in files {
        fs::write(folder.join("..2026_11_25").join(name), text).unwrap();
        symlink(format!("..data/{name}"), folder.join(name)).unwrap();
    }
}

/// Checks that the pod of `helm test` accepts a mirror, which it finds by the name of the Service.
fn check_tested(rendered: &Manifests, mirror: &Mirror) {
    let pod = Pod::new(rendered, &rendered.only("Pod")["spec"], &[]);
    let [check, url] = pod.arguments.as_slice() else { panic!("{:?}", pod.arguments) };
    assert!(url.ends_with('/'));
    let url = format!("{}/", mirror.base());
    let variables = pod.variables.iter().map(|variable| variable.split_once('=').unwrap());
    let output = Command::new(BINARY).args([check, &url]).env_clear().envs(variables).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("and the right key"));
}

#[test]
fn the_server_takes_what_the_chart_sets() {
    let rendered = Install::promised().render();
    let mirror = Pod::new(&rendered, rendered.pod(), &[]).start();
    let response = mirror.get("/-/ready");
    assert_eq!((response.status, response.key.as_deref()), (200, Some(KEY)));
    check_tested(&rendered, &mirror);
}

#[test]
fn the_server_takes_everything_that_the_chart_can_set() {
    let certificates = Certificates::of("localhost");
    let pem = format!("global.customCertificates.pemData={}", certificates.authority.display());
    let prometheus = certificates.prometheus();
    let named_url = prometheus.url("/").replace("http://127.0.0.1", "https://localhost");
    let rendered = everything()
        .with(&["--set-file", &pem])
        .set("allowUpstream={localhost},requireApiKey=false,namedUpstreamsOnly=false")
        .set(&format!("upstreams[0].url={named_url},upstreams[0].basic_auth.password={PASSWORD}"))
        .render();
    let authority = fs::read_to_string(&certificates.authority).unwrap();
    let present = [
        ("authorities", "ca.pem", authority.clone()),
        ("token-of-mine", "token", "hush-token".to_owned()),
        ("mirror-prometheusmirror-service-ca", "service-ca.crt", authority),
    ];
    let mirror = Pod::new(&rendered, rendered.pod(), &present).start();
    check_tested(&rendered, &mirror);

    // With the CA from the ConfigMap, and without the proxy, which is for names with a dot.
    let url = prometheus.url("/").replace("http://127.0.0.1", &format!("https://ever:{ENCODED}@localhost"));
    let verdict = |url: &str| mirror.post("/api/connection", &json!({"connectionDetails": {"url": url}})).json;
    wait_until(|| format!("the connection is good: {}", verdict(&url)), || verdict(&url)["status"] == "OK");
    // By the name in the notes, with the credentials and the CA of the upstreams file.
    let named = mirror.post("/api/connection", &json!({"connectionDetails": {"upstream": "mine"}})).json;
    assert_eq!(named["status"], "OK", "{named}: {}", mirror.log());
    let elsewhere = verdict("https://127.0.0.1:1/")["error"].to_string();
    assert!(elsewhere.contains("--allow-upstream"), "{elsewhere}");
    assert!(!mirror.log().contains("hush"), "{}", mirror.log());
}
