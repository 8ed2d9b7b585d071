//! Finds out whether range selectors include their left end, on an upstream's engine. The result is not remembered, because another
//! version may respond at the same address a minute later.

use crate::api::query::is_refusal;
use crate::compute::subquery::RangeBounds;
use crate::error::Error;
use crate::prometheus::{self, Session};

/// The instant of the query: any multiple of the subquery's step.
const AT_MS: i64 = 1_200_000_000_000;

/// The bounds of range selectors on an upstream's engine.
///
/// This evaluates a subquery over a constant, which needs no data: a closed range of three steps has four evaluations, a left-open
/// one has three. An engine that refuses the subquery counts as left-open, like newer engines. Errors show `promql`, the query that
/// needs to know.
///
/// # Errors
/// When the call fails, or the upstream responds like two different engines.
pub(super) fn find(session: &mut Session<'_>, promql: &str) -> Result<RangeBounds, Error> {
    let counted = match session.trivial_instant("count_over_time(vector(0)[60s:20s])", Some(AT_MS)) {
        Ok(counted) => counted,
        Err(refused) if is_refusal(&refused) => return Ok(RangeBounds::LeftOpen),
        // The admin knows their own query, not this one.
        Err(other) => return Err(prometheus::Error { query: Some(promql.into()), ..other }.into()),
    };
    let counts = || counted.series.iter().flat_map(|one| &one.samples).map(|sample| sample.value);
    match (counts().any(|count| count == 4.0), counts().any(|count| count != 4.0)) {
        (true, true) => Err(Error::several_engines(promql, session.upstream())),
        (true, false) => Ok(RangeBounds::Closed),
        (false, _) => Ok(RangeBounds::LeftOpen),
    }
}
