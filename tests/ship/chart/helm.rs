//! The versions of helm, and an installation that each of them renders.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::manifests::Manifests;
use crate::support::process::tool;

/// The versions of helm that render everything: the newest, and one of the previous major version.
pub const HELMS: [&str; 2] = ["4.3.1", "3.17.3"];

/// The key of an installation, unless a test gives another.
pub const KEY: &str = "the-key-of-the-tests";

/// The chart.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("chart")
}

/// Runs a helm with this standard input.
pub fn helm(version: &str, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(tool(&format!("helm-{version}/helm")))
        .args(args)
        // Clusters, plugins and repositories of the machine have no effect.
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("KUBECONFIG", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start helm");
    // A helm that refuses its arguments may end without reading.
    let _ = child.stdin.take().expect("a piped stdin").write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// The output of a run.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// An installation of a chart: its name and its values.
#[derive(Clone)]
pub struct Install {
    chart: PathBuf,
    name: String,
    arguments: Vec<String>,
    values: String,
}

impl Install {
    /// The documented installation: a release `prometheusmirror` with a key.
    pub fn promised() -> Install {
        Install::without_key().set(&format!("global.apiKey={KEY}"))
    }

    /// The same without the required values.
    pub fn without_key() -> Install {
        Install::of(&chart())
    }

    /// An installation of another chart, or of a copy of this.
    pub fn of(chart: &Path) -> Install {
        let name = "prometheusmirror".to_owned();
        Install { chart: chart.to_owned(), name, arguments: Vec::new(), values: String::new() }
    }

    /// Under another name.
    pub fn named(mut self, name: &str) -> Install {
        self.name = name.to_owned();
        self
    }

    /// With arguments.
    pub fn with(mut self, arguments: &[&str]) -> Install {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    /// With `--set`.
    pub fn set(self, assignment: &str) -> Install {
        self.with(&["--set", assignment])
    }

    /// With a values file with this content.
    pub fn values(mut self, yaml: &str) -> Install {
        assert!(self.values.is_empty(), "one file of values");
        self.values = yaml.to_owned();
        self
    }

    /// The manifests that both versions of helm render, which are the same.
    pub fn render(&self) -> Manifests {
        let [newer, older] = HELMS.map(|version| {
            let output = self.run(version, "template", &[]);
            assert!(output.status.success(), "{}: {}", self.described(version), text(&output));
            // Warnings go there, too, and there must be none.
            assert!(output.stderr.is_empty(), "{}: {}", self.described(version), text(&output));
            String::from_utf8(output.stdout).unwrap()
        });
        let rendered = Manifests::parse(&newer);
        // They differ only in the empty lines between documents.
        let other = Manifests::parse(&older);
        let difference = rendered.lines().into_iter().zip(other.lines()).find(|(newer, older)| newer != older);
        assert_eq!(difference, None, "the helms differ: {}", self.described("3 and 4"));
        assert_eq!(rendered.lines().len(), other.lines().len(), "the helms differ: {}", self.described("3 and 4"));
        rendered
    }

    /// Checks that both versions of helm refuse it, with a sentence that contains all of these.
    pub fn check_refused(&self, says: &[&str]) {
        for version in HELMS {
            let output = self.run(version, "template", &[]);
            let said = text(&output);
            let context = format!("{}: {said}", self.described(version));
            assert!(!output.status.success() && output.stdout.is_empty(), "is not refused: {context}");
            for part in says {
                assert!(said.contains(part), "does not say {part}: {context}");
            }
            for fault in ["nil pointer", "can't evaluate", "wrong type", "error calling", "parse error", "<nil>"] {
                assert!(!said.contains(fault), "is no sentence: {context}");
            }
        }
    }

    /// Runs a helm with one of its commands and further arguments on it.
    pub fn run(&self, version: &str, command: &str, further: &[&str]) -> Output {
        let mut args = vec![command, &self.name, self.chart.to_str().unwrap(), "--namespace", "monitoring"];
        args.extend(self.arguments.iter().map(String::as_str));
        args.extend(further);
        if !self.values.is_empty() {
            args.extend(["--values", "-"]);
        }
        helm(version, &args, &self.values)
    }

    /// The notes after an installation. Only helm 4 shows them without a cluster, so both render a copy of the chart in which the
    /// notes are part of a manifest. That of helm 4 must be what it shows.
    pub fn notes(&self) -> String {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("chart");
        copy_folder(&self.chart, &copy);
        let notes = copy.join("templates/NOTES.txt");
        let text_of_notes = fs::read_to_string(&notes).unwrap();
        fs::remove_file(&notes).unwrap();
        let defined = format!("{{{{- define \"the.notes\" -}}}}\n{text_of_notes}{{{{- end }}}}\n");
        fs::write(copy.join("templates/_notes.tpl"), defined).unwrap();
        let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: the-notes}\n\
                        data: {notes: {{ include \"the.notes\" . | quote }}}\n";
        fs::write(copy.join("templates/notes.yaml"), manifest).unwrap();
        let rendered = Install { chart: copy, ..self.clone() }.render();
        let notes = rendered.named("ConfigMap", "the-notes")["data"]["notes"].as_str().unwrap().trim().to_owned();

        let shown = text(&self.run(HELMS[0], "install", &["--dry-run=client"]));
        let (_, shown) = shown.split_once("\nNOTES:\n").unwrap_or_else(|| panic!("no notes: {shown}"));
        assert_eq!(shown.trim(), notes);
        notes
    }

    fn described(&self, version: &str) -> String {
        format!("helm {version} with {} {}", self.arguments.join(" "), self.values)
    }
}

/// Copies a folder with all that is in it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (from.join(entry.as_ref().unwrap().file_name()), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}
