//! What is done about a panic, besides what becomes of its thread: it is logged at a limited rate, and counted if it is ours.

use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::log::{self, Limit};
use crate::metrics::Metrics;
use crate::server::os::threads::Threads;

/// How many panics are logged in a minute.
const LOGGED_IN_A_MINUTE: u64 = 10;

/// Watches over all panics from now on.
pub(in crate::server) fn watch(metrics: Arc<Metrics>, threads: Arc<Threads>) {
    let a_minute = || Limit::new(LOGGED_IN_A_MINUTE, Duration::from_secs(60));
    let (ours, of_tiny_http) = (a_minute(), a_minute());
    panic::set_hook(Box::new(move |panic| {
        let is_in = |part: &str| panic.location().is_some_and(|location| location.file().contains(part));
        if is_in("std/src/thread/") {
            // tiny_http starts its threads in the way that panics when there is none.
            threads.missing("a thread for a connection could not be started");
        } else if is_in("tiny_http") {
            // tiny_http panics when a client has gone before its request is taken in, which does not matter, and when it
            // stops accepting, which `server/tiny_http/accepting` sees to.
            if let Some(left_out) = of_tiny_http.admit() {
                log::debug(|| line_of(panic, left_out));
            }
        } else {
            metrics.panicked();
            if let Some(left_out) = ours.admit() {
                log::error(|| line_of(panic, left_out));
            }
        }
    }));
}

/// Where it happened, and its message, if that is a fixed text: others may hold what must not be logged. And how many were not
/// logged before it.
fn line_of(panic: &PanicHookInfo<'_>, left_out: u64) -> log::Line {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    log::Line::new("panic")
        .text("error", panic.payload().downcast_ref::<&'static str>().copied().unwrap_or_default())
        .text("location", location)
        .text("thread", thread::current().name().unwrap_or_default())
        .number("left_out", left_out)
}
