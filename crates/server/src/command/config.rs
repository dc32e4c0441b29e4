//! Settings: from flags, the environment, a file, or by default, in this order; and `campaigns config`.
//!
//! The file gives clap other defaults, so a value in it is checked as the flag's value is.
//!
//! **Invariant.** Secrets are not shown: neither those of arguments that are secrets, nor those in addresses.

use std::{collections::BTreeMap, ffi::OsStr, fmt::Write, path::Path};

use clap::{Arg, ArgMatches, Command, CommandFactory, parser::ValueSource};
use toml::{Table, Value};

use super::{
    arguments::{Arguments, WrongUsage},
    output, usage,
};
use crate::secrets;

/// Flags that a file cannot set, because they apply to one invocation.
const NOT_IN_FILES: [&str; 4] = ["config", "check", "help", "version"];
/// The usual environment variable of the database's address.
const DATABASE_URL: &str = "DATABASE_URL";

/// The settings of a file: the values of flags, by their names.
#[derive(Default)]
pub(super) struct File(BTreeMap<String, Vec<String>>);

impl File {
    /// The settings of the file that the command line or the environment names, if any.
    pub(super) fn named_by(matches: &ArgMatches) -> Result<Self, WrongUsage> {
        let mut matches = matches;
        while let Some((_, of_command)) = matches.subcommand() {
            matches = of_command;
        }
        match matches.try_get_one::<std::path::PathBuf>("config") {
            Ok(Some(path)) => Self::read(path)
                .map_err(|why| WrongUsage(format!("{}: {why}", secrets::redacted_path(path)))),
            _ => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        // the library's own message shows the line, which may hold a secret
        let table: Table = toml::from_str(&text).map_err(|error: toml::de::Error| {
            let line = error.span().map_or(0, |span| text[..span.start].lines().count().max(1));
            format!("line {line}: {}", error.message())
        })?;
        let program = Arguments::command();
        let mut settings = BTreeMap::new();
        for (name, value) in table {
            if !program.get_arguments().any(|arg| is_setting(arg) && arg.get_long() == Some(&name))
            {
                return Err(format!("there is no setting {name}"));
            }
            let texts = texts(&value).ok_or_else(|| {
                format!("{name}: expected a string, a number, a boolean or a list")
            })?;
            settings.insert(name, texts);
        }
        Ok(Self(settings))
    }

    /// The program, with the settings as defaults.
    pub(super) fn applied_to(&self, program: Command) -> Command {
        let program =
            program.mut_args(|arg| match arg.get_long().and_then(|name| self.get(name)) {
                Some(values) => arg.default_values(values.to_vec()),
                None => arg,
            });
        program.mut_subcommands(|command| self.applied_to(command))
    }

    fn get(&self, name: &str) -> Option<&[String]> {
        // what is set in the environment wins
        if name == "database-url" && database_url_of_environment().is_some() {
            return None;
        }
        self.0.get(name).map(Vec::as_slice)
    }
}

fn is_setting(arg: &Arg) -> bool {
    arg.get_long().is_some_and(|name| !NOT_IN_FILES.contains(&name))
}

fn database_url_of_environment() -> Option<String> {
    std::env::var(DATABASE_URL).ok().filter(|url| !url.is_empty())
}

/// A value as it is written on the command line, or `None` if that is not possible.
fn texts(value: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(is) => Some(is.to_string()),
        _ => None,
    };
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        value => Some(vec![text(value)?]),
    }
}

/// Prints each setting with its source, as TOML.
pub(super) fn print(matches: &ArgMatches, file: &File) -> anyhow::Result<()> {
    let mut out = String::new();
    for arg in Arguments::command().get_arguments().filter(|arg| is_setting(arg)) {
        let name = arg.get_long().expect("a setting has a flag");
        let values = matches.get_raw(arg.get_id().as_str());
        let mut values: Vec<String> =
            values.into_iter().flatten().map(OsStr::to_string_lossy).map(Into::into).collect();
        let mut source = match matches.value_source(arg.get_id().as_str()) {
            Some(ValueSource::CommandLine) => "flag",
            Some(ValueSource::EnvVariable) => "environment",
            Some(_) if file.get(name).is_some() => "file",
            Some(_) => "default",
            None => "not set",
        };
        if let ("database-url", true, Some(url)) =
            (name, values.is_empty(), database_url_of_environment())
        {
            (values, source) = (vec![url], "environment");
        }
        if usage::is_secret(arg) {
            values = values.iter().filter_map(|value| secrets::public_part(value)).collect();
            if values.is_empty() && source != "not set" {
                writeln!(out, "# {name}: hidden ({source})")?;
                continue;
            }
        } else {
            values =
                values.iter().map(|value| secrets::redacted_value(value).into_owned()).collect();
        }
        match values.as_slice() {
            [] => writeln!(out, "# {name}: {source}")?,
            [value] => writeln!(out, "{name} = {}  # {source}", written(value))?,
            values => {
                let values: Vec<_> = values.iter().map(|value| written(value)).collect();
                writeln!(out, "{name} = [{}]  # {source}", values.join(", "))?;
            }
        }
    }
    Ok(output::text(out)?)
}

/// A value in TOML.
fn written(value: &str) -> String {
    if value.parse::<i64>().is_ok() || value.parse::<bool>().is_ok() {
        return value.to_owned();
    }
    Value::String(value.to_owned()).to_string()
}
