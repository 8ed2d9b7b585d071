//! No room for a further request: of whom, and how much room there is.

use std::fmt;

/// No room for a request.
#[derive(Debug)]
pub struct Overload {
    /// The upstream that is meant; it shows no password.
    pub upstream: String,
    /// What has no more room.
    pub full: Full,
    /// How much room there is.
    pub places: Places,
}

/// What has no room for a further request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Workers and queue.
    Everything,
    /// The share of one upstream, which is three quarters.
    Upstream {
        /// How many requests to it there are.
        held: usize,
    },
    /// The share of the upstreams that have not answered lately, which is seven eighths.
    UnknownUpstreams {
        /// How many requests to them there are.
        held: usize,
    },
}

/// How many requests there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// On workers.
    pub workers: usize,
    /// In the queue.
    pub queue: usize,
}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Overload { upstream, full, places: Places { workers, queue } } = self;
        let all = workers + queue;
        match full {
            Full::Everything => write!(
                f,
                "this mirror has {all} requests, as many as it holds (--workers {workers}, --queue-size {queue}); ask again later, or raise \
                 --queue-size, or --workers if Prometheus can answer more queries at a time"
            ),
            Full::Upstream { held } => write!(
                f,
                "requests to {upstream} hold {held} of the {all} places of this mirror (--workers {workers}, --queue-size {queue}), and one \
                 upstream may hold three quarters; ask again later, find out why it answers slowly, or raise --queue-size, or --workers if it \
                 can answer more queries at a time"
            ),
            Full::UnknownUpstreams { held } => write!(
                f,
                "{upstream} has not answered this mirror lately, and requests to such upstreams hold {held} of its {all} places \
                 (--workers {workers}, --queue-size {queue}), of which they may hold seven eighths; ask again later, check the hosts in all \
                 connection details, or raise --queue-size"
            ),
        }
    }
}
