//! What a call to an upstream did. The explanation of a response shows it.

use std::time::Duration;

/// A call to the upstream.
#[derive(Debug, Clone, Default)]
pub struct CallRecord {
    /// The replica that was queried, if the upstream has several.
    pub replica: Option<String>,
    /// The path below the upstream's base.
    pub path: String,
    /// The PromQL or the selector, shortened.
    pub query: Option<String>,
    /// The time parameters, in seconds: `time`, or `start`, `end` and `step`.
    pub times: Vec<(&'static str, String)>,
    /// The HTTP status, if there was a response.
    pub status: Option<u16>,
    /// `ok`, or the code of the failure.
    pub outcome: &'static str,
    /// How long it took.
    pub took: Duration,
    /// How many bytes of the response's body were read.
    pub bytes: u64,
    /// How many series the response contains, if it contains series.
    pub series: Option<u64>,
    /// How many samples the response contains.
    pub samples: Option<u64>,
}
