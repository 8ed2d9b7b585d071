//! Formats log lines: `ts=… level=… msg=… key=value …`, or the same as a JSON object.
//!
//! Texts from clients and upstreams are quoted and escaped, so that they cannot forge a log line.

use std::fmt::{Display, Write as _};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::Level;

use crate::model::calendar::DateTime;

/// How lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value`, with the value in quotes where necessary.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = ();

    /// Reads the format's name, in lower case.
    fn from_str(name: &str) -> Result<LogFormat, ()> {
        match name {
            "logfmt" => Ok(LogFormat::Logfmt),
            "json" => Ok(LogFormat::Json),
            _ => Err(()),
        }
    }
}

/// The maximum length of a value. PromQL from StackState is far shorter.
const MAX_VALUE_CHARS: usize = 4_096;

/// An event: a message and its fields, in the order in which they are added.
#[derive(Debug)]
pub struct Line {
    format: LogFormat,
    /// The fields in their final format. Each begins with its separator.
    written: String,
}

impl Line {
    pub(super) fn in_format(format: LogFormat) -> Line {
        Line { format, written: String::new() }
    }

    /// Adds a text, escaped where necessary. An empty text is left out.
    pub fn text(mut self, key: &'static str, value: impl Display) -> Line {
        let before = self.written.len();
        self.begin(key);
        let start = self.written.len();
        // Writing to a string does not fail, here and below.
        let _ = write!(self.written, "{value}");
        let value = &self.written[start..];
        if value.is_empty() {
            self.written.truncate(before);
        } else if self.format == LogFormat::Json || !is_plain(value) {
            let value = self.written.split_off(start);
            quote(&mut self.written, &value, self.format);
        }
        self
    }

    /// Adds a number.
    pub fn number(mut self, key: &'static str, value: impl Into<u64>) -> Line {
        self.begin(key);
        let _ = write!(self.written, "{}", value.into());
        self
    }

    /// Adds a duration in milliseconds, to the microsecond.
    pub fn millis(mut self, key: &'static str, value: Duration) -> Line {
        self.begin(key);
        let micros = value.as_micros();
        let _ = write!(self.written, "{}.{:03}", micros / 1000, micros % 1000);
        self
    }

    fn begin(&mut self, key: &str) {
        match self.format {
            LogFormat::Logfmt => self.written.extend([" ", key, "="]),
            LogFormat::Json => self.written.extend([",\"", key, "\":"]),
        }
    }

    /// The whole line with a line feed: the time, the level and the fields.
    pub(super) fn into_text(self, time: SystemTime, level: Level) -> String {
        let level = level.as_str().to_ascii_lowercase();
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = DateTime::of_ms(since.as_millis() as i64);
        let mut line = String::new();
        let _ = match self.format {
            LogFormat::Logfmt => writeln!(line, "ts={time:#} level={level}{}", self.written),
            LogFormat::Json => writeln!(line, r#"{{"ts":"{time:#}","level":"{level}"{}}}"#, self.written),
        };
        line
    }
}

/// Whether a value needs no quotes in logfmt.
fn is_plain(value: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:[]+%".contains(&byte);
    value.len() <= MAX_VALUE_CHARS && value.bytes().all(is_plain)
}

fn quote(line: &mut String, value: &str, format: LogFormat) {
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
            // Besides control characters: line separators, and characters that change the direction of text.
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                // All of these have at most 16 bits.
                let _ = match format {
                    LogFormat::Logfmt => write!(line, "\\u{{{:x}}}", c as u32),
                    LogFormat::Json => write!(line, "\\u{:04x}", c as u32),
                };
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line without its `ts` and `level`.
    fn line(format: LogFormat, add: impl FnOnce(Line) -> Line) -> String {
        let line = add(Line::in_format(format)).into_text(UNIX_EPOCH, Level::Info);
        let head = match format {
            LogFormat::Logfmt => "ts=1970-01-01T00:00:00.000Z level=info ",
            LogFormat::Json => r#"{"ts":"1970-01-01T00:00:00.000Z","level":"info","#,
        };
        line.strip_prefix(head).and_then(|rest| rest.strip_suffix('\n')).unwrap_or_else(|| panic!("{line}")).to_owned()
    }

    #[test]
    fn a_text_that_is_not_plain_is_quoted_and_cannot_end_the_line() {
        let check = |value: &str, expected: &str| {
            assert_eq!(line(LogFormat::Logfmt, |line| line.text("k", value)), format!("k={expected}"));
            let json = format!("{{{}", line(LogFormat::Json, |line| line.text("k", value)));
            assert!(!json.contains(char::is_control), "{json:?}");
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
    fn numbers_and_durations_follow_the_message_and_an_empty_text_is_left_out() {
        let add = |line: Line| {
            let line = line.text("msg", "request").text("cut", "").number("status", 200_u64);
            line.millis("duration_ms", Duration::from_micros(1_234_005))
        };
        assert_eq!(line(LogFormat::Logfmt, add), "msg=request status=200 duration_ms=1234.005");
        assert_eq!(line(LogFormat::Json, add), r#""msg":"request","status":200,"duration_ms":1234.005}"#);
    }

    #[test]
    fn a_timestamp_is_the_utc_date_and_time() {
        let check = |ms: u64, expected: &str| {
            let line =
                Line::in_format(LogFormat::Logfmt).into_text(UNIX_EPOCH + Duration::from_millis(ms), Level::Info);
            assert_eq!(line, format!("ts={expected} level=info\n"));
        };
        // As `date -u -d @… +%FT%T` prints them.
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_007, "2000-02-29T00:00:00.007Z");
        check(1_709_251_199_999, "2024-02-29T23:59:59.999Z");
        check(1_709_251_200_000, "2024-03-01T00:00:00.000Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }
}
