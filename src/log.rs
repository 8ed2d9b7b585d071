//! Log lines to standard error, in logfmt: `ts=… level=… msg=… key=value …`, one line an event.
//!
//! Whatever a client or an upstream sent is quoted and escaped, so that no text of theirs can pass for a line of ours.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};

/// The target that marks a record whose message is already a [`Line`].
const LINE: &str = "prometheusmirror::line";

/// The most characters of one value; a PromQL that StackState sends is far shorter.
const MAX_VALUE_CHARS: usize = 4_096;

/// Starts logging: our own events from `level` on, those of libraries from warnings on (their details could hold what
/// must not be logged).
pub fn start(level: LevelFilter) {
    // A second start, as a test may do, keeps the first.
    if log::set_boxed_logger(Box::new(Stderr)).is_ok() {
        log::set_max_level(level);
    }
}

/// Logs an error: something that needs a person.
pub fn error(line: impl FnOnce() -> Line) {
    event(Level::Error, line);
}

/// Logs a warning: something went wrong that the mirror lives with.
pub fn warn(line: impl FnOnce() -> Line) {
    event(Level::Warn, line);
}

/// Logs what is worth knowing in daily operation.
pub fn info(line: impl FnOnce() -> Line) {
    event(Level::Info, line);
}

/// Logs what helps in finding a fault.
pub fn debug(line: impl FnOnce() -> Line) {
    event(Level::Debug, line);
}

fn event(level: Level, line: impl FnOnce() -> Line) {
    if level <= log::max_level() {
        log::log!(target: LINE, level, "{}", line().0);
    }
}

/// An event: a message and its fields, in the order they are added.
#[derive(Debug)]
pub struct Line(String);

impl Line {
    /// An event with its message.
    pub fn new(message: &str) -> Line {
        Line(String::new()).text("msg", message)
    }

    /// Adds a text, quoted and escaped where it has to be. An empty text is left out.
    pub fn text(mut self, key: &str, value: &str) -> Line {
        if value.is_empty() {
            return self;
        }
        self.key(key);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:[]+%".contains(&byte);
        if value.len() <= MAX_VALUE_CHARS && value.bytes().all(is_plain) {
            self.0.push_str(value);
        } else {
            quote(&mut self.0, value);
        }
        self
    }

    /// Adds a number.
    pub fn number(mut self, key: &str, value: impl Into<u64>) -> Line {
        self.key(key);
        let _ = write!(self.0, "{}", value.into());
        self
    }

    /// Adds a duration in milliseconds, to the microsecond.
    pub fn millis(mut self, key: &str, value: Duration) -> Line {
        self.key(key);
        let micros = value.as_micros();
        let _ = write!(self.0, "{}.{:03}", micros / 1000, micros % 1000);
        self
    }

    fn key(&mut self, key: &str) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(key);
        self.0.push('=');
    }
}

fn quote(line: &mut String, value: &str) {
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
                let _ = write!(line, "\\u{{{:x}}}", c as u32);
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == LINE || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let message = record.args().to_string();
        let fields =
            if record.target() == LINE { message } else { Line::new(&message).text("library", record.target()).0 };
        let level = record.level().as_str().to_ascii_lowercase();
        let line = format!("ts={} level={level} {fields}\n", timestamp(SystemTime::now()));
        // Nobody can be told when standard error is gone.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn flush(&self) {}
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

    #[test]
    fn a_text_that_is_not_plain_is_quoted_and_cannot_end_the_line() {
        let check = |value: &str, expected: &str| {
            assert_eq!(Line::new("m").text("k", value).0, format!("msg=m k={expected}"));
        };
        check("/api/metric", "/api/metric");
        check("two words", "\"two words\"");
        check("a=\"b\"\\", "\"a=\\\"b\\\"\\\\\"");
        check("x\nts=forged", "\"x\\nts=forged\"");
        check("\r\u{1b}[31m\u{2028}\u{202e}", "\"\\u{d}\\u{1b}[31m\\u{2028}\\u{202e}\"");
        check(&"x".repeat(5_000), &format!("\"{}...\"", "x".repeat(4_096)));
        assert_eq!(Line::new("m").text("k", "").0, "msg=m");
    }

    #[test]
    fn numbers_and_durations_follow_the_message() {
        let line =
            Line::new("request").number("status", 200u16).millis("duration_ms", Duration::from_micros(1_234_005));
        assert_eq!(line.0, "msg=request status=200 duration_ms=1234.005");
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
