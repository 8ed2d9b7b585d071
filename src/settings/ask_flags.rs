//! The table of the flags of `prometheusmirror ask`. Its parser, its help, the completions and the manual page come from it.

/// A flag of `ask`.
#[derive(Debug, PartialEq, Eq)]
pub struct AskFlag {
    /// The flag, without its dashes.
    pub flag: &'static str,
    /// The name of its value in the help; empty if it takes no value.
    pub value: &'static str,
    /// The help text.
    pub help: &'static str,
}

const fn flag(flag: &'static str, value: &'static str, help: &'static str) -> AskFlag {
    AskFlag { flag, value, help }
}

impl AskFlag {
    /// The flag with this name.
    pub(super) fn find(name: &str) -> Option<&'static AskFlag> {
        ASK_FLAGS.iter().find(|known| known.flag == name)
    }
}

/// All flags of `ask`, in the order of its help. `ask` also takes the settings of the server that say how upstreams are reached.
pub static ASK_FLAGS: [AskFlag; 30] = [
    flag("url", "URL", "Query the Prometheus at this base URL, which may contain a user and password."),
    flag("upstream", "NAME", "Query this upstream of --upstreams-file; not needed if the file has only one."),
    flag(
        "mirror",
        "URL",
        "Send the request to the mirror at this URL, with the key of --api-key. --ca-path applies to https.",
    ),
    flag("timeout", "DURATION", "Timeout. Default: 20s, or that of the upstream, for which --mirror waits up to 10m."),
    flag("scrape-interval", "DURATION", "Scrape interval of the metrics, such as 15s."),
    flag("nan", "WORD", "What a NaN sample becomes: NONE (no point) or ZERO (the number 0)."),
    flag(
        "partial-response",
        "WORD",
        "What to do with a response that Prometheus calls partial: deny (an error) or allow.",
    ),
    flag("test", "", "Test the connection."),
    flag("names", "", "List field names; those of one metric with --label __gauge__=NAME."),
    flag("values", "FIELD", "List the values of a field, such as job, __counter__ or __gauge__."),
    flag("prefix", "TEXT", "With --values: only values with this prefix."),
    flag("offset", "NUMBER", "With --values: skip this number of values."),
    flag("gauge", "NAME", "Query the samples of a metric."),
    flag("counter", "NAME", "Query the rate per second of a metric."),
    flag("expression", "PROMQL", "Query the values of a PromQL expression."),
    flag("label", "NAME=VALUE", "Only series with this label. Repeat it for more labels, or more values of one."),
    flag("request", "FILE", "Send a request body as StackState sends it, from a file, or from standard input with -."),
    flag(
        "last",
        "DURATION",
        "Length of the time range up to --end, such as 15m. Default: 1h, unless --start is given.",
    ),
    flag("start", "TIME", "Start time: RFC 3339, or seconds or milliseconds since 1970."),
    flag("end", "TIME", "End time, in the same form. Default: now."),
    flag("method", "NAME", "Aggregation method: MEAN, MAX, MIN, SUM, EVENT_COUNT, PERCENTILE_95 and so on."),
    flag("bucket", "DURATION", "Length of a bucket, such as 5m. Default: 1m, if --method is given."),
    flag("limit", "NUMBER", "Maximum number of points, names or values."),
    flag("latest-first", "", "Newest points first."),
    flag("format", "WORD", "Output format: table, json (the response body) or csv."),
    flag("explain", "", "Show how each number was computed; not with --format csv."),
    flag("curl", "", "Do not send the query; print a curl command that sends it to a running mirror."),
    flag("no-plot", "", "Do not show a plot below a table."),
    flag("plot", "", "Show a plot below a table, even if the output is not a terminal."),
    flag("quiet", "", "Do not show progress."),
];

/// The flags of a command line of `ask`, and their values.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AskFlags(Vec<(&'static str, String)>);

impl AskFlags {
    pub(super) fn add(&mut self, flag: &'static str, value: String) {
        self.0.push((flag, value));
    }

    /// The value of a flag. If it is given several times, the last.
    pub fn value(&self, flag: &str) -> Option<&str> {
        self.values(flag).last()
    }

    /// All values of a flag, in the order of the command line.
    pub fn values(&self, flag: &str) -> impl Iterator<Item = &str> {
        debug_assert!(AskFlag::find(flag).is_some(), "{flag}");
        self.0.iter().filter(move |(given, _)| *given == flag).map(|(_, value)| value.as_str())
    }

    /// Whether a flag is given.
    pub fn has(&self, flag: &str) -> bool {
        self.value(flag).is_some()
    }
}
