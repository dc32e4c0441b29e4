//! Reads the command line, and reports errors in it.
//!
//! **Invariant.** No secret is shown: not the value of a secret argument, not a word that may belong to it, not the
//! password of an address in any other value. Help shows no value of the environment.

use std::{ffi::OsString, process::ExitCode};

use clap::{
    Arg, ArgMatches, Command, CommandFactory, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{
    arguments::Arguments,
    output::{self, NotWritten},
};
use crate::secrets::{HIDDEN, redacted_value};

/// The command line needs no more work: help, the version or a usage error was printed.
#[derive(Debug, thiserror::Error)]
#[error("the command line was answered")]
pub(super) struct UsageShown(pub(super) ExitCode);

/// The program. Each flag has the variable of its name. Any variable of the environment may hold a secret by mistake,
/// so help shows the value of none.
pub(super) fn program() -> Command {
    fn with_environment(command: Command) -> Command {
        let command = command.mut_args(|arg| match arg.get_long().map(variable) {
            Some(variable) => arg.env(variable).hide_env_values(true),
            None => arg,
        });
        command.mut_subcommands(with_environment)
    }
    with_environment(Arguments::command())
}

/// The variable of a flag.
fn variable(flag: &str) -> String {
    format!("CAMPAIGNS_{}", flag.to_uppercase().replace('-', "_"))
}

/// Reads the command line of the process.
///
/// # Errors
/// [`UsageShown`], or that help could not be written.
pub(super) fn read(program: Command) -> anyhow::Result<ArgMatches> {
    program.try_get_matches_from(std::env::args_os()).or_else(answer)
}

/// Prints clap's message about the command line.
pub(super) fn answer<T>(error: Error) -> anyhow::Result<T> {
    if error.use_stderr() {
        let words: Vec<OsString> = std::env::args_os().collect();
        // a message that cannot be written still has its exit code
        without_secrets(error, &words).print().ok();
        return Err(UsageShown(ExitCode::from(2)).into());
    }
    error.print().map_err(NotWritten::from)?;
    output::text("")?;
    Err(UsageShown(ExitCode::SUCCESS).into())
}

/// Whether the value of an argument is a secret, or an address that may contain one.
pub(super) fn is_secret(arg: &Arg) -> bool {
    // as declared; `program` hides the values of all arguments
    arg.is_hide_env_values_set()
}

/// The same error, without secrets.
fn without_secrets(mut error: Error, words: &[OsString]) -> Error {
    let argument = text(&error, ContextKind::InvalidArg).unwrap_or_default();
    if let Some(value) = text(&error, ContextKind::InvalidValue).filter(|value| !value.is_empty()) {
        if is_flag(&argument, is_secret) {
            // the parsers of secrets do not repeat them
            error.insert(ContextKind::InvalidValue, ContextValue::String(HIDDEN.to_owned()));
            return error;
        }
        let shown = redacted_value(&value);
        if shown != value {
            // other parsers may, so their reason is left out
            let mut unexplained = Error::new(ErrorKind::InvalidValue).with_cmd(&program());
            unexplained.insert(ContextKind::InvalidArg, ContextValue::String(argument));
            let shown = ContextValue::String(shown.into_owned());
            unexplained.insert(ContextKind::InvalidValue, shown);
            return unexplained;
        }
    }
    if matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand) {
        for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
            let Some(word) = text(&error, kind) else { continue };
            let shown =
                if follows_a_secret(&word, words) { HIDDEN.into() } else { redacted_value(&word) };
            if shown != word {
                error.insert(kind, ContextValue::String(shown.into_owned()));
                // they repeat it
                error.remove(ContextKind::Suggested);
                error.remove(ContextKind::SuggestedArg);
                error.remove(ContextKind::SuggestedSubcommand);
            }
        }
    }
    error
}

fn text(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    }
}

/// Whether a word, as `--name`, `--name=value` or `--name <VALUE>`, is the flag of such an argument.
fn is_flag(word: &str, is: impl Fn(&Arg) -> bool) -> bool {
    let Some(name) = word.strip_prefix("--").and_then(|word| word.split(['=', ' ']).next()) else {
        return false;
    };
    let program = Arguments::command();
    let commands = std::iter::once(&program).chain(program.get_subcommands());
    let mut arguments = commands.flat_map(Command::get_arguments);
    arguments.any(|arg| arg.get_long() == Some(name) && is(arg))
}

/// Whether an unexpected word may be a part of a secret: of a value with spaces that was not quoted, or one that begins
/// as a flag does.
fn follows_a_secret(unexpected: &str, words: &[OsString]) -> bool {
    let mut is_after = false;
    for word in words.iter().map(|word| word.to_string_lossy()) {
        if is_flag(&word, |_| true) {
            is_after = is_flag(&word, is_secret);
        } else if is_after && word.starts_with(unexpected) {
            return true;
        }
    }
    false
}
