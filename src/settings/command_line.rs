//! Splits the command line into words and flags with their values, which it does not check.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

use lexopt::{Arg, Parser, ValueExt};

use super::BadSetting;
use super::ask_flags::{AskFlag, AskFlags};
use super::help;
use super::table::{ASK, Allowed, SUBCOMMANDS, Subcommand, TABLE, UPSTREAMS};

/// A parsed command line.
#[derive(Default)]
pub(super) struct CommandLine {
    pub(super) subcommand: Option<&'static Subcommand>,
    /// The words behind the subcommand that belong to no flag.
    pub(super) operands: Vec<OsString>,
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
    /// If a flag or the subcommand is unknown, or a flag lacks its value.
    pub(super) fn read(mut parser: Parser) -> Result<CommandLine, BadSetting> {
        let mut line = CommandLine::default();
        while let Some(arg) = parser.next().map_err(|error| BadSetting(error.to_string()))? {
            match arg {
                Arg::Long("help") | Arg::Short('h') => {
                    line.shown = Some(line.subcommand.map_or_else(help::of_program, help::of_subcommand));
                    break;
                }
                Arg::Long("version") | Arg::Short('V') => {
                    line.shown = Some(help::version());
                    break;
                }
                Arg::Long(UPSTREAMS) => {
                    line.has_upstreams = true;
                    line.operands.extend(parser.optional_value());
                }
                Arg::Long(name) => {
                    let name = name.to_owned();
                    line.take_flag(&name, &mut parser)?;
                }
                Arg::Value(word) if line.subcommand.is_some() => line.operands.push(word),
                Arg::Value(word) => {
                    line.subcommand =
                        Some(Subcommand::find(&word.to_string_lossy()).ok_or_else(|| unknown_word(&word))?);
                }
                Arg::Short(letter) => return Err(line.unknown(&format!("-{letter}"))),
            }
        }
        Ok(line)
    }

    fn take_flag(&mut self, name: &str, parser: &mut Parser) -> Result<(), BadSetting> {
        let is_ask = self.subcommand.is_some_and(|subcommand| subcommand.name == ASK);
        if let Some(known) = AskFlag::find(name).filter(|_| is_ask) {
            let has_value = !known.value.is_empty();
            let value = if has_value { value_of(known.flag, known.value, parser)? } else { String::new() };
            self.ask_flags.add(known.flag, value);
            return Ok(());
        }
        let setting = TABLE.iter().find(|setting| setting.flag == name);
        let setting = setting.ok_or_else(|| self.unknown(&format!("--{name}")))?;
        let is_alone = setting.is_switch() && !has_value_behind(parser);
        let value = if is_alone { "true".to_owned() } else { value_of(setting.flag, setting.allowed, parser)? };
        if value.is_empty() && matches!(setting.allowed, Allowed::Path(_)) {
            return Err(BadSetting(format!("--{} must not be empty, but {}", setting.flag, setting.allowed)));
        }
        self.flags.insert(setting.flag, value);
        Ok(())
    }

    fn unknown(&self, flag: &str) -> BadSetting {
        let of = self.subcommand.map(|subcommand| format!("{} ", subcommand.name)).unwrap_or_default();
        BadSetting(format!("there is no flag {flag}; {of}--help lists the flags"))
    }
}

/// Whether a switch has a value: after `=`, or as a word that is neither a flag nor a subcommand.
fn has_value_behind(parser: &mut Parser) -> bool {
    let is_value = |word: &OsStr| {
        let text = word.to_string_lossy();
        !text.starts_with('-') && Subcommand::find(&text).is_none()
    };
    match parser.try_raw_args() {
        Some(raw) => raw.peek().is_some_and(is_value),
        // The value follows an equals sign.
        None => true,
    }
}

/// The value after a flag.
fn value_of(flag: &str, allowed: impl fmt::Display, parser: &mut Parser) -> Result<String, BadSetting> {
    let value = parser.value().and_then(ValueExt::string);
    value.map_err(|_| BadSetting(format!("--{flag} must be followed by {allowed}")))
}

/// The error for a first word that is not a subcommand. The error shows the word only if it looks like a subcommand, because any
/// other word may be a key without its flag.
fn unknown_word(word: &OsStr) -> BadSetting {
    const MAX_LENGTH: usize = 12;
    let word = word.to_string_lossy();
    if word.len() > MAX_LENGTH || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return BadSetting("there is a value without a flag; --help lists the flags".to_owned());
    }
    let names = SUBCOMMANDS.each_ref().map(|subcommand| subcommand.name).join(", ");
    BadSetting(format!(
        "there is no subcommand {word}; the subcommands are {names}; without one, the mirror serves; --help describes them, and \
         the flags"
    ))
}
