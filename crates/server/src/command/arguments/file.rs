//! The configuration file.

use std::path::PathBuf;

use clap::Args;

/// The configuration file.
#[derive(Debug, Args)]
pub(in crate::command) struct ConfigFile {
    /// A TOML file with settings of `serve`, named as its flags. Flags and the environment take precedence.
    #[arg(long, value_name = "FILE")]
    pub(in crate::command) config: Option<PathBuf>,
}
