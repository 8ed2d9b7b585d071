//! `prometheusmirror check --upstreams`: reads the upstreams file and sends a trivial query to each upstream in it.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{iter, thread};

use super::CommandError;
use crate::api::DEFAULT_TIMEOUT;
use crate::memory::MemoryBudget;
use crate::metrics::Metrics;
use crate::model::query::PartialResponse;
use crate::model::trace::Trace;
use crate::prometheus::{Client, Deadline, TRIVIAL_QUERY, Upstream};
use crate::reach;
use crate::settings::ReachSettings;

/// How many upstreams are tested at the same time.
const MAX_AT_A_TIME: usize = 16;

/// The memory for responses, each of which is a single number.
const MEMORY_BYTES: usize = 16 << 20;

/// Tests all upstreams: a line for each, or for each replica of an upstream that has several, and whether all of them respond.
///
/// # Errors
/// If no upstreams file is given, or a file that a setting names is unusable.
pub fn run(settings: &ReachSettings) -> Result<(String, bool), CommandError> {
    if settings.upstreams_file.is_none() {
        let missing = "--upstreams-file or UPSTREAMS_FILE must be given: the file to check";
        return Err(CommandError::Usage(missing.to_owned()));
    }
    let metrics = Arc::new(Metrics::new(1, 0));
    let (client, _) = reach::client(settings, MAX_AT_A_TIME, Duration::from_secs(60), &metrics)?;
    let upstreams = client.upstreams.all();
    let verdicts = in_order(upstreams.len(), |nth| {
        let (upstream, begun) = (&upstreams[nth], Instant::now());
        match test(&client, upstream) {
            Ok(()) => (format!("{upstream}: OK, {} ms\n", begun.elapsed().as_millis()), true),
            Err(error) => (format!("{upstream}: FAILED: {}\n", error.predicate()), false),
        }
    });
    let is_good = verdicts.iter().all(|(_, is_good)| *is_good);
    Ok((verdicts.into_iter().map(|(line, _)| line).collect(), is_good))
}

/// The results of `work` for 0, 1, 2 and so on, in this order. Several threads do the work.
fn in_order<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let taken = iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|nth| *nth < count);
        taken.map(|nth| (nth, work(nth))).collect::<Vec<_>>()
    };
    let mut done = thread::scope(|scope| {
        // If not all threads can be started, fewer do the work.
        let others = (1..MAX_AT_A_TIME.min(count)).map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok());
        let others: Vec<_> = others.collect();
        let mut done = work();
        done.extend(others.into_iter().flat_map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic))));
        done
    });
    done.sort_by_key(|(nth, _)| *nth);
    done.into_iter().map(|(_, made)| made).collect()
}

fn test(client: &Client, upstream: &Upstream) -> Result<(), crate::prometheus::Error> {
    let timeout = upstream.options().and_then(|options| options.timeout).unwrap_or(DEFAULT_TIMEOUT);
    let deadline = Deadline::new(Instant::now(), timeout);
    let memory = MemoryBudget::new(MEMORY_BYTES).query(deadline.instant());
    let trace = Arc::new(Trace::new("check".into(), None, None));
    let mut session = client.session(upstream.clone(), deadline, PartialResponse::Deny, memory, trace);
    session.trivial_instant(TRIVIAL_QUERY, None).map(drop)
}
