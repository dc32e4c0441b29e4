//! What webhooks of mail providers need from the operator.

use std::{path::PathBuf, sync::Arc};

use campaigns_providers::{MachineAgents, bounds::MAX_AGENTS, bounds::MAX_USER_AGENT};
use clap::Args;

use super::wrong_usage::WrongUsage;
use crate::secrets::redacted_path;

/// The most bytes of a list of user agents.
const MAX_LIST: u64 = (MAX_AGENTS * MAX_USER_AGENT) as u64;

#[derive(Debug, Args)]
#[command(next_help_heading = "Webhooks of mail providers")]
pub(in crate::command) struct Providers {
    /// A directory with signing certificates of Amazon SNS, each in a file named as the last part of its URL. A certificate
    /// that is not there is fetched from Amazon.
    #[arg(long, value_name = "DIR")]
    sns_certificates: Option<PathBuf>,
    /// A file with more user agents of machines, a part of one on each line. Opens and clicks with such a user agent are
    /// marked. Lines that start with # are skipped.
    #[arg(long, value_name = "FILE")]
    machine_agents: Option<PathBuf>,
}

impl Providers {
    /// The user agents of machines.
    pub(in crate::command) fn agents(&self) -> anyhow::Result<Arc<MachineAgents>> {
        let mut agents = MachineAgents::default();
        if let Some(file) = &self.machine_agents {
            let wrong = |error: &dyn std::fmt::Display| {
                WrongUsage(format!("--machine-agents {}: {error}", redacted_path(file)))
            };
            let size = std::fs::metadata(file).map_err(|error| wrong(&error))?.len();
            if size > MAX_LIST {
                return Err(wrong(&format!("this has more than {MAX_LIST} bytes")).into());
            }
            let text = std::fs::read_to_string(file).map_err(|error| wrong(&error))?;
            agents.extend(&text).map_err(|error| wrong(&error))?;
        }
        Ok(Arc::new(agents))
    }

    /// The directory of certificates, which must exist.
    pub(in crate::command) fn certificates(&self) -> anyhow::Result<Option<PathBuf>> {
        match &self.sns_certificates {
            Some(directory) if !directory.is_dir() => {
                let directory = redacted_path(directory);
                Err(WrongUsage(format!("--sns-certificates {directory}: this is not a directory"))
                    .into())
            }
            directory => Ok(directory.clone()),
        }
    }
}
