//! The command line.

mod arguments;
mod check;
mod config;
mod database;
mod demo;
mod doctor;
mod migrate;
mod process;
mod schema;
mod serve;
mod shell;
mod stats;
mod token;
mod waiting;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use arguments::{Arguments, Command, WrongUsage};
use config::File;

/// Reads the command line and runs the command. Exits with 0 on success, 1 on failure, and 2 for
/// wrong usage.
pub async fn run() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let done = match File::named_by(&matches) {
        Ok(file) => obey(&file).await,
        Err(wrong) => Err(wrong.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("campaigns: {error:#}");
            ExitCode::from(if error.is::<WrongUsage>() { 2 } else { 1 })
        }
    }
}

/// Reads the command line again, with the settings of a file, and does what it says.
async fn obey(file: &File) -> anyhow::Result<()> {
    let matches = file.applied_to(Arguments::command()).get_matches();
    let of_config = matches.subcommand_matches("config").cloned();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match arguments.command {
        None => serve::run(arguments.serve).await,
        Some(Command::Serve(arguments)) => serve::run(*arguments).await,
        Some(Command::Migrate(arguments)) => migrate::run(arguments).await,
        Some(Command::Token(arguments)) => token::run(&arguments),
        Some(Command::Demo(arguments)) => demo::run(arguments).await,
        Some(Command::Stats(arguments)) => stats::run(arguments).await,
        Some(Command::Worker(arguments)) => worker::run(arguments).await,
        Some(Command::Doctor(arguments)) => doctor::run(arguments).await,
        Some(Command::Schema) => schema::run(),
        Some(Command::Config(_)) => config::print(&of_config.unwrap_or_default(), file),
        Some(Command::Completions(arguments)) => shell::completions(&arguments),
        Some(Command::Man(arguments)) => shell::man(&arguments),
    }
}
