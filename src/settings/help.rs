//! The help of the program and of its subcommands, and the manual page. All come from the tables of settings and flags.

use std::fmt::Write;

use super::ask_flags::{ASK_FLAGS, AskFlag};
use super::table::{ASK, CHECK, Fallback, Form, SUBCOMMANDS, Setting, Subcommand, TABLE, UPSTREAMS};

/// The width of the help in characters.
const COLUMNS: usize = 100;

/// The indentation of the text below a flag.
const INDENT: &str = "      ";

/// What the help says about the server, a paragraph each.
const SERVER_HELP: [&str; 2] = [
    "Without a subcommand, the mirror serves until SIGTERM or SIGINT. Each flag can be given as an environment variable instead; \
     the flag wins. A flag that is true or false means true if it stands alone.",
    "The exit code is 0 after a signal, 128 plus its number after a second one, 1 if the mirror cannot serve, or 2 if the flags or \
     variables are wrong.",
];

/// The help of the flag of `check`.
pub(super) const UPSTREAMS_HELP: &str = "Check the upstreams of --upstreams-file instead of a mirror.";

const EXAMPLES: &str = "  \
  prometheusmirror ask --url http://prometheus:9090 --test
  prometheusmirror ask --url http://prometheus:9090 --counter http_requests_total \\
      --label job=payment --last 1h --method MEAN --bucket 5m
  prometheusmirror ask --upstreams-file upstreams.yaml --upstream openshift \\
      --expression 'sum(rate(x[2m]))' --last 6h --format csv
  prometheusmirror ask --url http://prometheus:9090 --values __counter__ --prefix http_
  prometheusmirror ask --mirror http://prometheusmirror:9900 --url http://prometheus:9090 --names
";

/// A line with the name and the version.
pub(super) fn version() -> String {
    concat!("prometheusmirror ", env!("CARGO_PKG_VERSION"), "\n").to_owned()
}

/// The help of the program: its subcommands, and the flags of the server.
pub(super) fn of_program() -> String {
    let mut text = format!("{}{}.\n\nUsage: prometheusmirror [FLAGS]\n", version(), env!("CARGO_PKG_DESCRIPTION"));
    for Subcommand { name, usage, .. } in &SUBCOMMANDS {
        for form in *usage {
            let _ = writeln!(text, "       {}", format!("prometheusmirror {name} {form}").trim_end());
        }
    }
    for paragraph in SERVER_HELP {
        let _ = writeln!(text, "\n{}", wrapped(paragraph, ""));
    }
    text.push_str("\nSubcommands, each of which has a --help of its own:\n\n");
    for Subcommand { name, purpose, .. } in &SUBCOMMANDS {
        let _ = writeln!(text, "  {name:<11}  {purpose}");
    }
    text.push_str("\nFlags:\n\n");
    for setting @ Setting { flag, allowed, help, .. } in TABLE {
        let (help, allowed) = (wrapped(help, INDENT), wrapped(&format!("Allowed: {allowed}."), INDENT));
        let (variable, fallback) = (setting.variable(), default_of(setting));
        let _ = writeln!(text, "  --{flag}, {variable} ({fallback})\n{help}\n{allowed}");
    }
    text.push_str("  -h, --help\n      Show this text.\n  -V, --version\n      Show the version.\n");
    text
}

/// The default of a setting, or when it is required, without Markdown.
fn default_of(setting: &Setting) -> String {
    let text = setting.fallback.to_string().replace('`', "");
    match setting.fallback {
        Fallback::RequiredUnless(_) => text,
        _ => format!("default: {text}"),
    }
}

/// The help of a subcommand.
pub(super) fn of_subcommand(Subcommand { name, usage, help, forms, .. }: &Subcommand) -> String {
    let mut text = String::new();
    for (nth, form) in usage.iter().enumerate() {
        let begin = if nth == 0 { "Usage:" } else { "      " };
        let _ = writeln!(text, "{}", format!("{begin} prometheusmirror {name} {form}").trim_end());
    }
    for paragraph in *help {
        let _ = writeln!(text, "\n{}", wrapped(paragraph, ""));
    }
    match *name {
        ASK => {
            let _ = writeln!(text, "\nExamples:\n\n{EXAMPLES}");
            for AskFlag { flag, value, help } in &ASK_FLAGS {
                let _ = writeln!(text, "{}\n{}", format!("  --{flag} {value}").trim_end(), wrapped(help, INDENT));
            }
        }
        CHECK => {
            let _ = writeln!(text, "\n  --{UPSTREAMS}\n{}", wrapped(UPSTREAMS_HELP, INDENT));
        }
        _ => return text,
    }
    text.push_str("\nThese flags mean the same as for the server; prometheusmirror --help describes them.\n\n");
    for Form { name, settings } in *forms {
        let _ = writeln!(text, "  {name}:\n{}", wrapped(&dashed(settings.iter().copied(), ", "), INDENT));
    }
    text
}

/// The flags with their dashes, in one text.
pub fn dashed(flags: impl IntoIterator<Item = &'static str>, separator: &str) -> String {
    flags.into_iter().map(|flag| format!("--{flag}")).collect::<Vec<_>>().join(separator)
}

/// A text in lines of at most [`COLUMNS`] characters, each of which begins with the indentation.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{indent}{word}")),
        }
    }
    lines.join("\n")
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
    text.push_str(".SH SYNOPSIS\n.B prometheusmirror\n[FLAGS]\n");
    for Subcommand { name, usage, .. } in &SUBCOMMANDS {
        for form in *usage {
            let _ = writeln!(text, ".br\n.B prometheusmirror {name}\n{}", escaped(form));
        }
    }
    let _ = writeln!(text, ".SH DESCRIPTION\n{}", escaped(&SERVER_HELP.join("\n.PP\n")));
    for Subcommand { name, help, .. } in &SUBCOMMANDS {
        let _ = writeln!(text, ".SS {name}\n{}", escaped(&help.join("\n.PP\n")));
    }
    text.push_str(".SH FLAGS OF THE SERVER\n");
    for setting @ Setting { flag, allowed, help, .. } in TABLE {
        let (variable, fallback) = (setting.variable(), escaped(&default_of(setting)));
        let _ = writeln!(text, ".TP\n.BR \\-\\-{} \", \" {variable} \" ({fallback})\"", escaped(flag));
        let _ = writeln!(text, "{} Allowed: {}.", escaped(help), escaped(&allowed.to_string()));
    }
    text.push_str(".SH FLAGS OF ASK\n");
    for AskFlag { flag, value, help } in &ASK_FLAGS {
        let _ = writeln!(text, ".TP\n.BI \\-\\-{} \" {value}\"\n{}", escaped(flag), escaped(help));
    }
    let _ = writeln!(text, ".SH FLAGS OF CHECK\n.TP\n.B \\-\\-{UPSTREAMS}\n{}", escaped(UPSTREAMS_HELP));
    let _ = write!(text, ".SH EXAMPLES\n.nf\n{}.fi\n", escaped(EXAMPLES).replace("\n.", "\n\\&."));
    text
}
