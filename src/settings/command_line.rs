//! Splits the command line into words and flags with their values, which it does not check.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};

use lexopt::{Arg, Parser, ValueExt};

use super::BadSetting;
use super::ask_flags::{AskFlag, AskFlags};
use super::shell;
use super::table::{ASK, CHECK, COMPLETIONS, MANUAL, SUBCOMMANDS, TABLE, UPSTREAMS};

/// A parsed command line.
#[derive(Default)]
pub(super) struct CommandLine {
    /// The subcommand and its operands.
    pub(super) words: Vec<OsString>,
    /// The settings that are given as flags, by flag.
    pub(super) flags: HashMap<&'static str, String>,
    pub(super) ask_flags: AskFlags,
    /// Whether `--upstreams` is given.
    pub(super) has_upstreams: bool,
    /// The help or the version, if its flag is given. The rest of the command line is then ignored.
    pub(super) shown: Option<String>,
}

impl CommandLine {
    /// Reads a command line.
    ///
    /// # Errors
    /// If a flag is unknown or lacks its value.
    pub(super) fn read(mut parser: Parser) -> Result<CommandLine, BadSetting> {
        let mut line = CommandLine::default();
        while let Some(arg) = parser.next().map_err(|error| BadSetting(error.to_string()))? {
            match arg {
                Arg::Long("help") | Arg::Short('h') => {
                    line.shown = Some(if line.is_for(ASK) { shell::ask_help() } else { shell::help() });
                    break;
                }
                Arg::Long("version") | Arg::Short('V') => {
                    line.shown = Some(shell::version());
                    break;
                }
                Arg::Long(UPSTREAMS) => line.has_upstreams = true,
                Arg::Long(name) => {
                    let name = name.to_owned();
                    line.take_flag(&name, &mut parser)?;
                }
                Arg::Value(word) => line.words.push(word),
                Arg::Short(letter) => return Err(line.unknown(&format!("-{letter}"))),
            }
        }
        Ok(line)
    }

    /// Whether the command line begins with this subcommand.
    fn is_for(&self, subcommand: &str) -> bool {
        self.words.first().is_some_and(|word| word == subcommand)
    }

    fn take_flag(&mut self, name: &str, parser: &mut Parser) -> Result<(), BadSetting> {
        if let Some(known) = AskFlag::find(name).filter(|_| self.is_for(ASK)) {
            let has_value = !known.value.is_empty();
            let value = if has_value { value_of(known.flag, known.value, parser)? } else { String::new() };
            self.ask_flags.add(known.flag, value);
            return Ok(());
        }
        let setting = TABLE.iter().find(|setting| setting.flag == name);
        let setting = setting.ok_or_else(|| self.unknown(&format!("--{name}")))?;
        let is_alone = setting.is_switch() && !has_value_behind(parser);
        let value = if is_alone { "true".to_owned() } else { value_of(setting.flag, setting.allowed, parser)? };
        self.flags.insert(setting.flag, value);
        Ok(())
    }

    fn unknown(&self, flag: &str) -> BadSetting {
        let help = if self.is_for(ASK) { "ask --help" } else { "--help" };
        BadSetting(format!("there is no flag {flag}; {help} lists the flags"))
    }
}

/// Whether a switch has a value: after `=`, or as a word that is neither a flag nor a subcommand.
fn has_value_behind(parser: &mut Parser) -> bool {
    let is_value = |word: &OsStr| {
        let text = word.to_string_lossy();
        !text.starts_with('-') && !SUBCOMMANDS.iter().any(|(subcommand, _)| text == *subcommand)
    };
    match parser.try_raw_args() {
        Some(raw) => raw.peek().is_some_and(is_value),
        // The value follows an equals sign.
        None => true,
    }
}

/// The value after a flag.
fn value_of(flag: &str, allowed: &str, parser: &mut Parser) -> Result<String, BadSetting> {
    let value = parser.value().and_then(ValueExt::string);
    value.map_err(|_| BadSetting(format!("--{flag} must be followed by {allowed}")))
}

/// The error for words that no subcommand accepts. It repeats the first word only if it looks like a subcommand: other words may
/// be a key whose flag is missing.
pub(super) fn bad_words(words: &[OsString]) -> BadSetting {
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
