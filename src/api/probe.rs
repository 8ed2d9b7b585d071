//! Whether the ranges of an upstream's engine include their left end. Asked where it matters, and not remembered: another
//! version may answer at the same address a minute later.

use crate::api::query::is_refusal;
use crate::compute::plan::RangeBounds;
use crate::error::Error;
use crate::prometheus::{self, Session};

/// Any multiple of the subquery's step.
const AT_MS: i64 = 1_200_000_000_000;

/// Whether the ranges of an upstream's engine include their left end.
///
/// A subquery over a constant tells, without a look at any data: four evaluations lie in a closed range of three steps, three in
/// a left-open one. An engine that refuses it is taken for a newer one. `promql` is what it is asked for, for the error.
///
/// # Errors
/// When the upstream does not answer, or as two engines do.
pub(super) fn range_bounds(session: &mut Session<'_>, promql: &str) -> Result<RangeBounds, Error> {
    let found = match session.trivial_instant("count_over_time(vector(0)[60s:20s])", Some(AT_MS)) {
        Ok(found) => found,
        Err(refused) if is_refusal(&refused) => return Ok(RangeBounds::LeftOpen),
        // The admin knows his query, not ours.
        Err(other) => return Err(prometheus::Error { query: Some(promql.into()), ..other }.into()),
    };
    let counts = || found.series.iter().flat_map(|one| &one.samples).map(|sample| sample.value);
    match (counts().any(|count| count == 4.0), counts().any(|count| count != 4.0)) {
        (true, true) => Err(Error::several_engines(promql, session.upstream())),
        (true, false) => Ok(RangeBounds::Closed),
        (false, _) => Ok(RangeBounds::LeftOpen),
    }
}
