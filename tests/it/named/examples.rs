//! The real program reads each example of the documentation.

use std::path::Path;

use super::{Files, named, verdict};
use crate::support::certificates::Certificates;

/// The upstreams files in a page, without the indentation of the list that one may be in.
fn examples(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(indentation) = line.strip_suffix("```yaml") {
            let block = lines.by_ref().take_while(|line| !line.ends_with("```"));
            let block: Vec<&str> = block.map(|line| line.strip_prefix(indentation).unwrap_or(line)).collect();
            found.push(block.join("\n"));
        }
    }
    found.retain(|example| example.contains("upstreams:\n"));
    found
}

/// Replaces each file that an example names by a file of these tests with suitable content.
fn with_files(example: &str, files: &Files, certificates: &Certificates) -> String {
    let mut text = example.to_owned();
    for (at, _) in example.match_indices("_file: ") {
        let key = example[..at].rsplit([' ', '{']).next().unwrap();
        let path = example[at + "_file: ".len()..].split([',', '}', '\n']).next().unwrap();
        let file = match key {
            "ca" => certificates.authority.clone(),
            "cert" => certificates.certificate.clone(),
            "key" => certificates.key.clone(),
            _ => {
                files.write("secret", "ever-so-hush");
                files.path("secret")
            }
        };
        text = text.replace(&format!("_file: {path}"), &format!("_file: {}", file.display()));
    }
    text
}

#[test]
fn every_example_is_an_upstreams_file() {
    let certificates = Certificates::of("localhost");
    for (page, expected) in [("docs/upstreams.md", 14), ("chart/README.md", 1)] {
        let examples = examples(page);
        assert!(examples.len() >= expected, "{page}: {examples:?}");
        for example in examples {
            let files = Files::new();
            // Other values of the chart beside the list are not part of the file.
            let end = example
                .match_indices('\n')
                .find(|(at, _)| example[at + 1..].starts_with(|c: char| c.is_ascii_lowercase()));
            let list = &example[..end.map_or(example.len(), |(at, _)| at)];
            files.upstreams(&with_files(list, &files, &certificates));
            let mirror = files.mirror();
            // The error for an unknown name lists the known ones.
            let names = verdict(&mirror, &named("unknown"));
            for name in list.lines().filter_map(|line| line.trim_start().strip_prefix("- name: ")) {
                assert!(names.contains(name), "{name}: {names}\n{example}");
            }
        }
    }
}

#[test]
fn the_page_has_an_example_for_each_system_and_says_how_to_test_it() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/upstreams.md")).unwrap();
    let systems = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once("](#")?.0.split_once(" | ["));
    let systems: Vec<&str> = systems.map(|(_, section)| section).collect();
    assert_eq!(systems.len(), 9, "{systems:?}");
    let section = |title: &str| page.split("\n## ").find(|section| section.starts_with(&format!("{title}\n"))).unwrap();
    for system in systems {
        assert!(section(system).lines().any(|line| line.trim_start().starts_with("- name: ")), "{system}");
    }
    for command in ["prometheusmirror check --upstreams ", "prometheusmirror ask --upstreams-file "] {
        assert!(section("Use it").contains(command), "{command}");
    }
}
