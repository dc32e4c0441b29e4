//! `campaigns migrate`.

use indicatif::{ProgressBar, ProgressStyle};

use super::{
    arguments::{Migrate, MigrateAction, WrongUsage},
    process::require_postgres,
};

pub(super) async fn run(arguments: Migrate) -> anyhow::Result<()> {
    let url = arguments.database.require()?;
    if arguments.with_policies {
        if !matches!(arguments.action, MigrateAction::Up) {
            return Err(WrongUsage("--with-policies goes with `campaigns migrate`".into()).into());
        }
        require_postgres("--with-policies", &url)?;
    }
    match arguments.action {
        MigrateAction::Up => {
            let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(
                "  {msg}  {bar:30} {percent:>3} %  {elapsed}",
            )?);
            // drawn on a terminal alone
            let shown = bar.clone();
            let applied = campaigns_migration::up_telling(&url, move |progress| {
                let (done, of) = progress.done.unwrap_or((0, 1));
                shown.set_message(progress.step);
                shown.set_length(of.max(1));
                shown.set_position(done);
            });
            let applied = applied.await;
            bar.finish_and_clear();
            let applied = applied?;
            for name in &applied {
                println!("applied  {name}");
            }
            if applied.is_empty() {
                println!("the database is up to date");
            }
            if arguments.with_policies {
                let role = &arguments.row_security.role;
                for table in campaigns_migration::write_policies(&url, role).await? {
                    println!("policies {table}");
                }
            }
        }
        MigrateAction::Status => {
            for (name, applied) in campaigns_migration::status(&url).await? {
                println!("{}  {name}", if applied { "applied" } else { "pending" });
            }
        }
        MigrateAction::Down => match campaigns_migration::down(&url).await? {
            Some(name) => println!("undone   {name}"),
            None => println!("there is nothing to undo"),
        },
    }
    Ok(())
}
