//! The flags of `prometheusmirror ask`, from which its parser, its help, the completions and the manual all come.

/// A flag of `ask`.
#[derive(Debug, PartialEq, Eq)]
pub struct AskFlag {
    /// The flag, without its dashes.
    pub flag: &'static str,
    /// What its value is called in the help; empty if it takes none.
    pub value: &'static str,
    /// What it is for.
    pub help: &'static str,
}

const fn flag(flag: &'static str, value: &'static str, help: &'static str) -> AskFlag {
    AskFlag { flag, value, help }
}

impl AskFlag {
    /// The flag of this name.
    pub(super) fn find(name: &str) -> Option<&'static AskFlag> {
        ASK_FLAGS.iter().find(|known| known.flag == name)
    }
}

/// All flags of `ask`, in the order they are listed in. The settings of the server that say how upstreams are reached count, too.
pub static ASK_FLAGS: [AskFlag; 30] = [
    flag("url", "URL", "Ask the Prometheus at this base URL, with user and password if it needs them."),
    flag("upstream", "NAME", "Ask this upstream of --upstreams-file; an only one need not be named."),
    flag("mirror", "URL", "Ask through the mirror that runs at this address, with the key of --api-key."),
    flag("timeout", "DURATION", "How long the question may take, such as 20s."),
    flag("scrape-interval", "DURATION", "How often the metrics are scraped, such as 15s."),
    flag("nan", "WORD", "What a sample becomes that is not a number: NONE or ZERO."),
    flag("partial-response", "WORD", "What becomes of an answer that Prometheus itself calls partial: deny or allow."),
    flag("test", "", "Test the connection."),
    flag("names", "", "List the names of fields."),
    flag("values", "FIELD", "List the values of a field, such as job, __counter__ or __gauge__."),
    flag("prefix", "TEXT", "Of --values, those that begin like this."),
    flag("offset", "NUMBER", "Of --values, skip so many."),
    flag("gauge", "NAME", "Ask for the values of a metric."),
    flag("counter", "NAME", "Ask for the rate per second of a metric."),
    flag("expression", "PROMQL", "Ask for the values of a PromQL expression."),
    flag(
        "label",
        "NAME=VALUE",
        "Only series with this label. Repeat it for several labels; repeat a name for several values.",
    ),
    flag("request", "FILE", "Send a request body as StackState sends it, from a file or, with -, from standard input."),
    flag("last", "DURATION", "The time until now, such as 15m, 6h, 7d. One hour if no time is given."),
    flag("start", "TIME", "The start: RFC 3339, or seconds or milliseconds since the epoch."),
    flag("end", "TIME", "The end, in the same form; now if it is not given."),
    flag("method", "NAME", "The aggregation: MEAN, MAX, MIN, SUM, EVENT_COUNT, PERCENTILE_95 and so on."),
    flag("bucket", "DURATION", "The length of a bucket, such as 5m. One minute if only --method is given."),
    flag("limit", "NUMBER", "At most so many points, names or values."),
    flag("latest-first", "", "The newest points first."),
    flag("format", "WORD", "The output: table, json (the response body) or csv."),
    flag("explain", "", "Show how the answer came to be."),
    flag("curl", "", "Print a curl command that asks a running mirror the same, and do not ask."),
    flag("no-plot", "", "Show no plot below a table."),
    flag("plot", "", "Show a plot below a table, even if the output is not a terminal."),
    flag("quiet", "", "Show no progress."),
];

/// The flags of a command line of `ask`, and their values.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AskFlags(Vec<(&'static str, String)>);

impl AskFlags {
    pub(super) fn add(&mut self, flag: &'static str, value: String) {
        self.0.push((flag, value));
    }

    /// The value of a flag; the last, if there are several.
    pub fn value(&self, flag: &str) -> Option<&str> {
        self.values(flag).last()
    }

    /// All values of a flag, in their order.
    pub fn values(&self, flag: &str) -> impl Iterator<Item = &str> {
        debug_assert!(AskFlag::find(flag).is_some(), "{flag}");
        self.0.iter().filter(move |(given, _)| *given == flag).map(|(_, value)| value.as_str())
    }

    /// Whether a flag is given.
    pub fn has(&self, flag: &str) -> bool {
        self.value(flag).is_some()
    }
}
