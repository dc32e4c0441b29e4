//! What another program has changed about the tables of the service, so that it cannot work with them:
//! values of an enum, tables that inherit, and collations.

use campaigns_entity::{campaign, contact, event, send};
use sea_orm::{
    ColumnTrait, ColumnType, ConnectionTrait, DbBackend, EntityTrait, IdenStatic, Iterable,
    Statement,
};
use serde_json::{Value as Json, json};

use crate::{
    Database, Error,
    connections::{Lane, Session},
};

/// The values that enums of PostgreSQL lack: `$1` is the documented ones.
const MISSING_VALUES: &str = "SELECT wanted.of_table, wanted.of_column, wanted.value, \
       format_type(types.oid, NULL) AS of_type \
     FROM jsonb_to_recordset($1) AS wanted(of_table text, of_column text, value text) \
     JOIN pg_attribute AS columns ON columns.attrelid = to_regclass(wanted.of_table) \
       AND columns.attname = wanted.of_column AND NOT columns.attisdropped \
     JOIN pg_type AS types ON types.oid = columns.atttypid AND types.typtype = 'e' \
     WHERE NOT EXISTS (SELECT 1 FROM pg_enum AS labels \
       WHERE labels.enumtypid = types.oid AND labels.enumlabel = wanted.value) ORDER BY 1, 2, 3";

/// The tables that inherit from those of the service, and those that they inherit from.
const RELATIVES: &str = "SELECT CAST(CAST(inhrelid AS regclass) AS text) AS child, \
       CAST(CAST(inhparent AS regclass) AS text) AS parent \
     FROM jsonb_array_elements_text($1) AS wanted (name) \
     JOIN pg_inherits ON to_regclass(wanted.name) IN (inhparent, inhrelid) ORDER BY 1, 2";

/// The collation of links, if different texts can be equal in it.
const COLLATION: &str = "SELECT CAST(collations.collname AS text) AS name FROM pg_attribute AS columns \
     JOIN pg_collation AS collations ON collations.oid = columns.attcollation \
     WHERE columns.attrelid = to_regclass('campaign_events') AND columns.attname = 'url' \
     AND NOT columns.attisdropped AND NOT collations.collisdeterministic";

const TABLES: [&str; 5] =
    ["campaigns", "campaign_segments", "campaign_lists", "campaign_sends", "campaign_events"];

impl Database {
    /// What the service cannot work with, one line each with its remedy.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn table_faults(&self) -> Result<Vec<String>, Error> {
        faults(&self.session(Lane::Control)).await
    }
}

/// Those of PostgreSQL. `SQLite` has none of this.
pub(crate) async fn faults(session: &Session) -> Result<Vec<String>, Error> {
    let session = session.reading();
    if session.get_database_backend() != DbBackend::Postgres {
        return Ok(Vec::new());
    }
    let ask = async |sql: &str, given: Option<Json>| {
        let values = given.into_iter().map(Into::into);
        session
            .query_all_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
            .await
    };
    let mut faults = Vec::new();
    for row in ask(MISSING_VALUES, Some(documented())).await? {
        let get = |column: &str| row.try_get::<String>("", column);
        let (kind, value) = (get("of_type")?, get("value")?);
        faults.push(format!(
            "the type {kind} of {}.{} has no value {value}: rename the value that has taken its place back, or run \
             ALTER TYPE {kind} ADD VALUE '{value}'",
            get("of_table")?,
            get("of_column")?
        ));
    }
    for row in ask(RELATIVES, Some(json!(TABLES))).await? {
        let (child, parent): (String, String) =
            (row.try_get("", "child")?, row.try_get("", "parent")?);
        faults.push(format!(
            "{child} inherits from {parent}, so that triggers do not see all rows, and they are not counted: move \
             its rows, and run ALTER TABLE {child} NO INHERIT {parent}"
        ));
    }
    for row in ask(COLLATION, None).await? {
        let name: String = row.try_get("", "name")?;
        faults.push(format!(
            "the collation {name} of campaign_events.url is not deterministic, so different links can count as one: \
             undo all migrations with `campaigns migrate down`, run ALTER TABLE campaign_events ALTER COLUMN url TYPE \
             text COLLATE \"default\", and migrate again"
        ));
    }
    Ok(faults)
}

/// The documented values of each enum.
fn documented() -> Json {
    let values = [
        of::<campaign::Entity>(),
        of::<send::Entity>(),
        of::<event::Entity>(),
        of::<contact::Entity>(),
    ];
    values.into_iter().flatten().collect()
}

fn of<E: EntityTrait>() -> Vec<Json> {
    let entity = E::default();
    let mut values = Vec::new();
    for column in E::Column::iter() {
        if let ColumnType::Enum { variants, .. } = column.def().get_column_type() {
            let variants = variants.iter().map(|value| {
                json!({ "of_table": entity.table_name(), "of_column": column.as_str(), "value": value.to_string() })
            });
            values.extend(variants);
        }
    }
    values
}
