//! Values that a column allows but the API cannot return.

use campaigns_entity::{
    campaign, company, contact, contact_company, event, list_entry, membership, organization,
    segment, send, user,
};
use sea_orm::{ColumnTrait, ColumnType, DbBackend, IdenStatic, Iterable};

use super::check::{Check, Rows};
use crate::OrganizationOwned;

/// The range of times that the API can return, as SQL text for both databases.
const EARLIEST: &str = "'0001-01-01T00:00:00+00:00'";
const LATEST: &str = "'9999-12-31T23:59:59.999999+00:00'";

pub(super) fn checks(backend: DbBackend) -> Vec<Check> {
    let is_postgres = backend == DbBackend::Postgres;
    [
        of::<organization::Entity>(is_postgres, true),
        of::<user::Entity>(is_postgres, true),
        of::<membership::Entity>(is_postgres, true),
        of::<contact::Entity>(is_postgres, true),
        of::<company::Entity>(is_postgres, true),
        of::<contact_company::Entity>(is_postgres, true),
        of::<campaign::Entity>(is_postgres, false),
        of::<segment::Entity>(is_postgres, false),
        of::<list_entry::Entity>(is_postgres, false),
        of::<send::Entity>(is_postgres, false),
        of::<event::Entity>(is_postgres, false),
    ]
    .concat()
}

/// The checks of a table. A table of another program can allow null where the documented one does not.
fn of<E: OrganizationOwned>(is_postgres: bool, is_neighbour: bool) -> Vec<Check> {
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
            _ => {}
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
