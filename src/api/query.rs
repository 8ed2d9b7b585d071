//! A checked query, and how it is run on a worker.

use serde::de::DeserializeOwned;

use crate::api::datasource::{Datasource, Directory};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::model::query::NanInterpretation;
use crate::prometheus::{self, ApiCause, ApiFailure, ErrorKind, Session};
use crate::wire::explanation::Explanation;
use crate::wire::request::{self, QueryRequest};

/// The query of a valid request to the Mirror API.
pub(super) trait MirrorQuery: Send {
    /// The PromQL expression or selector of the query, if there is one.
    fn promql(&self) -> Option<String>;

    /// Queries one replica of the upstream, and returns the body of the response.
    ///
    /// # Errors
    /// When a call fails, or the Mirror API cannot express the result.
    fn run(&self, context: &mut QueryContext<'_>) -> Result<Vec<u8>, Error>;

    /// The error of a query that was not run because of its upstream.
    fn not_run(&self, error: prometheus::Error) -> Error {
        prometheus::Error { query: self.promql().map(Into::into), ..error }.into()
    }
}

/// Whether Prometheus has understood a query, and refuses it.
pub(super) fn is_refusal(error: &prometheus::Error) -> bool {
    let is_refusal = |failure: &ApiFailure| failure.cause == ApiCause::Refused && matches!(failure.status, 400 | 422);
    matches!(&error.kind, ErrorKind::Api(failure) if is_refusal(failure))
}

/// The datasource and the query of a valid request.
pub(super) type CheckedQuery = (Datasource, Box<dyn MirrorQuery>);

/// The datasource and the query of a request's body. `check` makes the query of what was sent.
///
/// # Errors
/// When the request is not valid.
pub(super) fn checked<S: DeserializeOwned, Q>(
    directory: &Directory<'_>,
    body: &[u8],
    check: impl FnOnce(&S) -> Result<Q, Error>,
) -> Result<(Datasource, Q), Error> {
    let QueryRequest { connection_details, query } = request::parsed(body).map_err(Error::BadRequest)?;
    let datasource = Datasource::new(directory, &connection_details)?;
    Ok((datasource, check(&query)?))
}

/// What a query needs to run.
pub(super) struct QueryContext<'g> {
    pub(super) session: Session<'g>,
    pub(super) metrics: &'g Metrics,
    /// What a NaN sample becomes.
    pub(super) nan: NanInterpretation,
    /// How often metrics are scraped, in milliseconds; measured if not given.
    pub(super) interval_ms: Option<i64>,
    /// Whether the request wants an explanation.
    pub(super) explains: bool,
    /// How the points were computed, if the request wants an explanation.
    pub(super) explained: Option<Explanation>,
}

impl QueryContext<'_> {
    /// Runs a query, all of it on one replica. If a replica fails, runs the query again on the next one.
    ///
    /// # Errors
    /// Those of [`MirrorQuery::run`], for the replica that used up the time.
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
            // If there was no time left for this replica, the replica before it used up the time.
            let to_blame = if failure.kind.had_no_time() { failed.unwrap_or(failure) } else { failure };
            return Err(Error::Upstream(self.session.with_failed_replicas(to_blame)));
        }
    }
}
