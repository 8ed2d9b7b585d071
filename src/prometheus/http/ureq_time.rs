//! Converts deadlines to and from ureq's timeouts.

use std::time::{Duration, Instant};

use ureq::unversioned::transport::NextTimeout;
use ureq::unversioned::transport::time::Duration as UreqDuration;

/// The timeout that ends at a deadline.
pub(super) fn until(deadline: Instant) -> NextTimeout {
    let after = UreqDuration::Exact(deadline.saturating_duration_since(Instant::now()));
    NextTimeout { after, ..NextTimeout::default() }
}

/// The deadline at which a timeout ends.
pub(super) fn deadline_of(timeout: NextTimeout) -> Instant {
    /// No request takes longer.
    const LONGEST: Duration = Duration::from_secs(3600);
    let after = match timeout.after {
        UreqDuration::Exact(after) => after.min(LONGEST),
        UreqDuration::NotHappening => LONGEST,
    };
    Instant::now() + after
}
