//! Shutdown: which signals begin it, and its steps.

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

/// How often the mirror checks whether all requests are done.
const INTERVAL: Duration = Duration::from_millis(20);

/// Waits for SIGTERM and SIGINT. Without handlers, they would not end a process that is the first of its container.
pub(super) struct Shutdown(Signals);

impl Shutdown {
    /// From now on, the first signal ends [`Shutdown::wait`], and the second ends the process at once. Its exit code is then 128
    /// plus the number of the signal, as in shells.
    pub(super) fn new() -> io::Result<Shutdown> {
        let has_begun = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order, so that the first signal finds the flag unset.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&has_begun))?;
            flag::register(signal, Arc::clone(&has_begun))?;
        }
        Signals::new([SIGTERM, SIGINT]).map(Shutdown)
    }

    /// Waits for a signal. Then waits for `delay`, during which the mirror still accepts requests but is not ready, since load
    /// balancers may learn of it late. Then waits until no request is in flight, for `grace` at most.
    pub(super) fn wait(mut self, gateway: &Gateway, in_flight: &Level, delay: Duration, grace: Duration) {
        let signal = self.0.forever().next();
        let name = if signal == Some(SIGINT) { "SIGINT" } else { "SIGTERM" };
        gateway.set_unready();
        if !delay.is_zero() {
            log::info(|| log::Line::new("leaving").text("signal", name).number("delay_s", delay.as_secs()));
            thread::sleep(delay);
        }
        gateway.refuse_requests();
        log::info(|| log::Line::new("shutting down").text("signal", name).number("requests", in_flight.get()));
        let deadline = Instant::now() + grace;
        while in_flight.get() > 0 && Instant::now() < deadline {
            thread::sleep(INTERVAL);
        }
        // A request may stop counting as in flight shortly before its reply is flushed and logged.
        thread::sleep(INTERVAL);
        log::info(|| log::Line::new("ended").number("abandoned", in_flight.get()));
    }
}
