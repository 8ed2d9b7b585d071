//! Splits a PromQL expression into strings, comments, words and other characters, and measures its patterns.

/// A part of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// A string, with its quotes of any kind.
    Text,
    /// A comment, up to the end of its line.
    Comment,
    /// A name, a number or a keyword.
    Word,
    /// Any other character.
    Other(char),
}

/// The token that an expression begins with, and its length in bytes; `None` at the end.
pub(super) fn first(expression: &str) -> Option<(Token, usize)> {
    Some(match expression.chars().next()? {
        quote @ ('"' | '\'') => (Token::Text, quoted_length(expression, quote, true)),
        '`' => (Token::Text, quoted_length(expression, '`', false)),
        '#' => (Token::Comment, expression.find('\n').unwrap_or(expression.len())),
        c if is_of_word(c) => (Token::Word, expression.find(|c| !is_of_word(c)).unwrap_or(expression.len())),
        other => (Token::Other(other), other.len_utf8()),
    })
}

/// The number of characters of all patterns of an expression: the strings behind `=~` and `!~`, with their escapes.
pub fn pattern_chars(expression: &str) -> usize {
    let (mut chars, mut rest, mut operator) = (0, expression, [' ', ' ']);
    while let Some((token, length)) = first(rest) {
        match token {
            Token::Text if matches!(operator, ['=' | '!', '~']) => {
                // Without its quotes.
                chars += rest[..length].chars().count().saturating_sub(2);
                operator = [' ', ' '];
            }
            Token::Text | Token::Word => operator = [' ', ' '],
            Token::Other(c) if !c.is_whitespace() => operator = [operator[1], c],
            Token::Other(_) | Token::Comment => {}
        }
        rest = &rest[length..];
    }
    chars
}

/// Whether a character belongs to a word. Metric names can have colons, numbers can have letters and points.
pub(super) fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.')
}

/// The length of the string that a text begins with, or of the whole text if the string does not end.
fn quoted_length(text: &str, quote: char, has_escapes: bool) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if has_escapes && c == '\\' {
            is_escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_behind_the_operators_of_patterns_are_patterns() {
        for (expression, expected) in [
            ("", 0),
            ("up", 0),
            ("up{a=\"1234\"}", 0),
            ("up{a=~\"1234\"}", 4),
            ("up{a!~'1234', b = ~ `56`, c!='x'}", 6),
            ("up{a=~ # \"x\"\n \"\u{e9}\"}", 1),
            ("up{a=~\"1\\\"2\"} == up{\"b\"=~\"3\"}", 5),
            ("up{a=\"=~\",b=\"x\"}", 0),
            ("# {a=~\"x\"}", 0),
        ] {
            assert_eq!(pattern_chars(expression), expected, "{expression}");
        }
    }
}
