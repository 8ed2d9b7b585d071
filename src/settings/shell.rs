//! The completions for shells. They come from the tables of settings and flags.

use std::ffi::OsString;
use std::fmt::Write;

use crate::model::aggregation::Aggregation;

use super::BadSetting;
use super::ask_flags::{ASK_FLAGS, AskFlag};
use super::help::{UPSTREAMS_HELP, dashed};
use super::table::{
    ASK, ASK_HERE, Allowed, CHECK, COMPLETIONS, OF_CHECK, SUBCOMMANDS, Setting, Subcommand, TABLE, UPSTREAMS,
};

/// The flag of `ask` whose value is a file.
const REQUEST: &str = "request";

/// The flags of `ask` whose values are one of a few words.
const WORDS: [(&str, &str); 4] = [
    ("format", "table json csv"),
    ("nan", "NONE ZERO"),
    ("partial-response", "deny allow"),
    ("values", "__gauge__ __counter__"),
];

/// The flag whose value is an aggregation method. `Aggregation` lists them.
const METHOD: &str = "method";

/// The values of a flag, separated by blanks, if there are only a few.
fn words_of(flag: &str) -> Option<String> {
    if flag == METHOD {
        return Some(Aggregation::methods().collect::<Vec<_>>().join(" "));
    }
    match allowed(flag) {
        Some(Allowed::Switch) => Some("true false".to_owned()),
        Some(Allowed::Word(words)) => Some(words.join(" ")),
        _ => WORDS.iter().find(|(of, _)| *of == flag).map(|(_, words)| (*words).to_owned()),
    }
}

fn is_file(flag: &str) -> bool {
    flag == REQUEST || matches!(allowed(flag), Some(Allowed::Path(_)))
}

/// The allowed values of a setting.
fn allowed(flag: &str) -> Option<Allowed> {
    TABLE.iter().find(|setting| setting.flag == flag).map(|setting| setting.allowed)
}

/// The completions for the shell that the words name.
///
/// # Errors
/// If the shell is not supported, or if there is not exactly one word.
pub(super) fn completions(words: &[OsString]) -> Result<String, BadSetting> {
    let shell = if let [shell] = words { shell.to_str() } else { None };
    match shell {
        Some("bash") => Ok(bash()),
        Some("zsh") => Ok(zsh()),
        Some("fish") => Ok(fish()),
        _ => Err(BadSetting(format!("{COMPLETIONS} must be followed by bash, zsh or fish"))),
    }
}

fn bash() -> String {
    let case = |pattern: &str, options: &str, end: &str| {
        format!("    {pattern}) mapfile -t COMPREPLY < <(compgen {options} -- \"$word\"){end}\n")
    };
    let mut text = "# Completions of prometheusmirror for bash\n_prometheusmirror() {\n".to_owned();
    text.push_str("    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n    COMPREPLY=()\n    case $before in\n");
    // The flag of a switch may stand alone, so another flag may follow it.
    let flags = TABLE.iter().filter(|setting| !setting.is_switch()).map(|setting| setting.flag);
    let flags: Vec<_> = flags.chain(ASK_FLAGS.iter().map(|known| known.flag)).collect();
    for flag in &flags {
        if let Some(words) = words_of(flag) {
            text.push_str(&case(&format!("--{flag}"), &format!("-W '{words}'"), "; return ;;"));
        }
    }
    let files = flags.into_iter().filter(|flag| is_file(flag));
    text.push_str(&case(&dashed(files, "|"), "-f", "; return ;;"));
    text.push_str("    esac\n    case ${COMP_WORDS[1]} in\n");
    let of_server = dashed(TABLE.iter().map(|setting| setting.flag).chain(["help", "version"]), " ");
    let of_ask =
        dashed(ASK_FLAGS.iter().map(|known| known.flag).chain(ASK_HERE.settings.iter().copied()).chain(["help"]), " ");
    let of_check = dashed([UPSTREAMS].into_iter().chain(OF_CHECK).chain(["help"]), " ");
    let subcommands = SUBCOMMANDS.each_ref().map(|subcommand| subcommand.name).join(" ");
    for (pattern, words) in [
        (ASK, of_ask),
        (CHECK, of_check),
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
            (false, None) if is_file(flag) => ":file:_files".to_owned(),
            (false, None) => format!(":{}: ", value.to_lowercase()),
        };
        let repeats = if flag == "label" { "*" } else { "" };
        format!("            '{repeats}--{flag}[{help}]{action}' \\\n")
    };
    let of_server = |setting: &&Setting| argument(setting.flag, "value", setting.help);
    let mut text =
        "#compdef prometheusmirror\n_prometheusmirror() {\n    local -a subcommands\n    subcommands=(\n".to_owned();
    for Subcommand { name, purpose, .. } in &SUBCOMMANDS {
        let _ = writeln!(text, "        '{name}:{purpose}'");
    }
    text.push_str("    )\n    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then\n        _describe subcommand subcommands\n        return\n    fi\n");
    let _ = write!(text, "    case $words[2] in\n    {ASK})\n        _arguments \\\n");
    for AskFlag { flag, value, help } in &ASK_FLAGS {
        text.push_str(&argument(flag, value, help));
    }
    text.extend(TABLE.iter().filter(|setting| ASK_HERE.settings.contains(&setting.flag)).map(of_server));
    let _ = write!(text, "            '--help[Show the help.]'\n        ;;\n    {CHECK})\n        _arguments \\\n");
    text.extend(TABLE.iter().filter(|setting| OF_CHECK.contains(&setting.flag)).map(of_server));
    let _ = write!(
        text,
        "            '--{UPSTREAMS}[{UPSTREAMS_HELP}]' '--help[Show the help.]'\n        ;;\n    {COMPLETIONS})\n        _values shell bash zsh fish\n        ;;\n    *)\n        _arguments \\\n"
    );
    text.extend(TABLE.iter().map(of_server));
    text.push_str("            '--help[Show the help.]' '--version[Show the version.]'\n        ;;\n    esac\n}\n");
    text.push_str("if [ \"$funcstack[1]\" = _prometheusmirror ]; then\n    _prometheusmirror \"$@\"\nelse\n    compdef _prometheusmirror prometheusmirror\nfi\n");
    text
}

fn fish() -> String {
    let mut text = "# Completions of prometheusmirror for fish\ncomplete -c prometheusmirror -f\n".to_owned();
    for Subcommand { name, purpose, .. } in &SUBCOMMANDS {
        let _ =
            writeln!(text, "complete -c prometheusmirror -n __fish_use_subcommand -a {name} -d '{}'", quoted(purpose));
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
            (true, None) if is_file(flag) => " -r -F",
            (true, None) => " -x",
        };
        let _ = writeln!(text, "complete -c prometheusmirror -n '{condition}' -l {flag}{value} -d '{}'", quoted(help));
    };
    let within = |subcommands: &str| format!("__fish_seen_subcommand_from {subcommands}");
    for AskFlag { flag, value, help } in &ASK_FLAGS {
        add(&within(ASK), flag, !value.is_empty(), help);
    }
    for setting in TABLE {
        let others = SUBCOMMANDS.iter().filter(|subcommand| subcommand.forms_with(setting.flag).next().is_none());
        let others: Vec<_> = others.map(|subcommand| subcommand.name).collect();
        add(&format!("not {}", within(&others.join(" "))), setting.flag, true, setting.help);
    }
    add(&within(CHECK), UPSTREAMS, false, UPSTREAMS_HELP);
    text
}
