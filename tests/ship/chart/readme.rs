//! The comments in values.yaml, the schema, and the table in the README describe the same values in the same words.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::helm::{Install, chart};
use super::manifests;
use super::schema::properties;

fn file(name: &str) -> String {
    fs::read_to_string(chart().join(name)).unwrap()
}

/// The values with a comment directly before them, and that comment, in order.
fn comments() -> Vec<(String, String)> {
    let (mut found, mut comment) = (Vec::new(), Vec::new());
    // The maps that contain a line, each with its indentation.
    let mut maps: Vec<(usize, String)> = Vec::new();
    for line in file("values.yaml").lines() {
        let (text, indentation) = (line.trim_start(), line.len() - line.trim_start().len());
        // A value without a default is commented out, so that a parent chart can give it as a text or as a map.
        let without_default = text.strip_prefix("# ").and_then(|said| said.strip_suffix(": null"));
        if let Some(said) = text.strip_prefix("# ").filter(|_| without_default.is_none()) {
            comment.push(said.to_owned());
            continue;
        }
        let text = text.trim_start_matches("# ");
        let name =
            text.split_once(':').map(|(name, _)| name).filter(|name| name.bytes().all(|c| c.is_ascii_alphabetic()));
        if let Some(name) = name {
            maps.retain(|(depth, _)| *depth < indentation);
            maps.push((indentation, name.to_owned()));
            if !comment.is_empty() {
                let path: Vec<_> = maps.iter().map(|(_, name)| name.as_str()).collect();
                found.push((path.join("."), comment.join(" ")));
            }
        }
        comment.clear();
    }
    found
}

fn value_of(path: &str) -> Value {
    let values = manifests::parse(&file("values.yaml")).remove(0);
    path.split('.').fold(values, |value, name| value[name].clone())
}

/// The values that are not maps, or empty ones.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value.as_object().filter(|fields| !fields.is_empty()) {
        Some(fields) => fields.iter().for_each(|(name, field)| {
            leaves(field, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, found);
        }),
        None => found.push(path.to_owned()),
    }
}

#[test]
fn every_value_has_a_comment() {
    let comments = comments();
    let mut all = Vec::new();
    leaves(&manifests::parse(&file("values.yaml"))[0], "", &mut all);
    assert!(all.len() > 80, "{all:?}");
    for leaf in all {
        let covers = |path: &str| leaf == path || leaf.starts_with(&format!("{path}."));
        assert!(comments.iter().any(|(path, _)| covers(path)), "no comment says what {leaf} is");
    }
}

#[test]
fn the_schema_says_what_the_comments_say() {
    let described = properties().into_iter().filter_map(|property| {
        let description = property.description()?.to_owned();
        Some((property.path, description))
    });
    let mut described: BTreeMap<_, _> = described.collect();
    assert!(described.remove("enabled").is_some(), "which is for a parent alone");
    assert_eq!(described, comments().into_iter().collect());
}

#[test]
fn the_table_says_what_the_comments_say_with_every_default() {
    let readme = file("README.md");
    let (_, tables) = readme.split_once("\n## Values\n").unwrap();
    let tables = tables.split("\n## ").next().unwrap();
    let cells = |row: &str| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows: Vec<_> = tables.lines().filter(|line| line.starts_with("| `")).map(cells).collect();
    let said: Vec<_> = rows.iter().map(|row| (row[0].trim_matches('`').to_owned(), row[2].clone())).collect();
    assert_eq!(said, comments());
    for row in rows {
        let default: Value = serde_json::from_str(row[1].trim_matches('`')).unwrap();
        assert_eq!(default, value_of(row[0].trim_matches('`')), "{}", row[0]);
    }
}

#[test]
fn the_examples_are_values_that_render() {
    let install = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/install.md")).unwrap();
    let pages = file("README.md") + &install;
    let blocks = pages.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
    let is_for_another = |block: &str| block.starts_with("dependencies:") || block.starts_with("services:");
    let examples: Vec<_> = blocks.filter(|block| !is_for_another(block)).collect();
    assert!(examples.len() > 5, "{examples:?}");
    for example in examples {
        Install::promised().values(example).render();
    }
}
