//! `campaigns migrate`.

use super::arguments::{Migrate, MigrateAction};

pub(super) async fn run(arguments: Migrate) -> anyhow::Result<()> {
    let url = arguments.database.require()?;
    match arguments.action {
        MigrateAction::Up => {
            let applied = campaigns_migration::up(&url).await?;
            for name in &applied {
                println!("applied  {name}");
            }
            if applied.is_empty() {
                println!("the database is up to date");
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
