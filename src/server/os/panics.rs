//! What is done about a panic, besides what becomes of its thread: it is logged, and counted if it is ours.

use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::thread;

use crate::log;
use crate::metrics::Metrics;

/// Watches over all panics from now on.
pub(in crate::server) fn watch(metrics: Arc<Metrics>) {
    panic::set_hook(Box::new(move |panic| {
        // tiny_http panics when a client has gone before its request is taken in, which is nobody's concern, and when it
        // has accepted a connection with the last descriptor there was, which the listener sees to.
        if panic.location().is_some_and(|location| location.file().contains("tiny_http")) {
            log::debug(|| line_of(panic));
        } else {
            metrics.panicked();
            log::error(|| line_of(panic));
        }
    }));
}

/// Where it happened, and its message, if that is a fixed text: others may hold what must not be logged.
fn line_of(panic: &PanicHookInfo<'_>) -> log::Line {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    log::Line::new("panic")
        .text("error", panic.payload().downcast_ref::<&'static str>().copied().unwrap_or_default())
        .text("location", location)
        .text("thread", thread::current().name().unwrap_or_default())
}
