//! Requests to the Mirror API: how they are checked, the queries that wait for a worker, and the replies to requests that need
//! none.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::api::datasource::{Datasource, Directory};
use crate::api::query::{CheckedQuery, MirrorQuery};
use crate::api::reply::Reply;
use crate::error::{Error, Full, Overload, Places};
use crate::prometheus::{Deadline, Lane};
use crate::wire::explanation::{self, Explanation};

/// A route of the Mirror API: what is done at one of its paths.
#[derive(Clone, Copy)]
pub(super) struct ApiRoute {
    /// Checks the body of a request, and makes a query of it.
    pub(super) check: fn(&Directory<'_>, &[u8]) -> Result<CheckedQuery, Error>,
    /// The body of a response with status 200 that reports an error, if the route has one.
    pub(super) failure_body: fn(&Error) -> Option<Vec<u8>>,
    /// Whether a valid request succeeds without a call to Prometheus.
    pub(super) only_checks: bool,
}

/// A request to the Mirror API, without its body.
#[derive(Clone, Copy)]
pub struct ApiRequest {
    /// The route's name in the metrics.
    pub(super) route_name: &'static str,
    pub(super) api_route: ApiRoute,
    /// Whether the response is to be explained.
    pub(super) explains: bool,
}

impl ApiRequest {
    /// Checks the body, and makes a query of it.
    ///
    /// # Errors
    /// When the request is not valid.
    pub(super) fn check(self, directory: &Directory<'_>, body: &[u8]) -> Result<CheckedQuery, Error> {
        catch_unwind(AssertUnwindSafe(|| (self.api_route.check)(directory, body))).unwrap_or(Err(Error::Internal))
    }

    /// The reply to a request whose query is not run.
    pub fn refuse(self, error: &Error) -> Reply {
        self.failed(error, None)
    }

    /// The reply that reports an error. Without an explanation, no upstream was called.
    pub(super) fn failed(self, error: &Error, explanation: Option<&Explanation>) -> Reply {
        let mut reply = match (self.api_route.failure_body)(error) {
            Some(body) => Reply::failure(self.route_name, 200, body, error),
            None => Reply::of_error(self.route_name, error),
        };
        if self.explains {
            reply.body = explanation::add(reply.body, explanation.unwrap_or(&Explanation::default()));
        }
        reply
    }
}

/// A checked query, ready to be run on a worker.
pub struct PreparedQuery {
    pub(super) request: ApiRequest,
    pub(super) datasource: Datasource,
    pub(super) query: Box<dyn MirrorQuery>,
    /// When the timeout of the request expires.
    pub deadline: Deadline,
    /// How it shares the workers with other queries.
    pub lane: Lane,
}

impl PreparedQuery {
    /// The reply to a query for which the workers and the queue have no room.
    pub fn turn_away(&self, full: Full, places: Places) -> Reply {
        let upstream = self.datasource.upstream.to_string();
        self.request.refuse(&Error::Overloaded(Overload { upstream, full, places }))
    }
}
