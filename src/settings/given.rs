//! Reads each setting from its flag, its variable or its default, and checks it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::table::{
    ALLOW_UPSTREAM, API_KEY, API_KEY_FILE, Allowed, CA_PATH, CONNECTION_LIFETIME, EXPLORER, Fallback, Form, LISTEN,
    LOG_FORMAT, LOG_LEVEL, MAX_REQUEST_BYTES, MEMORY_BUDGET_MIB, NAMED_UPSTREAMS_ONLY, NO_PROXY, PORT, PROXY,
    PROXY_FILE, QUEUE_SIZE, REQUIRE_API_KEY, SHUTDOWN_DELAY, SHUTDOWN_GRACE, Setting, UPSTREAMS_FILE, WORKERS,
};
use super::{BadSetting, KeySource, ProxySource, ReachSettings, Settings};
use crate::api::Access;
use crate::key::ApiKey;
use crate::prometheus::{AwsEnvironment, BadHost, NoProxy, Proxy};

/// The default of `--queue-size`, for each worker.
const QUEUED_PER_WORKER: usize = 10;

/// The settings of a command line and an environment.
pub(super) struct GivenSettings<V> {
    pub(super) flags: HashMap<&'static str, String>,
    /// The value of an environment variable.
    pub(super) variable: V,
    /// The form of the subcommand, if there is one. The variables of other settings do not matter to it.
    pub(super) form: Option<&'static Form>,
}

impl<V: Fn(&str) -> Option<OsString>> GivenSettings<V> {
    /// A setting, if it is given. The flag wins over the variable.
    fn given(&self, setting: &'static Setting) -> Option<GivenSetting> {
        if let Some(value) = self.flags.get(setting.flag) {
            return Some(GivenSetting::new(setting, format!("--{}", setting.flag), value));
        }
        if self.form.is_some_and(|form| !form.settings.contains(&setting.flag)) {
            return None;
        }
        let variable = setting.variable();
        let value = (self.variable)(&variable).filter(|value| !value.is_empty())?;
        // No setting allows values that are not UTF-8, so its check refuses the replacement characters.
        Some(GivenSetting::new(setting, variable, &value.to_string_lossy()))
    }

    /// A setting, or its default.
    fn needed(&self, setting: &'static Setting) -> Result<GivenSetting, BadSetting> {
        match (self.given(setting), setting.fallback) {
            (Some(given), _) => Ok(given),
            (None, Fallback::Value(default)) => Ok(GivenSetting::new(setting, format!("--{}", setting.flag), default)),
            (None, _) => Err(must_be_given(setting)),
        }
    }

    /// The path that a setting contains, if it is given.
    pub(super) fn path(&self, setting: &'static Setting) -> Option<PathBuf> {
        self.given(setting).map(|given| PathBuf::from(given.value))
    }

    fn switch(&self, setting: &'static Setting) -> Result<bool, BadSetting> {
        self.needed(setting)?.checked(|text| text.parse().ok())
    }

    /// The source of the key, if it is given.
    ///
    /// # Errors
    /// If both settings are given, or the key is invalid.
    pub(super) fn api_key(&self) -> Result<Option<KeySource>, BadSetting> {
        match (self.given(&API_KEY), self.given(&API_KEY_FILE)) {
            (Some(key), None) => Ok(Some(KeySource::Given(key.api_key()?))),
            (None, Some(file)) => Ok(Some(KeySource::File(PathBuf::from(file.value)))),
            (Some(key), Some(file)) => Err(exclusive(&key, &file)),
            (None, None) => Ok(None),
        }
    }

    /// Which upstreams may be queried, and how they are reached.
    ///
    /// # Errors
    /// If a setting is bad.
    pub(super) fn reach(&self) -> Result<ReachSettings, BadSetting> {
        Ok(ReachSettings {
            allow_upstream: self.needed(&ALLOW_UPSTREAM)?.hosts()?,
            upstreams_file: self.path(&UPSTREAMS_FILE),
            ca_path: self.path(&CA_PATH),
            proxy: self.proxy()?,
            aws: AwsEnvironment::of(|name| (self.variable)(name).and_then(|value| value.into_string().ok())),
        })
    }

    /// The source of the URL of the proxy. Without a proxy, NO_PROXY is not even checked: many sites set it everywhere.
    fn proxy(&self) -> Result<Option<ProxySource>, BadSetting> {
        let no_proxy = || self.needed(&NO_PROXY)?.hosts();
        match (self.given(&PROXY), self.given(&PROXY_FILE)) {
            (Some(url), None) => url.proxy(no_proxy()?).map(Some),
            (None, Some(file)) => Ok(Some(ProxySource::File(PathBuf::from(file.value), no_proxy()?))),
            (Some(url), Some(file)) => Err(exclusive(&url, &file)),
            (None, None) => Ok(None),
        }
    }

    /// The address and the port to listen on.
    ///
    /// # Errors
    /// If one is bad.
    pub(super) fn listen(&self) -> Result<(IpAddr, u16), BadSetting> {
        let port = self.needed(&PORT)?.checked(|text| text.parse().ok())?;
        Ok((self.needed(&LISTEN)?.checked(address)?, port))
    }

    /// All settings of the server.
    ///
    /// # Errors
    /// If one is bad, or the key is missing.
    pub(super) fn all(&self, api_key: Option<KeySource>) -> Result<Settings, BadSetting> {
        let (listen, port) = self.listen()?;
        let api_key = api_key.ok_or_else(|| {
            let Setting { flag, allowed, .. } = API_KEY_FILE;
            let BadSetting(text) = must_be_given(&API_KEY);
            BadSetting(format!("{text}; or --{flag} or {}: {allowed}", API_KEY_FILE.variable()))
        })?;
        let workers = self.needed(&WORKERS)?.number()?;
        let access = Access {
            requires_key: self.switch(&REQUIRE_API_KEY)?,
            requires_name: self.switch(&NAMED_UPSTREAMS_ONLY)?,
            has_explorer: self.switch(&EXPLORER)?,
        };
        let reach = self.reach()?;
        if access.requires_name && reach.upstreams_file.is_none() {
            let (only, file) = (NAMED_UPSTREAMS_ONLY.flag, must_be_given(&UPSTREAMS_FILE));
            return Err(BadSetting(format!("--{only} refuses every query without named upstreams: {file}")));
        }
        Ok(Settings {
            api_key,
            access,
            reach,
            connection_lifetime: self.needed(&CONNECTION_LIFETIME)?.seconds()?,
            port,
            listen,
            workers,
            queue_size: self.given(&QUEUE_SIZE).map_or(Ok(workers * QUEUED_PER_WORKER), |given| given.number())?,
            max_request_bytes: self.needed(&MAX_REQUEST_BYTES)?.number()?,
            memory_budget_bytes: self.needed(&MEMORY_BUDGET_MIB)?.number()? << 20,
            shutdown_delay: self.needed(&SHUTDOWN_DELAY)?.seconds()?,
            shutdown_grace: self.needed(&SHUTDOWN_GRACE)?.seconds()?,
            log_level: self.needed(&LOG_LEVEL)?.word()?,
            log_format: self.needed(&LOG_FORMAT)?.word()?,
        })
    }
}

/// The value of a setting, and the flag or variable that gave it.
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

    /// One of the words that the table allows.
    fn word<T: FromStr>(self) -> Result<T, BadSetting> {
        let words = if let Allowed::Word(words) = self.setting.allowed { words } else { &[] };
        self.checked(|text| words.iter().find(|word| word.eq_ignore_ascii_case(text))?.parse().ok())
    }

    /// A number within the bounds of the table.
    fn number(self) -> Result<usize, BadSetting> {
        let allowed = self.setting.allowed;
        self.checked(|text| text.parse().ok().filter(|number| allowed.contains(*number)))
    }

    fn seconds(self) -> Result<Duration, BadSetting> {
        self.number().map(|seconds| Duration::from_secs(seconds as u64))
    }

    /// A list of hosts. The error repeats the bad entry, unless the list may contain a password.
    fn hosts<T: FromStr<Err = BadHost>>(self) -> Result<T, BadSetting> {
        // A password may contain a comma, so this checks the whole list.
        if self.value.contains('@') {
            return Err(self.bad_secret());
        }
        let GivenSetting { setting, name, value } = self;
        let bad = |BadHost(entry)| {
            let meant = format!("*{entry}");
            let is_domain = entry.starts_with('.') && meant.parse::<T>().is_ok();
            let remedy = if is_domain { format!("; write {meant}") } else { String::new() };
            BadSetting(format!("{name} must be {}, not {entry:?}{remedy}", setting.allowed))
        };
        value.parse().map_err(bad)
    }

    fn proxy(self, no_proxy: NoProxy) -> Result<ProxySource, BadSetting> {
        Proxy::at_url(self.value.trim(), no_proxy).map(ProxySource::Given).ok_or_else(|| self.bad_secret())
    }

    fn api_key(self) -> Result<ApiKey, BadSetting> {
        ApiKey::new(&self.value).ok_or_else(|| self.bad_secret())
    }

    /// Says what is allowed, without repeating the value.
    fn bad_secret(&self) -> BadSetting {
        let GivenSetting { setting, name, .. } = self;
        BadSetting(format!("{name} must be {}; the value is secret, so it is not shown", setting.allowed))
    }
}

fn exclusive(one: &GivenSetting, other: &GivenSetting) -> BadSetting {
    BadSetting(format!("{} and {} exclude each other: give only one", one.name, other.name))
}

fn address(text: &str) -> Option<IpAddr> {
    let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match unbracketed {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

fn must_be_given(setting: &Setting) -> BadSetting {
    let Setting { flag, allowed, .. } = setting;
    BadSetting(format!("--{flag} or {} must be given: {allowed}", setting.variable()))
}
