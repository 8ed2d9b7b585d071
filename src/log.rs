//! Writes log lines to standard error. Each event is a line with a message and fields, in logfmt or JSON (`log/line`).
//!
//! Each line that is written while a request is processed has the request's id.

mod limit;
mod line;

use std::cell::RefCell;
use std::io::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use log::{Level, LevelFilter, Log, Metadata, Record};

pub use limit::Limit;
pub use line::{Line, LogFormat};

static FORMAT: OnceLock<LogFormat> = OnceLock::new();

thread_local! {
    /// The id of the request that this thread processes.
    static REQUEST_ID: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// Starts logging: events of the mirror from `level` on, events of libraries from warnings on, since their details may contain
/// secrets.
pub fn start(level: LevelFilter, format: LogFormat) {
    // A second start, such as in a test, has no effect.
    if FORMAT.set(format).is_ok() && log::set_logger(&Libraries).is_ok() {
        log::set_max_level(level);
    }
}

/// Does some work for a request. Lines that this thread logs meanwhile have the request's id.
pub fn in_request<T>(id: &Arc<str>, work: impl FnOnce() -> T) -> T {
    /// Restores the previous id, even if the work panics.
    struct RequestIdGuard(Option<Arc<str>>);

    impl Drop for RequestIdGuard {
        fn drop(&mut self) {
            REQUEST_ID.set(self.0.take());
        }
    }

    let _before = RequestIdGuard(REQUEST_ID.replace(Some(Arc::clone(id))));
    work()
}

/// Logs an error: the admin must act.
pub fn error(line: impl FnOnce() -> Line) {
    event(Level::Error, line);
}

/// Logs a warning: something failed, and the mirror goes on.
pub fn warn(line: impl FnOnce() -> Line) {
    event(Level::Warn, line);
}

/// Logs an event of normal operation.
pub fn info(line: impl FnOnce() -> Line) {
    event(Level::Info, line);
}

/// Logs a detail that helps to find a fault.
pub fn debug(line: impl FnOnce() -> Line) {
    event(Level::Debug, line);
}

fn event(level: Level, line: impl FnOnce() -> Line) {
    if level <= log::max_level() {
        write(level, line());
    }
}

impl Line {
    /// An event with its message.
    pub fn new(message: &str) -> Line {
        Line::in_format(FORMAT.get().copied().unwrap_or_default()).text("msg", message)
    }
}

fn write(level: Level, line: Line) {
    let line = REQUEST_ID.with_borrow(|id| match id {
        Some(id) => line.text("request_id", id),
        None => line,
    });
    let text = line.into_text(SystemTime::now(), level);
    // One call for each line, so that lines of several threads do not mix. If it fails, there is nowhere to report the error.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Receives the log events of libraries.
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
