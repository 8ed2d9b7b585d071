//! Values of the upstreams file, read by name and checked. Errors contain the line, the path and what is allowed. They never repeat
//! a value, because it may be a secret in the wrong place.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::model::duration;
use crate::nearest::did_you_mean;
use crate::prometheus::access::{FilePlace, Unusable};
use crate::secret::Secret;

use super::yaml::{self, Node, YamlKey, YamlValue};

/// A value, and its place in the file.
#[derive(Clone)]
pub(super) struct FileField<'n> {
    pub(super) place: FilePlace,
    value: &'n YamlValue,
}

/// The values of a mapping.
pub(super) struct FileFields<'n> {
    mapping: FileField<'n>,
    entries: &'n [(YamlKey, Node)],
}

impl<'n> FileField<'n> {
    /// The whole document.
    pub(super) fn document(node: &'n Node) -> FileField<'n> {
        FileField::of(node, String::new())
    }

    fn of(node: &'n Node, path: String) -> FileField<'n> {
        FileField { place: FilePlace { line: node.line, path }, value: &node.value }
    }

    /// An error about this value.
    pub(super) fn bad(&self, what: &str) -> Unusable {
        self.bad_at(self.place.line, what)
    }

    /// An error about a line of this value.
    fn bad_at(&self, line: usize, what: &str) -> Unusable {
        let path = if self.place.path.is_empty() { yaml::WHOLE.to_owned() } else { self.place.path.clone() };
        Unusable::at(FilePlace { line, path }, what)
    }

    /// A text without the blanks around it; not empty.
    pub(super) fn text(&self) -> Result<&'n str, Unusable> {
        match self.text_or_empty()?.trim() {
            "" => Err(self.bad("must not be empty")),
            text => Ok(text),
        }
    }

    /// A text as it is written; not empty.
    pub(super) fn secret(&self) -> Result<Secret, Unusable> {
        match self.text_or_empty()? {
            "" => Err(self.bad("must not be empty")),
            text => Ok(Secret::new(text)),
        }
    }

    /// A text, which may be empty.
    pub(super) fn text_or_empty(&self) -> Result<&'n str, Unusable> {
        match self.value {
            YamlValue::Text(text) => Ok(text),
            _ => Err(self.bad("must be a text")),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Result<bool, Unusable> {
        self.word([("true", true), ("false", false)])
    }

    /// One of these words.
    pub(super) fn word<T: Copy, const N: usize>(&self, words: [(&str, T); N]) -> Result<T, Unusable> {
        let expected = || {
            let names = words.map(|(word, _)| word);
            let (last, others) = names.split_last().unwrap_or((&"", &[]));
            self.bad(&format!("must be {} or {last}", others.join(", ")))
        };
        let text = self.text().map_err(|_| expected())?;
        words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning).ok_or_else(expected)
    }

    /// A whole number.
    pub(super) fn number(&self, allowed: RangeInclusive<usize>) -> Result<usize, Unusable> {
        let number = self.text().ok().and_then(|text| text.parse().ok()).filter(|number| allowed.contains(number));
        number.ok_or_else(|| self.bad(&format!("must be a whole number from {} to {}", allowed.start(), allowed.end())))
    }

    /// A duration in Prometheus's format, such as `30s`, `1m30s` or `500ms`; not zero and at most `most`.
    pub(super) fn duration(&self, most: Duration) -> Result<Duration, Unusable> {
        let duration = self.text().ok().and_then(duration::parse_ms).map(Duration::from_millis);
        let duration = duration.filter(|duration| !duration.is_zero() && *duration <= most);
        duration.ok_or_else(|| {
            self.bad(&format!("must be a duration such as 30s, 1m30s or 500ms, of at most {} s", most.as_secs()))
        })
    }

    /// The items of a list: at least one and at most `most`. If it is no list, the error shows the example.
    pub(super) fn list(&self, most: usize, example: &str) -> Result<Vec<FileField<'n>>, Unusable> {
        match self.value {
            YamlValue::List(items) if items.is_empty() => Err(self.bad("must not be empty")),
            YamlValue::List(items) if items.len() > most => Err(self.bad(&format!("must have at most {most} items"))),
            YamlValue::List(items) => {
                let item = |(nth, node)| FileField::of(node, format!("{}[{nth}]", self.place.path));
                Ok(items.iter().enumerate().map(item).collect())
            }
            _ => Err(self.bad(&format!("must be a list such as {example}"))),
        }
    }

    /// The values of a mapping that has no other keys than these, and none twice. If it is no mapping, the error shows the example.
    pub(super) fn fields(&self, known: &[&str], example: &str) -> Result<FileFields<'n>, Unusable> {
        let keys = format!("the keys are {}", known.join(", "));
        let fields = self.mapping(&format!("{example}; {keys}"))?;
        if let Some((key, _)) = fields.entries.iter().find(|(key, _)| !known.contains(&key.name.as_str())) {
            // The key is not repeated: it may be a secret without its key.
            let meant = did_you_mean(&key.name, known.iter().copied());
            return Err(self.bad_at(key.line, &format!("has an unknown key: {meant}{keys}")));
        }
        Ok(fields)
    }

    /// The values of a mapping with any keys, but none twice. If it is no mapping, the error shows the example.
    pub(super) fn mapping(&self, example: &str) -> Result<FileFields<'n>, Unusable> {
        let YamlValue::Mapping(entries) = self.value else {
            return Err(self.bad(&format!("must be a mapping such as {example}")));
        };
        for (index, (key, _)) in entries.iter().enumerate() {
            if entries[..index].iter().any(|(other, _)| other.name == key.name) {
                return Err(self.bad_at(key.line, "has a key twice; remove one of the two"));
            }
        }
        Ok(FileFields { mapping: self.clone(), entries })
    }
}

impl<'n> FileFields<'n> {
    /// A value, unless it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<FileField<'n>> {
        self.all().find(|(key, _)| *key == name).map(|(_, field)| field)
    }

    /// A required value.
    pub(super) fn needed(&self, name: &str) -> Result<FileField<'n>, Unusable> {
        self.get(name).ok_or_else(|| self.bad(&format!("has no {name}, which it needs")))
    }

    /// All keys and values that are not null.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'n str, FileField<'n>)> {
        let present = self.entries.iter().filter(|(_, node)| !matches!(node.value, YamlValue::Null));
        let above = &self.mapping.place.path;
        present.map(move |(key, node)| {
            let path = if above.is_empty() { key.name.clone() } else { format!("{above}.{}", key.name) };
            (key.name.as_str(), FileField::of(node, path))
        })
    }

    /// The only one of these that is present, if any, and its index in `names`.
    pub(super) fn at_most_one(&self, names: &[&str]) -> Result<Option<(usize, FileField<'n>)>, Unusable> {
        let mut found = names.iter().enumerate().filter_map(|(nth, name)| Some((nth, self.get(name)?)));
        match (found.next(), found.next()) {
            (Some((one, _)), Some((other, field))) => {
                let what = format!("has both {} and {}; keep one of them", names[one], names[other]);
                Err(self.bad_at(field.place.line, &what))
            }
            (found, _) => Ok(found),
        }
    }

    /// An error about the mapping.
    pub(super) fn bad(&self, what: &str) -> Unusable {
        self.mapping.bad(what)
    }

    /// An error about a line of the mapping.
    pub(super) fn bad_at(&self, line: usize, what: &str) -> Unusable {
        self.mapping.bad_at(line, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_line_and_path_and_repeat_nothing() {
        let node =
            yaml::parse("a:\n  list: [x]\n  number: hush\n  word: hush\n  span: 5\n  empty: ''\n  none:\n").unwrap();
        let fields = || FileField::document(&node).fields(&["a"], "{a: 1}").unwrap().get("a").unwrap();
        let known = ["list", "number", "word", "span", "empty", "none", "absent"];
        let inner = fields().fields(&known, "{}").unwrap();
        let get = |name: &str| inner.get(name).unwrap();
        let check =
            |error: Unusable, expected: &str| assert_eq!(format!("line {}: {error}", error.place.line), expected);
        check(get("number").number(1..=9).unwrap_err(), "line 3: a.number must be a whole number from 1 to 9");
        check(get("word").word([("x", 1), ("y", 2), ("z", 3)]).unwrap_err(), "line 4: a.word must be x, y or z");
        check(
            get("span").duration(Duration::from_secs(60)).unwrap_err(),
            "line 5: a.span must be a duration such as 30s, 1m30s or 500ms, of at most 60 s",
        );
        check(get("empty").text().unwrap_err(), "line 6: a.empty must not be empty");
        check(get("list").text().unwrap_err(), "line 2: a.list must be a text");
        check(
            get("list").list(9, "[x]").unwrap()[0].list(9, "[y]").map(|_| ()).unwrap_err(),
            "line 2: a.list[0] must be a list such as [y]",
        );
        check(
            get("word").mapping("{x: 1}").map(|_| ()).unwrap_err(),
            "line 4: a.word must be a mapping such as {x: 1}",
        );
        check(
            get("word").fields(&["x", "y"], "{y: 2}").map(|_| ()).unwrap_err(),
            "line 4: a.word must be a mapping such as {y: 2}; the keys are x, y",
        );
        check(inner.needed("none").map(|_| ()).unwrap_err(), "line 2: a has no none, which it needs");
        check(
            inner.at_most_one(&["absent", "list", "span"]).map(|_| ()).unwrap_err(),
            "line 5: a has both list and span; keep one of them",
        );
        let unknown =
            fields().fields(&["list", "numbers", "word", "span", "empty", "none"], "{}").map(|_| ()).unwrap_err();
        check(
            unknown,
            "line 3: a has an unknown key: did you mean numbers? the keys are list, numbers, word, span, empty, none",
        );
        let node = yaml::parse("hush hush: 1").unwrap();
        check(
            FileField::document(&node).fields(&["a"], "{a: 1}").map(|_| ()).unwrap_err(),
            "line 1: the file has an unknown key: the keys are a",
        );
        let node = yaml::parse("a: 1\na: 2").unwrap();
        check(
            FileField::document(&node).fields(&["a"], "{a: 1}").map(|_| ()).unwrap_err(),
            "line 2: the file has a key twice; remove one of the two",
        );
    }
}
