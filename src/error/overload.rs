//! Overload: which bound is reached, and how many requests the mirror holds at most.

use std::fmt;

/// The mirror has no room for another request.
#[derive(Debug)]
pub struct Overload {
    /// The upstream of the request, without a password.
    pub upstream: String,
    /// Which bound is reached.
    pub full: Full,
    /// How many requests the mirror holds at most.
    pub places: Places,
}

/// The bound that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// All workers are busy, and the queue is full.
    Everything,
    /// One upstream has its full share, which is three quarters.
    Upstream {
        /// How many of its requests the mirror holds.
        held: usize,
    },
    /// The upstreams that have not responded lately have their full share, which is seven eighths.
    UnknownUpstreams {
        /// How many of their requests the mirror holds.
        held: usize,
    },
}

/// How many requests the mirror holds at most.
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
