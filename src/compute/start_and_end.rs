//! `start()` and `end()` in an expression, which mean the start and the end of StackState's query.
//!
//! For Prometheus they are the start and the end of a call, and a query can make several calls.

use crate::compute::tokens::{self, Token, is_of_word};
use crate::model::time::TimeRange;

/// Replaces `start()` and `end()` in an expression with the times of a range, in seconds. Strings and comments stay as they are.
pub fn with_times(expression: &str, range: TimeRange) -> String {
    let mut written = String::with_capacity(expression.len());
    let mut rest = expression;
    while let Some((token, length)) = tokens::first(rest) {
        if token == Token::Word
            && let Some((time_ms, length)) = time(rest, length, range)
        {
            written.push_str(&format!("{}.{:03}", time_ms / 1000, time_ms % 1000));
            rest = &rest[length..];
            continue;
        }
        written.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    written
}

/// If a text begins with a call of `start()` or `end()`: its time in milliseconds, and the length of the call. The first `word`
/// bytes of the text are a word.
fn time(text: &str, word: usize, range: TimeRange) -> Option<(i64, usize)> {
    let time_ms = match &text[..word] {
        name if name.eq_ignore_ascii_case("start") => range.start,
        name if name.eq_ignore_ascii_case("end") => range.end,
        _ => return None,
    };
    let rest = past_blanks(past_blanks(&text[word..]).strip_prefix('(')?).strip_prefix(')')?;
    // Without a character between them, the number and what follows would read as one.
    let ends = !rest.starts_with(is_of_word);
    ends.then_some((time_ms, text.len() - rest.len()))
}

/// The text without the blanks and comments that it begins with.
fn past_blanks(text: &str) -> &str {
    let rest = text.trim_start_matches([' ', '\t', '\n', '\r']);
    match rest.strip_prefix('#') {
        Some(comment) => past_blanks(comment.split_once('\n').map_or("", |(_, rest)| rest)),
        None => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_and_end_become_the_times_of_the_query() {
        let check = |expression: &str, expected: &str| {
            assert_eq!(with_times(expression, TimeRange { start: 1_500, end: 2_000_000 }), expected);
        };
        check("x @ end()", "x @ 2000.000");
        check("x - (x @ start())", "x - (x @ 1.500)");
        check("rate(x[5m] @ END ( )) + y@start\n(\t)", "rate(x[5m] @ 2000.000) + y@1.500");
        check("x @ end # c\n()", "x @ 2000.000");
        check("x @ end( # c\n # d\n )", "x @ 2000.000");
        for same in [
            "x @ end()5",
            "x @ end\u{a0}()",
            "x @ end( # )",
            "",
            "start",
            "end",
            "sum by (end) (x)",
            "start(x)",
            "my_start() + a:end() + start:() + xend()",
            "x{a=\"end()\"}",
            "x{a='it\\'s end()'}",
            "x{a=`end()\\`}",
            "x # end()",
            "x{a=\"\\\"end()\"}",
            "\"end()",
            "é # start()\n",
        ] {
            check(same, same);
        }
        check("x # it's\n@ end()", "x # it's\n@ 2000.000");
        check("x{a=\"é#\"} @ end()", "x{a=\"é#\"} @ 2000.000");
        check("x{a=`\\`} @ end()", "x{a=`\\`} @ 2000.000");
    }
}
