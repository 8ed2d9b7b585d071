//! Test connection: does a Prometheus respond to queries there?

use crate::api::datasource::{Datasource, Directory};
use crate::api::query::{CheckedQuery, MirrorQuery, QueryContext};
use crate::api::reply::json;
use crate::error::Error;
use crate::prometheus::TRIVIAL_QUERY;
use crate::wire::request::{self, TestConnectionRequest};
use crate::wire::response::TestConnectionResponse;

/// Checks a request for a connection test. [`failure`] makes the response if the request or the connection is bad.
///
/// # Errors
/// When the request is not valid.
pub(super) fn check(directory: &Directory<'_>, body: &[u8]) -> Result<CheckedQuery, Error> {
    let TestConnectionRequest { connection_details } = request::parsed(body).map_err(Error::BadRequest)?;
    Ok((Datasource::new(directory, &connection_details)?, Box::new(ConnectionTest)))
}

/// A test whether a Prometheus responds to queries.
struct ConnectionTest;

impl MirrorQuery for ConnectionTest {
    fn promql(&self) -> Option<String> {
        Some(TRIVIAL_QUERY.to_owned())
    }

    fn run(&self, context: &mut QueryContext<'_>) -> Result<Vec<u8>, Error> {
        context.session.trivial_instant(TRIVIAL_QUERY, None)?;
        Ok(success())
    }
}

/// The response to a test that succeeds.
pub(super) fn success() -> Vec<u8> {
    json(&TestConnectionResponse { status: "OK", error: None })
}

/// The body of a response with status 200 that reports a failed test; `None` for errors that the Mirror API does not define, which
/// have a status of their own.
pub(super) fn failure(error: &Error) -> Option<Vec<u8>> {
    const WITHIN_CONTRACT: u16 = 500;
    let response = || TestConnectionResponse { status: "FAILURE", error: Some(error.body()) };
    (error.status() == WITHIN_CONTRACT).then(|| json(&response()))
}
