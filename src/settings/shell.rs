//! The help, shell completions and the manual page. All come from the tables of settings and flags.

use std::ffi::OsStr;
use std::fmt::Write;

use crate::model::aggregation::Aggregation;

use super::BadSetting;
use super::ask_flags::{ASK_FLAGS, AskFlag};
use super::table::{ASK, CHECK, COMPLETIONS, SUBCOMMANDS, Setting, TABLE, UPSTREAMS};

/// The settings that `ask` accepts, too.
const SHARED: [&str; 8] =
    ["api-key", "api-key-file", "allow-upstream", "upstreams-file", "ca-path", "proxy", "proxy-file", "no-proxy"];

/// The flags whose values are files.
const FILES: [&str; 5] = ["api-key-file", "upstreams-file", "ca-path", "proxy-file", "request"];

/// The flags whose values are one of a few words.
const WORDS: [(&str, &str); 6] = [
    ("format", "table json csv"),
    ("nan", "NONE ZERO"),
    ("partial-response", "deny allow"),
    ("log-level", "error warn info debug"),
    ("log-format", "logfmt json"),
    ("values", "__gauge__ __counter__"),
];

/// The flag whose value is an aggregation method. `Aggregation` lists them.
const METHOD: &str = "method";

/// The values of a flag, separated by blanks, if there are only a few.
fn words_of(flag: &str) -> Option<String> {
    if flag == METHOD {
        return Some(Aggregation::methods().collect::<Vec<_>>().join(" "));
    }
    if TABLE.iter().any(|setting| setting.flag == flag && setting.is_switch()) {
        return Some("true false".to_owned());
    }
    WORDS.iter().find(|(of, _)| *of == flag).map(|(_, words)| (*words).to_owned())
}

const EXAMPLES: &str = "  \
  prometheusmirror ask --url http://prometheus:9090 --test
  prometheusmirror ask --url http://prometheus:9090 --counter http_requests_total --label job=payment --last 1h \\
      --method MEAN --bucket 5m
  prometheusmirror ask --upstreams-file upstreams.yaml --upstream openshift --expression 'sum(rate(x[2m]))' --last 6h \\
      --format csv
  prometheusmirror ask --url http://prometheus:9090 --values __counter__ --prefix http_
  prometheusmirror ask --mirror http://prometheusmirror:9900 --url http://prometheus:9090 --names
";

/// A line with the name and the version.
pub(super) fn version() -> String {
    concat!("prometheusmirror ", env!("CARGO_PKG_VERSION"), "\n").to_owned()
}

/// The help of the server and of `check`.
pub(super) fn help() -> String {
    let mut text = format!(
        "{}\n{}.\n\nUsage: prometheusmirror [FLAGS]\n       prometheusmirror check [URL]\n       prometheusmirror check --upstreams\n       \
         prometheusmirror ask ...\n       prometheusmirror completions bash|zsh|fish\n       prometheusmirror man\n\n\
         check asks the mirror at URL, or the one that the same flags would start on this machine, whether it is ready. The exit \
         code is 0 if it is, else 1. If a key is given, the response must carry it.\n\ncheck --upstreams reads --upstreams-file and \
         queries each upstream in it. The exit code is 0 if all of them answer, else 1.\n\nask sends a query as StackState does and \
         shows the answer; see prometheusmirror ask --help.\n\nEach flag can be given as an environment variable instead; the flag \
         wins. A flag that is true or false means true if it stands alone.\n\n",
        version().trim_end(),
        env!("CARGO_PKG_DESCRIPTION")
    );
    for setting @ Setting { flag, variable, allowed, help, .. } in TABLE {
        let fallback = plain_fallback(setting);
        let _ = writeln!(text, "  --{flag}, {variable} (default: {fallback})\n      {help}\n      Allowed: {allowed}.");
    }
    text.push_str("  -h, --help\n      Show this text.\n  -V, --version\n      Show the version.\n");
    text
}

/// The default of a setting, without Markdown.
fn plain_fallback(setting: &Setting) -> String {
    setting.fallback.to_string().replace('`', "")
}

/// The help of `ask`.
pub(super) fn ask_help() -> String {
    let mut text = format!(
        "Usage: prometheusmirror {ASK} (--url URL | --upstream NAME) QUERY [FLAGS]\n       prometheusmirror {ASK} --mirror URL ...\n\n\
         Sends a query as StackState does, and shows the response, by the same code as the server. QUERY is one of --test, --names, \
         --values, --gauge, --counter, --expression and --request. The exit code is 0, 1 if the response is an error, or 2 if the flags are \
         wrong.\n\nExamples:\n\n{EXAMPLES}\n"
    );
    for AskFlag { flag, value, help } in &ASK_FLAGS {
        let value = if value.is_empty() { String::new() } else { format!(" {value}") };
        let _ = writeln!(text, "  --{flag}{value}\n      {help}");
    }
    let _ = writeln!(
        text,
        "\nThese count as for the server; prometheusmirror --help describes them: {}.",
        dashed(&SHARED, ", ")
    );
    text
}

/// The completions for a shell.
///
/// # Errors
/// If the shell is not supported.
pub(super) fn completions(shell: &OsStr) -> Result<String, BadSetting> {
    match shell.to_str() {
        Some("bash") => Ok(bash()),
        Some("zsh") => Ok(zsh()),
        Some("fish") => Ok(fish()),
        _ => Err(BadSetting(format!("{COMPLETIONS} must be followed by bash, zsh or fish"))),
    }
}

/// The flags of the server, which `check` shares.
fn flags_of_server() -> Vec<&'static str> {
    TABLE.iter().map(|setting| setting.flag).chain(["help", "version"]).collect()
}

fn flags_of_ask() -> Vec<&'static str> {
    ASK_FLAGS.iter().map(|known| known.flag).chain(SHARED).chain(["help"]).collect()
}

fn dashed(flags: &[&str], separator: &str) -> String {
    flags.iter().map(|flag| format!("--{flag}")).collect::<Vec<_>>().join(separator)
}

fn bash() -> String {
    let case = |pattern: &str, options: &str, end: &str| {
        format!("    {pattern}) mapfile -t COMPREPLY < <(compgen {options} -- \"$word\"){end}\n")
    };
    let mut text = "# Completions of prometheusmirror for bash\n_prometheusmirror() {\n".to_owned();
    text.push_str("    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n    COMPREPLY=()\n    case $before in\n");
    for flag in WORDS.map(|(flag, _)| flag).into_iter().chain([METHOD]) {
        let words = words_of(flag).unwrap_or_default();
        text.push_str(&case(&format!("--{flag}"), &format!("-W '{words}'"), "; return ;;"));
    }
    text.push_str(&case(&dashed(&FILES, "|"), "-f", "; return ;;"));
    text.push_str("    esac\n    case ${COMP_WORDS[1]} in\n");
    let of_server = dashed(&flags_of_server(), " ");
    let subcommands = SUBCOMMANDS.map(|(name, _)| name).join(" ");
    for (pattern, words) in [
        (ASK, dashed(&flags_of_ask(), " ")),
        (CHECK, format!("--{UPSTREAMS} {of_server}")),
        (COMPLETIONS, "bash zsh fish".to_owned()),
        ("*", format!("{subcommands} {of_server}")),
    ] {
        text.push_str(&case(pattern, &format!("-W '{words}'"), " ;;"));
    }
    text.push_str("    esac\n}\ncomplete -F _prometheusmirror prometheusmirror\n");
    text
}

/// A help text for single quotes, without the characters that have a meaning in completions of zsh or fish.
fn quoted(help: &str) -> String {
    let text: String = help.chars().map(|c| if c == '\'' { '’' } else { c }).collect();
    text.replace('[', "(").replace(']', ")").replace(':', ";")
}

fn zsh() -> String {
    let argument = |flag: &str, value: &str, help: &str| {
        let help = quoted(help);
        let words = words_of(flag).map(|words| format!(":value:({words})"));
        let action = match (value.is_empty(), words) {
            (true, _) => String::new(),
            (false, Some(words)) => words,
            (false, None) if FILES.contains(&flag) => ":file:_files".to_owned(),
            (false, None) => format!(":{}: ", value.to_lowercase()),
        };
        let repeats = if flag == "label" { "*" } else { "" };
        format!("            '{repeats}--{flag}[{help}]{action}' \\\n")
    };
    let of_server = |setting: &&Setting| argument(setting.flag, "value", setting.help);
    let mut text =
        "#compdef prometheusmirror\n_prometheusmirror() {\n    local -a subcommands\n    subcommands=(\n".to_owned();
    for (name, help) in SUBCOMMANDS {
        let _ = writeln!(text, "        '{name}:{help}'");
    }
    text.push_str("    )\n    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then\n        _describe subcommand subcommands\n        return\n    fi\n");
    let _ = write!(text, "    case $words[2] in\n    {ASK})\n        _arguments \\\n");
    for AskFlag { flag, value, help } in &ASK_FLAGS {
        text.push_str(&argument(flag, value, help));
    }
    text.extend(TABLE.iter().filter(|setting| SHARED.contains(&setting.flag)).map(of_server));
    let _ = write!(
        text,
        "            '--help[Show the help.]'\n        ;;\n    {COMPLETIONS})\n        _values shell bash zsh fish\n        ;;\n    *)\n        _arguments \\\n"
    );
    text.extend(TABLE.iter().map(of_server));
    let _ = write!(
        text,
        "            '--{UPSTREAMS}[With {CHECK}, test the named upstreams.]' \\\n            '--help[Show the help.]' '--version[Show the version.]'\n        ;;\n    esac\n}}\n"
    );
    text.push_str("if [ \"$funcstack[1]\" = _prometheusmirror ]; then\n    _prometheusmirror \"$@\"\nelse\n    compdef _prometheusmirror prometheusmirror\nfi\n");
    text
}

fn fish() -> String {
    let mut text = "# Completions of prometheusmirror for fish\ncomplete -c prometheusmirror -f\n".to_owned();
    for (name, help) in SUBCOMMANDS {
        let _ = writeln!(text, "complete -c prometheusmirror -n __fish_use_subcommand -a {name} -d '{}'", quoted(help));
    }
    let _ = writeln!(
        text,
        "complete -c prometheusmirror -n '__fish_seen_subcommand_from {COMPLETIONS}' -a 'bash zsh fish'"
    );
    let mut add = |condition: &str, flag: &str, has_value: bool, help: &str| {
        let words = words_of(flag).map(|words| format!(" -x -a '{words}'"));
        let value = match (has_value, &words) {
            (false, _) => "",
            (true, Some(words)) => words,
            (true, None) if FILES.contains(&flag) => " -r -F",
            (true, None) => " -x",
        };
        let _ = writeln!(text, "complete -c prometheusmirror -n '{condition}' -l {flag}{value} -d '{}'", quoted(help));
    };
    let (in_ask, not_in_ask) =
        (format!("__fish_seen_subcommand_from {ASK}"), format!("not __fish_seen_subcommand_from {ASK}"));
    for AskFlag { flag, value, help } in &ASK_FLAGS {
        add(&in_ask, flag, !value.is_empty(), help);
    }
    for setting in TABLE {
        let is_shared = SHARED.contains(&setting.flag);
        add(if is_shared { "true" } else { &not_in_ask }, setting.flag, true, setting.help);
    }
    add(&format!("__fish_seen_subcommand_from {CHECK}"), UPSTREAMS, false, "Test the named upstreams.");
    text
}

/// The manual page, for `man -l`.
pub(super) fn manual() -> String {
    // A minus sign needs a backslash. A line that begins with a dot or a quote would be a command.
    let escaped = |text: &str| {
        let text = text.replace('\\', "\\e").replace('-', "\\-");
        if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
    };
    let mut text = format!(
        ".TH PROMETHEUSMIRROR 1 \"\" \"prometheusmirror {}\" \"User Commands\"\n.SH NAME\nprometheusmirror \\- {}\n",
        env!("CARGO_PKG_VERSION"),
        escaped(env!("CARGO_PKG_DESCRIPTION"))
    );
    text.push_str(".SH SYNOPSIS\n.B prometheusmirror\n[\\fIFLAGS\\fR]\n");
    for (name, _) in SUBCOMMANDS {
        let rest = match name {
            CHECK => format!("[\\fIURL\\fR | \\fB\\-\\-{UPSTREAMS}\\fR]"),
            COMPLETIONS => "\\fBbash\\fR|\\fBzsh\\fR|\\fBfish\\fR".to_owned(),
            ASK => "[\\fIFLAGS\\fR]".to_owned(),
            _ => String::new(),
        };
        let _ = writeln!(text, ".br\n.B prometheusmirror {name}\n{rest}");
    }
    text.push_str(".SH DESCRIPTION\nWithout a subcommand, the mirror serves until it is told to end. Each flag can be given as an environment variable \
                   instead; the flag wins.\n.PP\n");
    for (name, help) in SUBCOMMANDS {
        let _ = writeln!(text, ".TP\n.B {name}\n{}.", escaped(help));
    }
    text.push_str(".SH FLAGS OF THE SERVER\n");
    for setting @ Setting { flag, variable, allowed, help, .. } in TABLE {
        let fallback = plain_fallback(setting);
        let _ = writeln!(text, ".TP\n.BR \\-\\-{} \", \" {variable}", escaped(flag));
        let _ = writeln!(text, "{} Allowed: {}. Default: {}.", escaped(help), escaped(allowed), escaped(&fallback));
    }
    text.push_str(".SH FLAGS OF ASK\n");
    for AskFlag { flag, value, help } in &ASK_FLAGS {
        let _ = writeln!(text, ".TP\n.BI \\-\\-{} \" {value}\"\n{}", escaped(flag), escaped(help));
    }
    let _ = write!(text, ".SH EXAMPLES\n.nf\n{}.fi\n", escaped(EXAMPLES).replace("\n.", "\n\\&."));
    text.push_str(
        ".SH EXIT STATUS\n0 on success, 1 on failure or if the answer is an error, 2 if the flags are wrong.\n",
    );
    text
}
