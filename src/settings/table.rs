//! The table of settings, and that of subcommands. Flags, variables, bounds and help texts come from them.

use std::fmt;

/// A setting: its names, values, default and help. docs/settings.md has the same table; a test compares the two.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The flag, without its dashes.
    pub flag: &'static str,
    /// The value if it is not given.
    pub fallback: Fallback,
    /// The allowed values.
    pub allowed: Allowed,
    /// The help text.
    pub help: &'static str,
}

/// The value of a setting that is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// The setting is off.
    Off,
    /// This value.
    Value(&'static str),
    /// A value that depends on other settings, in words.
    Derived(&'static str),
    /// No default: the setting is required, unless this flag is given.
    RequiredUnless(&'static str),
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fallback::Off => f.write_str("off"),
            Fallback::Value(value) => write!(f, "`{value}`"),
            Fallback::Derived(how) => f.write_str(how),
            Fallback::RequiredUnless(flag) => write!(f, "required, unless `--{flag}` is given"),
        }
    }
}

/// The allowed values of a setting. Its text follows "must be" in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// True or false. The flag alone means true.
    Switch,
    /// One of these words, regardless of case.
    Word(&'static [&'static str]),
    /// A whole number within these bounds.
    Number(usize, usize),
    /// A whole number of seconds within these bounds.
    Seconds(usize, usize),
    /// The path of what these words say. Shells complete it.
    Path(&'static str),
    /// What these words say. `given` checks it.
    Text(&'static str),
}

impl Allowed {
    /// Whether a number is within the bounds.
    pub(super) fn contains(self, number: usize) -> bool {
        match self {
            Allowed::Number(least, most) | Allowed::Seconds(least, most) => (least..=most).contains(&number),
            _ => false,
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allowed::Switch => f.write_str("true or false"),
            Allowed::Word(words) => write!(f, "one of {}", words.join(", ")),
            Allowed::Number(least, most) => write!(f, "a number from {least} to {most}"),
            Allowed::Seconds(least, most) => write!(f, "a number of seconds from {least} to {most}"),
            Allowed::Path(of) => write!(f, "the path of {of}"),
            Allowed::Text(text) => f.write_str(text),
        }
    }
}

impl Setting {
    /// The environment variable, which counts if the flag is not given: `API_KEY` for `api-key`. An empty variable counts as not
    /// given.
    pub fn variable(&self) -> String {
        self.flag.to_ascii_uppercase().replace('-', "_")
    }

    /// Whether its value is true or false.
    pub(super) fn is_switch(&self) -> bool {
        self.allowed == Allowed::Switch
    }
}

pub(super) const API_KEY: Setting = Setting {
    flag: "api-key",
    fallback: Fallback::RequiredUnless("api-key-file"),
    allowed: Allowed::Text("1 to 1024 visible ASCII characters"),
    help: "Key that every response carries: the Api Key of the datasource in StackState. Prefer the file or the variable, since \
           the list of processes shows flags.",
};
pub(super) const API_KEY_FILE: Setting = Setting {
    flag: "api-key-file",
    fallback: Fallback::RequiredUnless("api-key"),
    allowed: Allowed::Path("a file that contains only the key"),
    help: "File that contains the key, such as a mounted Secret. Re-read every 5 s.",
};
pub(super) const REQUIRE_API_KEY: Setting = Setting {
    flag: "require-api-key",
    fallback: Fallback::Value("false"),
    allowed: Allowed::Switch,
    help: "Whether requests to /api/ must carry the key in the header X-MIRROR-API-KEY. If so, only responses to requests with \
           the key carry it.",
};
pub(super) const ALLOW_UPSTREAM: Setting = Setting {
    flag: "allow-upstream",
    fallback: Fallback::Value("*"),
    allowed: Allowed::Text(
        "a comma-separated list of host, host:port, *.domain, networks such as 10.0.0.0/8, or * for everything",
    ),
    help: "Hosts that Connection Details may give as host, port or url. Named upstreams are always allowed.",
};
pub(super) const UPSTREAMS_FILE: Setting = Setting {
    flag: "upstreams-file",
    fallback: Fallback::Off,
    allowed: Allowed::Path("a YAML file"),
    help: "File that lists upstreams by name. The keys of their credentials and TLS settings are those of Prometheus's \
           http_config. Connection Details choose an upstream by its name. The file and all files it names are re-read every 5 s.",
};
pub(super) const NAMED_UPSTREAMS_ONLY: Setting = Setting {
    flag: "named-upstreams-only",
    fallback: Fallback::Value("false"),
    allowed: Allowed::Switch,
    help: "Whether Connection Details must name an upstream of --upstreams-file. Then host, port and url are refused.",
};
pub(super) const EXPLORER: Setting = Setting {
    flag: "explorer",
    fallback: Fallback::Value("true"),
    allowed: Allowed::Switch,
    help: "Whether a browser that opens / gets the explorer, a page that sends the queries of StackState.",
};
pub(super) const WORKERS: Setting = Setting {
    flag: "workers",
    fallback: Fallback::Value("20"),
    allowed: Allowed::Number(1, 1_000),
    help: "Number of requests that are processed at the same time.",
};
pub(super) const QUEUE_SIZE: Setting = Setting {
    flag: "queue-size",
    fallback: Fallback::Derived("10 × workers"),
    allowed: Allowed::Number(0, 100_000),
    help: "Number of requests that may wait for a worker. Further requests are refused at once with 503.",
};
pub(super) const MAX_REQUEST_BYTES: Setting = Setting {
    flag: "max-request-bytes",
    fallback: Fallback::Value("1048576"),
    allowed: Allowed::Number(1_024, 67_108_864),
    help: "Maximum size of a request body, in bytes.",
};
pub(super) const MEMORY_BUDGET_MIB: Setting = Setting {
    flag: "memory-budget-mib",
    fallback: Fallback::Value("256"),
    allowed: Allowed::Number(16, 65_536),
    help: "Memory that all requests share for samples, points and responses, in MiB. One query may hold half of it, and all \
           responses that wait for slow clients may hold the other half. A query that finds no memory waits for it until its \
           timeout expires.",
};
pub(super) const SHUTDOWN_DELAY: Setting = Setting {
    flag: "shutdown-delay",
    fallback: Fallback::Value("0"),
    allowed: Allowed::Seconds(0, 3_600),
    help: "How long the mirror accepts new requests after SIGTERM or SIGINT, in seconds. Meanwhile /-/ready is 503.",
};
pub(super) const SHUTDOWN_GRACE: Setting = Setting {
    flag: "shutdown-grace",
    fallback: Fallback::Value("25"),
    allowed: Allowed::Seconds(0, 3_600),
    help: "How long requests in flight may take after --shutdown-delay, in seconds.",
};
pub(super) const PORT: Setting = Setting {
    flag: "port",
    fallback: Fallback::Value("9900"),
    allowed: Allowed::Text("a port from 0 to 65535 (0: any free one)"),
    help: "TCP port to listen on.",
};
pub(super) const LISTEN: Setting = Setting {
    flag: "listen",
    fallback: Fallback::Value("::"),
    allowed: Allowed::Text("an IPv4 or IPv6 address"),
    help: "Address to listen on. :: means all interfaces, IPv4 and IPv6.",
};
pub(super) const LOG_LEVEL: Setting = Setting {
    flag: "log-level",
    fallback: Fallback::Value("info"),
    allowed: Allowed::Word(&["error", "warn", "info", "debug"]),
    help: "Lowest level of the log on standard error.",
};
pub(super) const LOG_FORMAT: Setting = Setting {
    flag: "log-format",
    fallback: Fallback::Value("logfmt"),
    allowed: Allowed::Word(&["logfmt", "json"]),
    help: "Format of the log lines.",
};
pub(super) const CA_PATH: Setting = Setting {
    flag: "ca-path",
    fallback: Fallback::Off,
    allowed: Allowed::Path("a PEM file, or of a directory of PEM files"),
    help: "CA certificates that https upstreams are verified against, instead of the built-in public ones. If it is a directory, \
           the mirror reads all files in it whose names do not begin with a dot. Read once at the start.",
};
pub(super) const PROXY: Setting = Setting {
    flag: "proxy",
    fallback: Fallback::Off,
    allowed: Allowed::Text("a URL such as http://user:password@proxy.example:3128 (http or https)"),
    help: "URL of the HTTP proxy through which the mirror connects to Prometheus (CONNECT). If it has a password, prefer \
           --proxy-file. HTTP_PROXY and similar variables are ignored.",
};
pub(super) const PROXY_FILE: Setting = Setting {
    flag: "proxy-file",
    fallback: Fallback::Off,
    allowed: Allowed::Path("a file that contains only the URL of a proxy"),
    help: "File that contains the URL of the proxy, such as a mounted Secret. Read once at the start.",
};
pub(super) const NO_PROXY: Setting = Setting {
    flag: "no-proxy",
    fallback: Fallback::Value(".svc,.cluster.local,127.0.0.0/8,::1"),
    allowed: Allowed::Text(
        "a comma-separated list of host (with all names below it), .domain, host:port, networks such as 10.0.0.0/8, \
              or * for everything",
    ),
    help: "Hosts that bypass --proxy, as the Connection Details or the upstreams file write them. Names without a dot always bypass it.",
};

pub(super) const CONNECTION_LIFETIME: Setting = Setting {
    flag: "connection-lifetime",
    fallback: Fallback::Value("300"),
    allowed: Allowed::Seconds(1, 3_600),
    help: "How long a connection to Prometheus is used, in seconds. Then a new one is made, so that the mirror follows a name \
           that moved to another address.",
};

/// All settings, in the order of the help text.
pub const TABLE: [&Setting; 22] = [
    &API_KEY, &API_KEY_FILE, &REQUIRE_API_KEY, &ALLOW_UPSTREAM, &UPSTREAMS_FILE, &NAMED_UPSTREAMS_ONLY, &EXPLORER,
    &CA_PATH, &PROXY, &PROXY_FILE, &NO_PROXY, &CONNECTION_LIFETIME, &PORT, &LISTEN, &WORKERS, &QUEUE_SIZE,
    &MAX_REQUEST_BYTES, &MEMORY_BUDGET_MIB, &SHUTDOWN_DELAY, &SHUTDOWN_GRACE, &LOG_LEVEL, &LOG_FORMAT,
];

/// The settings that `check` uses. Each form of `check` and of `ask` uses some neighbours of this list.
pub(super) static OF_CHECK: [&str; 10] = [
    "port", "listen", "api-key", "api-key-file", "ca-path", "allow-upstream", "upstreams-file", "proxy", "proxy-file",
    "no-proxy",
];

/// The settings for a request to a mirror at a URL: its key, and how its certificate is verified.
static OF_URL: &[&str] = OF_CHECK.split_at(5).0.split_at(2).1;

/// A form of a subcommand, and the settings that it uses.
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) settings: &'static [&'static str],
}

pub(super) static CHECK_LOCAL: Form = Form { name: "check without a URL", settings: OF_CHECK.split_at(4).0 };
pub(super) static CHECK_URL: Form = Form { name: "check URL", settings: OF_URL };
pub(super) static CHECK_UPSTREAMS: Form = Form { name: "check --upstreams", settings: OF_CHECK.split_at(4).1 };
pub(super) static ASK_HERE: Form = Form { name: "ask without --mirror and --curl", settings: OF_CHECK.split_at(2).1 };
pub(super) static ASK_MIRROR: Form = Form { name: "ask --mirror", settings: OF_URL };
pub(super) static ASK_CURL: Form = Form { name: "ask --curl", settings: OF_URL };
pub(super) static NO_SETTINGS: Form = Form { name: "", settings: &[] };

pub(super) const ASK: &str = "ask";
pub(super) const CHECK: &str = "check";
pub(super) const COMPLETIONS: &str = "completions";
pub(super) const MANUAL: &str = "man";

/// The flag that makes `check` check the named upstreams.
pub(super) const UPSTREAMS: &str = "upstreams";

/// A subcommand.
pub(super) struct Subcommand {
    pub(super) name: &'static str,
    /// What follows its name, in each form that it has.
    pub(super) usage: &'static [&'static str],
    /// What it does, as a clause.
    pub(super) purpose: &'static str,
    /// What its help says, a paragraph each.
    pub(super) help: &'static [&'static str],
    /// Its forms, if it takes flags of settings.
    pub(super) forms: &'static [&'static Form],
}

/// All subcommands, in the order of the help.
pub(super) static SUBCOMMANDS: [Subcommand; 4] = [
    Subcommand {
        name: ASK,
        usage: &["(--url URL | --upstream NAME) QUERY [FLAGS]", "--mirror URL ..."],
        purpose: "send a query as StackState does, and show the response",
        help: &[
            "Sends a query as StackState does, and shows the response, by the same code as the server. QUERY is one of --test, \
             --names, --values, --gauge, --counter, --expression and --request.",
            "Errors are those that StackState gets. Where they tell you to change the Connection Details, change --url, \
             --upstream, --timeout, --scrape-interval, --nan or --partial-response. A condition is a --label, and the \
             DataSourceUrl is --mirror. Without --mirror, \"this mirror\" is this command.",
            "The exit code is 0; 1 if the response is an error or there is none, or a file is unusable; or 2 if the command line \
             is wrong.",
        ],
        forms: &[&ASK_HERE, &ASK_MIRROR, &ASK_CURL],
    },
    Subcommand {
        name: CHECK,
        usage: &["[URL] [FLAGS]", "--upstreams [FLAGS]"],
        purpose: "check whether a mirror is ready, or whether the named upstreams respond",
        help: &[
            "Checks whether the mirror at URL, its DataSourceUrl, is ready. Without a URL, checks the mirror on this machine with the \
             same --port and --listen, or PORT and LISTEN. If a key is given, the response must carry it. An https URL is verified \
             against --ca-path.",
            "With --upstreams, sends a query to each upstream and replica of --upstreams-file, and prints a line for each.",
            "In errors, \"this mirror\" is this command.",
            "The exit code is 0 if the mirror is ready or all upstreams respond; 1 if not, or if a file is unusable; or 2 if the \
             command line is wrong.",
        ],
        forms: &[&CHECK_LOCAL, &CHECK_URL, &CHECK_UPSTREAMS],
    },
    Subcommand {
        name: COMPLETIONS,
        usage: &["bash|zsh|fish"],
        purpose: "print completions for bash, zsh or fish",
        help: &[
            "Prints a script that completes the subcommands and flags in a shell. To use it in bash, for instance: source \
             <(prometheusmirror completions bash)",
            "The exit code is 0, or 2 if there are no completions for the shell.",
        ],
        forms: &[],
    },
    Subcommand {
        name: MANUAL,
        usage: &[""],
        purpose: "print the manual page",
        help: &[
            "Prints the manual page, with all flags. To read it: prometheusmirror man | man -l -",
            "The exit code is 0.",
        ],
        forms: &[],
    },
];

impl Subcommand {
    /// The forms that use a setting.
    pub(super) fn forms_with(&self, flag: &str) -> impl Iterator<Item = &'static Form> {
        self.forms.iter().copied().filter(move |form| form.settings.contains(&flag))
    }

    /// The subcommand with this name.
    pub(super) fn find(name: &str) -> Option<&'static Subcommand> {
        SUBCOMMANDS.iter().find(|known| known.name == name)
    }
}
