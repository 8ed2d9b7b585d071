//! The end of the process: what a signal asks for, and in which order it happens.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::api::Gateway;
use crate::log;
use crate::metrics::Level;

/// How often it is looked whether everything is done.
const INTERVAL: Duration = Duration::from_millis(20);

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// In order: what was under way has been answered, or has had its time.
    InOrder,
    /// At once, upon a second signal; its number.
    AtOnce(i32),
}

/// The signals that end the process. From now on they do so only through [`Shutdown::wait`], also where the process is the
/// first of its system, which signals do nothing to by themselves.
pub(super) struct Shutdown(Signals);

impl Shutdown {
    pub(super) fn new() -> io::Result<Shutdown> {
        Signals::new([SIGTERM, SIGINT]).map(Shutdown)
    }

    /// Waits for a signal, then until no request is under way any more, for `grace` at most, or for another signal.
    pub(super) fn wait(mut self, gateway: &Gateway, underway: &Level, grace: Duration) -> Ending {
        let Some(signal) = self.0.forever().next() else { return Ending::InOrder };
        gateway.shut_down();
        log::info(|| log::Line::new("shutting down").text("signal", name(signal)).number("requests", underway.get()));
        let deadline = Instant::now() + grace;
        while underway.get() > 0 {
            if let Some(second) = self.0.pending().next() {
                log::warn(|| log::Line::new("ended").text("signal", name(second)).number("abandoned", underway.get()));
                return Ending::AtOnce(second);
            }
            if Instant::now() > deadline {
                log::warn(|| log::Line::new("grace is over").number("abandoned", underway.get()));
                return Ending::InOrder;
            }
            thread::sleep(INTERVAL);
        }
        log::info(|| log::Line::new("ended"));
        Ending::InOrder
    }
}

fn name(signal: i32) -> &'static str {
    if signal == SIGINT { "SIGINT" } else { "SIGTERM" }
}
