//! The settings: one table, from which the flags, the environment variables, the help text and the checks all come.
//!
//! The only room that reads the environment. What comes out is checked: nothing listens before every setting is good.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};
use log::LevelFilter;

/// A setting: how it is given and what it may be. The README has the same table; a test compares the two.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The flag, without its dashes.
    pub flag: &'static str,
    /// The environment variable, which counts when the flag is not given. An empty one counts as not given.
    pub variable: &'static str,
    /// What holds when it is not given.
    pub fallback: Fallback,
    /// What it may be.
    pub allowed: &'static str,
    /// What it is for.
    pub help: &'static str,
}

/// What holds when a setting is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing: it has to be given.
    Required,
    /// It is off.
    Off,
    /// This value.
    Value(&'static str),
}

const API_KEY: Setting = Setting {
    flag: "api-key",
    variable: "API_KEY",
    fallback: Fallback::Required,
    allowed: "1 to 1024 visible ASCII characters",
    help: "The key every reply carries, the Api Key of the datasource in StackState. Prefer the variable: flags can be \
           read in the list of processes.",
};
const WORKERS: Setting = Setting {
    flag: "workers",
    variable: "WORKERS",
    fallback: Fallback::Value("20"),
    allowed: "a number from 1 to 1000",
    help: "How many requests are answered at the same time.",
};
const PORT: Setting = Setting {
    flag: "port",
    variable: "PORT",
    fallback: Fallback::Value("9900"),
    allowed: "a port from 0 to 65535 (0: any free one)",
    help: "The TCP port to listen on.",
};
const LISTEN: Setting = Setting {
    flag: "listen",
    variable: "LISTEN",
    fallback: Fallback::Value("::"),
    allowed: "an IPv4 or IPv6 address",
    help: "The address to listen on. :: is all interfaces, IPv4 and IPv6.",
};
const LOG_LEVEL: Setting = Setting {
    flag: "log-level",
    variable: "LOG_LEVEL",
    fallback: Fallback::Value("info"),
    allowed: "one of error, warn, info, debug",
    help: "How much is logged to standard error.",
};

const CA_FILE: Setting = Setting {
    flag: "ca-file",
    variable: "CA_FILE",
    fallback: Fallback::Off,
    allowed: "the path of a PEM file",
    help: "The certificates of the authorities that https upstreams are checked against, instead of the public ones that \
           are built in.",
};

/// All settings, in the order they are listed in.
pub const TABLE: [&Setting; 6] = [&API_KEY, &WORKERS, &PORT, &LISTEN, &LOG_LEVEL, &CA_FILE];

/// Checked settings.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The key every reply carries.
    pub api_key: String,
    /// How many requests are answered at the same time, 1 to 1000.
    pub workers: usize,
    /// The TCP port to listen on; 0 for any free one.
    pub port: u16,
    /// The address to listen on.
    pub listen: IpAddr,
    /// How much is logged.
    pub log_level: LevelFilter,
    /// The PEM file of authorities to check `https` upstreams against; the public ones when there is none.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { api_key: _, workers, port, listen, log_level, ca_file } = self;
        f.debug_struct("Settings")
            .field("workers", workers)
            .field("port", port)
            .field("listen", listen)
            .field("log_level", log_level)
            .field("ca_file", ca_file)
            .finish_non_exhaustive()
    }
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// To serve.
    Serve(Settings),
    /// To show a text, which is the help or the version.
    Show(String),
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
    while let Some(arg) = parser.next().map_err(|error| BadSetting(error.to_string()))? {
        let name = match arg {
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Show(help())),
            Arg::Long("version") | Arg::Short('V') => return Ok(Command::Show(version())),
            Arg::Long(name) => name.to_owned(),
            // The value is not repeated: it may be a key that lost its flag.
            Arg::Value(_) => {
                return Err(BadSetting("there is a value without a flag; --help lists the flags".to_owned()));
            }
            Arg::Short(letter) => return Err(unknown(&format!("-{letter}"))),
        };
        let Some(setting) = TABLE.iter().find(|setting| setting.flag == name) else {
            return Err(unknown(&format!("--{name}")));
        };
        let value = parser.value().and_then(|value| value.string());
        let value = value.map_err(|_| BadSetting(format!("--{name} must be followed by {}", setting.allowed)))?;
        flags.insert(setting.flag, value);
    }

    let given = |setting: &'static Setting| -> Option<Given> {
        let from_flag = flags.get(setting.flag).map(|value| Given::new(setting, format!("--{}", setting.flag), value));
        from_flag.or_else(|| {
            let value = variable(setting.variable).filter(|value| !value.is_empty())?;
            // What is no UTF-8 is no allowed value of any setting, so its check refuses it.
            Some(Given::new(setting, setting.variable.to_owned(), &value.to_string_lossy()))
        })
    };
    let needed = |setting: &'static Setting| -> Result<Given, BadSetting> {
        let Setting { flag, variable, fallback, allowed, .. } = setting;
        match (given(setting), fallback) {
            (Some(given), _) => Ok(given),
            (None, Fallback::Value(default)) => Ok(Given::new(setting, format!("--{flag}"), default)),
            (None, _) => Err(BadSetting(format!("--{flag} or {variable} must be given: {allowed}"))),
        }
    };
    Ok(Command::Serve(Settings {
        api_key: needed(&API_KEY)?.api_key()?,
        workers: needed(&WORKERS)?.checked(|text| text.parse().ok().filter(|n| (1..=1000).contains(n)))?,
        port: needed(&PORT)?.checked(|text| text.parse().ok())?,
        listen: needed(&LISTEN)?.checked(address)?,
        log_level: needed(&LOG_LEVEL)?.checked(level)?,
        ca_file: given(&CA_FILE).map(|given| PathBuf::from(given.value)),
    }))
}

/// A value, and under which name it was given.
struct Given {
    setting: &'static Setting,
    name: String,
    value: String,
}

impl Given {
    fn new(setting: &'static Setting, name: String, value: &str) -> Given {
        Given { setting, name, value: value.to_owned() }
    }

    fn checked<T>(self, check: impl Fn(&str) -> Option<T>) -> Result<T, BadSetting> {
        let Given { setting, name, value } = self;
        check(value.trim()).ok_or_else(|| BadSetting(format!("{name} must be {}, not {value:?}", setting.allowed)))
    }

    /// A key that can stand in a header and comes out of it as it went in. The text of a bad one is not repeated.
    fn api_key(self) -> Result<String, BadSetting> {
        let Given { setting, name, value } = self;
        if (1..=1024).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(value);
        }
        Err(BadSetting(format!("{name} must be {}; what it was given is not shown here", setting.allowed)))
    }
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

fn unknown(flag: &str) -> BadSetting {
    BadSetting(format!("there is no flag {flag}; --help lists the flags"))
}

fn version() -> String {
    concat!("prometheusmirror ", env!("CARGO_PKG_VERSION"), "\n").to_owned()
}

fn help() -> String {
    let mut text = format!(
        "{}\n{}.\n\nUsage: prometheusmirror [FLAGS]\n\nEach flag can be given as an environment variable instead; \
         the flag wins.\n\n",
        version().trim_end(),
        env!("CARGO_PKG_DESCRIPTION")
    );
    for Setting { flag, variable, fallback, allowed, help } in TABLE {
        let fallback = match fallback {
            Fallback::Required => "required".to_owned(),
            Fallback::Off => "off".to_owned(),
            Fallback::Value(default) => format!("default {default}"),
        };
        text.push_str(&format!("  --{flag}, {variable} ({fallback})\n      {help}\n      Allowed: {allowed}.\n"));
    }
    text.push_str("  -h, --help\n      Shows this.\n  -V, --version\n      Shows the version.\n");
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
            Ok(Command::Serve(settings)) => settings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn defaults_are_those_promised() {
        let expected = Settings {
            api_key: "k".into(),
            workers: 20,
            port: 9900,
            listen: "::".parse().unwrap(),
            log_level: LevelFilter::Info,
            ca_file: None,
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
    fn a_bad_setting_is_named_with_what_it_was_given_and_what_is_allowed() {
        let check = |args: &[&str], variables: &[(&str, &str)], parts: &[&str]| {
            let error = resolved(args, variables).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
            assert!(!error.contains('\n'), "{error}");
        };
        let key = ("API_KEY", "k");
        check(&[], &[], &["--api-key or API_KEY must be given"]);
        check(&[], &[("API_KEY", "")], &["--api-key or API_KEY must be given"]);
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
    fn a_key_is_never_repeated() {
        for (args, variables) in [
            (vec!["--api-key", "hush hush"], vec![]),
            (vec![], vec![("API_KEY", "hush\n")]),
            (vec!["hush"], vec![("API_KEY", "k")]),
            (vec!["--api-key", ""], vec![]),
        ] {
            let error = resolved(&args, &variables).unwrap_err();
            assert!(!error.contains("hush"), "{error}");
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
