//! Cached texts of pages without a filter, an order or a cursor, which dashboards read most. Building such a
//! statement takes longer than converting its rows.
//!
//! **Invariant.** A text is cached only if its statement binds the organization and the limit, in this
//! order, and nothing else. So with any organization and limit, it is the statement that would be built.

use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use sea_orm::{DbBackend, EntityTrait, IdenStatic, Statement, Value};
use uuid::Uuid;

/// The maximum number of cached texts. Each is for a set of columns.
const MAX_TEXTS: usize = 256;

/// What the text of a page depends on.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    table: TypeId,
    columns: Vec<&'static str>,
    from_end: bool,
    is_sqlite: bool,
}

/// The statement for a page of these columns, built only if its text is not cached.
pub(super) fn statement<E: EntityTrait>(
    backend: DbBackend,
    organization: Uuid,
    columns: &[E::Column],
    from_end: bool,
    limit: u64,
    build: impl FnOnce() -> Statement,
) -> Statement {
    static CACHE: LazyLock<RwLock<HashMap<Key, Arc<str>>>> = LazyLock::new(RwLock::default);
    let key = Key {
        table: TypeId::of::<E>(),
        columns: columns.iter().map(IdenStatic::as_str).collect(),
        from_end,
        is_sqlite: backend == DbBackend::Sqlite,
    };
    let values = [Value::from(organization), Value::from(limit)];
    let known = CACHE.read().unwrap_or_else(PoisonError::into_inner).get(&key).map(Arc::clone);
    if let Some(text) = known {
        return Statement::from_sql_and_values(backend, &*text, values);
    }
    let built = build();
    if built.values.as_ref().is_some_and(|bound| bound.0 == values) {
        let mut cache = CACHE.write().unwrap_or_else(PoisonError::into_inner);
        if cache.len() < MAX_TEXTS {
            cache.insert(key, built.sql.as_str().into());
        }
    }
    built
}

#[cfg(test)]
mod tests {
    use campaigns_entity::{campaign, contact};

    use super::*;

    #[test]
    fn a_text_is_built_once_for_each_table_columns_and_end() {
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let build = |text: &str, organization: Uuid, limit: u64| {
            let values = [Value::from(organization), Value::from(limit)];
            Statement::from_sql_and_values(DbBackend::Postgres, text, values)
        };
        let of_campaigns = |columns: &[campaign::Column], organization, from_end, text: &str| {
            let build = || build(text, organization, 4);
            let backend = DbBackend::Postgres;
            statement::<campaign::Entity>(backend, organization, columns, from_end, 4, build)
        };
        let [id, name] = [campaign::Column::Id, campaign::Column::Name];
        let one = of_campaigns(&[id, name], first, false, "one");
        assert_eq!((one.sql.as_str(), one.values), ("one", build("", first, 4).values));
        let again = of_campaigns(&[id, name], second, false, "not built");
        assert_eq!((again.sql.as_str(), again.values), ("one", build("", second, 4).values));
        assert_eq!(of_campaigns(&[id], first, false, "other columns").sql, "other columns");
        assert_eq!(of_campaigns(&[id, name], first, true, "from the end").sql, "from the end");
        let column = [contact::Column::Id];
        let of_contacts = |backend, text: &str| {
            let build = || build(text, first, 4);
            statement::<contact::Entity>(backend, first, &column, false, 4, build).sql
        };
        assert_eq!(of_contacts(DbBackend::Postgres, "of contacts"), "of contacts");
        assert_eq!(of_contacts(DbBackend::Sqlite, "of SQLite"), "of SQLite");
    }

    #[test]
    fn a_text_with_other_values_is_not_cached() {
        let column = [campaign::Column::Subject];
        let organization = Uuid::from_u128(3);
        for text in ["first", "second"] {
            let build = || {
                let values = [Value::from(organization), Value::from(true), Value::from(4_u64)];
                Statement::from_sql_and_values(DbBackend::Postgres, text, values)
            };
            let backend = DbBackend::Postgres;
            let made =
                statement::<campaign::Entity>(backend, organization, &column, false, 4, build);
            assert_eq!(made.sql, text);
        }
    }
}
