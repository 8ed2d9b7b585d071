//! Log lines to standard error, one an event: a message and its fields, in logfmt or JSON (`log/fields`).
//!
//! A line that is written while a request is being answered carries the request's id, whoever writes it.

mod fields;
mod limit;

use std::cell::RefCell;
use std::fmt::Display;
use std::io::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use log::{Level, LevelFilter, Log, Metadata, Record};

use fields::LineFields;
pub use fields::LogFormat;
pub use limit::Limit;

static FORMAT: OnceLock<LogFormat> = OnceLock::new();

thread_local! {
    /// The request that this thread is busy with.
    static REQUEST_ID: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// Starts logging: our own events from `level` on, those of libraries from warnings on (their details could hold what
/// must not be logged).
pub fn start(level: LevelFilter, format: LogFormat) {
    // A second start, as a test may do, keeps the first.
    if FORMAT.set(format).is_ok() && log::set_logger(&Libraries).is_ok() {
        log::set_max_level(level);
    }
}

/// Does some work of a request's: what is logged meanwhile, on this thread, carries its id.
pub fn in_request<T>(id: &Arc<str>, work: impl FnOnce() -> T) -> T {
    /// Puts the id back that was there before, also when the work panics.
    struct RequestIdGuard(Option<Arc<str>>);

    impl Drop for RequestIdGuard {
        fn drop(&mut self) {
            REQUEST_ID.set(self.0.take());
        }
    }

    let _before = RequestIdGuard(REQUEST_ID.replace(Some(Arc::clone(id))));
    work()
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
        write(level, line());
    }
}

/// An event: a message and its fields, in the order they are added.
#[derive(Debug)]
pub struct Line(LineFields);

impl Line {
    /// An event with its message.
    pub fn new(message: &str) -> Line {
        Line(LineFields::new(FORMAT.get().copied().unwrap_or_default())).text("msg", message)
    }

    /// Adds a text, escaped where it has to be. An empty one is left out.
    pub fn text(mut self, key: &'static str, value: impl Display) -> Line {
        self.0.text(key, value);
        self
    }

    /// Adds a number.
    pub fn number(mut self, key: &'static str, value: impl Into<u64>) -> Line {
        self.0.number(key, value.into());
        self
    }

    /// Adds a duration in milliseconds, to the microsecond.
    pub fn millis(mut self, key: &'static str, value: Duration) -> Line {
        self.0.millis(key, value);
        self
    }
}

fn write(level: Level, line: Line) {
    let Line(fields) = REQUEST_ID.with_borrow(|id| match id {
        Some(id) => line.text("request_id", id),
        None => line,
    });
    let text = fields.into_line(SystemTime::now(), level);
    // In one piece, that lines of several threads do not mix. Nobody can be told when standard error is gone.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Takes in what libraries log.
struct Libraries;

impl Log for Libraries {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            write(record.level(), Line::new(&record.args().to_string()).text("library", record.target()));
        }
    }

    fn flush(&self) {}
}
