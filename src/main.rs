//! The program: settings in, server up, exit code out.

use std::io::Write;
use std::process::ExitCode;

use prometheusmirror::ask::{self, AskOutput};
use prometheusmirror::check::CommandError;
use prometheusmirror::settings::{self, Command, Settings, allocator};
use prometheusmirror::{check, log, server};

/// The exit code of wrong usage, such as a bad setting.
const WRONG_USAGE: u8 = 2;

/// The exit code of any other failure.
const FAILURE: u8 = 1;

fn main() -> ExitCode {
    let done = match settings::from_process() {
        Ok(Command::Serve(settings)) => return serve(&settings),
        Ok(Command::Show(text)) => Ok(show(&text, 0)),
        Ok(Command::Check(check)) => check::run(&check).map(|line| show(&format!("{line}\n"), 0)),
        Ok(Command::CheckUpstreams(reach)) => {
            check::upstreams::run(&reach).map(|(lines, is_good)| show(&lines, if is_good { 0 } else { FAILURE }))
        }
        Ok(Command::Ask(command)) => ask::run(&command).map(|AskOutput { text, error }| {
            let shown = show(&text, 0);
            error.map_or(shown, |error| fail(&error, FAILURE))
        }),
        Err(bad) => Err(CommandError::Usage(bad.to_string())),
    };
    done.unwrap_or_else(|error| match error {
        CommandError::Usage(text) => fail(&text, WRONG_USAGE),
        CommandError::Failed(text) => fail(&text, FAILURE),
    })
}

fn serve(settings: &Settings) -> ExitCode {
    allocator::apply();
    log::start(settings.log_level, settings.log_format);
    match server::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error(|| log::Line::new("stopped").text("error", &error));
            ExitCode::FAILURE
        }
    }
}

/// Writes an error to standard error.
fn fail(error: &str, code: u8) -> ExitCode {
    eprintln!("prometheusmirror: {error}");
    ExitCode::from(code)
}

fn show(text: &str, code: u8) -> ExitCode {
    // The reader of a pipe may close it early.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::from(code)
}
