//! How a line of the log is written: `ts=… level=… msg=… key=value …`, or the same as a JSON object.
//!
//! Whatever a client or an upstream sent is quoted and escaped, so that no text of theirs can pass for a line of ours.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// `key=value`, the value in quotes where it has to be.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// What a field holds.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    Millis(Duration),
}

/// More than most lines have.
const USUAL_BYTES: usize = 512;

/// The most characters of one value; a PromQL that StackState sends is far shorter.
const MAX_VALUE_CHARS: usize = 4_096;

/// A whole line with its end.
pub(super) fn written(format: Format, time: SystemTime, level: &str, fields: &[(&'static str, Value)]) -> String {
    let (begin, separator, end) = match format {
        Format::Logfmt => ("", " ", "\n"),
        Format::Json => ("{", ",", "}\n"),
    };
    let head = [("ts", Value::Text(timestamp(time))), ("level", Value::Text(level.to_owned()))];
    let mut line = String::with_capacity(USUAL_BYTES);
    line.push_str(begin);
    for (nth, (key, value)) in head.iter().chain(fields).enumerate() {
        if nth > 0 {
            line.push_str(separator);
        }
        match format {
            Format::Logfmt => line.extend([key, "="]),
            Format::Json => line.extend(["\"", key, "\":"]),
        }
        match value {
            Value::Text(text) if format == Format::Logfmt && is_plain(text) => line.push_str(text),
            Value::Text(text) => quote(&mut line, text, format),
            // Writing to a string does not fail.
            Value::Number(number) => {
                let _ = write!(line, "{number}");
            }
            Value::Millis(duration) => {
                let micros = duration.as_micros();
                let _ = write!(line, "{}.{:03}", micros / 1000, micros % 1000);
            }
        }
    }
    line.push_str(end);
    line
}

/// Whether a value needs no quotes in logfmt.
fn is_plain(value: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:[]+%".contains(&byte);
    value.len() <= MAX_VALUE_CHARS && value.bytes().all(is_plain)
}

fn quote(line: &mut String, value: &str, format: Format) {
    line.push('"');
    for (nth, c) in value.chars().enumerate() {
        if nth == MAX_VALUE_CHARS {
            line.push_str("...");
            break;
        }
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            // Besides the control characters, those that a terminal or a viewer may take for a line's end or turn text with.
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                // None of these is beyond 16 bits.
                let _ = match format {
                    Format::Logfmt => write!(line, "\\u{{{:x}}}", c as u32),
                    Format::Json => write!(line, "\\u{:04x}", c as u32),
                };
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

/// A time as `2026-11-23T01:02:03.004Z`.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil_date(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

/// Year, month and day of a day counted from 1970-01-01: 400 years of the Gregorian calendar have 146,097 days, and
/// years that begin in March have their leap day at the end.
fn civil_date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468; // from 0000-03-01
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line without its `ts` and `level`.
    fn line(format: Format, fields: &[(&'static str, Value)]) -> String {
        let line = written(format, UNIX_EPOCH, "info", fields);
        let head = match format {
            Format::Logfmt => "ts=1970-01-01T00:00:00.000Z level=info ",
            Format::Json => r#"{"ts":"1970-01-01T00:00:00.000Z","level":"info","#,
        };
        line.strip_prefix(head).and_then(|rest| rest.strip_suffix('\n')).unwrap_or_else(|| panic!("{line}")).to_owned()
    }

    #[test]
    fn a_text_that_is_not_plain_is_quoted_and_cannot_end_the_line() {
        let check = |value: &str, expected: &str| {
            assert_eq!(line(Format::Logfmt, &[("k", Value::Text(value.to_owned()))]), format!("k={expected}"));
            let json = written(Format::Json, UNIX_EPOCH, "info", &[("k", Value::Text(value.to_owned()))]);
            assert_eq!(json.chars().filter(|c| c.is_control()).collect::<String>(), "\n", "{json:?}");
            let read: serde_json::Value = serde_json::from_str(&json).unwrap();
            let kept: String = value.chars().take(4_096).collect();
            assert!(read["k"].as_str().unwrap().starts_with(&kept), "{json}");
        };
        check("/api/metric", "/api/metric");
        check("two words", "\"two words\"");
        check("a=\"b\"\\", "\"a=\\\"b\\\"\\\\\"");
        check("x\nts=forged", "\"x\\nts=forged\"");
        check("\r\u{1b}[31m\u{2028}\u{202e}", "\"\\u{d}\\u{1b}[31m\\u{2028}\\u{202e}\"");
        check(&"x".repeat(5_000), &format!("\"{}...\"", "x".repeat(4_096)));
    }

    #[test]
    fn numbers_and_durations_follow_the_message() {
        let fields = [
            ("msg", Value::Text("request".to_owned())),
            ("status", Value::Number(200)),
            ("duration_ms", Value::Millis(Duration::from_micros(1_234_005))),
        ];
        assert_eq!(line(Format::Logfmt, &fields), "msg=request status=200 duration_ms=1234.005");
        assert_eq!(line(Format::Json, &fields), r#""msg":"request","status":200,"duration_ms":1234.005}"#);
    }

    #[test]
    fn a_timestamp_is_the_utc_date_and_time() {
        let check = |ms: u64, expected: &str| {
            assert_eq!(timestamp(UNIX_EPOCH + Duration::from_millis(ms)), expected);
        };
        // As `date -u -d @… +%FT%T` prints them.
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_007, "2000-02-29T00:00:00.007Z");
        check(1_709_251_199_999, "2024-02-29T23:59:59.999Z");
        check(1_709_251_200_000, "2024-03-01T00:00:00.000Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }
}
