//! YAML as a tree of texts, lists and mappings, each with its line.
//!
//! The reader (`fields`) decides whether a text is a number, a duration or a word, so that `no`, `1e3` and `012` mean what the
//! field says and not what a version of YAML makes of them.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use crate::prometheus::access::{FilePlace, Unusable};

/// The most values of a document, including those that aliases repeat.
const MAX_NODES: usize = 50_000;

/// The deepest nesting of lists and mappings.
const MAX_DEPTH: usize = 32;

/// A value and its line, which counts from 1.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: YamlValue,
}

/// A value.
#[derive(Clone)]
pub(super) enum YamlValue {
    /// `null`, `~` or nothing.
    Null,
    /// Any other scalar, as it is written. It may be a secret.
    Text(Zeroizing<String>),
    List(Vec<Node>),
    /// Keys, which are texts, with their lines.
    Mapping(Vec<(YamlKey, Node)>),
}

/// A key of a mapping.
#[derive(Clone)]
pub(super) struct YamlKey {
    pub(super) line: usize,
    pub(super) name: String,
}

/// What errors call the whole document.
pub(super) const WHOLE: &str = "the file";

/// An error about the whole document. It repeats nothing of it.
fn bad(line: usize, what: impl Into<String>) -> Unusable {
    Unusable::at(FilePlace { line, path: WHOLE.to_owned() }, what)
}

/// A list or mapping whose end has not been reached.
enum OpenNode {
    List { line: usize, anchor: usize, items: Vec<Node> },
    Mapping { line: usize, anchor: usize, entries: Vec<(YamlKey, Node)>, key: Option<YamlKey> },
}

/// Parses a text that contains one document.
///
/// # Errors
/// Fails if the text is not YAML, contains several documents, or is too large.
pub(super) fn parse(text: &str) -> Result<Node, Unusable> {
    let with_characters = with_characters(text);
    let text = with_characters.as_ref().map_or(text, |text| text.as_str());
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let hint = if has_surrogate(text) { HALVES } else { SYNTAX };
            bad(error.marker().line(), format!("is not valid YAML: {}{hint}", error.info()))
        })?;
        builder.take(event, span)?;
    }
    Ok(builder.document.unwrap_or(Node { line: 1, value: YamlValue::Null }))
}

/// What to check if a text is not YAML.
const SYNTAX: &str = "; check indentation (blanks, not tabs), brackets, quotes and colons near this line";

/// What to write instead of JSON's pairs of escapes.
const HALVES: &str =
    "; write a character itself where it is escaped in two halves, as in \\ud83d\\ude00, which only JSON allows";

/// A JSON document in which the characters themselves replace pairs of escapes, which JSON allows for one character and YAML does
/// not; `None` if there are none.
fn with_characters(text: &str) -> Option<Zeroizing<String>> {
    if !has_surrogate(text) || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return None;
    }
    let (mut whole, mut rest) = (Zeroizing::new(String::with_capacity(text.len())), text);
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        whole.push_str(before);
        rest = match escaped_pair(escape) {
            Some(character) => {
                whole.push(character);
                &escape[12..]
            }
            None => {
                // The character after a backslash does not begin another escape.
                let length = escape.char_indices().nth(2).map_or(escape.len(), |(end, _)| end);
                whole.push_str(&escape[..length]);
                &escape[length..]
            }
        };
    }
    whole.push_str(rest);
    Some(whole)
}

/// Whether a text may contain such pairs.
fn has_surrogate(text: &str) -> bool {
    text.match_indices("\\u").any(|(at, _)| text[at + 2..].starts_with(['d', 'D']))
}

/// The character of a pair such as `\ud83d\ude00` at the beginning of a text.
fn escaped_pair(text: &str) -> Option<char> {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?, 16).ok();
    let (high, low) = (unit(text.get(..6)?)?, unit(text.get(6..12)?)?);
    let character = char::decode_utf16([high, low]).next()?.ok()?;
    (character.len_utf16() == 2).then_some(character)
}

#[derive(Default)]
struct Builder {
    open: Vec<OpenNode>,
    anchored: HashMap<usize, Node>,
    document: Option<Node>,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Unusable> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                check_tag(tag.as_deref(), line)?;
                let is_null = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if is_null { YamlValue::Null } else { YamlValue::Text(Zeroizing::new(text.into_owned())) };
                self.put(Node { line, value }, anchor)
            }
            Event::Alias(anchor) => match self.anchored.get(&anchor).cloned() {
                Some(node) => self.put(node, 0),
                None => Err(bad(line, "has an alias inside of what it stands for")),
            },
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), line)?;
                self.begin(OpenNode::List { line, anchor, items: Vec::new() }, line)
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), line)?;
                self.begin(OpenNode::Mapping { line, anchor, entries: Vec::new(), key: None }, line)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(OpenNode::List { line, anchor, items }) => {
                    self.put(Node { line, value: YamlValue::List(items) }, anchor)
                }
                Some(OpenNode::Mapping { line, anchor, entries, .. }) => {
                    self.put(Node { line, value: YamlValue::Mapping(entries) }, anchor)
                }
                None => Ok(()),
            },
            Event::DocumentStart(_) if self.document.is_some() => Err(bad(line, "begins a second document; give one")),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: OpenNode, line: usize) -> Result<(), Unusable> {
        if self.open.len() == MAX_DEPTH {
            return Err(bad(line, format!("is nested deeper than {MAX_DEPTH} levels")));
        }
        self.open.push(open);
        Ok(())
    }

    /// Puts a complete value where it belongs.
    fn put(&mut self, node: Node, anchor: usize) -> Result<(), Unusable> {
        let line = node.line;
        self.nodes += node.count();
        if self.nodes > MAX_NODES {
            return Err(bad(line, format!("has more than {MAX_NODES} values")));
        }
        if anchor > 0 {
            self.anchored.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.document = Some(node),
            Some(OpenNode::List { items, .. }) => items.push(node),
            Some(OpenNode::Mapping { entries, key, .. }) => match (key.take(), node.value) {
                (Some(key), value) => entries.push((key, Node { line, value })),
                (None, YamlValue::Text(name)) => *key = Some(YamlKey { line, name: name.to_string() }),
                (None, _) => return Err(bad(line, "has a key that is not a text")),
            },
        }
        Ok(())
    }
}

/// Refuses all tags except `!!str`, which is true of every scalar here.
fn check_tag(tag: Option<&Tag>, line: usize) -> Result<(), Unusable> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == "str") => {
            Err(bad(line, "has a tag, which is not supported; remove it"))
        }
        _ => Ok(()),
    }
}

impl Node {
    /// Counts the values. A long text counts as several, so that aliases cannot repeat it without bound.
    fn count(&self) -> usize {
        1 + match &self.value {
            YamlValue::Null => 0,
            YamlValue::Text(text) => text.len() / 64,
            YamlValue::List(items) => items.iter().map(Node::count).sum(),
            YamlValue::Mapping(entries) => entries.iter().map(|(_, node)| node.count()).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree in one line, each value after its line.
    fn shown(node: &Node) -> String {
        let inner = match &node.value {
            YamlValue::Null => "null".to_owned(),
            YamlValue::Text(text) => format!("{:?}", text.as_str()),
            YamlValue::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
            YamlValue::Mapping(entries) => {
                let entries = entries.iter().map(|(key, node)| format!("{}@{}={}", key.name, key.line, shown(node)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
        };
        format!("{}:{inner}", node.line)
    }

    #[test]
    fn a_document_is_a_tree_of_texts_with_lines() {
        let check = |yaml: &str, expected: &str| match parse(yaml) {
            Ok(node) => assert_eq!(shown(&node), expected, "{yaml}"),
            Err(bad) => panic!("{yaml}: {bad:?}"),
        };
        check("", "1:null");
        check("# nothing\n", "1:null");
        check("a: 1\nb:\n  - yes\n  - 'x y'\n", "1:{a@1=1:\"1\" b@2=3:[3:\"yes\" 4:\"x y\"]}");
        check("a: ~\nb:\nc: ''\nd: \"null\"", "1:{a@1=1:null b@2=2:null c@3=3:\"\" d@4=4:\"null\"}");
        check("{\"a\": [1.0, {\"b\": true}]}", "1:{a@1=1:[1:\"1.0\" 1:{b@1=1:\"true\"}]}");
        check(r#"{"a": "\ud83D\uDE00 \\ud83d\\ude00 \u00e9\n"}"#, r#"1:{a@1=1:"😀 \\ud83d\\ude00 é\n"}"#);
        check("---\na: &x [1]\nb: *x\n", "2:{a@2=2:[2:\"1\"] b@3=2:[2:\"1\"]}");
        check("a: !!str 5", "1:{a@1=1:\"5\"}");
        check("a: |\n  two\n  lines\n", "1:{a@1=2:\"two\\nlines\\n\"}");
    }

    #[test]
    fn an_invalid_document_is_refused_with_its_line() {
        let check = |yaml: &str, line: usize, says: &str| match parse(yaml) {
            Ok(node) => panic!("{yaml}: {}", shown(&node)),
            Err(bad) => assert!(bad.place.line == line && bad.to_string().contains(says), "{yaml}: {bad:?}"),
        };
        check("a: [1\n", 2, "not valid YAML");
        check("a: [1\n", 2, "; check indentation (blanks, not tabs), brackets");
        check("a: 1\n  b: 2\n", 2, "not valid YAML");
        // The parser names the line before the tab.
        check("a:\n- b: 1\n  c: 2\n\td: 3\n", 3, "(blanks, not tabs), brackets, quotes and colons near this line");
        check("a:\n  b: \"\\ud83d\\ude00\"", 2, "write a character itself");
        check(r#"{"a": "\ud83d"}"#, 1, "write a character itself");
        check("a: 1\n---\nb: 2\n", 2, "second document");
        check("a: 1\nb: !secret 2", 2, "tag");
        check("? [1]\n: 2", 1, "key that is not a text");
        check(&"[".repeat(40), 1, "nested deeper than 32");
        check(&format!("a: 1\nb: [{}]", "1,".repeat(60_000)), 2, "more than 50000 values");
    }

    #[test]
    fn repeated_aliases_cannot_fill_the_memory() {
        let mut yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let item = format!("*a{}", level - 1);
            yaml.push_str(&format!("a{level}: &a{level} [{}]\n", [item.as_str(); 9].join(", ")));
        }
        assert!(parse(&yaml).is_err_and(|bad| bad.to_string().contains("more than 50000")));
        let long = format!("- &t \"{}\"\n- [{}]", "h".repeat(600_000), "*t,".repeat(9_000));
        assert!(parse(&long).is_err_and(|bad| bad.to_string().contains("more than 50000")));
    }
}
