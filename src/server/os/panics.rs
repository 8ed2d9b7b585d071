//! Counts panics, and logs them at a limited rate.

use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::log::{self, Limit};
use crate::metrics::Metrics;

/// How many panics are logged per minute.
const LOGGED_IN_A_MINUTE: u64 = 10;

/// Counts and logs all panics from now on.
pub(in crate::server) fn watch(metrics: Arc<Metrics>) {
    let limit = Limit::new(LOGGED_IN_A_MINUTE, Duration::from_secs(60));
    panic::set_hook(Box::new(move |panic| {
        metrics.panics.inc();
        if let Some(left_out) = limit.admit() {
            log::error(|| line_of(panic, left_out));
        }
    }));
}

/// The log line of a panic: where it happened, and how many before it were not logged. It has the message only if that is a
/// fixed text, since other messages may contain secrets.
fn line_of(panic: &PanicHookInfo<'_>, left_out: u64) -> log::Line {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    log::Line::new("panic")
        .text("error", panic.payload().downcast_ref::<&'static str>().copied().unwrap_or_default())
        .text("location", location)
        .text("thread", thread::current().name().unwrap_or_default())
        .number("left_out", left_out)
}
