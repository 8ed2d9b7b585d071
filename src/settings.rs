//! The settings: from the table of them to what they are, checked.
//!
//! The only room that reads the environment. What comes out is checked: nothing listens before every setting is good.

pub mod allocator;
mod ask_flags;
mod shell;
mod table;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};
use log::LevelFilter;

use crate::key::{ApiKey, BadKeyFile, CurrentKey};
use crate::log::LogFormat;
use crate::prometheus::{Allowlist, AwsEnvironment, BadHost, NoProxy, Proxy};

use table::{
    ALLOW_UPSTREAM, API_KEY, API_KEY_FILE, CA_FILE, CONNECTION_LIFETIME, EXPLORER, LISTEN, LOG_FORMAT, LOG_LEVEL,
    MAX_REQUEST_BYTES, MEMORY_BUDGET_MIB, NAMED_UPSTREAMS_ONLY, NO_PROXY, PORT, PROXY, QUEUE, REQUIRE_API_KEY,
    SHUTDOWN_DELAY, SHUTDOWN_GRACE, UPSTREAMS_FILE, WORKERS,
};

pub use ask_flags::{ASK_FLAGS, AskFlag, AskFlags};
pub use table::{Fallback, Setting, TABLE};

/// Checked settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the key comes from that replies carry.
    pub api_key: KeySource,
    /// Whether requests of the Mirror API must carry the key as well.
    pub require_api_key: bool,
    /// Which upstreams may be asked, and how they are reached.
    pub reach: ReachSettings,
    /// Whether only named upstreams may be asked.
    pub named_upstreams_only: bool,
    /// Whether browsers get the explorer at `/`.
    pub explorer: bool,
    /// How long a connection to an upstream is used, a second to an hour.
    pub connection_lifetime: Duration,
    /// The TCP port to listen on; 0 for any free one.
    pub port: u16,
    /// The address to listen on.
    pub listen: IpAddr,
    /// How many requests are answered at the same time, 1 to 1000.
    pub workers: usize,
    /// How many requests may wait for a worker, at most 100,000.
    pub queue: usize,
    /// The most bytes of a request's body, 1 KiB to 64 MiB.
    pub max_request_bytes: usize,
    /// The memory that all requests share, in bytes, 16 MiB to 64 GiB.
    pub memory_budget_bytes: usize,
    /// How long new requests are still taken in after a signal to end, at most an hour.
    pub shutdown_delay: Duration,
    /// How long requests under way may go on then, at most an hour.
    pub shutdown_grace: Duration,
    /// How much is logged.
    pub log_level: LevelFilter,
    /// How a line of the log is written.
    pub log_format: LogFormat,
}

/// Settings that say which upstreams may be asked, and how they are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachSettings {
    /// Which upstreams may be asked.
    pub allow_upstream: Allowlist,
    /// The file of the named upstreams, if there are any.
    pub upstreams_file: Option<PathBuf>,
    /// The PEM file of authorities to check `https` upstreams against, or a directory of such files; the public ones when
    /// there is none.
    pub ca_file: Option<PathBuf>,
    /// Where the proxy comes from that upstreams are asked through, if they are.
    pub proxy: Option<ProxySource>,
    /// What Amazon's own programs take from the environment.
    pub aws: AwsEnvironment,
}

/// Where the key comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum KeySource {
    /// It was given itself.
    Given(ApiKey),
    /// It stands in a file.
    File(PathBuf),
}

impl KeySource {
    /// The key, which follows its file if it is in one.
    ///
    /// # Errors
    /// When the file is of no use.
    pub fn load(&self) -> Result<CurrentKey, BadKeyFile> {
        match self {
            KeySource::Given(key) => Ok(CurrentKey::fixed(key.clone())),
            KeySource::File(path) => CurrentKey::from_file(path.clone()),
        }
    }

    /// The key as it is now.
    ///
    /// # Errors
    /// When the file is of no use.
    pub fn read_once(&self) -> Result<Arc<ApiKey>, BadKeyFile> {
        self.load().map(|key| key.get())
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::Given(_) => f.write_str("Given(..)"),
            KeySource::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// Where the proxy comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxySource {
    /// It was given itself.
    Given(Proxy),
    /// It stands in a file; with it, what is asked directly nevertheless.
    File(PathBuf, NoProxy),
}

/// Which mirror to check, and what is known of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// Its URL; what `check` makes of it is said there.
    pub url: String,
    /// Where the key comes from that it must have, if that is known here.
    pub api_key: Option<KeySource>,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// To serve.
    Serve(Box<Settings>),
    /// To check whether a mirror serves.
    Check(Check),
    /// To check whether the named upstreams answer.
    CheckUpstreams(Box<ReachSettings>),
    /// To ask a question and show its answer.
    Ask(Box<AskCommand>),
    /// To show a text, which is the help or the version.
    Show(String),
}

/// A question from the command line, and how upstreams are reached.
#[derive(Debug, PartialEq, Eq)]
pub struct AskCommand {
    /// What is asked.
    pub flags: AskFlags,
    /// Which upstreams may be asked, and how they are reached.
    pub reach: ReachSettings,
    /// Where the key comes from that a running mirror may require.
    pub api_key: Option<KeySource>,
}

/// A bad command line or environment, in a sentence that names the setting, what it was given and what it may be.
#[derive(Debug, PartialEq, Eq)]
pub struct BadSetting(String);

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadSetting {}

/// Reads the settings of this process.
///
/// # Errors
/// When one is bad, or the key is missing.
pub fn from_process() -> Result<Command, BadSetting> {
    resolve(Parser::from_env(), |variable| std::env::var_os(variable))
}

fn resolve(mut parser: Parser, variable: impl Fn(&str) -> Option<OsString>) -> Result<Command, BadSetting> {
    let mut flags: HashMap<&str, String> = HashMap::new();
    let mut words: Vec<OsString> = Vec::new();
    let mut are_upstreams_meant = false;
    let mut ask_flags = AskFlags::default();
    while let Some(arg) = parser.next().map_err(|error| BadSetting(error.to_string()))? {
        let name = match arg {
            Arg::Long("help") | Arg::Short('h') => {
                return Ok(Command::Show(if is_word(&words, ASK) { shell::ask_help() } else { help() }));
            }
            Arg::Long("version") | Arg::Short('V') => return Ok(Command::Show(version())),
            Arg::Long(UPSTREAMS) => {
                are_upstreams_meant = true;
                continue;
            }
            Arg::Long(name) => {
                if let Some(known) = AskFlag::find(name).filter(|_| is_word(&words, ASK)) {
                    let value = if known.value.is_empty() {
                        None
                    } else {
                        Some(value_of(known.flag, known.value, &mut parser)?)
                    };
                    ask_flags.add(known.flag, value.unwrap_or_default());
                    continue;
                }
                name.to_owned()
            }
            Arg::Value(word) => {
                words.push(word);
                continue;
            }
            Arg::Short(letter) => return Err(unknown(&words, &format!("-{letter}"))),
        };
        let Some(setting) = TABLE.iter().find(|setting| setting.flag == name) else {
            return Err(unknown(&words, &format!("--{name}")));
        };
        flags.insert(setting.flag, value_of(setting.flag, setting.allowed, &mut parser)?);
    }

    let given = |setting: &'static Setting| -> Option<GivenSetting> {
        let from_flag =
            flags.get(setting.flag).map(|value| GivenSetting::new(setting, format!("--{}", setting.flag), value));
        from_flag.or_else(|| {
            let value = variable(setting.variable).filter(|value| !value.is_empty())?;
            // What is no UTF-8 is no allowed value of any setting, so its check refuses it.
            Some(GivenSetting::new(setting, setting.variable.to_owned(), &value.to_string_lossy()))
        })
    };
    let needed = |setting: &'static Setting| -> Result<GivenSetting, BadSetting> {
        match (given(setting), setting.fallback) {
            (Some(given), _) => Ok(given),
            (None, Fallback::Value(default)) => Ok(GivenSetting::new(setting, format!("--{}", setting.flag), default)),
            (None, _) => Err(must_be_given(setting)),
        }
    };
    let api_key = match (given(&API_KEY), given(&API_KEY_FILE)) {
        (Some(key), None) => Some(KeySource::Given(key.api_key()?)),
        (None, Some(file)) => Some(KeySource::File(PathBuf::from(file.value))),
        (Some(key), Some(file)) => {
            return Err(BadSetting(format!("{} and {} are given both: choose one", key.name, file.name)));
        }
        (None, None) => None,
    };
    let reach = || -> Result<ReachSettings, BadSetting> {
        Ok(ReachSettings {
            allow_upstream: needed(&ALLOW_UPSTREAM)?.hosts()?,
            upstreams_file: given(&UPSTREAMS_FILE).map(|given| PathBuf::from(given.value)),
            ca_file: given(&CA_FILE).map(|given| PathBuf::from(given.value)),
            proxy: match given(&PROXY) {
                // Many sites set NO_PROXY everywhere; without a proxy of ours it is none of our business.
                Some(proxy) => Some(proxy.proxy(needed(&NO_PROXY)?.hosts()?)?),
                None => None,
            },
            aws: AwsEnvironment::of(|name| variable(name).and_then(|value| value.into_string().ok())),
        })
    };
    if are_upstreams_meant {
        return match words.as_slice() {
            [word] if word == CHECK => reach().map(Box::new).map(Command::CheckUpstreams),
            [word, _] if word == CHECK => Err(BadSetting(format!(
                "check --{UPSTREAMS} takes no further word: give the file with --{}",
                UPSTREAMS_FILE.flag
            ))),
            _ => Err(BadSetting(format!("--{UPSTREAMS} goes with check: prometheusmirror check --{UPSTREAMS}"))),
        };
    }
    match words.as_slice() {
        [word] if word == ASK => {
            return Ok(Command::Ask(Box::new(AskCommand { flags: ask_flags, reach: reach()?, api_key })));
        }
        [word, shell] if word == COMPLETIONS => return shell::completions(shell).map(Command::Show),
        [word] if word == MANUAL => return Ok(Command::Show(shell::manual())),
        _ => {}
    }
    let port = needed(&PORT)?.checked(|text| text.parse().ok())?;
    let listen = needed(&LISTEN)?.checked(address)?;
    let checked = match words.as_slice() {
        [] => None,
        [word] if word == CHECK => Some(local_url(listen, port)?),
        [word, url] if word == CHECK => Some(url.to_string_lossy().into_owned()),
        _ => return Err(bad_words(&words)),
    };
    if let Some(url) = checked {
        return Ok(Command::Check(Check { url, api_key }));
    }
    let api_key = api_key.ok_or_else(|| {
        let Setting { flag, variable, .. } = API_KEY_FILE;
        let either = must_be_given(&API_KEY).0;
        BadSetting(format!("{either}; or --{flag} or {variable}: {}", API_KEY_FILE.allowed))
    })?;
    let workers = needed(&WORKERS)?.number(1..=1_000)?;
    Ok(Command::Serve(Box::new(Settings {
        api_key,
        require_api_key: needed(&REQUIRE_API_KEY)?.checked(|text| text.parse().ok())?,
        reach: reach()?,
        named_upstreams_only: needed(&NAMED_UPSTREAMS_ONLY)?.checked(|text| text.parse().ok())?,
        explorer: needed(&EXPLORER)?.checked(|text| text.parse().ok())?,
        connection_lifetime: needed(&CONNECTION_LIFETIME)?.seconds(1)?,
        port,
        listen,
        workers,
        queue: given(&QUEUE).map_or(Ok(workers * QUEUED_PER_WORKER), |given| given.number(0..=100_000))?,
        max_request_bytes: needed(&MAX_REQUEST_BYTES)?.number(1 << 10..=64 << 20)?,
        memory_budget_bytes: needed(&MEMORY_BUDGET_MIB)?.number(16..=65_536)? << 20,
        shutdown_delay: needed(&SHUTDOWN_DELAY)?.seconds(0)?,
        shutdown_grace: needed(&SHUTDOWN_GRACE)?.seconds(0)?,
        log_level: needed(&LOG_LEVEL)?.checked(level)?,
        log_format: needed(&LOG_FORMAT)?.checked(format_named)?,
    })))
}

/// The value behind a flag.
fn value_of(flag: &str, allowed: &str, parser: &mut Parser) -> Result<String, BadSetting> {
    let value = parser.value().and_then(|value| value.string());
    value.map_err(|_| BadSetting(format!("--{flag} must be followed by {allowed}")))
}

/// The subcommands.
const CHECK: &str = "check";
const ASK: &str = "ask";
const COMPLETIONS: &str = "completions";
const MANUAL: &str = "man";

/// Whether the first word of a command line is this subcommand.
fn is_word(words: &[OsString], subcommand: &str) -> bool {
    words.first().is_some_and(|word| word == subcommand)
}

/// What is wrong with words that no subcommand takes. A value behind a subcommand is not repeated, nor one that looks like no
/// subcommand: it may be a key that lost its flag.
fn bad_words(words: &[OsString]) -> BadSetting {
    const MAX_LENGTH: usize = 12;
    let first = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    let is_subcommand = [CHECK, ASK, COMPLETIONS, MANUAL].contains(&&*first);
    let looks_like_one = first.len() <= MAX_LENGTH && first.bytes().all(|byte| byte.is_ascii_lowercase());
    BadSetting(match (is_subcommand, looks_like_one) {
        (true, _) if first == COMPLETIONS => format!("{COMPLETIONS} must be followed by bash, zsh or fish"),
        (true, _) => format!("there is a value without a flag behind {first}; --help lists the flags"),
        (false, true) => format!(
            "there is no subcommand {first}; there are {ASK}, {CHECK}, {COMPLETIONS} and {MANUAL}, and without one the mirror serves; \
             --help lists the flags"
        ),
        (false, false) => "there is a value without a flag; --help lists the flags".to_owned(),
    })
}

/// The flag that has it check the named upstreams.
const UPSTREAMS: &str = "upstreams";

/// How many requests may wait for each worker, when it is not said how many may wait.
const QUEUED_PER_WORKER: usize = 10;

/// A value, and under which name it was given.
struct GivenSetting {
    setting: &'static Setting,
    name: String,
    value: String,
}

impl GivenSetting {
    fn new(setting: &'static Setting, name: String, value: &str) -> GivenSetting {
        GivenSetting { setting, name, value: value.to_owned() }
    }

    fn checked<T>(self, check: impl Fn(&str) -> Option<T>) -> Result<T, BadSetting> {
        let GivenSetting { setting, name, value } = self;
        check(value.trim()).ok_or_else(|| BadSetting(format!("{name} must be {}, not {value:?}", setting.allowed)))
    }

    fn number(self, allowed: RangeInclusive<usize>) -> Result<usize, BadSetting> {
        self.checked(|text| text.parse().ok().filter(|number| allowed.contains(number)))
    }

    fn seconds(self, least: usize) -> Result<Duration, BadSetting> {
        self.number(least..=3_600).map(|seconds| Duration::from_secs(seconds as u64))
    }

    /// A list of hosts. Of a bad one, the entry is named that is none, unless there may be a password in it.
    fn hosts<T: FromStr<Err = BadHost>>(self) -> Result<T, BadSetting> {
        // A comma in a password ends an entry, so the whole list is looked at.
        if self.value.contains('@') {
            return Err(self.bad_secret());
        }
        let GivenSetting { setting, name, value } = self;
        let bad = |BadHost(entry)| BadSetting(format!("{name} must be {}, not {entry:?}", setting.allowed));
        value.parse().map_err(bad)
    }

    fn proxy(self, no_proxy: NoProxy) -> Result<ProxySource, BadSetting> {
        let text = self.value.trim();
        if text.starts_with('/') {
            return Ok(ProxySource::File(PathBuf::from(text), no_proxy));
        }
        Proxy::at_url(text, no_proxy).map(ProxySource::Given).ok_or_else(|| self.bad_secret())
    }

    fn api_key(self) -> Result<ApiKey, BadSetting> {
        ApiKey::new(&self.value).ok_or_else(|| self.bad_secret())
    }

    /// Says what is allowed, but does not repeat what was given.
    fn bad_secret(&self) -> BadSetting {
        let GivenSetting { setting, name, .. } = self;
        BadSetting(format!("{name} must be {}; what it was given is not shown here", setting.allowed))
    }
}

/// Where a mirror with these settings is reached on its own machine.
fn local_url(listen: IpAddr, port: u16) -> Result<String, BadSetting> {
    if port == 0 {
        return Err(BadSetting("with port 0 nobody knows where the mirror listens: give check its URL".to_owned()));
    }
    // All interfaces of IPv6 are those of IPv4, too.
    let ip = if listen.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listen };
    Ok(format!("http://{}/", SocketAddr::new(ip, port)))
}

fn address(text: &str) -> Option<IpAddr> {
    let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match unbracketed {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

fn level(text: &str) -> Option<LevelFilter> {
    match text.to_ascii_lowercase().as_str() {
        "error" => Some(LevelFilter::Error),
        "warn" => Some(LevelFilter::Warn),
        "info" => Some(LevelFilter::Info),
        "debug" => Some(LevelFilter::Debug),
        _ => None,
    }
}

fn format_named(text: &str) -> Option<LogFormat> {
    match text.to_ascii_lowercase().as_str() {
        "logfmt" => Some(LogFormat::Logfmt),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

fn must_be_given(Setting { flag, variable, allowed, .. }: &Setting) -> BadSetting {
    BadSetting(format!("--{flag} or {variable} must be given: {allowed}"))
}

fn unknown(words: &[OsString], flag: &str) -> BadSetting {
    let help = if is_word(words, ASK) { "ask --help" } else { "--help" };
    BadSetting(format!("there is no flag {flag}; {help} lists the flags"))
}

fn version() -> String {
    concat!("prometheusmirror ", env!("CARGO_PKG_VERSION"), "\n").to_owned()
}

fn help() -> String {
    let mut text = format!(
        "{}\n{}.\n\nUsage: prometheusmirror [FLAGS]\n       prometheusmirror check [URL]\n       prometheusmirror check --upstreams\n       \
         prometheusmirror ask ...\n       prometheusmirror completions bash|zsh|fish\n       prometheusmirror man\n\n\
         check asks the mirror at URL, or the one that the same flags would start on this machine, whether it is ready. The exit \
         code is 0 if it is, else 1. If a key is given, the response must carry it.\n\ncheck --upstreams reads --upstreams-file and \
         queries each upstream in it. The exit code is 0 if all of them answer, else 1.\n\nask sends a query as StackState does and \
         shows the answer; see prometheusmirror ask --help.\n\nEach flag can be given as an environment variable instead; the flag \
         wins.\n\n",
        version().trim_end(),
        env!("CARGO_PKG_DESCRIPTION")
    );
    for Setting { flag, variable, fallback, allowed, help } in TABLE {
        let fallback = fallback.to_string().replace('`', "");
        text.push_str(&format!(
            "  --{flag}, {variable} (default: {fallback})\n      {help}\n      Allowed: {allowed}.\n"
        ));
    }
    text.push_str("  -h, --help\n      Show this text.\n  -V, --version\n      Show the version.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(args: &[&str], variables: &[(&str, &str)]) -> Result<Command, String> {
        let lookup =
            |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| OsString::from(*value));
        resolve(Parser::from_args(args), lookup).map_err(|error| error.to_string())
    }

    fn settings(args: &[&str], variables: &[(&str, &str)]) -> Settings {
        match resolved(args, variables) {
            Ok(Command::Serve(settings)) => *settings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_are_those_promised() {
        let expected = Settings {
            api_key: KeySource::Given(ApiKey::new("k").unwrap()),
            require_api_key: false,
            reach: ReachSettings {
                allow_upstream: "*".parse().unwrap(),
                upstreams_file: None,
                ca_file: None,
                proxy: None,
                aws: AwsEnvironment::default(),
            },
            named_upstreams_only: false,
            explorer: true,
            connection_lifetime: Duration::from_secs(300),
            port: 9900,
            listen: "::".parse().unwrap(),
            workers: 20,
            queue: 200,
            max_request_bytes: 1_048_576,
            memory_budget_bytes: 256 << 20,
            shutdown_delay: Duration::ZERO,
            shutdown_grace: Duration::from_secs(25),
            log_level: LevelFilter::Info,
            log_format: LogFormat::Logfmt,
        };
        assert_eq!(settings(&["--api-key", "k"], &[]), expected);
        assert_eq!(settings(&[], &[("API_KEY", "k"), ("PORT", "")]), expected);
    }

    #[test]
    fn a_flag_wins_over_the_variable() {
        let found =
            settings(&["--workers=3", "--listen", "[::1]"], &[("WORKERS", "4"), ("API_KEY", "k"), ("PORT", "1")]);
        assert_eq!((found.workers, found.port, found.listen), (3, 1, "::1".parse().unwrap()));
    }

    #[test]
    fn a_proxy_is_a_url_or_the_absolute_path_of_a_file() {
        let check = |args: &[&str], variables: &[(&str, &str)], expected: Option<ProxySource>| {
            let variables = [&[("API_KEY", "k")], variables].concat();
            assert_eq!(settings(args, &variables).reach.proxy, expected, "{args:?} {variables:?}");
        };
        let given = |no_proxy: &str| {
            Some(ProxySource::Given(Proxy::at_url("http://u:p@q:1", no_proxy.parse().unwrap()).unwrap()))
        };
        let default = ".svc,.cluster.local,127.0.0.0/8,::1";
        check(&[], &[("PROXY", ""), ("HTTP_PROXY", "http://q:1"), ("NO_PROXY", "10.*")], None);
        check(&["--proxy", "http://u:p@q:1"], &[("PROXY", "spoilt"), ("NO_PROXY", "")], given(default));
        check(&["--no-proxy", "a"], &[("PROXY", " http://u:p@q:1\n"), ("NO_PROXY", "10.*")], given("a"));
        check(&["--no-proxy", ""], &[("PROXY", "http://u:p@q:1/")], given(""));
        let file = ProxySource::File("/run/proxy".into(), "a".parse().unwrap());
        check(&[], &[("PROXY", "/run/proxy"), ("NO_PROXY", "a")], Some(file));
    }

    #[test]
    fn a_bad_setting_is_named_with_what_it_was_given_and_what_is_allowed() {
        let check = |args: &[&str], variables: &[(&str, &str)], parts: &[&str]| {
            let error = resolved(args, variables).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
            assert!(!error.contains('\n') && !error.contains("hush"), "{error}");
        };
        let key = ("API_KEY", "k");
        check(&[], &[], &["--api-key or API_KEY must be given"]);
        check(&[], &[("API_KEY", "")], &["--api-key or API_KEY must be given"]);
        check(&[], &[], &["--api-key-file or API_KEY_FILE"]);
        check(&["--api-key-file", "f"], &[key], &["API_KEY and --api-key-file", "choose one"]);
        check(&["--require-api-key", "yes"], &[key], &["--require-api-key must be true or false", "\"yes\""]);
        check(&["--explorer", "off"], &[key], &["--explorer must be true or false", "\"off\""]);
        check(&["--allow-upstream", "a,/8"], &[key], &["--allow-upstream must be", "10.0.0.0/8", "not \"/8\""]);
        let proxy = ("PROXY", "http://p:1");
        check(&["--no-proxy", "a,10.*"], &[key, proxy], &["--no-proxy must be", "10.0.0.0/8", "not \"10.*\""]);
        for (flag, secret) in [("--allow-upstream", "http://u:hush@x"), ("--no-proxy", "a,http://u:hush,hush@x")] {
            check(&[flag, secret], &[key, proxy], &[flag, "10.0.0.0/8", "is not shown here"]);
        }
        check(&["--queue", "-1"], &[key], &["--queue must be", "100000", "\"-1\""]);
        check(&["--memory-budget-mib", "15"], &[key], &["--memory-budget-mib must be", "65536", "\"15\""]);
        check(&["--max-request-bytes", "1000"], &[key], &["--max-request-bytes must be", "1024", "\"1000\""]);
        check(&["--connection-lifetime", "0"], &[key], &["--connection-lifetime must be", "from 1", "\"0\""]);
        check(&["--shutdown-delay", "5s"], &[key], &["--shutdown-delay must be", "3600", "\"5s\""]);
        check(&["--shutdown-grace", "3601"], &[key], &["--shutdown-grace must be", "3600", "\"3601\""]);
        check(&["--log-format", "xml"], &[key], &["--log-format must be", "logfmt, json", "\"xml\""]);
        check(&["--workers", "0"], &[key], &["--workers must be", "1 to 1000", "\"0\""]);
        check(&[], &[key, ("WORKERS", "many")], &["WORKERS must be", "1 to 1000", "\"many\""]);
        check(&["--port", "70000"], &[key], &["--port must be", "65535", "\"70000\""]);
        check(&["--listen", "localhost"], &[key], &["--listen must be", "\"localhost\""]);
        check(&["--log-level", "loud"], &[key], &["--log-level must be", "debug", "\"loud\""]);
        check(&["--nonsense"], &[key], &["--nonsense", "--help"]);
        check(&["--port"], &[key], &["--port must be followed by"]);
        check(&["-x"], &[key], &["-x", "--help"]);
    }

    #[test]
    fn check_takes_a_url_or_finds_the_local_mirror() {
        let check = |args: &[&str], variables: &[(&str, &str)], url: &str, api_key: Option<KeySource>| {
            let expected = Command::Check(Check { url: url.to_owned(), api_key });
            assert_eq!(resolved(args, variables), Ok(expected), "{args:?} {variables:?}");
        };
        let key = || Some(KeySource::Given(ApiKey::new("k").unwrap()));
        check(&["check"], &[], "http://127.0.0.1:9900/", None);
        check(&["check"], &[("PORT", "80"), ("API_KEY", "k"), ("LISTEN", "0.0.0.0")], "http://127.0.0.1:80/", key());
        check(&["check", "--listen", "::1", "--port=1"], &[], "http://[::1]:1/", None);
        check(&["--api-key", "k", "check", "http://m/"], &[("PORT", "0")], "http://m/", key());
        check(&["check"], &[("API_KEY_FILE", "f")], "http://127.0.0.1:9900/", Some(KeySource::File("f".into())));
        for (args, part) in [
            (vec!["check", "--port", "0"], "give check its URL"),
            (vec!["check", "http://m/", "hush"], "a value without a flag"),
            (vec!["http://m/", "check"], "a value without a flag"),
        ] {
            let error = resolved(&args, &[]).unwrap_err();
            assert!(error.contains(part) && !error.contains("hush"), "{args:?}: {error}");
        }
    }

    #[test]
    fn a_key_and_the_password_of_a_proxy_are_never_repeated() {
        for (args, variables) in [
            (vec!["--api-key", "hush hush"], vec![]),
            (vec![], vec![("API_KEY", "hush\n")]),
            (vec!["Hush-1"], vec![("API_KEY", "k")]),
            (vec!["hushhushhushhush"], vec![("API_KEY", "k")]),
            (vec!["--api-key", ""], vec![]),
            (vec!["--proxy", "http://u:hush@"], vec![("API_KEY", "k")]),
            (vec!["--proxy", "u:hush@p:1"], vec![("API_KEY", "k")]),
        ] {
            let error = resolved(&args, &variables).unwrap_err();
            assert!(!error.to_lowercase().contains("hush"), "{error}");
        }
        assert!(!format!("{:?}", settings(&["--api-key", "hush"], &[])).contains("hush"));
    }

    #[test]
    fn help_lists_every_setting() {
        let Ok(Command::Show(help)) = resolved(&["--help"], &[]) else { panic!("no help") };
        for setting in TABLE {
            assert!(help.contains(setting.flag) && help.contains(setting.variable) && help.contains(setting.help));
        }
    }
}
