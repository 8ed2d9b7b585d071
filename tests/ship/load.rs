//! load.sh with each tool that it supports, from a path with a blank.

use std::fs;
use std::path::Path;

use crate::builds::{Bundle, bundles, run};
use crate::bundle::referred;
use crate::chart::helm::HELMS;
use crate::site::{Machine, Outcome, PASSWORD, Registry, USER};
use crate::support::process::{free_port, require, tool};

/// The end of the name of the image in a registry.
const NAME: &str = "stackstate/prometheusmirror";

/// The tools in the order in which they are preferred for a push.
const TOOLS: [&str; 4] = ["docker", "podman", "skopeo", "ctr"];

fn bundle() -> &'static Bundle {
    &bundles()[0]
}

/// The image in the chart.
fn image() -> String {
    format!("docker.io/{NAME}:{}", env!("CARGO_PKG_VERSION"))
}

/// The output of the script when it is called from the folder of the bundle.
fn command(rest: &str) -> String {
    let chart = format!("./prometheusmirror-{}.tgz", env!("CARGO_PKG_VERSION"));
    let namespace = "--namespace monitoring --create-namespace";
    format!("\nhelm upgrade --install prometheusmirror {chart} {namespace}{rest} --set global.apiKey=choose-a-key\n")
}

/// Checks that it failed, with a sentence that has these parts.
fn check_failed(outcome: &Outcome, parts: &[&str]) {
    assert!(!outcome.succeeded, "{outcome:?}");
    assert_eq!(outcome.out.find("helm"), None, "{outcome:?}");
    for part in parts {
        assert!(outcome.err.contains(part), "no `{part}` in {}", outcome.err);
    }
}

/// Checks that the registry has the image of the bundle: the manifest of the OCI archive. docker and podman do not push that
/// manifest; they make one with the same configuration.
fn check_pushed(registry: &Registry, path: &str, tool: &str) {
    let (digest, manifest) = registry.manifest(&format!("{path}{NAME}")).expect("an image");
    match tool {
        "docker" | "podman" => assert_eq!(manifest["config"]["digest"], bundle().image_id(), "{tool}"),
        _ => assert_eq!(digest, bundle().oci_digest(), "{tool}"),
    }
}

#[test]
fn each_tool_pushes_the_image_of_the_bundle_where_the_chart_looks_for_it() {
    let registry = Registry::open();
    for tool in TOOLS {
        let machine = Machine::new(bundle(), &[tool]);
        for path in ["", &format!("site/{tool}/")] {
            let target = format!("{}/{path}", registry.address());
            let outcome = machine.load(&["--with", tool, "--plain-http", &target]);
            assert!(outcome.succeeded, "{tool}: {outcome:?}");
            check_pushed(&registry, path, tool);
            let line = command(&format!(" --set global.imageRegistry={}", target.trim_end_matches('/')));
            assert!(outcome.out.ends_with(&line), "{}", outcome.out);
        }
    }
}

#[test]
fn the_helm_command_that_it_prints_installs_the_image_from_there() {
    let registry = Registry::open();
    let machine = Machine::new(bundle(), &["skopeo"]);
    let target = format!("{}/site/a", registry.address());
    let elsewhere = tempfile::tempdir().unwrap();
    for folder in [&machine.bundle(), elsewhere.path()] {
        for (args, prefix) in [(vec![], "docker.io"), (vec!["--plain-http", &target], &target)] {
            let outcome = machine.load_from(folder, &args);
            assert!(outcome.succeeded, "{outcome:?}");
            let line = outcome.out.lines().last().unwrap();
            // There is no cluster here, so the chart is only rendered.
            let rendered = line.replace("helm upgrade --install", "\"$0\" template");
            for version in HELMS {
                let helm = tool(&format!("helm-{version}/helm"));
                let manifests = run("sh", |sh| sh.current_dir(folder).args(["-euc", &rendered]).arg(helm)).unwrap();
                let image = format!("{prefix}/{NAME}:{}", env!("CARGO_PKG_VERSION"));
                assert_eq!(referred(&manifests), [image.as_str()].into(), "{line}");
            }
        }
    }
}

#[test]
fn each_tool_loads_the_image_into_its_engine() {
    let check = |tool: &str, asked: &[&str], expected: &str| {
        let machine = Machine::new(bundle(), &[tool]);
        // skopeo loads for podman and CRI-O.
        let viewer = if tool == "skopeo" { "podman" } else { tool };
        if tool == "skopeo" {
            require("podman", "podman");
            machine.install("podman");
        }
        let outcome = machine.load(&["--with", tool]);
        assert!(outcome.succeeded, "{tool}: {outcome:?}");
        let seen = machine.run(viewer, asked).unwrap();
        assert!(seen.contains(expected), "{tool}: no {expected} in {seen}");
        assert!(outcome.out.ends_with(&command("")), "{}", outcome.out);
    };
    let (image, id) = (image(), bundle().image_id());
    let inspect = ["image", "inspect", "--format", "{{.Id}}", &image];
    check("docker", &inspect, &id);
    let id = id.trim_start_matches("sha256:");
    check("podman", &inspect, id);
    check("skopeo", &inspect, id);
    // A kubelet uses this namespace.
    let list = ["--namespace", "k8s.io", "images", "list", &format!("name=={image}")];
    check("ctr", &list, &bundle().oci_digest());
}

#[test]
fn the_first_tool_that_is_there_is_used_and_one_without_its_engine_is_not_there() {
    let registry = Registry::open();
    let mut machine = Machine::new(bundle(), &TOOLS);
    let target = format!("{}/any", registry.address());
    let check = |machine: &Machine, args: &[&str], tool: &str| {
        let outcome = machine.load(args);
        assert!(outcome.succeeded, "{outcome:?}");
        let name = if args.is_empty() { image() } else { format!("{target}/{NAME}:{}", env!("CARGO_PKG_VERSION")) };
        assert!(outcome.err.contains(&format!("ing {name} with {tool}\n")), "{}", outcome.err);
    };
    let push = ["--plain-http", &target];
    check(&machine, &push, "docker");
    check(&machine, &[], "docker");
    machine.set("DOCKER_HOST", "unix:///nowhere");
    check(&machine, &push, "podman");
    check(&machine, &[], "podman");
    machine.uninstall("podman");
    check(&machine, &push, "skopeo");
    // A node of Kubernetes has this one, and may have skopeo for the registry.
    check(&machine, &[], "ctr");
    machine.uninstall("skopeo");
    check(&machine, &push, "ctr");
    machine.set("CONTAINERD_ADDRESS", "/nowhere");
    check_failed(&machine.load(&push), &["no docker or ctr whose engine answers, no podman and no skopeo"]);
    check_failed(&machine.load(&["--with", "ctr"]), &["ctr is not installed, or its engine does not answer"]);
    check_failed(&machine.load(&["--with", "podman"]), &["podman is not installed"]);
}

#[test]
fn whatever_is_damaged_stops_it_before_anything_is_loaded_or_pushed() {
    let registry = Registry::open();
    let machine = Machine::new(bundle(), &["podman", "skopeo"]);
    let target = format!("{}/damaged", registry.address());
    let check = |name: &str, damage: fn(&Path), parts: &[&str]| {
        let path = machine.bundle().join(name);
        let whole = fs::read(&path).unwrap();
        damage(&path);
        for args in [vec![], vec!["--with", "podman", "--plain-http", &target], vec!["--with", "skopeo", &target]] {
            check_failed(&machine.load(&args), &[parts, &["copy the whole bundle again"]].concat());
        }
        assert_eq!(registry.manifest(&format!("damaged/{NAME}")), None, "{name}");
        assert_eq!(machine.run("podman", &["images", "--quiet"]).unwrap(), "", "{name}");
        fs::write(&path, whole).unwrap();
    };
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let mut names = vec!["licenses/LICENSE-MIT".to_owned()];
    for entry in fs::read_dir(machine.bundle()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            names.push(entry.file_name().into_string().unwrap());
        }
    }
    for name in &names {
        let named = if ["SHA256SUMS", "load.sh"].contains(&name.as_str()) { vec![] } else { vec![name.as_str()] };
        check(name, flip, &named);
        if name != "load.sh" {
            check(name, |path| fs::remove_file(path).unwrap(), &named);
            check(name, |path| fs::write(path, "").unwrap(), &[]);
        }
    }
    // Cut between two lines, as if a USB stick was removed too early.
    let cut = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, text.split_inclusive('\n').take(3).collect::<String>()).unwrap();
    };
    check("SHA256SUMS", cut, &["SHA256SUMS does not list"]);

    let outcome = machine.load(&["--with", "podman"]);
    assert!(outcome.succeeded, "{outcome:?}");
}

#[test]
fn the_sums_are_checked_by_what_is_there_to_check_them() {
    require("shasum", "perl");
    let machine = Machine::new(bundle(), &["skopeo"]);
    machine.uninstall("sha256sum");
    check_failed(&machine.load(&[]), &["neither sha256sum nor shasum"]);
    // shasum is a Perl script.
    machine.install("shasum");
    machine.install("perl");
    assert!(machine.load(&[]).succeeded);
}

#[test]
fn a_push_that_fails_says_why_in_the_words_of_the_tool() {
    let registry = Registry::closed();
    let closed = format!("{}/site", registry.address());
    let no_listener = format!("127.0.0.1:{}/site", free_port());
    let check = |tool: &str, no_login: &str| {
        let machine = Machine::new(bundle(), &[tool]);
        let ours = format!("{tool} could not push");
        check_failed(&machine.load(&["--with", tool, "--plain-http", &closed]), &[no_login, &ours]);
        let outcome = machine.load(&["--with", tool, "--plain-http", &no_listener]);
        check_failed(&outcome, &["connection refused", &ours]);
        assert!(!outcome.err.contains("add --plain-http"), "advice that cannot help: {outcome:?}");
        // docker and ctr treat loopback addresses as registries without TLS.
        match tool {
            "podman" | "skopeo" => {
                let outcome = machine.load(&["--with", tool, &closed]);
                check_failed(&outcome, &["HTTP response to HTTPS client", "add --plain-http", &ours]);
            }
            "docker" => {
                let outcome = machine.load(&["--with", tool, "--plain-http", &closed]);
                check_failed(&outcome, &["insecure-registries of its daemon"]);
            }
            _ => {}
        }
    };
    check("docker", "no basic auth credentials");
    check("podman", "authentication required");
    check("skopeo", "authentication required");
    check("ctr", "401 Unauthorized");
    assert_eq!(registry.manifest(&format!("site/{NAME}")), None);
}

#[test]
fn a_push_is_by_the_one_who_has_logged_in() {
    let registry = Registry::closed();
    for tool in TOOLS {
        let mut machine = Machine::new(bundle(), &[tool]);
        let target = format!("{}/{tool}", registry.address());
        if tool == "ctr" {
            // It stores no login, and prompts on a terminal, which `script` provides.
            require("script", "bsdutils");
            machine.install("script");
            machine.install("sh");
            let load = format!("sh load.sh --with ctr --user {USER} --plain-http {target}");
            let outcome =
                machine.run_with_input(&["script", "--quiet", "--return", "--command", &load, "/dev/null"], PASSWORD);
            assert!(outcome.succeeded, "{outcome:?}");
        } else {
            machine.log_in(&registry);
            let outcome = machine.load(&["--with", tool, "--plain-http", &target]);
            assert!(outcome.succeeded, "{tool}: {outcome:?}");
        }
        check_pushed(&registry, &format!("{tool}/"), tool);
    }
}

#[test]
fn what_is_called_wrongly_is_refused_with_what_would_be_right_and_no_password_is_repeated() {
    let machine = Machine::new(bundle(), &["skopeo"]);
    let check = |args: &[&str], parts: &[&str]| {
        let outcome = machine.load(args);
        check_failed(&outcome, parts);
        assert!(!outcome.err.contains("hush"), "{}", outcome.err);
    };
    check(&["https://registry.example:5000/path"], &["write registry.example:5000/path"]);
    check(&["http://registry.example:5000/path"], &["write registry.example:5000/path --plain-http"]);
    check(&["oci://registry.example:5000/path"], &["write registry.example:5000/path"]);
    check(&["ever:hush@registry.example"], &["host:port/path", "log in"]);
    check(&["https://ever:hush@registry.example"], &["host:port/path", "log in"]);
    check(&[""], &["host:port/path"]);
    check(&["/path"], &["host:port/path"]);
    check(&["registry.example/a path"], &["host:port/path"]);
    check(&["registry.example", "another.example"], &["only one registry"]);
    check(&["--with"], &["--with must be followed"]);
    check(&["--with", "crane"], &["docker, podman, skopeo or ctr", "crane"]);
    check(&["--plain"], &["no --plain", "--help"]);
    check(&["--password=hush", "registry.example"], &["no --password", "--help"]);
    check(&["--user", "ever", "registry.example"], &["--user is for ctr", "skopeo login"]);
    check(&["--with", "skopeo", "--user", "ever:hush", "registry.example"], &["the name only"]);

    let help = machine.load(&["--help"]);
    assert!(help.succeeded, "{help:?}");
    for flag in ["--with", "--plain-http", "--user", "--help", "REGISTRY_AUTH_FILE", "insecure-registries"] {
        assert!(help.out.contains(flag), "no {flag} in {}", help.out);
    }
}
