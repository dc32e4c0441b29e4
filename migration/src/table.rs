//! One description of a table, from which both dialects are written. SQLite's tables are STRICT.

use sea_orm_migration::{
    SchemaManager,
    sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement},
};

use crate::{
    column::{Column, Enum, Kind, OnDelete, column, definition, reference, row_id, time},
    made::{self, execute, exists, is_postgres},
    sqlite::{self, clear_on_delete},
    steps::LOCK_TIMEOUT,
};

/// A column of an index. No index contains text: PostgreSQL would reject a row with text longer
/// than a page of the index.
#[derive(Clone, Copy)]
pub(crate) enum Key {
    Plain(&'static str),
    /// A time, latest first and nulls last.
    LatestFirst(&'static str),
}

pub(crate) struct Table {
    pub name: &'static str,
    /// The columns without `id`, `org_id`, `created_at`, `updated_at` and `metadata`, which every
    /// table has (the organizations' table except for `org_id`).
    pub columns: Vec<Column>,
    pub unique: &'static [&'static [&'static str]],
    pub indexes: Vec<(&'static str, Vec<Key>)>,
}

/// Where a table is looked up in PostgreSQL.
#[derive(Clone, Copy)]
pub(crate) enum Lookup {
    /// In the migrated schema: a table of the service.
    Schema,
    /// Anywhere on the search path: a table of a neighbour.
    SearchPath,
}

impl Lookup {
    /// The catalog entry of the table with this name, or null, as SQL.
    pub(crate) fn class(self, table: &str) -> String {
        match self {
            Self::Schema => format!("to_regclass(quote_ident(current_schema()) || '.{table}')"),
            Self::SearchPath => format!("to_regclass('{table}')"),
        }
    }
}

impl Table {
    /// All of its columns, in order.
    pub(crate) fn all_columns(&self) -> Vec<Column> {
        let mut columns = vec![row_id()];
        if self.name != "organizations" {
            columns.push(reference("org_id", "organizations", OnDelete::Cascade).not_null());
        }
        columns.extend(self.columns.iter().cloned());
        columns.push(time("created_at").not_null().default_now());
        columns.push(time("updated_at").not_null().default_now());
        columns.push(column("metadata", Kind::Json).default("'{}'"));
        columns
    }

    /// The types of its columns that are enums.
    pub(crate) fn enums(&self) -> Vec<&'static Enum> {
        let of = |column: &Column| match column.kind {
            Kind::Enum(of) => Some(of),
            _ => None,
        };
        self.columns.iter().filter_map(of).collect()
    }

    /// Creates the table with its constraints, triggers and indexes, and remembers that.
    pub(crate) async fn create(self, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        let postgres = is_postgres(manager);
        let (columns, name) = (self.all_columns(), self.name);
        if postgres {
            // it waits for writers of the tables that it refers to
            execute(manager, LOCK_TIMEOUT).await?;
        }

        let mut parts = Vec::new();
        for column in &columns {
            parts.push(definition(column, postgres));
        }
        parts.push("PRIMARY KEY (id)".to_owned());
        if name != "organizations" {
            parts.push("UNIQUE (org_id, id)".to_owned());
        }
        for unique in self.unique {
            parts.push(format!("UNIQUE ({})", unique.join(", ")));
        }
        let mut after = Vec::new();
        for column in &columns {
            let Some((target, on_delete)) = column.references else { continue };
            let composite = target != "organizations" && made::by_service(manager, target).await?;
            parts.push(foreign_key(column.name, target, on_delete, composite, postgres));
            if composite && !postgres && matches!(on_delete, OnDelete::SetNull) {
                after.push(clear_on_delete(name, column.name, target));
            }
        }
        let strict = if postgres { "" } else { " STRICT" };
        execute(manager, &format!("CREATE TABLE {name} (\n  {}\n){strict}", parts.join(",\n  ")))
            .await?;

        if postgres {
            after.push(format!(
                "CREATE TRIGGER set_updated_at BEFORE UPDATE ON {name} \
                 FOR EACH ROW EXECUTE FUNCTION set_updated_at()"
            ));
        } else {
            let times = columns.iter().filter(|column| matches!(column.kind, Kind::Time));
            let times: Vec<&str> = times.map(|column| column.name).collect();
            after.extend(sqlite::time_triggers(name, &times));
        }
        for (suffix, keys) in &self.indexes {
            let keys: Vec<String> = keys.iter().map(|key| key.sql(postgres)).collect();
            after.push(format!("CREATE INDEX {name}_{suffix} ON {name} ({})", keys.join(", ")));
        }
        for statement in after {
            execute(manager, &statement).await?;
        }
        made::remember(manager, name).await
    }
}

/// Whether a table with this name exists.
pub(crate) async fn is_there(
    manager: &SchemaManager<'_>,
    name: &str,
    lookup: Lookup,
) -> Result<bool, DbErr> {
    if !is_postgres(manager) {
        return manager.has_table(name).await;
    }
    exists(manager, &format!("SELECT 1 WHERE {} IS NOT NULL", lookup.class(name))).await
}

/// Creates a table with the types of its columns, or leaves it as it is if it exists.
pub(crate) async fn make_or_leave(
    manager: &SchemaManager<'_>,
    table: Table,
    lookup: Lookup,
) -> Result<(), DbErr> {
    if is_there(manager, table.name, lookup).await? {
        return Ok(());
    }
    for of in table.enums() {
        of.create(manager).await?;
    }
    table.create(manager).await
}

/// Drops a table with the types of its columns, or leaves those that no migration created.
pub(crate) async fn drop_or_leave(manager: &SchemaManager<'_>, table: Table) -> Result<(), DbErr> {
    if made::by_service(manager, table.name).await? {
        drop(manager, table.name).await?;
    }
    for of in table.enums() {
        of.drop(manager).await?;
    }
    Ok(())
}

/// Drops the table that [`Table::create`] created.
async fn drop(manager: &SchemaManager<'_>, name: &str) -> Result<(), DbErr> {
    if !is_postgres(manager) {
        // SQLite keeps a trigger of another table that writes to this one, and every delete there
        // would fail from then on
        let triggers = Statement::from_string(
            DbBackend::Sqlite,
            format!(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name GLOB '{name}_clear_*'"
            ),
        );
        for row in manager.get_connection().query_all_raw(triggers).await? {
            let trigger: String = row.try_get("", "name")?;
            execute(manager, &format!("DROP TRIGGER {trigger}")).await?;
        }
    }
    execute(manager, &format!("DROP TABLE {name}")).await?;
    made::forget(manager, name).await
}

impl Key {
    /// The key in the syntax of an index.
    pub(crate) fn sql(self, postgres: bool) -> String {
        match self {
            Self::Plain(column) => column.to_owned(),
            Self::LatestFirst(column) if postgres => format!("{column} DESC NULLS LAST"),
            // nulls sort first there
            Self::LatestFirst(column) => format!("{column} DESC"),
        }
    }
}

fn foreign_key(
    column: &str,
    target: &str,
    on_delete: OnDelete,
    composite: bool,
    postgres: bool,
) -> String {
    let (from, to) = if composite {
        (format!("org_id, {column}"), "org_id, id")
    } else {
        (column.to_owned(), "id")
    };
    let action = match (on_delete, composite, postgres) {
        (OnDelete::Cascade, ..) => " ON DELETE CASCADE".to_owned(),
        (OnDelete::SetNull, false, _) => " ON DELETE SET NULL".to_owned(),
        (OnDelete::SetNull, true, true) => format!(" ON DELETE SET NULL ({column})"),
        // a trigger does this, because SQLite would also clear org_id
        (OnDelete::SetNull, true, false) => String::new(),
    };
    format!("FOREIGN KEY ({from}) REFERENCES {target} ({to}){action}")
}
