//! JSON written from a description: mostly right, in every spelling that JSON has, now and then wrong in one place.

use arbitrary::{Result, Unstructured};

/// What is left of the description. When nothing is left, every choice falls on the first, which is the usual.
pub type Choices<'a, 'u> = &'a mut Unstructured<'u>;

/// A body that begins with a byte below this one describes what is meant; no JSON does, but for a line break.
const FIRST_BODY_BYTE: u8 = 0x20;

/// The body that an input is, or describes.
pub fn body(input: &[u8], described: fn(Choices) -> Result<String>) -> Option<Vec<u8>> {
    match input.split_first() {
        Some((first, description)) if *first < FIRST_BODY_BYTE => {
            described(&mut Unstructured::new(description)).ok().map(String::into_bytes)
        }
        _ => Some(input.to_vec()),
    }
}

/// Once in so many times.
pub fn rarely(choices: Choices, times: u8) -> Result<bool> {
    Ok(choices.int_in_range(1..=times)? == times)
}

pub fn any_text(choices: Choices) -> Result<String> {
    let given = choices.arbitrary::<&str>()?;
    let end = given.char_indices().nth(12).map_or(given.len(), |(at, _)| at);
    let short = given[..end].to_owned();
    text(choices, &short)
}

/// A text with some of its characters escaped.
pub fn text(choices: Choices, plain: &str) -> Result<String> {
    let mut literal = String::from('"');
    let escapes = rarely(choices, 8)?;
    for c in plain.chars() {
        let must = matches!(c, '"' | '\\' | '\0'..' ');
        if must || (escapes && rarely(choices, 4)?) {
            let short = ["\"\"", "\\\\", "//", "\u{8}b", "\u{c}f", "\nn", "\rr", "\tt"];
            let letter = short.iter().find(|pair| pair.starts_with(c)).and_then(|pair| pair.chars().nth(1));
            match letter {
                Some(letter) => literal.extend(['\\', letter]),
                None => literal.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
            }
        } else {
            literal.push(c);
        }
    }
    literal.push('"');
    Ok(literal)
}

/// Something that mostly has no place there.
pub fn odd(choices: Choices) -> Result<String> {
    let odds = ["null", "[]", "{}", "0", "-1.5e3", "\"\\ud800\"", "[[1,{\"count\":\"2\"}]]", "1e999", "true"];
    Ok((*choices.choose(&odds)?).to_owned())
}

pub fn list(choices: Choices, items: Vec<String>) -> Result<String> {
    joined(choices, '[', items, ']')
}

/// An object with its fields in any order, and perhaps one that nobody knows, or one twice.
pub fn object(choices: Choices, mut fields: Vec<(&str, String)>) -> Result<String> {
    if rarely(choices, 32)? {
        fields.push(("later", odd(choices)?));
    }
    if rarely(choices, 64)? && !fields.is_empty() {
        let twice = choices.choose(&fields)?.clone();
        fields.push(twice);
    }
    if rarely(choices, 64)? && !fields.is_empty() {
        let nth = choices.choose_index(fields.len())?;
        fields[nth].1 = odd(choices)?;
    }
    if rarely(choices, 4)? && !fields.is_empty() {
        let middle = choices.choose_index(fields.len())?;
        fields.rotate_left(middle);
    }
    let mut items = Vec::new();
    for (name, value) in fields {
        let colon = if rarely(choices, 16)? { " : " } else { ":" };
        items.push(format!("{}{colon}{value}", text(choices, name)?));
    }
    joined(choices, '{', items, '}')
}

fn joined(choices: Choices, open: char, items: Vec<String>, close: char) -> Result<String> {
    let blank = if rarely(choices, 16)? { *choices.choose(&[" ", "\n\t", "\r\n  "])? } else { "" };
    let comma = format!("{blank},{blank}");
    Ok(format!("{open}{blank}{}{blank}{close}", items.join(&comma)))
}
