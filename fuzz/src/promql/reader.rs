//! Reads the part of PromQL that the mirror writes, the obvious way, and a little more that an admin may write.

use std::str::Chars;

use super::pattern::{self, Value};

/// An expression. Parentheses are not kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Number(f64),
    Text(String),
    Select(Vec<Match>),
    /// Of the last so many milliseconds.
    Range(Box<Expr>, u64),
    /// Evaluated over so many milliseconds, every so many.
    Subquery(Box<Expr>, u64, u64),
    /// So many milliseconds earlier.
    Offset(Box<Expr>, u64),
    Call(String, Vec<Expr>),
    Binary(char, Box<Expr>, Box<Expr>),
}

/// One matcher of a selector.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    pub label: String,
    pub operator: Operator,
    pub values: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`, or `=~` with a list of texts and numbers.
    IsAny,
    /// `!=`.
    IsNot,
    /// `=~` with a text and anything behind it.
    Begins,
}

/// What a pattern says that matches all that begins like a text.
const ANYTHING: &str = "(?s:.*)";

/// How deep parentheses go at most; an input that goes deeper is none of interest.
const MAX_DEPTH: usize = 100;

pub type Read<T> = Result<T, &'static str>;

/// Reads an expression to the end of the text.
pub fn read(text: &str) -> Read<Expr> {
    let mut reader = Reader { rest: text };
    let expr = reader.expression(0)?;
    reader.blanks();
    if reader.rest.is_empty() { Ok(expr) } else { Err("something follows") }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Blanks and comments.
    fn blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
            if !self.rest.starts_with('#') {
                return;
            }
            self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
        }
    }

    fn takes(&mut self, text: &str) -> bool {
        self.blanks();
        let taken = self.rest.strip_prefix(text);
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }

    fn must(&mut self, text: &str, otherwise: &'static str) -> Read<()> {
        if self.takes(text) { Ok(()) } else { Err(otherwise) }
    }

    fn while_in(&mut self, is_in: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self.rest.split_at(self.rest.find(|c| !is_in(c)).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Sums of products.
    fn expression(&mut self, depth: usize) -> Read<Expr> {
        let mut left = self.product(depth)?;
        while self.takes("+") {
            left = Expr::Binary('+', Box::new(left), Box::new(self.product(depth)?));
        }
        Ok(left)
    }

    fn product(&mut self, depth: usize) -> Read<Expr> {
        let mut left = self.operand(depth)?;
        loop {
            let operator = match () {
                () if self.takes("*") => '*',
                () if self.takes("/") => '/',
                () => return Ok(left),
            };
            left = Expr::Binary(operator, Box::new(left), Box::new(self.operand(depth)?));
        }
    }

    fn operand(&mut self, depth: usize) -> Read<Expr> {
        let mut of = self.primary(depth)?;
        while self.takes("[") {
            let length = self.duration()?;
            of = if self.takes(":") {
                Expr::Subquery(Box::new(of), length, self.duration()?)
            } else if matches!(of, Expr::Select(_)) {
                Expr::Range(Box::new(of), length)
            } else {
                return Err("only a selector has a range");
            };
            self.must("]", "no end of a range")?;
            if self.takes("offset") {
                of = Expr::Offset(Box::new(of), self.duration()?);
            }
        }
        Ok(of)
    }

    fn primary(&mut self, depth: usize) -> Read<Expr> {
        if depth > MAX_DEPTH {
            return Err("too many parentheses");
        }
        self.blanks();
        if self.takes("(") {
            let inner = self.expression(depth + 1)?;
            self.must(")", "no closing parenthesis")?;
            return Ok(inner);
        }
        match self.rest.chars().next() {
            Some('{') => self.selector().map(Expr::Select),
            Some('"' | '\'' | '`') => self.literal().map(Expr::Text),
            Some('0'..='9') => {
                let number = self.while_in(|c| c.is_ascii_digit() || c == '.');
                number.parse().map(Expr::Number).map_err(|_| "no number")
            }
            Some(_) => self.named(depth),
            None => Err("no expression"),
        }
    }

    /// A function or an aggregation with its arguments, or a selector that begins with the metric's name.
    fn named(&mut self, depth: usize) -> Read<Expr> {
        let name = self.word()?;
        if self.takes("(") {
            let mut arguments = Vec::new();
            while !self.takes(")") {
                if !arguments.is_empty() {
                    self.must(",", "no comma")?;
                }
                arguments.push(self.expression(depth + 1)?);
            }
            return Ok(Expr::Call(name, arguments));
        }
        self.blanks();
        let (label, values) = ("__name__".to_owned(), vec![Value::Text(name)]);
        let mut matches = vec![Match { label, operator: Operator::IsAny, values }];
        if self.rest.starts_with('{') {
            matches.extend(self.selector()?);
        }
        Ok(Expr::Select(matches))
    }

    fn word(&mut self) -> Read<String> {
        let word = self.while_in(|c| c.is_ascii_alphanumeric() || c == '_');
        if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) { Err("no word") } else { Ok(word.into()) }
    }

    fn selector(&mut self) -> Read<Vec<Match>> {
        self.must("{", "no selector")?;
        let mut matches = Vec::new();
        while !self.takes("}") {
            if !matches.is_empty() {
                self.must(",", "no comma")?;
            }
            self.blanks();
            let label = if self.rest.starts_with('"') { self.quoted_label()? } else { self.word()? };
            let (operator, values) = match () {
                () if self.takes("=~") => matched_by(&self.literal()?)?,
                () if self.takes("!=") => (Operator::IsNot, vec![Value::Text(self.literal()?)]),
                () if self.takes("=") => (Operator::IsAny, vec![Value::Text(self.literal()?)]),
                () => return Err("no operator"),
            };
            matches.push(Match { label, operator, values });
        }
        Ok(matches)
    }

    /// The name of a label that has to be quoted: servers before Prometheus 3 take no quoted ones.
    fn quoted_label(&mut self) -> Read<String> {
        let label = self.literal()?;
        let is_bare = Reader { rest: &label }.word().is_ok_and(|word| word == label);
        if is_bare { Err("a label that could go without quotes") } else { Ok(label) }
    }

    /// Numbers with units, the larger units first. VictoriaMetrics 1.79 makes a millisecond less of some durations that are
    /// written in milliseconds alone.
    fn duration(&mut self) -> Read<u64> {
        self.blanks();
        let mut units = &[("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)][..];
        let mut total = 0;
        loop {
            let number: u64 = self.while_in(|c| c.is_ascii_digit()).parse().map_err(|_| "no duration")?;
            let unit = self.while_in(|c| c.is_ascii_alphabetic());
            let nth = units.iter().position(|(name, _)| *name == unit).ok_or("no unit, or none that is smaller")?;
            if unit == "ms" && number > 999 {
                return Err("seconds written as milliseconds");
            }
            total += number * units[nth].1;
            units = &units[nth + 1..];
            if !self.rest.starts_with(|c: char| c.is_ascii_digit()) {
                return if total == 0 { Err("a duration of zero") } else { Ok(total) };
            }
        }
    }

    /// A string literal: as in Go, but for the single quotes. Between backquotes nothing is escaped.
    fn literal(&mut self) -> Read<String> {
        self.blanks();
        let mut chars = self.rest.chars();
        let quote = chars.next().filter(|c| "\"'`".contains(*c)).ok_or("no string")?;
        let mut text = String::new();
        loop {
            match chars.next().ok_or("no end of a string")? {
                c if c == quote => break,
                '\n' if quote != '`' => return Err("a line break in a string"),
                // What Prometheus's lexer takes for broken text.
                '\u{fffd}' => return Err("a replacement character"),
                '\\' if quote != '`' => text.push(escaped(&mut chars, quote)?),
                c => text.push(c),
            }
        }
        self.rest = chars.as_str();
        Ok(text)
    }
}

/// What follows a backslash. Octal and hexadecimal bytes are left out: the mirror writes none, and one may be no
/// character.
fn escaped(chars: &mut Chars, quote: char) -> Read<char> {
    Ok(match chars.next().ok_or("no end of a string")? {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        'u' => {
            let digits: String = chars.take(4).collect();
            let are_digits = digits.len() == 4 && digits.chars().all(|c| c.is_ascii_hexdigit());
            let code = if are_digits { u32::from_str_radix(&digits, 16).ok() } else { None };
            code.and_then(char::from_u32).ok_or("no character")?
        }
        c if c == '\\' || c == quote => c,
        _ => return Err("an escape that PromQL does not have"),
    })
}

/// What a pattern of RE2 matches that is a list of values, or a text and anything behind it.
fn matched_by(pattern: &str) -> Read<(Operator, Vec<Value>)> {
    if let Some(beginning) = pattern.strip_suffix(ANYTHING) {
        let text = pattern::text(beginning).ok_or("the end of a pattern belongs to one text only")?;
        return Ok((Operator::Begins, vec![Value::Text(text)]));
    }
    Ok((Operator::IsAny, pattern::values(pattern)?))
}
