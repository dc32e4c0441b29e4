//! The tables of the documentation.

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(in crate::command) struct Reference {
    /// The table.
    #[arg(value_enum)]
    pub(in crate::command) table: Table,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::command) enum Table {
    /// The flags of each command.
    Flags,
    /// The error codes.
    Errors,
    /// The close codes of sockets.
    CloseCodes,
    /// The metrics.
    Metrics,
}
