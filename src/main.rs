//! The program: settings in, server up, exit code out.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use prometheusmirror::ask::{self, AskError, AskOutput};
use prometheusmirror::settings::{self, Command, allocator};
use prometheusmirror::{check, log, server};

/// The exit code of a bad setting, as is usual for wrong use of a command.
const BAD_SETTING: u8 = 2;

/// The exit code of any other failure.
const FAILURE: u8 = 1;

fn main() -> ExitCode {
    let settings = match settings::from_process() {
        Ok(Command::Serve(settings)) => settings,
        Ok(Command::Show(text)) => return show(&text),
        Ok(Command::Check(check)) => return show_result(check::run(&check).map(|line| (format!("{line}\n"), true))),
        Ok(Command::CheckUpstreams(reach)) => {
            return show_result(check::upstreams::run(&reach).map(|report| (report.lines, report.is_good)));
        }
        Ok(Command::Ask(command)) => return show_response(ask::run(&command)),
        Err(bad) => return fail(bad, BAD_SETTING),
    };
    allocator::apply();
    log::start(settings.log_level, settings.log_format);
    match server::run(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error(|| log::Line::new("stopped").text("error", &error));
            ExitCode::FAILURE
        }
    }
}

/// Shows the result of a check. `true` in it means that the check passed.
fn show_result(checked: Result<(String, bool), String>) -> ExitCode {
    match checked {
        Ok((text, is_good)) => {
            show(&text);
            ExitCode::from(if is_good { 0 } else { FAILURE })
        }
        Err(error) => fail(error, FAILURE),
    }
}

/// Shows a response, or the reason why there is none.
fn show_response(response: Result<AskOutput, AskError>) -> ExitCode {
    match response {
        Ok(AskOutput { text, error }) => {
            show(&text);
            error.map_or(ExitCode::SUCCESS, |error| fail(error, FAILURE))
        }
        Err(AskError::Flags(error)) => fail(error, BAD_SETTING),
        Err(AskError::Failed(error)) => fail(error, FAILURE),
    }
}

/// Writes an error to standard error.
fn fail(error: impl Display, code: u8) -> ExitCode {
    eprintln!("prometheusmirror: {error}");
    ExitCode::from(code)
}

fn show(text: &str) -> ExitCode {
    // The reader of a pipe may close it early.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}
