//! The command line.

mod arguments;
mod demo;
mod doctor;
mod migrate;
mod process;
mod schema;
mod serve;
mod stats;
mod token;
mod waiting;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command, WrongUsage};

/// Reads the command line and runs the command. Exits with 0 on success, 1 on failure, and 2 for
/// wrong usage.
pub async fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        None => serve::run(arguments.serve).await,
        Some(Command::Serve(arguments)) => serve::run(*arguments).await,
        Some(Command::Migrate(arguments)) => migrate::run(arguments).await,
        Some(Command::Token(arguments)) => token::run(&arguments),
        Some(Command::Demo(arguments)) => demo::run(arguments).await,
        Some(Command::Stats(arguments)) => stats::run(arguments).await,
        Some(Command::Worker(arguments)) => worker::run(arguments).await,
        Some(Command::Doctor(arguments)) => doctor::run(arguments).await,
        Some(Command::Schema) => schema::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("campaigns: {error:#}");
            ExitCode::from(if error.is::<WrongUsage>() { 2 } else { 1 })
        }
    }
}
