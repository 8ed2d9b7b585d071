//! Patterns of RE2: which texts and numbers they match. All strings that one matches are written out, and all spellings of
//! its numbers are put to another engine of regular expressions.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::reader::Read;
use crate::number::Exact;

/// What a label may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// This text.
    Text(String),
    /// Any spelling of this number.
    Number(Exact),
}

/// RE2 repeats nothing more often.
const MAX_REPETITIONS: u32 = 1_000;

/// So many patterns are kept.
const MAX_FOUND: usize = 64;

/// More strings than any number has spellings.
const MAX_STRINGS: usize = 1_000;

thread_local! {
    /// What was found of patterns: those of one input are in many texts.
    static FOUND: RefCell<HashMap<String, Read<Vec<Value>>>> = RefCell::default();
}

/// The values that a pattern matches, in their order.
pub fn values(pattern: &str) -> Read<Vec<Value>> {
    FOUND.with_borrow_mut(|found| {
        if found.len() > MAX_FOUND {
            found.clear();
        }
        found.entry(pattern.to_owned()).or_insert_with(|| values_of(pattern)).clone()
    })
}

fn values_of(pattern: &str) -> Read<Vec<Value>> {
    let values = alternatives(pattern).into_iter().map(value).collect::<Read<Vec<_>>>()?;
    let spellings = |value: &Value| match value {
        Value::Text(text) => vec![text.clone()],
        Value::Number(number) => number.spellings(),
    };
    if values.iter().any(|value| matches!(value, Value::Number(_))) {
        let whole = anchored(pattern)?;
        if !values.iter().flat_map(spellings).all(|spelling| whole.is_match(&spelling)) {
            return Err("a spelling that the pattern does not match");
        }
    }
    Ok(values)
}

/// The pattern as Prometheus anchors it.
pub fn anchored(pattern: &str) -> Read<Regex> {
    Regex::new(&format!("^(?s:{pattern})$")).map_err(|_| "no pattern")
}

/// The text that is all that a pattern matches.
pub fn text(pattern: &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            // Before a letter or a digit, a backslash means something else.
            '\\' => chars.next().filter(char::is_ascii_punctuation)?,
            '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' | '|' => return None,
            other => other,
        });
    }
    Some(text)
}

/// The parts of a pattern between the bars outside parentheses.
fn alternatives(pattern: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut is_escaped) = (Vec::new(), 0, 0_i64, false);
    for (at, c) in pattern.char_indices() {
        if is_escaped {
            is_escaped = false;
            continue;
        }
        match c {
            '\\' => is_escaped = true,
            '(' => depth += 1,
            ')' => depth -= 1,
            '|' if depth == 0 => {
                parts.push(&pattern[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&pattern[start..]);
    parts
}

/// What an alternative matches: a text, or nothing but spellings of one number.
fn value(alternative: &str) -> Read<Value> {
    let parsed = regex_syntax::parse(alternative).map_err(|_| "no pattern")?;
    let strings = strings(&parsed)?;
    if let Some(text) = text(alternative) {
        return if strings == [text.as_str()] { Ok(Value::Text(text)) } else { Err("two readings of one text") };
    }
    let numbers = strings.iter().map(|string| Exact::of(string)).collect::<Option<Vec<_>>>();
    match numbers.ok_or("a string that is no number")?.as_slice() {
        [first, others @ ..] if others.iter().all(|other| other == first) => Ok(Value::Number(first.clone())),
        _ => Err("several numbers in one pattern"),
    }
}

/// The strings that a pattern matches; of what may be repeated without end, those with few repetitions.
fn strings(pattern: &Hir) -> Read<Vec<String>> {
    let all = match pattern.kind() {
        HirKind::Empty => vec![String::new()],
        HirKind::Literal(literal) => vec![String::from_utf8(literal.0.to_vec()).map_err(|_| "no text")?],
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().flat_map(|range| range.start()..=range.end()).take(MAX_STRINGS + 1).map(String::from).collect()
        }
        HirKind::Class(Class::Bytes(_)) | HirKind::Look(_) => return Err("RE2 reads more than text"),
        HirKind::Repetition(repetition) => {
            let (least, most) = (repetition.min, repetition.max.unwrap_or(repetition.min + 3));
            if most > MAX_REPETITIONS {
                return Err("too many repetitions for RE2");
            }
            let mut all = Vec::new();
            for count in least..=most {
                let copies = (0..count).map(|_| &*repetition.sub);
                all.extend(sequences(copies)?);
            }
            all
        }
        HirKind::Capture(capture) => strings(&capture.sub)?,
        HirKind::Concat(parts) => sequences(parts)?,
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(strings(part)?);
            }
            all
        }
    };
    if all.len() > MAX_STRINGS { Err("a pattern that matches very many strings") } else { Ok(all) }
}

/// The strings that patterns match one after another.
fn sequences<'p>(parts: impl IntoIterator<Item = &'p Hir>) -> Read<Vec<String>> {
    let mut all = vec![String::new()];
    for part in parts {
        let next = strings(part)?;
        all = all.iter().flat_map(|start| next.iter().map(move |end| format!("{start}{end}"))).collect();
        if all.len() > MAX_STRINGS {
            return Err("a pattern that matches very many strings");
        }
    }
    Ok(all)
}
