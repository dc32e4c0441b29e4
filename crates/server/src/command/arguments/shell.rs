//! Shell completions and the manual page of the program.

use clap::Args;
use clap_complete::Shell;

#[derive(Debug, Args)]
pub(in crate::command) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub(in crate::command) shell: Shell,
}

#[derive(Debug, Args)]
pub(in crate::command) struct Man {
    /// The command to describe, instead of the program.
    #[arg(value_name = "COMMAND")]
    pub(in crate::command) command: Option<String>,
}
