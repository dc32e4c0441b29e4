//! The flags of each command.

use std::collections::HashSet;

use clap::{Arg, Command, CommandFactory};

use super::{
    super::arguments::Arguments,
    markdown::{markdown, table},
};

/// The heading of flags that have none of their own.
const GENERAL: &str = "General";
/// Flags that every program has.
const USUAL: [&str; 2] = ["help", "version"];

/// The commands, the flags of `serve` by their headings, and those that only other commands have.
pub(super) fn tables() -> String {
    let program = Arguments::command();
    let mut text = section("Commands", &commands(&program));
    let mut headings: Vec<&str> = Vec::new();
    for arg in flags(&program) {
        if !headings.contains(&heading(arg)) {
            headings.push(heading(arg));
        }
    }
    for name in headings {
        let rows = flags(&program).filter(|arg| heading(arg) == name).map(row);
        text.push_str(&section(name, &flag_table(rows)));
    }
    let of_serve: HashSet<_> = flags(&program).filter_map(Arg::get_long).collect();
    for command in shown(&program) {
        let choices = command.get_positionals().filter(|arg| arg.get_id() == "action");
        let choices = choices.flat_map(Arg::get_possible_values).map(|value| {
            let meaning = value.get_help().map(ToString::to_string).unwrap_or_default();
            [format!("`{}`", value.get_name()), String::new(), markdown(&sentence(&meaning))]
        });
        let own = flags(command)
            .filter(|arg| !arg.get_long().is_some_and(|name| of_serve.contains(name)));
        let rows: Vec<_> = choices.chain(own.map(row)).collect();
        if !rows.is_empty() {
            text.push_str(&section(
                &format!("`campaigns {}`", command.get_name()),
                &flag_table(rows),
            ));
        }
    }
    text.trim_start().to_owned()
}

fn section(heading: &str, table: &str) -> String {
    format!("\n### {heading}\n\n{table}")
}

fn shown(program: &Command) -> impl Iterator<Item = &Command> {
    program.get_subcommands().filter(|command| !command.is_hide_set())
}

fn commands(program: &Command) -> String {
    let rows = shown(program).map(|command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        [format!("`{}`", command.get_name()), markdown(&sentence(&about))]
    });
    table(["command", "what it does"], rows)
}

fn flag_table(rows: impl IntoIterator<Item = [String; 3]>) -> String {
    table(["flag", "default", "meaning"], rows)
}

fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    let is_own = |arg: &&Arg| arg.get_long().is_some_and(|name| !USUAL.contains(&name));
    command.get_arguments().filter(is_own)
}

fn heading(arg: &Arg) -> &str {
    arg.get_help_heading().unwrap_or(GENERAL)
}

fn row(arg: &Arg) -> [String; 3] {
    let name = arg.get_long().expect("a flag has a name");
    let value = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    let value = value.and_then(|names| names.first()).map(|value| {
        let is_optional = arg.get_num_args().is_some_and(|number| number.min_values() == 0);
        if is_optional { format!("[={value}]") } else { format!(" {value}") }
    });
    let default: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let takes_values = arg.get_action().takes_values();
    let default = if takes_values && !default.is_empty() {
        format!("`{}`", default.join(","))
    } else {
        String::new()
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    [format!("`--{name}{}`", value.unwrap_or_default()), default, markdown(&sentence(&help))]
}

/// The first sentence of a text, which ends with a full stop. clap leaves the last one out.
fn sentence(text: &str) -> String {
    let first = text.split_once(". ").map_or(text, |(first, _)| first);
    format!("{}.", first.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::{super::super::usage, USUAL, sentence};

    #[test]
    fn every_flag_of_every_command_is_explained_and_has_the_variable_of_its_name() {
        let program = usage::program();
        let mut flags = 0;
        for command in std::iter::once(&program).chain(program.get_subcommands()) {
            for arg in command.get_arguments() {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.is_empty(), "{arg:?}");
                let Some(name) = arg.get_long().filter(|name| !USUAL.contains(name)) else {
                    continue;
                };
                let variable = format!("CAMPAIGNS_{}", name.replace('-', "_").to_uppercase());
                assert_eq!(
                    arg.get_env().and_then(|name| name.to_str()),
                    Some(&*variable),
                    "{name}"
                );
                flags += 1;
            }
        }
        assert!(flags > 100, "{flags}");
    }

    #[test]
    fn a_sentence_ends_with_a_full_stop() {
        assert_eq!(sentence("Runs. Twice"), "Runs.");
        assert_eq!(sentence("Runs at 1.5 times the speed"), "Runs at 1.5 times the speed.");
        assert_eq!(sentence("Runs."), "Runs.");
    }
}
