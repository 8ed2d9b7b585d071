//! `start()` and `end()` in expressions: where they stand, by a reader of PromQL's tokens, and what is put in their place.

use arbitrary::{Result, Unstructured};
use prometheusmirror::compute::start_and_end::with_times;
use prometheusmirror::model::time::{LATEST_MS, TimeRange};

use crate::number::Exact;

/// A token as Prometheus's lexer has it, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'e> {
    /// Blanks or a comment.
    Blank(&'e str),
    /// A keyword, or the name of a metric, a label or a function.
    Word(&'e str),
    /// What begins with a digit.
    Number(&'e str),
    /// A string with its quotes.
    Text(&'e str),
    /// An operator, a parenthesis or a comma, or a part of one.
    Mark(char),
}

/// Checks an expression that the input describes, or is.
pub fn check(input: &[u8]) {
    let mut choices = Unstructured::new(input);
    let Ok(range) = range(&mut choices) else { return };
    let is_described = choices.arbitrary::<u8>().is_ok_and(|first| first < 0xc0);
    let expression = match is_described {
        true => described(&mut choices).unwrap_or_default(),
        false => String::from_utf8_lossy(choices.take_rest()).into_owned(),
    };
    check_expression(&expression, range);
}

fn range(choices: &mut Unstructured) -> Result<TimeRange> {
    let most = *choices.choose(&[999, 1_700_000_000_000, LATEST_MS])?;
    let start = choices.int_in_range(0..=most)?;
    Ok(TimeRange { start, end: choices.int_in_range(start..=LATEST_MS)? })
}

/// An expression of what means something to PromQL, right or not.
fn described(choices: &mut Unstructured) -> Result<String> {
    let parts = [
        "start()", "end()", " @ end()", "@start()", "END", "Start", "end", "start", "(", ")", "()", "( )", " ", "\t",
        "\n", "\r\n", "\r", "# ", "#end()\n", "\"", "'", "`", "\\", "\\\"", "x", "é", "\u{fffd}", "\u{a0}", "_", ":",
        ".", ",", "5", "1e5", "[5m]", "[1h:1m]", "{a=\"end()\"}", "{", "}", " by (end) ", "sum", " - ", "!=", "@",
    ];
    let mut expression = String::new();
    while !choices.is_empty() {
        expression.push_str(choices.choose(&parts)?);
    }
    Ok(expression)
}

fn check_expression(expression: &str, range: TimeRange) {
    let written = with_times(expression, range);
    let what = || format!("{expression:?} became {written:?}");
    let (given, is_whole) = tokens(expression);
    let (mut found, mut rest) = (tokens(&written).0.into_iter(), &given[..]);
    while let Some(token) = rest.first() {
        let after = &rest[1..];
        let (call, is_cut) = call(after);
        match token {
            Token::Word(name) if is_time(name) && is_cut => return,
            Token::Word(name) if is_time(name) && call.is_some() => {
                rest = &after[call.unwrap_or_default()..];
                match rest.first() {
                    // What was put there may have become a part of what follows. That is no PromQL, then, nor was it before.
                    Some(Token::Word(_) | Token::Number(_)) => return,
                    None if !is_whole => return,
                    _ => {}
                }
                let time_ms = if name.eq_ignore_ascii_case("start") { range.start } else { range.end };
                let Some(Token::Number(number)) = found.next() else { panic!("{}", what()) };
                let expected = Exact::of(&format!("{time_ms}e-3"));
                assert_eq!(Exact::of(number), expected, "{}", what());
                assert!(!number.contains('e'), "{}", what());
            }
            _ => {
                assert_eq!(found.next(), Some(*token), "{}", what());
                rest = after;
            }
        }
    }
}

fn is_time(word: &str) -> bool {
    word.eq_ignore_ascii_case("start") || word.eq_ignore_ascii_case("end")
}

/// How many of some tokens are empty parentheses, blanks among them; and whether they may be ones, but end too soon.
fn call(tokens: &[Token]) -> (Option<usize>, bool) {
    let mut marks = "()".chars().peekable();
    for (nth, token) in tokens.iter().enumerate() {
        match token {
            // The mirror does not look through a comment there, which is left open.
            Token::Blank(comment) if comment.starts_with('#') => return (None, true),
            Token::Blank(_) => {}
            Token::Mark(mark) if Some(mark) == marks.peek() => {
                marks.next();
            }
            _ => return (None, false),
        }
        if marks.peek().is_none() {
            return (Some(nth + 1), false);
        }
    }
    (None, true)
}

/// The tokens of an expression, up to what Prometheus's lexer refuses or what other engines read otherwise; and whether these
/// are all.
fn tokens(expression: &str) -> (Vec<Token<'_>>, bool) {
    let mut tokens = Vec::new();
    let mut rest = expression;
    while let Some((token, length)) = first_token(rest) {
        tokens.push(token);
        rest = &rest[length..];
    }
    (tokens, rest.is_empty())
}

/// The token that a text begins with, and how long it is.
fn first_token<'e>(rest: &'e str) -> Option<(Token<'e>, usize)> {
    let first = rest.chars().next()?;
    let while_in = |is_in: fn(char) -> bool| rest.find(|c| !is_in(c)).unwrap_or(rest.len());
    let is_digit = |c: char| c.is_ascii_digit();
    let (token, length): (fn(&'e str) -> Token<'e>, usize) = match first {
        ' ' | '\t' | '\n' | '\r' => (Token::Blank, while_in(|c| " \t\n\r".contains(c))),
        '#' => {
            let length = rest.find('\n').unwrap_or(rest.len());
            // Prometheus ends a comment there, VictoriaMetrics does not.
            if rest[..length].trim_end_matches('\r').contains('\r') {
                return None;
            }
            (Token::Blank, length)
        }
        '"' | '\'' | '`' => (Token::Text, text_length(rest, first)?),
        c if c.is_ascii_alphabetic() || c == '_' || c == ':' => {
            (Token::Word, while_in(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        }
        c if is_digit(c) || (c == '.' && rest[1..].starts_with(is_digit)) => {
            (Token::Number, while_in(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        }
        c if "+-*/%^=!<>~()[]{},@".contains(c) => return Some((Token::Mark(c), 1)),
        _ => return None,
    };
    Some((token(&rest[..length]), length))
}

/// The length of a string, if it ends, and all in it is what Prometheus takes.
fn text_length(rest: &str, quote: char) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    loop {
        let (at, c) = chars.next()?;
        match c {
            c if c == quote => return Some(at + 1),
            '\u{fffd}' => return None,
            '\n' if quote != '`' => return None,
            '\\' if quote != '`' => {
                let (_, escaped) = chars.next()?;
                let mut digits = |count: usize| {
                    let digits: String = chars.by_ref().take(count).map(|(_, c)| c).collect();
                    u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == count).and_then(char::from_u32)
                };
                match escaped {
                    'x' => digits(2)?,
                    'u' => digits(4)?,
                    'U' => digits(8)?,
                    // Octal digits are left out.
                    c if "abfnrtv\\".contains(c) || c == quote => c,
                    _ => return None,
                };
            }
            _ => {}
        }
    }
}
