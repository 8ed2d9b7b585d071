//! No room for a further request: which bound is reached, and how much room there is.

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
                "this mirror has {all} requests, as many as it holds (--workers {workers}, --queue-size {queue}); try again \
                 later, or raise --queue-size, or --workers if Prometheus can answer more queries at a time"
            ),
            Full::Upstream { held } => write!(
                f,
                "the mirror holds {held} requests for {upstream}, of at most {all} for all upstreams (--workers {workers}, \
                 --queue-size {queue}), of which one upstream may have three quarters; try again later, find out why it is slow, \
                 or raise --queue-size, or --workers if it can answer more queries at a time"
            ),
            Full::UnknownUpstreams { held } => write!(
                f,
                "{upstream} has not responded lately; the mirror holds {held} requests for such upstreams, of at most {all} for \
                 all upstreams (--workers {workers}, --queue-size {queue}), of which they may have seven eighths; try again \
                 later, check the hosts in all Connection Details, or raise --queue-size"
            ),
        }
    }
}
