//! `prometheusmirror check --upstreams`: reads the upstreams file and asks each of its upstreams for something trivial.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::memory::MemoryBudget;
use crate::metrics::Metrics;
use crate::model::query::PartialResponse;
use crate::model::trace::Trace;
use crate::prometheus::{BadUpstreamsFile, Client, Deadline, TRIVIAL_QUERY, Upstream};
use crate::reach::{BadReach, reach};
use crate::settings::ReachSettings;

/// How long an upstream may take whose definition does not say.
const PATIENCE: Duration = Duration::from_secs(20);

/// The memory for answers, of which each is a single number.
const MEMORY_BYTES: usize = 16 << 20;

/// Why the upstreams do not pass.
#[derive(Debug)]
pub enum UpstreamsError {
    /// There is no file to check.
    NoFile,
    /// A file that a setting names is of no use.
    Reach(BadReach),
    /// The upstreams file, or one that it names, is of no use.
    File(BadUpstreamsFile),
}

impl fmt::Display for UpstreamsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpstreamsError::NoFile => {
                f.write_str("--upstreams-file or UPSTREAMS_FILE must be given: the file to check")
            }
            UpstreamsError::Reach(bad) => bad.fmt(f),
            UpstreamsError::File(bad) => bad.fmt(f),
        }
    }
}

impl std::error::Error for UpstreamsError {}

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// A line on each upstream, and on each replica of those that have several.
    pub lines: String,
    /// Whether all of them answer.
    pub is_good: bool,
}

/// Tests every upstream.
///
/// # Errors
/// When the file is of no use.
pub fn run(settings: &ReachSettings) -> Result<Report, UpstreamsError> {
    if settings.upstreams_file.is_none() {
        return Err(UpstreamsError::NoFile);
    }
    let reach = reach(settings).map_err(UpstreamsError::Reach)?;
    let metrics = Arc::new(Metrics::new(1, 0));
    let client = Client::new(1, reach, Duration::from_secs(60), metrics).map_err(UpstreamsError::File)?;
    let (mut lines, mut is_good) = (String::new(), true);
    for upstream in client.all_named() {
        let begun = Instant::now();
        let verdict = test(&client, &upstream);
        // Writing to a string does not fail.
        let _ = match verdict {
            Ok(()) => writeln!(lines, "{upstream}: OK, {} ms", begun.elapsed().as_millis()),
            Err(error) => {
                is_good = false;
                writeln!(lines, "{upstream}: FAILED: {error}")
            }
        };
    }
    Ok(Report { lines, is_good })
}

fn test(client: &Client, upstream: &Upstream) -> Result<(), crate::prometheus::Error> {
    let timeout = upstream.options().and_then(|options| options.timeout).unwrap_or(PATIENCE);
    let deadline = Deadline::new(Instant::now(), timeout);
    let memory = MemoryBudget::new(MEMORY_BYTES).question(deadline.instant());
    let trace = Arc::new(Trace::new("check".into(), None, None));
    let mut session = client.session(upstream.clone(), deadline, PartialResponse::Deny, memory, trace);
    session.instant(TRIVIAL_QUERY, None).map(drop)
}
