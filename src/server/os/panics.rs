//! What is done about a panic, besides what becomes of its thread: it is counted, and logged at a limited rate.

use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::log::{self, Limit};
use crate::metrics::Metrics;

/// How many panics are logged in a minute.
const LOGGED_IN_A_MINUTE: u64 = 10;

/// Watches over all panics from now on.
pub(in crate::server) fn watch(metrics: Arc<Metrics>) {
    let limit = Limit::new(LOGGED_IN_A_MINUTE, Duration::from_secs(60));
    panic::set_hook(Box::new(move |panic| {
        metrics.panics.inc();
        if let Some(left_out) = limit.admit() {
            log::error(|| line_of(panic, left_out));
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
