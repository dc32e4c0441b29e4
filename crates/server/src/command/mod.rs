//! The command line.

mod arguments;
mod check;
mod config;
mod database;
mod demo;
mod doctor;
mod migrate;
mod output;
mod process;
mod reference;
mod repair;
mod schema;
mod secrets;
mod serve;
mod shell;
mod start;
mod stats;
mod token;
mod usage;
mod waiting;
mod worker;

use std::process::ExitCode;

use clap::FromArgMatches;

use crate::secrets::redacted_error;
use arguments::{Arguments, Command, WrongUsage};
use config::File;
use output::NotWritten;
use usage::UsageShown;

/// Reads the command line and runs the command. Exits with 0 on success, 1 on failure, 2 for wrong usage, and 141 if
/// the reader of its output went away.
pub async fn run() -> ExitCode {
    match run_command().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit_code(&error),
    }
}

/// Prints why a command failed, unless that is already printed, and returns its exit code.
fn exit_code(error: &anyhow::Error) -> ExitCode {
    if let Some(UsageShown(code)) = error.downcast_ref() {
        return *code;
    }
    if let Some(code) = error.downcast_ref().and_then(NotWritten::reader_gone) {
        return code;
    }
    output::failure(redacted_error(&format!("{error:#}")));
    ExitCode::from(if error.is::<WrongUsage>() { 2 } else { 1 })
}

/// Reads the command line, reads it again with the settings of the configuration file that it names, and
/// runs the command.
async fn run_command() -> anyhow::Result<()> {
    let file = File::named_by(&usage::read(usage::program())?)?;
    let matches = usage::read(file.applied_to(usage::program()))?;
    let of_config = matches.subcommand_matches("config").cloned();
    let arguments = Arguments::from_arg_matches(&matches).or_else(usage::answer)?;
    match arguments.command {
        None => serve::run(arguments.serve).await,
        Some(Command::Serve(arguments)) => serve::run(*arguments).await,
        Some(Command::Migrate(arguments)) => migrate::run(arguments).await,
        Some(Command::Token(arguments)) => token::run(&arguments),
        Some(Command::Demo(arguments)) => demo::run(arguments).await,
        Some(Command::Stats(arguments)) => stats::run(arguments).await,
        Some(Command::Worker(arguments)) => worker::run(arguments).await,
        Some(Command::Doctor(arguments)) => doctor::run(arguments).await,
        Some(Command::Repair(arguments)) => repair::run(arguments).await,
        Some(Command::Secrets(arguments)) => secrets::run(arguments).await,
        Some(Command::Schema) => schema::run(),
        Some(Command::Config(_)) => config::print(&of_config.unwrap_or_default(), &file),
        Some(Command::Completions(arguments)) => shell::completions(&arguments),
        Some(Command::Man(arguments)) => shell::man(&arguments),
        Some(Command::Reference(arguments)) => reference::run(&arguments),
    }
}
