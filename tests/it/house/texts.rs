//! Each text that the page on troubleshooting quotes is one that the library can write, so that page and code agree.

use std::fs;
use std::path::Path;

use super::{read, rust_files};

/// The string literals of Rust code, with continued lines joined.
fn literals(code: &str) -> Vec<String> {
    let mut joined = String::new();
    for (nth, part) in code.split("\\\n").enumerate() {
        joined.push_str(if nth == 0 { part } else { part.trim_start() });
    }
    let lines = joined.lines().filter(|line| !line.trim_start().starts_with("//"));
    let of_line = |line: &str| {
        let plain = line.replace("\\\\", " ").replace("\\\"", " ").replace("'\"'", " ");
        plain.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    };
    lines.flat_map(of_line).collect()
}

/// The words of a text, without punctuation.
fn words_of(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '\'' | '~' | '…');
    text.split(|c: char| !is_part(c)).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The words of the texts that the library can write. Placeholders divide a text into pieces.
fn pieces_of_texts() -> Vec<Vec<String>> {
    let files = rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let mut pieces = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for literal in literals(code) {
            let between = literal.split('{').enumerate().map(|(nth, part)| match (nth, part.split_once('}')) {
                (1.., Some((_, behind))) => behind.to_owned(),
                _ => part.to_owned(),
            });
            pieces.extend(between.map(|piece| words_of(&piece)).filter(|words| !words.is_empty()));
        }
    }
    pieces
}

/// The texts that a paragraph quotes, in quotation marks or backquotes.
fn quoted(paragraph: &str) -> Vec<String> {
    let mut rest = paragraph;
    let mut found = Vec::new();
    while let Some(at) = rest.find(['"', '`']) {
        let mark = &rest[at..=at];
        let (inside, behind) = rest[at + 1..].split_once(mark).expect("each quotation ends");
        found.push(inside.to_owned());
        rest = behind;
    }
    found
}

/// The parts of the quotations on the page that vary, besides numbers and dots: names, types of errors, texts of upstreams.
const EXAMPLES: [&str; 36] = [
    "--api-key", "--method", "--upstream", "--values", "API_KEY", "check URL", "AVERAGE", "Basic", "Bearer",
    "MapValue", "POST", "RegexCondition", "TSDB", "__gauge__", "bad_data", "canceled", "column", "example",
    "go_goroutines", "go_gorutines", "gzip", "https", "internal", "invalid_client", "job", "limit", "login",
    "not_acceptable", "rate", "requestTimeOut", "requestTimeout", "start", "the token server", "timeout",
    "unavailable", "x",
];

/// How many words of a quotation, from the first on, consist of pieces: at least three consecutive words, or fewer at an end of a
/// piece beside a possible placeholder.
fn made_of(pieces: &[Vec<String>], words: &[String]) -> usize {
    let mut varies: Vec<bool> =
        words.iter().map(|word| word == "…" || word.contains(|c: char| c.is_ascii_digit())).collect();
    for example in EXAMPLES.map(words_of) {
        for at in (0..words.len()).filter(|&at| words[at..].starts_with(&example)) {
            varies[at..at + example.len()].fill(true);
        }
    }
    let is_beside = |at: usize| at == 0 || varies[at - 1] || varies.get(at + 1).is_none_or(|&varies| varies);
    let mut reached = vec![false; words.len() + 1];
    reached[0] = true;
    for at in 0..words.len() {
        if !reached[at] {
            continue;
        }
        reached[at + 1] |= varies[at];
        for piece in pieces {
            for begin in 0..piece.len() {
                let same = piece[begin..].iter().zip(&words[at..]).take_while(|(ours, theirs)| ours == theirs).count();
                let fits = |length: usize| {
                    let is_edge = begin == 0 || begin + length == piece.len();
                    length >= 3 || is_edge && (length == 2 || is_beside(at))
                };
                (1..=same).filter(|&length| fits(length)).for_each(|length| reached[at + length] = true);
            }
        }
    }
    (0..=words.len()).rev().find(|&end| reached[end]).unwrap_or_default()
}

#[test]
fn every_text_that_troubleshooting_quotes_is_in_the_code() {
    let page = read("docs/troubleshooting.md");
    let pieces = pieces_of_texts();
    let of_sections = page.split("**Text:** ").skip(1).map(|rest| rest.split("\n\n").next().unwrap());
    let of_tables = page.lines().filter(|line| line.starts_with("| \"")).map(|row| row.split(" | ").next().unwrap());
    let texts: Vec<String> = of_sections.chain(of_tables).flat_map(quoted).collect();
    assert!(texts.len() > 110, "the scan found the texts: {texts:?}");
    let mut parted = Vec::new();
    for text in texts {
        let words = words_of(&text);
        let end = made_of(&pieces, &words);
        if end < words.len() {
            parted.push(format!("{text}: from {:?} on", words[end]));
        }
    }
    assert!(parted.is_empty(), "docs/troubleshooting.md quotes what no text of src has:\n{}", parted.join("\n"));
}
