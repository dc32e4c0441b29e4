//! `campaigns migrate`.

use std::{
    fmt::Write,
    io::{BufRead, IsTerminal},
};

use campaigns_migration::{Error, Planned, Target};
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    arguments::{Migrate, MigrateAction, WrongUsage, require_postgres},
    database::{NOT_MIGRATED, not_connected},
    output,
};

pub(super) async fn run(arguments: Migrate) -> anyhow::Result<()> {
    let url = arguments.database.require()?;
    let schema = arguments.schema.of(&url)?;
    let is_up = matches!(arguments.action, MigrateAction::Up);
    for (flag, is_given) in
        [("--with-policies", arguments.with_policies), ("--plan", arguments.plan)]
    {
        if is_given && !is_up {
            let why = format!("{flag} can only be used with `campaigns migrate`");
            return Err(WrongUsage(why).into());
        }
    }
    if arguments.with_policies {
        require_postgres("--with-policies", &url)?;
    }
    let target = Target::from(&campaigns_scope::primary(&url).await.map_err(not_connected)?)
        .in_schema(schema);
    act(&arguments, target).await.map_err(explained)
}

/// Does what the arguments say.
async fn act(arguments: &Migrate, target: Target) -> anyhow::Result<()> {
    match arguments.action {
        MigrateAction::Up if arguments.plan => print(&campaigns_migration::plan(target).await?)?,
        MigrateAction::Up => {
            if !arguments.yes && !agree(&campaigns_migration::to_adopt(target.clone()).await?)? {
                output::line("nothing was changed")?;
                return Ok(());
            }
            up(target.clone()).await?;
            if arguments.with_policies {
                let role = &arguments.row_security.role;
                for table in campaigns_migration::write_policies(target, role).await? {
                    output::line(format_args!("policies {table}"))?;
                }
            }
        }
        MigrateAction::Status => {
            for (name, applied) in campaigns_migration::status(target).await? {
                let state = if applied { "applied" } else { "pending" };
                output::line(format_args!("{state}  {name}"))?;
            }
        }
        MigrateAction::Down => match campaigns_migration::down(target).await? {
            Some(name) => output::line(format_args!("undone   {name}"))?,
            None => output::line("there is nothing to undo")?,
        },
    }
    Ok(())
}

/// The same error in the words that other commands have for it.
pub(super) fn explained(error: anyhow::Error) -> anyhow::Error {
    match error.downcast() {
        Ok(Error::Database(error)) => campaigns_scope::Error::from(error).into(),
        Ok(error @ Error::NoFile(_)) => anyhow::Error::from(error).context(NOT_MIGRATED),
        Ok(error) => error.into(),
        Err(error) => error,
    }
}

async fn up(target: Target) -> anyhow::Result<()> {
    let bar = ProgressBar::new(0)
        .with_style(ProgressStyle::with_template("  {msg}  {bar:30} {percent:>3} %  {elapsed}")?);
    // drawn only on a terminal
    let shown = bar.clone();
    let applied = campaigns_migration::up_telling(target, move |progress| {
        let (done, of) = progress.done.unwrap_or((0, 1));
        shown.set_message(progress.step);
        shown.set_length(of.max(1));
        shown.set_position(done);
    });
    let applied = applied.await;
    bar.finish_and_clear();
    let applied = applied?;
    for name in &applied {
        output::line(format_args!("applied  {name}"))?;
    }
    if applied.is_empty() {
        output::line("the database is up to date")?;
    }
    Ok(())
}

/// Asks whether to adopt tables from another program, if there are any.
fn agree(tables: &[String]) -> anyhow::Result<bool> {
    if tables.is_empty() {
        return Ok(true);
    }
    let tables = tables.join(", ");
    if !std::io::stdin().is_terminal() {
        return Err(WrongUsage(format!(
            "another program created {tables}; check what `campaigns migrate --plan` prints, and \
             adopt them with --yes"
        ))
        .into());
    }
    output::text(format_args!(
        "Another program created {tables}.\n\
         The service will add its own objects beside them; --plan shows them.\n\
         Adopt them? [y/N] "
    ))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Prints each statement, as SQL with comments.
fn print(planned: &[Planned]) -> anyhow::Result<()> {
    let mut out = String::new();
    if planned.is_empty() {
        writeln!(out, "-- the database is up to date")?;
    }
    let mut migration = "";
    for statement in planned {
        if statement.migration != migration {
            migration = &statement.migration;
            writeln!(out, "-- {migration}\n")?;
        }
        let sql = statement.sql.trim().trim_end_matches(';');
        writeln!(out, "-- locks {}\n{sql};\n", statement.locks)?;
    }
    Ok(output::text(out)?)
}
