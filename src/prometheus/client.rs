//! The calls of the Prometheus HTTP API: what is sent, what comes back, and what was learnt about upstreams on the way.

pub(super) mod health;
pub(super) mod recording;
pub(super) mod response;

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cache::Cache;
use crate::file::Refreshed;
use crate::log;
use crate::memory::{Memory, NoMemory};
use crate::metrics::{Metrics, SampleSource};
use crate::model::metric_type::Metadata;
use crate::model::query::{Order, PartialResponse};
use crate::model::sample::{SampleSink, SeriesSet};
use crate::model::texts::Texts;
use crate::model::time::TimeRange;
use crate::model::trace::Trace;

use super::access::allowlist::Allowlist;
use super::access::authorities::Authorities;
use super::access::proxy::Proxy;
use super::access::tls_settings::TlsSettings;
use super::credentials::aws::environment::AwsEnvironment;
use super::credentials::hide::hidden;
use super::decode::envelope::{self, Envelope, QueryResult, ResultType, Streamed};
use super::decode::json::{Decode, Json, Undecoded};
use super::decode::lists::{self, BoundedTexts};
use super::decode::metadata::Families;
use super::decode::remote_read::{self, ReadFailure};
use super::error::circumstances::{Before, CallKind, Circumstances, Queued};
use super::error::silence::{Silence, WaitedFor};
use super::error::{Error, ErrorKind, logged, predicate, shortened};
use super::http::deadline::Deadline;
use super::http::form::Params;
use super::http::rotating_transport::Surroundings;
use super::http::tls::Tls;
use super::http::transport::{ANY_PATIENCE, Answer, ByteMeter, Content, Question, Shared, Transport, url};
use super::upstream::Upstream;
use super::upstream::all_named::{BadUpstreamsFile, Upstreams};
use super::upstream::trivial_query;
use health::{Admission, Health};
use recording::{CallRecord, ReadRecorder, Recording, Tee};
use response::{Unanswered, interpret};

/// How many upstreams something is remembered about, and for how long: that they take only GET, that they have no remote
/// read, that they are VictoriaMetrics. Then it is tried again.
const LEARNT_UPSTREAMS: usize = 256;
const LEARNT_LIFETIME: Duration = Duration::from_secs(3600);

/// The most calls of one request.
pub const MAX_CALLS: u32 = 100;

/// The most bytes of an answer in JSON: 32 MiB, in which a million samples have room.
const MAX_JSON_BYTES: u64 = 32 << 20;

/// The most bytes of a URL. ureq writes the first line of a request in one piece, which has to fit into its output buffer of
/// 16 KiB (`transport`), and panics beyond 65,534 bytes.
const MAX_URL_BYTES: usize = 16_000;

/// How many bytes of memory a byte of a query takes while it is sent: it is copied, and percent-encoded in a form.
const QUERY_BYTES: usize = 6;

/// The most names or values in a list: many times what a person can choose from, and few enough for every worker to
/// have as many in memory.
const MAX_NAMES: usize = 250_000;

/// What begins the warnings of the PromQL engine, which are about the expression. All others are about missing data.
const ABOUT_PROMQL: &str = "PromQL ";

/// What all requests share: the kept connections and what was learnt about upstreams.
#[derive(Debug)]
pub struct Client {
    /// The connections to all upstreams that connection details give the addresses of.
    transport: Transport,
    upstreams: Upstreams,
    get_only: Cache<Upstream, ()>,
    without_remote_read: Cache<Upstream, ()>,
    victoria_metrics: Cache<Upstream, ()>,
    health: Health,
    lanes: RandomState,
    workers: usize,
    metrics: Arc<Metrics>,
}

/// Which upstreams may be asked, and how they are reached.
#[derive(Debug)]
pub struct Reach {
    /// Which upstreams connection details may give the address of.
    pub allowlist: Allowlist,
    /// What the certificates of `https` upstreams are checked against.
    pub authorities: Authorities,
    /// The proxy that upstreams are asked through.
    pub proxy: Option<Proxy>,
    /// The file of the named upstreams.
    pub upstreams_file: Option<PathBuf>,
    /// What Amazon's programs take from the environment.
    pub aws: AwsEnvironment,
}

impl Client {
    /// A client for this many workers, each of which may keep a connection to any upstream that may be asked, for as long as
    /// `connection_lifetime`.
    ///
    /// # Errors
    /// When the upstreams file, or a file that it names, is of no use.
    pub fn new(
        workers: usize,
        reach: Reach,
        connection_lifetime: Duration,
        metrics: Arc<Metrics>,
    ) -> Result<Client, BadUpstreamsFile> {
        let Reach { allowlist, authorities, proxy, upstreams_file, aws } = reach;
        let learnt = || Cache::new(LEARNT_UPSTREAMS, LEARNT_LIFETIME);
        let tls = || Tls::new(TlsSettings::default_config(&authorities), None);
        let shared = Shared::new(workers, connection_lifetime, tls());
        let proxy_tls = Arc::clone(&shared.proxy_tls);
        let transport = Transport::new(&shared, allowlist, proxy.clone(), tls(), proxy_tls, ANY_PATIENCE);
        let around = Surroundings { shared, authorities, proxy };
        let upstreams = match upstreams_file {
            Some(path) => Upstreams::from_file(path, around, aws)?,
            None => Upstreams::none(around, aws),
        };
        Ok(Client {
            transport,
            upstreams,
            get_only: learnt(),
            without_remote_read: learnt(),
            victoria_metrics: learnt(),
            health: Health::default(),
            lanes: RandomState::new(),
            workers,
            metrics,
        })
    }

    /// The named upstream of this name, or the only one there is if no name is given.
    pub fn named(&self, name: Option<&str>) -> Option<Upstream> {
        self.upstreams.find(name)
    }

    /// All named upstreams, replica by replica, in the order of their file.
    pub fn all_named(&self) -> Vec<Upstream> {
        self.upstreams.all()
    }

    /// The names of all named upstreams, in the order of their file.
    pub fn names(&self) -> Vec<String> {
        self.upstreams.names()
    }

    /// Probes the replicas of named upstreams that have several, which takes seconds at most.
    pub fn probe_replicas(&self) {
        self.upstreams.probe_replicas();
    }

    /// Takes over what has changed in the upstreams file and in those that it names, whatever is wrong with some of them.
    pub fn refresh(&self) -> Refreshed<BadUpstreamsFile> {
        self.upstreams.refresh()
    }

    fn transport<'c>(&'c self, upstream: &'c Upstream) -> &'c Transport {
        upstream.transport().unwrap_or(&self.transport)
    }

    /// The calls of one request to one upstream, which together end before a deadline. What they find is held in `memory`.
    pub fn session(
        &self,
        upstream: Upstream,
        deadline: Deadline,
        partial: PartialResponse,
        memory: Memory,
        trace: Arc<Trace>,
    ) -> Session<'_> {
        Session {
            client: self,
            upstream,
            deadline,
            partial,
            memory,
            trace,
            failed_replicas: Vec::new(),
            is_admitted: false,
            before: Before::default(),
            waited_for_calls: Duration::ZERO,
            calls: 0,
            spent: Duration::ZERO,
            last_query: None,
            last_asked: CallKind::Evaluation,
            has_missing_data: false,
            recording: None,
        }
    }

    /// How requests to an upstream share the workers with others.
    ///
    /// # Errors
    /// When they need not wait for a worker: the upstream does not answer, and another request is finding out whether it does again.
    pub fn lane(&self, upstream: &Upstream) -> Result<Lane, Error> {
        let most = upstream.options().and_then(|options| options.max_in_flight);
        let lane = |is_known| Lane { upstream: self.lanes.hash_one(upstream.lane_key()), is_known, most };
        match self.health.is_known(&upstream.health_key(), Instant::now()) {
            Ok(is_known) => Ok(lane(is_known)),
            Err(silence) => Err(Error::uncalled(upstream.shown(), ErrorKind::Silent(silence))),
        }
    }

    /// Why a request was not answered that found no worker before its deadline, of whose upstream so many workers waited.
    pub fn no_worker(&self, upstream: &Upstream, deadline: Deadline, held_by_upstream: usize) -> Error {
        let most = upstream.options().and_then(|options| options.max_in_flight);
        let kind =
            ErrorKind::NoWorker { timeout_ms: deadline.whole_ms(), held_by_upstream, workers: self.workers, most };
        Error::uncalled(upstream.shown(), kind)
    }
}

/// How a request shares the workers with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// A number of the server that it asks, whatever the path and the credentials.
    pub upstream: u64,
    /// Whether the upstream has answered lately.
    pub is_known: bool,
    /// The most workers that may ask it at a time, if that is set.
    pub most: Option<usize>,
}

/// The calls of one request to one upstream.
///
/// Every call fails with an [`Error`] that names the upstream and the query.
#[derive(Debug)]
pub struct Session<'c> {
    client: &'c Client,
    upstream: Upstream,
    deadline: Deadline,
    partial: PartialResponse,
    memory: Memory,
    trace: Arc<Trace>,
    /// The replicas that have failed for this question, and why.
    failed_replicas: Vec<(Upstream, String)>,
    /// Whether the upstream is known to answer, or may be asked nevertheless.
    is_admitted: bool,
    /// What came before the last call, without waits for memory, which go on during it.
    before: Before,
    /// The time of all calls, without waits for memory meanwhile.
    waited_for_calls: Duration,
    calls: u32,
    spent: Duration,
    last_query: Option<String>,
    last_asked: CallKind,
    has_missing_data: bool,
    /// What it does, if that is to be explained.
    recording: Option<Box<Recording>>,
}

/// Which samples are read.
#[derive(Debug, Clone, Copy)]
pub struct SampleQuery<'a> {
    /// A range selector that covers the range when it is evaluated at its end, and may cover a sample before it.
    pub promql: &'a str,
    /// The metric's name.
    pub metric: &'a str,
    /// Labels and the patterns that they match (RE2, anchored at both ends).
    pub label_patterns: &'a [(String, String)],
    /// From when to when, both ends included.
    pub range: TimeRange,
}

/// Samples that were read.
#[derive(Debug)]
pub struct SamplesRead<S> {
    /// What they were handed to.
    pub sink: S,
    /// That the answer was larger than what is read of one, so that samples are missing.
    pub too_large: Option<Error>,
}

/// Where a call goes, and what it carries.
struct Request<'a> {
    /// What the metrics call the endpoint.
    endpoint: &'static str,
    path: &'a str,
    params: Params,
    /// The PromQL or selector, for the error.
    query: Option<&'a str>,
    asked: CallKind,
    /// Whether the endpoint takes a form by POST, which has no bound on its length.
    by_post: bool,
    deadline: Deadline,
}

impl Session<'_> {
    fn transport(&self) -> &Transport {
        self.client.transport(&self.upstream)
    }

    /// Goes on with another replica after a failure of this one: whether there is one that was not tried for this question. Everything has
    /// to be asked anew there, for what two replicas answer does not belong together.
    pub fn fail_over(&mut self, failure: &ErrorKind) -> bool {
        if !failure.is_of_replica() || self.upstream.replica().is_none() || self.deadline.remaining().is_zero() {
            return false;
        }
        if failure.is_replicas_own() {
            self.upstream.has_failed();
        }
        self.failed_replicas.push((self.upstream.clone(), failure.brief()));
        let has_failed = |one: &Upstream| self.failed_replicas.iter().any(|(failed, _)| failed == one);
        let candidates = std::iter::once(self.upstream.at_current_replica()).chain(self.upstream.replicas());
        let Some(next) = candidates.into_iter().find(|one| !has_failed(one)) else { return false };
        self.upstream = next;
        if let Some(recording) = &mut self.recording {
            recording.start_over();
        }
        (self.is_admitted, self.has_missing_data) = (false, false);
        true
    }

    /// The request waited for a worker before.
    pub fn was_queued(&mut self, queued: Queued) {
        self.before.queued = Some(queued);
    }

    /// Records from now on what the question does, whose points come in this order.
    pub fn record(&mut self, order: Order) {
        self.recording = Some(Box::new(Recording::new(order)));
    }

    /// What was recorded, if anything.
    pub fn recording(&self) -> Option<&Recording> {
        self.recording.as_deref()
    }

    /// The samples of the first points were read: what is read from now on belongs to later ones.
    pub fn settle_recording(&mut self) {
        if let Some(recording) = &mut self.recording {
            recording.settle();
        }
    }

    /// The replicas that have failed for this question, separated by commas.
    pub fn failed_replicas(&self) -> String {
        self.failed_replicas.iter().filter_map(|(one, _)| one.replica()).collect::<Vec<_>>().join(", ")
    }

    /// The failure of this question, with the other replicas that failed for it.
    pub fn with_failed_replicas(&self, mut failure: Error) -> Error {
        let others = self.failed_replicas.iter().filter(|(one, _)| one.replica_nth() != failure.upstream.replica);
        let shown = others.map(|(one, why)| format!("{} ({why})", one.replica().unwrap_or_default()));
        failure.circumstances.failed_replicas = shown.collect();
        failure
    }

    /// The upstream that is asked.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// The memory that what is found may take.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Waits until what is found may take so many bytes of memory in all.
    ///
    /// # Errors
    /// When they cannot be had in time.
    pub fn hold(&self, bytes: usize) -> Result<(), Error> {
        self.memory.hold(bytes).map_err(|none| self.no_memory(none))
    }

    /// The failure of a request that has no memory.
    pub fn no_memory(&self, none: NoMemory) -> Error {
        self.error(self.last_query(), self.last_asked, ErrorKind::NoMemory(none))
    }

    /// How many calls were made.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// How many more calls may be made.
    pub fn calls_left(&self) -> u32 {
        MAX_CALLS.saturating_sub(self.calls)
    }

    /// The time spent on all calls.
    pub fn spent(&self) -> Duration {
        self.spent
    }

    /// The PromQL evaluated last, or the selector of a question that had none.
    pub fn last_query(&self) -> Option<&str> {
        self.last_query.as_deref()
    }

    /// Whether an answer said that data is missing in it, and was taken nevertheless.
    pub fn has_missing_data(&self) -> bool {
        self.has_missing_data
    }

    /// Whether the upstream is known to be VictoriaMetrics.
    pub fn is_victoria_metrics(&self) -> bool {
        self.client.victoria_metrics.get(&self.upstream, Instant::now()).is_some()
    }

    /// The value of an expression at a time in milliseconds since the epoch, `None` being the upstream's own now; and its type.
    pub fn instant(&mut self, promql: &str, time_ms: Option<i64>) -> Result<(ResultType, SeriesSet), Error> {
        let time = time_ms.map(|time_ms| ("time", seconds(time_ms))).into_iter().collect();
        self.evaluate("query", CallKind::Evaluation, promql, time, &[ResultType::Scalar, ResultType::Vector])
    }

    /// The same of an expression that takes the upstream no time.
    pub fn trivial_instant(&mut self, promql: &str, time_ms: Option<i64>) -> Result<SeriesSet, Error> {
        let time = time_ms.map(|time_ms| ("time", seconds(time_ms))).into_iter().collect();
        let expected = [ResultType::Scalar, ResultType::Vector];
        self.evaluate("query", CallKind::Trivial, promql, time, &expected).map(|(_, found)| found)
    }

    /// The values of an expression over time; start and end in milliseconds since the epoch, the step in milliseconds.
    pub fn range(&mut self, promql: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<SeriesSet, Error> {
        let times = vec![("start", seconds(start_ms)), ("end", seconds(end_ms)), ("step", step(step_ms))];
        self.evaluate("query_range", CallKind::Evaluation, promql, times, &[ResultType::Matrix]).map(|(_, found)| found)
    }

    /// Reads samples: by remote read, or by a range selector where the upstream has no remote read. `new_sink` makes what
    /// they are handed to, anew for each try.
    ///
    /// # Errors
    /// When they cannot be read; never because a sink has seen enough.
    pub fn samples<S: SampleSink>(
        &mut self,
        query: &SampleQuery<'_>,
        new_sink: impl Fn() -> S,
    ) -> Result<SamplesRead<S>, Error> {
        let order = self.recording.as_ref().map(|recording| recording.order());
        let new_sink = || Tee { sink: new_sink(), recorder: order.map(ReadRecorder::new) };
        let (source, read) = self.samples_from_anywhere(query, new_sink)?;
        let SamplesRead { sink: Tee { sink, recorder }, too_large } = read;
        if let (Some(recording), Some(recorder)) = (&mut self.recording, recorder) {
            recording.take_read(source, recorder.into_record());
        }
        Ok(SamplesRead { sink, too_large })
    }

    fn samples_from_anywhere<S: SampleSink>(
        &mut self,
        query: &SampleQuery<'_>,
        new_sink: impl Fn() -> S,
    ) -> Result<(SampleSource, SamplesRead<S>), Error> {
        let by_selector =
            |session: &mut Self| Ok((SampleSource::RangeSelector, session.samples_by_selector(query, new_sink())?));
        let known = &self.client.without_remote_read;
        let is_off = self.upstream.options().is_some_and(|options| options.without_remote_read);
        if is_off || known.get(&self.upstream, Instant::now()).is_some() {
            return by_selector(self);
        }
        let mut sink = new_sink();
        match self.samples_by_remote_read(query, &mut sink)? {
            RemoteRead::Read => Ok((SampleSource::RemoteRead, SamplesRead { sink, too_large: None })),
            RemoteRead::OutOfOrder | RemoteRead::NotNow => by_selector(self),
            RemoteRead::NotOffered => {
                let read = by_selector(self)?;
                // It is not just that the upstream is down.
                self.client.without_remote_read.put(self.upstream.clone(), (), Instant::now());
                Ok(read)
            }
        }
    }

    fn samples_by_remote_read(
        &mut self,
        query: &SampleQuery<'_>,
        sink: &mut impl SampleSink,
    ) -> Result<RemoteRead, Error> {
        let SampleQuery { promql, metric, label_patterns, range } = *query;
        let mut call = self.begin(READ, READ_PATH, Some(promql), CallKind::Evaluation)?;
        if self.recording.is_some() {
            call.times = vec![("start", seconds(range.start)), ("end", seconds(range.end))];
        }
        let body = remote_read::request(metric, label_patterns, range.start, range.end);
        let question = Question {
            target: self.upstream.target(),
            path: READ_PATH,
            content: Content::RemoteRead(&body),
            deadline: self.deadline,
            trace: Some(&self.trace),
            // Bounded by whoever decodes it.
            max_bytes: u64::MAX,
        };
        let result = self.transport().exchange(question).and_then(|mut answer| {
            call.has_answer(&mut answer);
            streamed(answer, range, sink)
        });
        let as_prometheus = result.as_ref().is_ok_and(|read| *read == RemoteRead::Read);
        let outcome = result.as_ref().map_or_else(ErrorKind::name, RemoteRead::name);
        self.end(call, outcome, result.as_ref().err(), as_prometheus);
        let read = result.map_err(|kind| self.error(Some(promql), CallKind::Evaluation, kind))?;
        if read == RemoteRead::Read {
            self.client.metrics.samples_read(SampleSource::RemoteRead);
        }
        Ok(read)
    }

    fn samples_by_selector<S: SampleSink>(
        &mut self,
        query: &SampleQuery<'_>,
        mut sink: S,
    ) -> Result<SamplesRead<S>, Error> {
        let SampleQuery { promql, range, .. } = *query;
        let params = self.evaluation_params(promql, vec![("time", seconds(range.end))]);
        let request = Request {
            endpoint: "query",
            path: "/api/v1/query",
            params,
            query: Some(promql),
            asked: CallKind::Evaluation,
            by_post: true,
            deadline: self.deadline,
        };
        let context = self.upstream.context();
        let taken = self.call_with(request, |answer| {
            // VictoriaMetrics drops NaN that it is given, and shows where a series ended as NaN.
            let are_nan_stale = answer.is_victoria_metrics;
            interpret(answer, context, |json| envelope::take_samples(json, range, are_nan_stale, &mut sink))
        });
        self.client.metrics.samples_read(SampleSource::RangeSelector);
        match taken {
            Ok(Some(None)) => Err(self.wrong_type(promql)),
            Ok(Some(Some(Streamed { has_native_histograms: true }))) => {
                Err(self.error(Some(promql), CallKind::Evaluation, ErrorKind::NativeHistogram))
            }
            Ok(Some(Some(_)) | None) => Ok(SamplesRead { sink, too_large: None }),
            Err(error) if matches!(error.kind, ErrorKind::TooLarge(_)) => {
                Ok(SamplesRead { sink, too_large: Some(error) })
            }
            Err(error) => Err(error),
        }
    }

    /// From now on PromQL is asked in the place of samples, of which there are too many.
    pub fn answer_by_promql(&mut self) {
        self.client.metrics.samples_read(SampleSource::PromQl);
        if let Some(recording) = &mut self.recording {
            recording.answer_by_promql();
        }
    }

    /// The names of labels of the series that a selector matches, `None` being all, between two times in milliseconds, of
    /// which the start may be left to the upstream.
    pub fn labels(&mut self, selector: Option<&str>, start_ms: Option<i64>, end_ms: i64) -> Result<Texts, Error> {
        let deadline = self.deadline;
        self.list("labels", "/api/v1/labels", true, deadline, selector, narrowing(selector, start_ms, end_ms))
    }

    /// The values of a label, narrowed like [`Session::labels`].
    pub fn label_values(
        &mut self,
        label: &str,
        selector: Option<&str>,
        start_ms: Option<i64>,
        end_ms: i64,
    ) -> Result<Texts, Error> {
        let path = format!("/api/v1/label/{}/values", path_segment(label));
        let (deadline, params) = (self.deadline, narrowing(selector, start_ms, end_ms));
        let in_url = [&params[..], &self.partial_params()].concat();
        if let Some(selector) = selector
            && url(self.upstream.target(), &path, Content::Query(&in_url)).len() > MAX_URL_BYTES
        {
            return self.label_values_of_series(label, selector, params);
        }
        self.list("label_values", &path, false, deadline, selector, params.clone()).or_else(|error| match selector {
            Some(selector) if error.kind.is_too_long() => self.label_values_of_series(label, selector, params),
            _ => Err(error),
        })
    }

    /// The same, found in the series themselves. They may be many, but they are asked for by POST, which a long selector fits into;
    /// values can be asked for by GET only.
    fn label_values_of_series(&mut self, label: &str, selector: &str, mut params: Params) -> Result<Texts, Error> {
        params.extend(self.partial_params());
        let request = Request {
            endpoint: "series",
            path: "/api/v1/series",
            params,
            query: Some(selector),
            asked: CallKind::Names,
            by_post: true,
            deadline: self.deadline,
        };
        let values = self.call(request, |json| lists::values_in_objects(json, label, MAX_NAMES))?.unwrap_or_default();
        if values.len() > MAX_NAMES {
            return Err(self.error(Some(selector), CallKind::Names, ErrorKind::TooManyNames(MAX_NAMES)));
        }
        Ok(values.iter().map(String::as_str).collect())
    }

    /// The names of all metrics between two times in milliseconds, as a hint: it takes half of the remaining time at most.
    pub fn metric_names(&mut self, start_ms: i64, end_ms: i64) -> Result<Texts, Error> {
        let deadline = self.deadline.halved();
        let params = narrowing(None, Some(start_ms), end_ms);
        self.list("label_values", "/api/v1/label/__name__/values", false, deadline, None, params)
    }

    /// The declared types of all metrics, or of one family. Many servers know none, and what they know is a hint, so the
    /// call takes half of the remaining time at most.
    pub fn metadata(&mut self, family: Option<&str>) -> Result<Metadata, Error> {
        let params = family.map(|family| ("metric", family.to_owned())).into_iter().collect();
        let deadline = self.deadline.halved();
        let request = Request {
            endpoint: "metadata",
            path: "/api/v1/metadata",
            params,
            query: None,
            asked: CallKind::Names,
            by_post: false,
            deadline,
        };
        let Families(metadata) = self.call(request, Families::decode)?.unwrap_or_default();
        Ok(metadata)
    }

    fn list(
        &mut self,
        endpoint: &'static str,
        path: &str,
        by_post: bool,
        deadline: Deadline,
        selector: Option<&str>,
        mut params: Params,
    ) -> Result<Texts, Error> {
        params.extend(self.partial_params());
        let request = Request { endpoint, path, params, query: selector, asked: CallKind::Names, by_post, deadline };
        let names = self.call(request, BoundedTexts::<MAX_NAMES>::decode)?.unwrap_or_default();
        if names.total > names.kept.len() {
            return Err(self.error(selector, CallKind::Names, ErrorKind::TooManyNames(MAX_NAMES)));
        }
        Ok(names.kept)
    }

    fn evaluate(
        &mut self,
        endpoint: &'static str,
        asked: CallKind,
        promql: &str,
        params: Params,
        expected: &[ResultType],
    ) -> Result<(ResultType, SeriesSet), Error> {
        let params = self.evaluation_params(promql, params);
        let path = &format!("/api/v1/{endpoint}");
        let (query, deadline) = (Some(promql), self.deadline);
        let request = Request { endpoint, path, params, query, asked, by_post: true, deadline };
        match self.call(request, QueryResult::decode)? {
            Some(result) if expected.contains(&result.kind) => {
                if let Some(recording) = &mut self.recording {
                    let samples = result.found.series.iter().map(|one| one.samples.len() as u64).sum();
                    recording.found(result.found.total as u64, samples);
                }
                Ok((result.kind, result.found))
            }
            _ => Err(self.wrong_type(promql)),
        }
    }

    fn evaluation_params(&self, promql: &str, mut params: Params) -> Params {
        params.push(("query", promql.to_owned()));
        // Prometheus stops evaluating once the mirror has stopped waiting.
        params.push(("timeout", seconds(self.deadline.remaining().as_millis().max(1) as i64)));
        // VictoriaMetrics moves the grid to multiples of the step unless it is told not to use its cache.
        params.push(("nocache", "1".to_owned()));
        params.extend(self.partial_params());
        params
    }

    /// What tells VictoriaMetrics clusters and Thanos what to do when data is missing. Others do not know it.
    fn partial_params(&self) -> Params {
        match self.partial {
            PartialResponse::Deny => {
                vec![("deny_partial_response", "1".to_owned()), ("partial_response", "false".to_owned())]
            }
            PartialResponse::Allow => vec![("partial_response", "true".to_owned())],
        }
    }

    fn wrong_type(&self, promql: &str) -> Error {
        self.error(Some(promql), CallKind::Evaluation, ErrorKind::WrongType)
    }

    fn circumstances(&self, asked: CallKind) -> Circumstances {
        let before = Before { memory_ms: Some(self.memory.waited().as_millis()), ..self.before };
        let before = before.worth_a_word(self.deadline.whole_ms());
        Circumstances { asked, before, failed_replicas: Vec::new() }
    }

    fn error(&self, query: Option<&str>, asked: CallKind, mut kind: ErrorKind) -> Error {
        if let ErrorKind::NotPrometheus { was_prometheus, .. } = &mut kind {
            *was_prometheus = self.client.health.is_prometheus(&self.upstream.health_key());
        }
        let kind = kind.with_words(|words| self.without_secrets(words));
        let circumstances = Box::new(self.circumstances(asked));
        Error {
            upstream: Box::new(self.upstream.shown()),
            query: query.map(|query| shortened(query).into()),
            kind,
            circumstances,
        }
    }

    /// What went wrong with a call, as the log tells it.
    fn told(&self, kind: &ErrorKind, asked: CallKind) -> String {
        self.without_secrets(predicate(&self.upstream.shown(), kind, &self.circumstances(asked)))
    }

    /// A text of the upstream's without what it was sent in confidence.
    fn without_secrets(&self, words: String) -> String {
        hidden(words, &self.upstream.secrets())
    }

    /// Makes a call and gives its data, which some servers leave out, or write as `null`, when a list is empty.
    fn call<T>(
        &mut self,
        request: Request<'_>,
        take_data: impl FnMut(&mut Json<'_>) -> Result<T, Undecoded>,
    ) -> Result<Option<T>, Error> {
        let (context, memory) = (self.upstream.context(), self.memory.clone());
        let data = self.call_with(request, |mut answer| {
            answer.body.charge(memory);
            interpret(answer, context, take_data)
        })?;
        Ok(data.flatten())
    }

    /// Makes a call whose answer `interpret` reads. Gives nothing when that has seen enough.
    fn call_with<T>(
        &mut self,
        request: Request<'_>,
        interpret: impl FnOnce(Answer) -> Result<Envelope<T>, Unanswered>,
    ) -> Result<Option<Option<T>>, Error> {
        let mut call = self.begin(request.endpoint, request.path, request.query, request.asked)?;
        if self.recording.is_some() {
            call.times = request.params.iter().filter(|(name, _)| TIMES.contains(name)).cloned().collect();
        }
        let mut answer = self.exchange(&request);
        if let Ok(answer) = &mut answer {
            call.has_answer(answer);
        }
        if answer.as_ref().is_ok_and(|answer| answer.is_victoria_metrics) && !self.is_victoria_metrics() {
            self.client.victoria_metrics.put(self.upstream.clone(), (), Instant::now());
        }
        let result = answer.map_err(Unanswered::Failed).and_then(interpret).and_then(|envelope| {
            let missing = missing_data(&envelope).filter(|_| self.partial == PartialResponse::Deny);
            missing.map_or(Ok(envelope), |missing| Err(ErrorKind::MissingData(missing).into()))
        });
        let failure = match &result {
            Err(Unanswered::Failed(kind)) => Some(kind),
            Ok(_) | Err(Unanswered::Enough) => None,
        };
        self.end(call, failure.map_or("ok", ErrorKind::name), failure, failure.is_none());
        match result {
            Ok(envelope) => {
                self.note_warnings(&envelope, request.query);
                Ok(Some(envelope.data))
            }
            Err(Unanswered::Enough) => Ok(None),
            Err(Unanswered::Failed(kind)) => Err(self.error(request.query, request.asked, kind)),
        }
    }

    fn note_warnings<T>(&mut self, envelope: &Envelope<T>, query: Option<&str>) {
        if missing_data(envelope).is_some() {
            self.has_missing_data = true;
            self.client.metrics.partial_response_taken();
        }
        let is_partial = envelope.is_partial.then(|| "isPartial".to_owned());
        for warning in envelope.warnings.iter().chain(&is_partial) {
            log::warn(|| {
                log::Line::new("Prometheus warns")
                    .text("upstream", self.upstream.name())
                    .text("warning", self.without_secrets(shortened(warning)))
                    .text("promql", query.unwrap_or_default())
            });
        }
    }

    /// Begins a call.
    fn begin(
        &mut self,
        endpoint: &'static str,
        path: &str,
        query: Option<&str>,
        asked: CallKind,
    ) -> Result<Call, Error> {
        if self.calls_left() == 0 {
            return Err(self.error(query, asked, ErrorKind::TooManyCalls(MAX_CALLS)));
        }
        self.admit().map_err(|kind| self.error(query, asked, kind))?;
        self.memory
            .hold(query.map_or(0, str::len) * QUERY_BYTES)
            .map_err(|none| self.error(query, asked, ErrorKind::NoMemory(none)))?;
        if asked != CallKind::Names || self.last_query.is_none() {
            self.last_query = query.map(logged);
        }
        self.last_asked = asked;
        let waited_for_memory = self.memory.waited();
        self.before.calls = Some((self.calls, self.waited_for_calls.as_millis()));
        let meter = self.recording.as_ref().map(|_| ByteMeter::default());
        let (path, query) = (path.to_owned(), query.map(logged));
        Ok(Call {
            endpoint,
            asked,
            path,
            query,
            started: Instant::now(),
            waited_for_memory,
            times: Vec::new(),
            status: None,
            meter,
        })
    }

    /// Sees that an upstream that does not answer is asked by one request at a time, and first for something that takes it no
    /// time.
    fn admit(&mut self) -> Result<(), ErrorKind> {
        if self.is_admitted {
            return Ok(());
        }
        let client = self.client;
        match client.health.admit(&self.upstream.health_key(), Instant::now()) {
            Admission::Free => {}
            Admission::Refused(silence) => return Err(ErrorKind::Silent(silence)),
            Admission::Probe(probe) => self.probe(probe.silence)?,
        }
        self.is_admitted = true;
        Ok(())
    }

    fn probe(&mut self, silence: Silence) -> Result<(), ErrorKind> {
        let began = Instant::now();
        let answer = trivial_query::ask(self.transport(), self.upstream.target(), self.deadline, Some(&self.trace));
        let answer = answer.map(|_| ());
        self.note_health(began, answer.as_ref().err(), false);
        // The trivial query was not heavy, as the text on a timeout would have it.
        answer.map_err(
            |kind| if kind.waited_for() == Some(WaitedFor::Answer) { ErrorKind::Silent(silence) } else { kind },
        )
    }

    /// Notes whether an upstream has begun to answer, and whether as a Prometheus does.
    fn note_health(&self, began: Instant, failure: Option<&ErrorKind>, as_prometheus: bool) {
        let (health, upstream) = (&self.client.health, &self.upstream.health_key());
        match failure {
            Some(kind) if !kind.is_answer() => {
                if let Some(waited_for) = kind.waited_for() {
                    health.was_silent(upstream, waited_for, began, Instant::now());
                }
            }
            _ => health.answered(upstream, as_prometheus, Instant::now()),
        }
    }

    /// Ends a call: counts it and tells of it.
    fn end(&mut self, call: Call, outcome: &'static str, failure: Option<&ErrorKind>, as_prometheus: bool) {
        let took = call.started.elapsed();
        let waited_for_memory = self.memory.waited().saturating_sub(call.waited_for_memory);
        self.waited_for_calls += took.saturating_sub(waited_for_memory);
        self.note_health(call.started, failure, as_prometheus);
        self.calls += 1;
        self.spent += took;
        self.client.metrics.called(self.upstream.labels(), call.endpoint, outcome, took);
        log::debug(|| {
            log::Line::new("upstream")
                .text("upstream", self.upstream.name())
                .text("path", &call.path)
                .text("promql", call.query.as_deref().unwrap_or_default())
                .millis("duration_ms", took)
                .text("error", failure.map(|kind| self.told(kind, call.asked)).unwrap_or_default())
        });
        if let Some(recording) = &mut self.recording {
            let Call { path, query, times, status, meter, .. } = call;
            recording.calls.push(CallRecord {
                replica: self.upstream.replica().map(str::to_owned),
                path,
                query,
                times,
                status,
                outcome,
                took,
                bytes: meter.map_or(0, |meter| meter.bytes()),
                series: None,
                samples: None,
            });
        }
    }

    /// Sends a call, by GET where the upstream takes no POST: some read-only proxies do not. The answer has only begun.
    fn exchange(&self, request: &Request<'_>) -> Result<Answer, ErrorKind> {
        let Request { path, params, deadline, .. } = request;
        let send = |content| {
            let (target, deadline) = (self.upstream.target(), *deadline);
            if matches!(content, Content::Query(_)) && url(target, path, content).len() > MAX_URL_BYTES {
                return Err(ErrorKind::UrlTooLong(MAX_URL_BYTES));
            }
            self.transport().exchange(Question {
                target,
                path,
                content,
                deadline,
                trace: Some(&self.trace),
                max_bytes: MAX_JSON_BYTES,
            })
        };
        if !request.by_post || self.upstream.options().is_some_and(|options| options.get_only) {
            return send(Content::Query(params));
        }
        let get_only = &self.client.get_only;
        if get_only.get(&self.upstream, Instant::now()).is_some() {
            let by_get = send(Content::Query(params));
            if !is_too_long(&by_get) {
                return by_get;
            }
            // With it goes its connection, on which the rest of the refusal may never come.
            drop(by_get);
            get_only.remove(&self.upstream);
            let by_post = send(Content::Form(params))?;
            return if is_post_refused(&by_post) { Err(ErrorKind::TooLongForGet) } else { Ok(by_post) };
        }
        let by_post = send(Content::Form(params))?;
        if !is_post_refused(&by_post) {
            return Ok(by_post);
        }
        drop(by_post);
        let by_get = send(Content::Query(params));
        if is_too_long(&by_get) {
            return Err(ErrorKind::TooLongForGet);
        }
        let by_get = by_get?;
        if !is_post_refused(&by_get) {
            get_only.put(self.upstream.clone(), (), Instant::now());
        }
        Ok(by_get)
    }
}

/// Whether an answer says that POST is not allowed.
fn is_post_refused(answer: &Answer) -> bool {
    matches!(answer.status, 403 | 405 | 501)
}

/// Whether a question by GET was too long for what stands before the upstream, or for a URL at all.
fn is_too_long(by_get: &Result<Answer, ErrorKind>) -> bool {
    match by_get {
        Ok(answer) => matches!(answer.status, 413 | 414 | 431),
        Err(kind) => matches!(kind, ErrorKind::UrlTooLong(_)),
    }
}

/// A call under way.
struct Call {
    endpoint: &'static str,
    asked: CallKind,
    path: String,
    query: Option<String>,
    started: Instant,
    /// How long the request had waited for memory before.
    waited_for_memory: Duration,
    /// Its parameters that are times, if it is recorded.
    times: Params,
    /// The HTTP status, once there is an answer.
    status: Option<u16>,
    /// Counts the bytes of the answer, if it is recorded.
    meter: Option<ByteMeter>,
}

/// The parameters that are times.
const TIMES: [&str; 4] = ["time", "start", "end", "step"];

impl Call {
    fn has_answer(&mut self, answer: &mut Answer) {
        self.status = Some(answer.status);
        if let Some(meter) = &self.meter {
            answer.body.measure(meter.clone());
        }
    }
}

/// What the metrics call the endpoint of remote read, and its path.
const READ: &str = "read";
const READ_PATH: &str = "/api/v1/read";

/// How much of a refused remote read's body is read.
const MAX_REFUSAL_BYTES: u64 = 64 << 10;

/// The type of an answer that streams chunks.
const STREAMED: &str = "application/x-streamed-protobuf";

/// What an upstream answers to a remote read.
#[derive(Debug, PartialEq, Eq)]
enum RemoteRead {
    /// Samples, as many as were wanted.
    Read,
    /// Chunks in an order that they cannot be merged in.
    OutOfOrder,
    /// That it, or what stands before it, cannot answer now.
    NotNow,
    /// Something else: it has no remote read, or none that streams.
    NotOffered,
}

impl RemoteRead {
    /// What the metrics call it.
    fn name(&self) -> &'static str {
        match self {
            RemoteRead::Read => "ok",
            RemoteRead::OutOfOrder => "out_of_order",
            RemoteRead::NotNow => "unavailable",
            RemoteRead::NotOffered => "no_remote_read",
        }
    }
}

/// Hands the samples of a streamed answer to a sink.
fn streamed(answer: Answer, range: TimeRange, sink: &mut impl SampleSink) -> Result<RemoteRead, ErrorKind> {
    let Answer { status, headers, content_type, mut body, .. } = answer;
    let is_streamed = content_type.is_some_and(|content_type| content_type.starts_with(STREAMED));
    if status != 200 || !is_streamed {
        // The connection can be used again once a short body is read. A body that cannot be read does not matter.
        let _ = io::copy(&mut body.take(MAX_REFUSAL_BYTES), &mut io::sink());
        let is_passing = matches!(status, 408 | 429 | 502..=504);
        return Ok(if is_passing { RemoteRead::NotNow } else { RemoteRead::NotOffered });
    }
    if let Some(encoding) = response::encoding(&headers) {
        return Err(ErrorKind::Encoded(encoding));
    }
    match remote_read::decode(&mut body, range, sink) {
        Ok(_) => Ok(RemoteRead::Read),
        Err(ReadFailure::Unsorted) => Ok(RemoteRead::OutOfOrder),
        Err(ReadFailure::NativeHistogram) => Err(ErrorKind::NativeHistogram),
        Err(ReadFailure::Unread(error)) => Err(body.failure(error)),
        Err(damaged @ (ReadFailure::Broken(_) | ReadFailure::TooLong)) => Err(ErrorKind::Damaged(damaged.to_string())),
    }
}

/// What an answer says of data that is missing in it.
fn missing_data<T>(envelope: &Envelope<T>) -> Option<String> {
    if envelope.is_partial {
        return Some("it says isPartial".to_owned());
    }
    let about_data = envelope.warnings.iter().find(|warning| !warning.starts_with(ABOUT_PROMQL));
    about_data.map(|warning| shortened(warning))
}

/// Milliseconds as seconds with exactly three decimals: finer times are rounded by one server and cut by another.
fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    format!("{sign}{}.{:03}", ms / 1000, ms % 1000)
}

/// A step in seconds. The digit behind the milliseconds keeps it on the right one: engines multiply by a power of ten and cut
/// off what is behind the point, which makes 2097 ms of 2.098 s.
fn step(ms: i64) -> String {
    let half = if ms % 1000 == 0 { "" } else { "5" };
    format!("{}{half}", seconds(ms))
}

/// The parameters of a list. Without a limit: to an upstream that means any so many, not the first.
fn narrowing(selector: Option<&str>, start_ms: Option<i64>, end_ms: i64) -> Params {
    // VictoriaMetrics 1.145 takes a start of 0 for none, and then looks at the last day only.
    let start = start_ms.map(|start_ms| ("start", seconds(start_ms.max(1))));
    let mut params: Params = start.into_iter().chain([("end", seconds(end_ms))]).collect();
    params.extend(selector.map(|selector| ("match[]", selector.to_owned())));
    params
}

/// What a name begins with that is escaped.
const ESCAPED: &str = "U__";

/// A label's name as one segment of a path.
///
/// A name that a path cannot hold, percent-encoded or not (a slash, two dots), is written in the escaped form that
/// Prometheus 3 reads ("UTF-8 names", `U__` and each odd character as its code point in hexadecimal), and so is one that looks
/// escaped already. Servers before it have no such label, and find none.
fn path_segment(label: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if label.chars().all(is_plain) && !label.starts_with(['.', '-']) && !label.starts_with(ESCAPED) {
        return label.to_owned();
    }
    let escaped = label.chars().map(|c| match c {
        '_' => "__".to_owned(),
        c if c.is_ascii_alphanumeric() => c.to_string(),
        c => format!("_{:x}_", c as u32),
    });
    format!("{ESCAPED}{}", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_exactly_three_decimals() {
        for (ms, text) in [(0, "0.000"), (1_504_411_200_000, "1504411200.000"), (59_999, "59.999"), (-1, "-0.001")] {
            assert_eq!(seconds(ms), text);
        }
    }

    #[test]
    fn a_step_is_cut_to_the_right_millisecond() {
        for ms in 1..20_000 {
            let nanoseconds = (step(ms).parse::<f64>().unwrap() * 1e9) as i64;
            assert_eq!(nanoseconds / 1_000_000, ms);
        }
        assert_eq!((step(60_000).as_str(), step(2_098).as_str()), ("60.000", "2.0985"));
    }

    #[test]
    fn a_list_of_all_times_has_a_start() {
        let check = |start_ms: i64, start: &str| {
            let expected = vec![("start", start.to_owned()), ("end", "7.000".to_owned())];
            assert_eq!(narrowing(None, Some(start_ms), 7_000), expected);
        };
        assert_eq!(narrowing(None, None, 7_000), vec![("end", "7.000".to_owned())]);
        check(0, "0.001");
        check(2_000, "2.000");
    }

    #[test]
    fn a_label_is_one_segment_whatever_it_holds() {
        assert_eq!(path_segment("job_1"), "job_1");
        assert_eq!(path_segment("my.label-2"), "my.label-2");
        assert_eq!(path_segment("../a_b?é"), "U___2e__2e__2f_a__b_3f__e9_");
        assert_eq!(path_segment("U__x"), "U__U____x");
        assert_eq!(path_segment("U_x"), "U_x");
    }
}
