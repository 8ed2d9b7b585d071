//! The settings: reads flags and variables, and checks them. `table` has their bounds and texts.
//!
//! Only this folder reads the environment. All settings are checked before the mirror listens.

pub mod allocator;
mod ask_flags;
mod command_line;
mod given;
mod help;
mod shell;
mod table;

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lexopt::Parser;
use log::LevelFilter;

use crate::api::Access;
use crate::file::BadFile;
use crate::key::{ApiKey, CurrentKey};
use crate::log::LogFormat;
use crate::prometheus::{Allowlist, AwsEnvironment, NoProxy, Proxy};

use command_line::CommandLine;
use given::GivenSettings;
use table::{
    ASK, ASK_CURL, ASK_HERE, ASK_MIRROR, CA_PATH, CHECK, CHECK_LOCAL, CHECK_UPSTREAMS, CHECK_URL, COMPLETIONS, Form,
    MANUAL, NO_SETTINGS, Subcommand, UPSTREAMS,
};

pub use ask_flags::{ASK_FLAGS, AskFlag, AskFlags};
pub use help::dashed;
pub use table::{Allowed, Fallback, Setting, TABLE};

/// The checked settings of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The source of the key that replies carry.
    pub api_key: KeySource,
    /// What clients may do.
    pub access: Access,
    /// Which upstreams may be queried, and how they are reached.
    pub reach: ReachSettings,
    /// How long a connection to an upstream is used, from a second to an hour.
    pub connection_lifetime: Duration,
    /// The TCP port to listen on; 0 means any free one.
    pub port: u16,
    /// The address to listen on.
    pub listen: IpAddr,
    /// How many requests are processed at the same time, 1 to 1000.
    pub workers: usize,
    /// How many requests may wait for a worker, at most 100,000.
    pub queue_size: usize,
    /// Maximum size of a request body in bytes, 1 KiB to 64 MiB.
    pub max_request_bytes: usize,
    /// The memory that all requests share in bytes, 16 MiB to 64 GiB.
    pub memory_budget_bytes: usize,
    /// How long the mirror accepts new requests after SIGTERM or SIGINT, at most an hour.
    pub shutdown_delay: Duration,
    /// How long requests in flight may take after `shutdown_delay`, at most an hour.
    pub shutdown_grace: Duration,
    /// The lowest level that is logged.
    pub log_level: LevelFilter,
    /// The format of log lines.
    pub log_format: LogFormat,
}

/// Settings that say which upstreams may be queried, and how they are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachSettings {
    /// Which upstreams may be queried.
    pub allow_upstream: Allowlist,
    /// The upstreams file, if there is one.
    pub upstreams_file: Option<PathBuf>,
    /// A PEM file with the CA certificates that `https` upstreams are verified against, or a directory of such files. Without
    /// it, the built-in public ones.
    pub ca_path: Option<PathBuf>,
    /// The source of the URL of the proxy to upstreams, if there is one.
    pub proxy: Option<ProxySource>,
    /// The variables of the environment that Amazon's own programs read.
    pub aws: AwsEnvironment,
}

/// The source of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A flag or a variable contains the key.
    Given(ApiKey),
    /// This file contains it.
    File(PathBuf),
}

impl KeySource {
    /// The key. If it is in a file, it can follow changes of the file.
    ///
    /// # Errors
    /// If the file is unusable.
    pub fn load(&self) -> Result<CurrentKey, BadFile> {
        match self {
            KeySource::Given(key) => Ok(CurrentKey::fixed(key.clone())),
            KeySource::File(path) => CurrentKey::from_file(path.clone()),
        }
    }

    /// The current key.
    ///
    /// # Errors
    /// If the file is unusable.
    pub fn read_once(&self) -> Result<Arc<ApiKey>, BadFile> {
        self.load().map(|key| key.get())
    }
}

/// The source of the URL of the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxySource {
    /// A flag or a variable contains it.
    Given(Proxy),
    /// This file contains it. The hosts bypass the proxy.
    File(PathBuf, NoProxy),
}

/// The mirror that `check` checks.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// Its URL; see [`crate::check::run`].
    pub url: String,
    /// The source of the key that its response must carry, if a key is given.
    pub api_key: Option<KeySource>,
    /// The CA certificates that it is verified against if the URL is `https`; see [`ReachSettings::ca_path`].
    pub ca_path: Option<PathBuf>,
}

/// What the program is to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Serve until a signal comes.
    Serve(Box<Settings>),
    /// Check whether a mirror is ready.
    Check(Check),
    /// Check whether the named upstreams respond.
    CheckUpstreams(Box<ReachSettings>),
    /// Send a query and show the response.
    Ask(Box<AskCommand>),
    /// Show a text: the help, the version, completions or the manual page.
    Show(String),
}

/// A query from the command line, and how upstreams are reached.
#[derive(Debug, PartialEq, Eq)]
pub struct AskCommand {
    /// The flags that describe the query.
    pub flags: AskFlags,
    /// Which upstreams may be queried, and how they are reached.
    pub reach: ReachSettings,
    /// The source of the key that a running mirror may require.
    pub api_key: Option<KeySource>,
}

/// A bad command line or environment: a sentence that names the setting, its value, and the allowed values.
#[derive(Debug, PartialEq, Eq)]
pub struct BadSetting(String);

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadSetting {}

/// Reads the command line and the environment of this process.
///
/// # Errors
/// If a setting is bad, or the key is missing.
pub fn from_process() -> Result<Command, BadSetting> {
    resolve(Parser::from_env(), |variable| std::env::var_os(variable))
}

fn resolve(parser: Parser, variable: impl Fn(&str) -> Option<OsString>) -> Result<Command, BadSetting> {
    let CommandLine { subcommand, operands, flags, ask_flags, has_upstreams, shown } = CommandLine::read(parser)?;
    if let Some(text) = shown {
        return Ok(Command::Show(text));
    }
    let name = subcommand.map(|subcommand| subcommand.name);
    let form = name.map(|name| match name {
        CHECK if has_upstreams => &CHECK_UPSTREAMS,
        CHECK if operands.is_empty() => &CHECK_LOCAL,
        CHECK => &CHECK_URL,
        ASK if ask_flags.has("mirror") => &ASK_MIRROR,
        ASK if ask_flags.has("curl") => &ASK_CURL,
        ASK => &ASK_HERE,
        _ => &NO_SETTINGS,
    });
    if let (Some(subcommand), Some(form)) = (subcommand, form) {
        let other = flags.keys().filter(|flag| !form.settings.contains(flag)).min();
        other.map_or(Ok(()), |flag| Err(not_of(subcommand, form, flag)))?;
    }
    let given = GivenSettings { flags, variable, form };
    let api_key = given.api_key()?;
    if has_upstreams && name != Some(CHECK) {
        return Err(BadSetting(format!("--{UPSTREAMS} goes with check: prometheusmirror check --{UPSTREAMS}")));
    }
    match (name, operands.as_slice()) {
        (None, _) => Ok(Command::Serve(Box::new(given.all(api_key)?))),
        (Some(CHECK), []) if has_upstreams => Ok(Command::CheckUpstreams(Box::new(given.reach()?))),
        (Some(CHECK), _) if has_upstreams => {
            Err(BadSetting(format!("check --{UPSTREAMS} takes no further word: give the file with --upstreams-file")))
        }
        (Some(CHECK), [] | [_]) => {
            let url = operands.first().map(|url| Ok(url.to_string_lossy().into_owned()));
            let url = url.unwrap_or_else(|| local_url(given.listen()?))?;
            Ok(Command::Check(Check { url, api_key, ca_path: given.path(&CA_PATH) }))
        }
        (Some(ASK), []) => Ok(Command::Ask(Box::new(AskCommand { flags: ask_flags, reach: given.reach()?, api_key }))),
        (Some(COMPLETIONS), words) => shell::completions(words).map(Command::Show),
        (Some(MANUAL), []) => Ok(Command::Show(help::manual())),
        (Some(name), _) => {
            Err(BadSetting(format!("there is a value without a flag behind {name}; {name} --help describes {name}")))
        }
    }
}

/// The error for a flag that this form of a subcommand does not use.
fn not_of(subcommand: &Subcommand, form: &Form, flag: &str) -> BadSetting {
    let name = subcommand.name;
    let forms: Vec<_> = subcommand.forms_with(flag).map(|form| form.name).collect();
    let what = match forms[..] {
        [] => format!("{name}: leave it out"),
        _ => format!("{}, but with {}", form.name, forms.join(" and ")),
    };
    BadSetting(format!("--{flag} does not go with {what}; {name} --help describes {name}"))
}

/// The URL of a mirror with these settings, on its own machine.
fn local_url((listen, port): (IpAddr, u16)) -> Result<String, BadSetting> {
    if port == 0 {
        return Err(BadSetting(
            "--port is 0, so the port of the mirror is not known here: give check its URL".to_owned(),
        ));
    }
    // `::` listens on IPv4 as well.
    let ip = if listen.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listen };
    Ok(format!("http://{}/", SocketAddr::new(ip, port)))
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
            access: Access { requires_key: false, requires_name: false, has_explorer: true },
            reach: ReachSettings {
                allow_upstream: "*".parse().unwrap(),
                upstreams_file: None,
                ca_path: None,
                proxy: None,
                aws: AwsEnvironment::default(),
            },
            connection_lifetime: Duration::from_secs(300),
            port: 9900,
            listen: "::".parse().unwrap(),
            workers: 20,
            queue_size: 200,
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
    fn the_flag_of_a_switch_alone_means_true() {
        let check = |args: &[&str], expected: (bool, bool, bool)| {
            let Access { requires_key, requires_name, has_explorer } =
                settings(&[&["--api-key", "k", "--upstreams-file", "u"], args].concat(), &[]).access;
            assert_eq!((requires_key, requires_name, has_explorer), expected, "{args:?}");
        };
        check(&["--require-api-key"], (true, false, true));
        check(&["--require-api-key", "--explorer=false"], (true, false, false));
        check(&["--require-api-key", "--named-upstreams-only", "--port", "0"], (true, true, true));
        check(&["--require-api-key", "false", "--named-upstreams-only", "true", "--explorer"], (false, true, true));
        let refused = resolved(&["--named-upstreams-only", "check", "http://m/"], &[]).unwrap_err();
        assert!(
            refused.starts_with("--named-upstreams-only does not go with check: leave it out; check --help"),
            "{refused}"
        );
    }

    #[test]
    fn a_proxy_is_given_by_its_url_or_by_a_file_that_holds_it() {
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
        check(&[], &[("PROXY_FILE", "/run/proxy"), ("NO_PROXY", "a")], Some(file.clone()));
        check(&["--proxy-file", "/run/proxy", "--no-proxy=a"], &[], Some(file));
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
        check(&["--api-key-file", "f"], &[key], &["API_KEY and --api-key-file", "give only one"]);
        check(&["--require-api-key", "yes"], &[key], &["--require-api-key must be true or false", "\"yes\""]);
        check(
            &["--named-upstreams-only"],
            &[key],
            &["--named-upstreams-only", "--upstreams-file or UPSTREAMS_FILE must be given"],
        );
        check(&["--explorer", "off"], &[key], &["--explorer must be true or false", "\"off\""]);
        check(
            &["--allow-upstream", "a,.b.svc"],
            &[key],
            &["--allow-upstream must be", "not \".b.svc\"; write *.b.svc"],
        );
        check(&["--allow-upstream", "a,/8"], &[key], &["--allow-upstream must be", "10.0.0.0/8", "not \"/8\""]);
        let proxy = ("PROXY", "http://p:1");
        check(&["--no-proxy", "a,10.*"], &[key, proxy], &["--no-proxy must be", "10.0.0.0/8", "not \"10.*\""]);
        for (flag, secret) in [("--allow-upstream", "http://u:hush@x"), ("--no-proxy", "a,http://u:hush,hush@x")] {
            check(&[flag, secret], &[key, proxy], &[flag, "10.0.0.0/8", "is not shown"]);
        }
        check(&["--proxy-file", "f"], &[key, proxy], &["PROXY and --proxy-file exclude each other", "give only one"]);
        check(&["--proxy", "/run/proxy"], &[key], &["--proxy must be a URL", "is not shown"]);
        check(&["--queue-size", "-1"], &[key], &["--queue-size must be", "100000", "\"-1\""]);
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
        for flag in ["--ca-path", "--upstreams-file", "--api-key-file", "--proxy-file"] {
            check(&[flag, ""], &[key], &[flag, "must not be empty, but the path of"]);
        }
        check(&["check", "--upstreams=u"], &[], &["check --upstreams takes no further word", "--upstreams-file"]);
        check(&["check", "--upstreams", "u"], &[], &["check --upstreams takes no further word", "--upstreams-file"]);
        check(&["--nonsense"], &[key], &["--nonsense", "--help"]);
        check(&["--port"], &[key], &["--port must be followed by"]);
        check(&["-x"], &[key], &["-x", "flag -x; --help lists"]);
        check(&["check", "--typo"], &[], &["no flag --typo; check --help lists the flags"]);
        check(&["ask", "--typo"], &[], &["no flag --typo; ask --help lists the flags"]);
    }

    #[test]
    fn numbers_and_words_are_accepted_within_the_bounds_of_the_table_only() {
        let mut checked = 0;
        for setting in TABLE {
            let (accepted, refused) = match setting.allowed {
                Allowed::Number(least, most) | Allowed::Seconds(least, most) => {
                    let below = least.checked_sub(1).map_or("-1".to_owned(), |below| below.to_string());
                    (vec![least.to_string(), most.to_string()], vec![below, (most + 1).to_string()])
                }
                Allowed::Word(words) => {
                    let upper = words.iter().map(|word| word.to_uppercase());
                    (upper.chain(words.iter().map(|word| (*word).to_owned())).collect(), vec![format!("{}s", words[0])])
                }
                Allowed::Switch | Allowed::Path(_) | Allowed::Text(_) => continue,
            };
            let result = |value: &str| resolved(&["--api-key", "k", &format!("--{}={value}", setting.flag)], &[]);
            for value in accepted {
                assert!(result(&value).is_ok(), "{} {value}", setting.flag);
            }
            for value in refused {
                assert!(result(&value).is_err(), "{} {value}", setting.flag);
            }
            checked += 1;
        }
        assert_eq!(checked, 9);
    }

    #[test]
    fn check_takes_a_url_or_finds_the_local_mirror() {
        let check = |args: &[&str], variables: &[(&str, &str)], url: &str, api_key: Option<KeySource>| {
            let expected = Command::Check(Check { url: url.to_owned(), api_key, ca_path: None });
            assert_eq!(resolved(args, variables), Ok(expected), "{args:?} {variables:?}");
        };
        let key = || Some(KeySource::Given(ApiKey::new("k").unwrap()));
        check(&["check"], &[], "http://127.0.0.1:9900/", None);
        check(&["check"], &[("PORT", "80"), ("API_KEY", "k"), ("LISTEN", "0.0.0.0")], "http://127.0.0.1:80/", key());
        check(&["check", "--listen", "::1", "--port=1"], &[], "http://[::1]:1/", None);
        check(&["--api-key", "k", "check", "http://m/"], &[("PORT", "0")], "http://m/", key());
        let checked = resolved(&["check", "https://m/", "--ca-path", "/ca"], &[("PORT", "0")]);
        assert!(matches!(&checked, Ok(Command::Check(check)) if check.ca_path == Some("/ca".into())), "{checked:?}");
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
    fn a_subcommand_refuses_the_flags_that_it_does_not_use_but_not_their_variables() {
        let check = |args: &[&str], refused: Option<&str>| {
            let variables = [("WORKERS", "x"), ("API_KEY", "k")];
            let expected = refused.map(|refused| format!("--{refused}"));
            match (resolved(args, &variables), expected) {
                (Err(error), Some(expected)) => assert!(error.starts_with(&expected), "{error}"),
                (found, expected) => assert!(found.is_ok() && expected.is_none(), "{args:?}: {found:?}"),
            }
        };
        check(&["ask", "--workers", "3", "--port", "1", "--test"], Some("port does not go with ask: "));
        check(&["man", "--proxy", "http://p:1"], Some("proxy does not go with man: "));
        check(&["completions", "bash", "--explorer"], Some("explorer does not go with completions: "));
        check(&["ask", "--ca-path", "/ca", "--upstreams-file", "/u", "--test"], None);
        check(&["ask", "--mirror", "http://m:1", "--api-key", "x", "--test"], None);
        for other in [&["--mirror", "http://m:1"][..], &["--curl"]] {
            let args = [&["ask", "--test", "--no-proxy", "a"], other].concat();
            let error = resolved(&args, &[]).unwrap_err();
            let expected =
                format!("ask {}, but with ask without --mirror and --curl; ask --help describes ask", other[0]);
            assert_eq!(error, format!("--no-proxy does not go with {expected}"));
            let bad = [("PROXY", "x"), ("NO_PROXY", "10.*"), ("ALLOW_UPSTREAM", "http://x")];
            assert!(resolved(&[&["ask", "--test"], other].concat(), &bad).is_ok());
            assert!(resolved(&["ask", "--test"], &bad[..1]).is_err());
            assert!(resolved(&[&["ask", "--test", "--ca-path", "/ca"], other].concat(), &[]).is_ok());
        }
        check(&["check", "--port", "1", "--listen", "::1"], None);
        check(&["check", "--upstreams", "--upstreams-file", "/u", "--proxy", "http://p:1", "--ca-path", "/ca"], None);
        check(&["check", "http://m:1", "--api-key", "x", "--ca-path", "/ca"], None);
        check(
            &["check", "http://m:1", "--port", "1"],
            Some("port does not go with check URL, but with check without a URL;"),
        );
        check(
            &["check", "http://m:1", "--no-proxy", "a"],
            Some("no-proxy does not go with check URL, but with check --upstreams;"),
        );
        check(
            &["check", "--ca-path", "/ca"],
            Some("ca-path does not go with check without a URL, but with check URL and check --upstreams;"),
        );
        check(
            &["check", "--upstreams-file", "/u"],
            Some("upstreams-file does not go with check without a URL, but with check --upstreams;"),
        );
        check(
            &["check", "--upstreams", "--listen", "::1"],
            Some("listen does not go with check --upstreams, but with check without a URL;"),
        );
        assert!(resolved(&["check", "--upstreams"], &[("API_KEY", "not a key"), ("PORT", "x")]).is_ok());
        assert!(resolved(&["check", "http://m:1"], &[("PORT", "x"), ("PROXY", "x")]).is_ok());
        check(&["check", "--workers", "3", "--port", "1"], Some("workers does not go with check: "));
        // A switch takes the URL as its value.
        check(
            &["check", "--require-api-key", "http://localhost:1", "--port", "28900"],
            Some("require-api-key does not go with check: "),
        );
        check(&["completions", "bash"], None);
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
        let unwrapped = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for setting in TABLE {
            let (flag, variable) = (setting.flag, setting.variable());
            assert!(
                help.contains(&format!("\n  --{flag}, {variable} (")) && unwrapped.contains(setting.help),
                "{flag}: {help}"
            );
        }
    }
}
