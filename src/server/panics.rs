//! What is done about a panic, besides what becomes of its thread: it is logged and counted, and when it is the thread that
//! accepts connections that has died of it, another one takes over.

use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::thread;

use crate::log;
use crate::metrics::Metrics;
use crate::server::sentinel::Watch;

/// Watches over all panics from now on.
pub(super) fn watch(metrics: Arc<Metrics>, watch: Arc<Watch>) {
    panic::set_hook(Box::new(move |panic| {
        let line = || line_of(panic);
        // Its thread that accepts connections panics when it has accepted one with the last descriptor there was.
        if panic.location().is_some_and(|location| location.file().contains("tiny_http")) {
            log::warn(line);
            watch.give_up_server();
        } else {
            metrics.panicked();
            log::error(line);
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
