//! A checked query, and how it is run on a worker.

use crate::api::datasource::Datasource;
use crate::api::explain::PointsExplanation;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::model::query::Order;
use crate::prometheus::{self, ErrorKind, Session};

/// What a method of the Mirror API does with a valid request.
pub(super) trait MirrorQuery: Send {
    /// The PromQL expression or selector that it is about, if there is one.
    fn promql(&self) -> Option<String>;

    /// The order of the points that are wanted.
    fn order(&self) -> Order {
        Order::OldestFirst
    }

    /// Queries one replica of the upstream, and gives the body of the response.
    ///
    /// # Errors
    /// When Prometheus does not answer, or has no answer that the Mirror API can carry.
    fn run(&self, context: &mut QueryContext<'_>) -> Result<Vec<u8>, Error>;

    /// The error of a query that was not run, for what is wrong with its upstream.
    fn not_run(&self, error: prometheus::Error) -> Error {
        prometheus::Error { query: self.promql().map(Into::into), ..error }.into()
    }
}

/// Whether Prometheus has understood a query and refuses it.
pub(super) fn is_refusal(error: &prometheus::Error) -> bool {
    matches!(error.kind, ErrorKind::Api { status: 400 | 422, .. })
}

/// The datasource and the query of a valid request.
pub(super) type CheckedQuery = (Datasource, Box<dyn MirrorQuery>);

/// What a query is run with.
#[derive(Debug)]
pub(super) struct QueryContext<'g> {
    pub(super) session: Session<'g>,
    pub(super) metrics: &'g Metrics,
    /// How the points came to be, if that is to be explained.
    pub(super) explained: Option<PointsExplanation>,
}

impl QueryContext<'_> {
    /// Runs a query on one replica of its upstream alone, of several the first that can.
    ///
    /// # Errors
    /// Those of [`MirrorQuery::run`], for the replica that took the time.
    pub(super) fn run(&mut self, query: &dyn MirrorQuery) -> Result<Vec<u8>, Error> {
        let mut failed = None;
        loop {
            let failure = match query.run(self) {
                Err(Error::Upstream(failure)) => failure,
                other => return other,
            };
            if self.session.fail_over(&failure.kind) {
                failed = Some(failure);
                continue;
            }
            // Without time for this replica, it is the one before that took it.
            let to_blame = if failure.kind.had_no_time() { failed.unwrap_or(failure) } else { failure };
            return Err(Error::Upstream(self.session.with_failed_replicas(to_blame)));
        }
    }
}
