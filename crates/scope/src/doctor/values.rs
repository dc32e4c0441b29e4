//! Values that a column allows but the API cannot return.

use campaigns_entity::{
    campaign, company, contact, contact_company, event, list_entry, membership, organization,
    segment, send, user,
};
use sea_orm::{ColumnTrait, ColumnType, DbBackend, IdenStatic, Iterable};

use super::check::{Check, Rows};
use crate::{Dialect, OrganizationOwned};

/// The range of times that the API can return, as SQL text for both databases.
const EARLIEST: &str = "'0001-01-01T00:00:00+00:00'";
const LATEST: &str = "'9999-12-31T23:59:59.999999+00:00'";

/// The nil UUID, which events without a send have in place of a campaign and a contact.
const NIL: &str = "'00000000-0000-0000-0000-000000000000'";
const NIL_IN_SQLITE: &str = "x'00000000000000000000000000000000'";

pub(super) fn checks(backend: DbBackend) -> Vec<Check> {
    let dialect = Dialect::of(backend);
    [
        of::<organization::Entity>(dialect, true),
        of::<user::Entity>(dialect, true),
        of::<membership::Entity>(dialect, true),
        of::<contact::Entity>(dialect, true),
        of::<company::Entity>(dialect, true),
        of::<contact_company::Entity>(dialect, true),
        of::<campaign::Entity>(dialect, false),
        of::<segment::Entity>(dialect, false),
        of::<list_entry::Entity>(dialect, false),
        of::<send::Entity>(dialect, false),
        of::<event::Entity>(dialect, false),
    ]
    .concat()
}

/// The checks of a table. A table of another program can allow null where the documented one does not.
fn of<E: OrganizationOwned>(dialect: Dialect, is_neighbour: bool) -> Vec<Check> {
    let is_postgres = dialect == Dialect::Postgres;
    let entity = E::default();
    let table = entity.table_name();
    let mut checks = Vec::new();
    for column in E::Column::iter() {
        let (name, definition) = (column.as_str(), column.def());
        let replaced = if definition.is_null() {
            "The API returns null."
        } else {
            "The API returns the nearest valid time."
        };
        let mut add = |condition: String, what: &str, remedy: String| {
            let wrong = format!("{table}.{name} {what}");
            checks.push(Rows::of(table, condition).check(wrong, remedy));
        };
        match definition.get_column_type() {
            ColumnType::TimestampWithTimeZone => {
                let is_text =
                    if is_postgres { "false" } else { &format!("datetime(t.{name}) IS NULL") };
                add(
                    format!(
                        "t.{name} IS NOT NULL AND (t.{name} < {EARLIEST} OR t.{name} > {LATEST} OR {is_text})"
                    ),
                    "is not a time in the years 1 to 9999",
                    format!("{replaced} Set {name} to such a time, or to null if it can be null."),
                );
            }
            ColumnType::Date if is_postgres => add(
                format!("t.{name} < '0001-01-01' OR t.{name} > '9999-12-31'"),
                "is not a date in the years 1 to 9999",
                format!("The API returns null. Set {name} to such a date, or to null."),
            ),
            ColumnType::Decimal(_) if is_postgres => add(
                format!("NOT (t.{name} > -1e28 AND t.{name} < 1e28)"),
                "is not a number of at most 28 digits",
                format!("The API returns null. Set {name} to such a number, or to null."),
            ),
            ColumnType::Text if !is_postgres => add(
                dialect.is_not_text(&format!("t.{name}")),
                "is not UTF-8",
                format!(
                    "The API returns it with U+FFFD in place of the invalid bytes. Set {name} to text, not to a blob."
                ),
            ),
            ColumnType::Enum { variants, .. } => {
                let known: Vec<String> =
                    variants.iter().map(|value| format!("'{value}'")).collect();
                add(
                    format!("CAST(t.{name} AS text) NOT IN ({})", known.join(", ")),
                    "is unknown to this version",
                    format!(
                        "The API leaves out the row. Set {name} to a documented value, or update the service."
                    ),
                );
            }
            ColumnType::Uuid if !is_postgres => add(
                format!("NOT {}", dialect.is_id(&format!("t.{name}"))),
                "is not an ID",
                format!(
                    "The API leaves out the row. Set {name} to a blob of 16 bytes, as unhex(replace(text, '-', '')) \
                     makes it of the text of a UUID."
                ),
            ),
            _ => {}
        }
        if name == "id" && (table == "campaigns" || table == "contacts") {
            let nil = if is_postgres { NIL } else { NIL_IN_SQLITE };
            add(
                format!("t.id = {nil}"),
                "is the nil UUID",
                "Events of its sends are not counted and not in the feed. Give it another ID."
                    .to_owned(),
            );
        }
        if is_neighbour && !definition.is_null() && name != E::ORGANIZATION.as_str() {
            add(
                format!("t.{name} IS NULL"),
                "is null",
                format!("The API returns an empty value, or leaves out the row. Set {name}."),
            );
        }
    }
    checks
}
