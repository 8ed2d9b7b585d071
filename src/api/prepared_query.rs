//! A checked query that waits for a worker.

use std::time::Instant;

use crate::api::datasource::Datasource;
use crate::api::method::MethodRequest;
use crate::api::query::MirrorQuery;
use crate::api::reply::Reply;
use crate::error::{Error, Full, Overload, Places};
use crate::prometheus::{Deadline, Lane};

/// A checked query, ready to be run on a worker.
pub struct PreparedQuery {
    pub(super) request: MethodRequest,
    pub(super) datasource: Datasource,
    pub(super) query: Box<dyn MirrorQuery>,
    pub(super) deadline: Deadline,
    pub(super) lane: Lane,
}

impl PreparedQuery {
    /// When the timeout of the request expires.
    pub fn deadline(&self) -> Instant {
        self.deadline.instant()
    }

    /// How it shares the workers with other queries.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// The reply to a query for which the workers and the queue have no room.
    pub fn turn_away(&self, full: Full, places: Places) -> Reply {
        let upstream = self.datasource.upstream.to_string();
        self.request.refuse(&Error::Overloaded(Overload { upstream, full, places }))
    }
}
