//! The end of the process: what a signal asks for, and in which order it happens.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::api::Gateway;
use crate::log;
use crate::metrics::Level;

/// How often it is looked whether everything is done.
const INTERVAL: Duration = Duration::from_millis(20);

/// The signals that end the process, also where it is the first of its system, which signals do nothing to by themselves.
pub(super) struct Shutdown(Signals);

impl Shutdown {
    /// From now on, the first of these signals ends [`Shutdown::wait`], and the second one the process, at once, whatever it
    /// is busy with; its exit code is then the one that shells give, 128 and the signal's number.
    pub(super) fn new() -> io::Result<Shutdown> {
        let has_begun = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // Each signal does both in this order, so that the first does not find what it leaves.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&has_begun))?;
            flag::register(signal, Arc::clone(&has_begun))?;
        }
        Signals::new([SIGTERM, SIGINT]).map(Shutdown)
    }

    /// Waits for a signal, then for `delay`, in which the mirror only says that it is leaving: who sends it requests may
    /// learn so late. Then until no request is under way any more, for `grace` at most.
    pub(super) fn wait(mut self, gateway: &Gateway, in_flight: &Level, delay: Duration, grace: Duration) {
        let signal = self.0.forever().next();
        let name = if signal == Some(SIGINT) { "SIGINT" } else { "SIGTERM" };
        gateway.leave();
        if !delay.is_zero() {
            log::info(|| log::Line::new("leaving").text("signal", name).number("delay_s", delay.as_secs()));
            thread::sleep(delay);
        }
        gateway.shut_down();
        log::info(|| log::Line::new("shutting down").text("signal", name).number("requests", in_flight.get()));
        let deadline = Instant::now() + grace;
        while in_flight.get() > 0 && Instant::now() < deadline {
            thread::sleep(INTERVAL);
        }
        // What has just been answered may have a last write before it.
        thread::sleep(INTERVAL);
        log::info(|| log::Line::new("ended").number("abandoned", in_flight.get()));
    }
}
