//! `campaigns completions` and `campaigns man`.

use super::{
    arguments::{Completions, Man, WrongUsage},
    output, usage,
};
use crate::secrets::redacted_value;

pub(super) fn completions(arguments: &Completions) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut usage::program(), "campaigns", &mut script);
    Ok(output::text(String::from_utf8_lossy(&script))?)
}

pub(super) fn man(arguments: &Man) -> anyhow::Result<()> {
    let mut program = usage::program();
    program.build();
    let command = match &arguments.command {
        None => program,
        Some(name) => program
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| WrongUsage(format!("there is no command {}", redacted_value(name))))?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(output::text(String::from_utf8_lossy(&page))?)
}
