//! SQL as text, for statements that the query builder cannot express.
//!
//! **Invariant.** SQL text sees only the organization's rows: each table that it names is shadowed by
//! a common table expression of the same name that contains the predicate. A qualified or quoted name
//! would bypass this, so [`Sql::new`] rejects both at compile time.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use sea_orm::{
    DbBackend, Value,
    sea_query::{Alias, Expr},
};
use uuid::Uuid;

use crate::{Dialect, owned::TABLES};

/// A query as SQL text for both databases, without quoted or qualified table names.
///
/// `{table BY column}` after `FROM` stands for the rows of `table` with one of the selected IDs in
/// `column`.
#[derive(Clone, Copy, Debug)]
pub struct Sql(&'static str);

/// Common table expressions that shadow tables of the database.
struct Shadows {
    /// Their definitions, to follow `WITH`. Each `?` is the organization.
    text: String,
    /// Their number.
    count: usize,
}

/// The shadows of each text, by its address and length, and whether it is for SQLite.
type ShadowCache = HashMap<(usize, usize, bool), Arc<Shadows>>;

/// The maximum number of statements that are cached for one text.
const MAX_TEXTS: usize = 8;

/// The text of a statement that reads selected rows.
struct CachedText {
    /// The name of the table of selected rows.
    name: String,
    /// The select of these rows.
    inner: String,
    /// The whole statement.
    text: Arc<str>,
}

/// The statements of each text, by its address and length, and whether they are for SQLite.
type TextCache = HashMap<(usize, usize, bool), Vec<CachedText>>;

/// A table of values for SQL text.
#[derive(Clone, Debug)]
pub struct ValuesTable {
    /// The table's name and its columns: `buckets (since, until)`.
    pub table: &'static str,
    /// The values of each row, at least one row. No value is null, and each column has one type.
    pub rows: Vec<Vec<Value>>,
}

impl Sql {
    /// Checks SQL text. Call it in a `const`, so that a rejection is a compiler error.
    ///
    /// ```compile_fail
    /// const ALL: campaigns_scope::Sql = campaigns_scope::Sql::new("SELECT id FROM public.campaigns");
    /// ```
    ///
    /// # Panics
    /// If the text has a quoted identifier, names a schema, or has a placeholder.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        let bytes = text.as_bytes();
        assert!(!contains(bytes, b"public."), "a qualified name would bypass the scope");
        assert!(!contains(bytes, b"main."), "a qualified name would bypass the scope");
        assert!(!contains(bytes, b"pg_"), "the catalog belongs to no organization");
        assert!(!contains(bytes, b"\""), "a quoted name would bypass the scope");
        assert!(!contains(bytes, b"["), "a quoted name would bypass the scope");
        assert!(!contains(bytes, b"`"), "a quoted name would bypass the scope");
        assert!(!contains(bytes, b"?"), "only the scope binds values");
        assert!(!contains(bytes, b"$"), "only the scope binds values");
        assert!(selects_rows_by_column(bytes), "braces are of the form {{table BY column}}");
        Self(text)
    }

    /// The shadows of the tables that it names. They are cached without a limit: the texts are
    /// constants of the program.
    fn shadows(self, backend: DbBackend) -> Arc<Shadows> {
        static CACHE: LazyLock<RwLock<ShadowCache>> = LazyLock::new(RwLock::default);
        let is_sqlite = backend == DbBackend::Sqlite;
        // two texts with the same address and length are the same text
        let key = (self.0.as_ptr().addr(), self.0.len(), is_sqlite);
        let known = CACHE.read().unwrap_or_else(PoisonError::into_inner).get(&key).map(Arc::clone);
        known.unwrap_or_else(|| {
            let found = Arc::new(self.find_shadows(is_sqlite));
            CACHE.write().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&found));
            found
        })
    }

    fn find_shadows(self, is_sqlite: bool) -> Shadows {
        let (schema, dialect) =
            if is_sqlite { ("main.", Dialect::Sqlite) } else { ("", Dialect::Postgres) };
        let tables: Vec<String> = TABLES
            .iter()
            .filter(|(table, ..)| self.names(table))
            .map(|(table, organization, columns)| {
                // in PostgreSQL, the name inside its own definition is the real table
                let columns = columns(table, dialect);
                format!(
                    "{table} AS NOT MATERIALIZED \
                     (SELECT {columns} FROM {schema}{table} WHERE {organization} = ?)"
                )
            })
            .collect();
        Shadows { text: tables.join(", "), count: tables.len() }
    }

    /// The text with subqueries for the rows of selected IDs. If few are selected, PostgreSQL looks up
    /// each of them: the plan is cached, and a plan made while a table was empty would read all rows
    /// of the organization from then on.
    fn with_selected_rows(self, backend: DbBackend, are_few: bool) -> Cow<'static, str> {
        let mut parts = self.0.split('{');
        let first = parts.next().unwrap_or("");
        let mut text = Cow::Borrowed(first);
        for part in parts {
            let (of, rest) = part.split_once('}').expect("a brace is closed");
            let (table, column) = of.split_once(" BY ").expect("it names a table BY a column");
            let text = text.to_mut();
            *text += &if backend == DbBackend::Postgres && are_few {
                // `OFFSET 0` prevents the planner from turning it into a join
                format!(
                    "(SELECT {table}.* FROM selected CROSS JOIN LATERAL \
                     (SELECT * FROM {table} WHERE {column} = selected.id OFFSET 0) AS {table}) AS {table}"
                )
            } else {
                format!(
                    "(SELECT * FROM {table} WHERE {column} IN (SELECT id FROM selected)) AS {table}"
                )
            };
            *text += rest;
        }
        text
    }

    /// Whether the text has this word.
    fn names(self, word: &str) -> bool {
        self.0
            .split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'))
            .any(|found| found == word)
    }

    /// A scalar subquery.
    pub(crate) fn expression(self, backend: DbBackend, organization: Uuid) -> Expr {
        let shadows = self.shadows(backend);
        let text = format!("(WITH {} {})", shadows.text, self.with_selected_rows(backend, false));
        custom(backend, &text, vec![organization.into(); shadows.count])
    }

    /// The condition that `own` is one of the IDs that the text finds, among the rows with a
    /// `value` that satisfies the condition.
    pub(crate) fn among(
        self,
        backend: DbBackend,
        organization: Uuid,
        own: Expr,
        condition: impl FnOnce(Expr) -> Expr,
    ) -> Expr {
        let value = Expr::col((Alias::new("found"), Alias::new("value")));
        let condition = condition(value);
        let organizations = |count| std::iter::repeat_n(Expr::val(organization), count);
        if backend == DbBackend::Postgres {
            // PostgreSQL plans EXISTS as a join, or as an index look-up or hash per row. For IN
            // without enough memory to hash, it would read the whole set for each row.
            let (inner, count) = self.inlined();
            let text =
                format!("EXISTS (SELECT 1 FROM ({inner}) AS found WHERE found.id = ? AND ?)");
            let expressions = organizations(count).chain([own, condition]);
            Expr::cust_with_exprs(numbered(backend, &text, 0), expressions)
        } else {
            // SQLite computes the set once
            let shadows = self.shadows(backend);
            let with = &shadows.text;
            let text = format!("? IN (WITH {with} SELECT id FROM ({}) AS found WHERE ?)", self.0);
            let own = std::iter::once(own);
            Expr::cust_with_exprs(text, own.chain(organizations(shadows.count)).chain([condition]))
        }
    }

    /// The text with each table replaced by a subquery of the organization's rows. Each `?` is the
    /// organization. PostgreSQL can join subqueries with the surrounding statement, but not common
    /// table expressions. A word that qualifies a column is not replaced.
    fn inlined(self) -> (String, usize) {
        let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let mut text = String::with_capacity(self.0.len() * 2);
        let (mut rest, mut count) = (self.0, 0);
        while let Some(start) = rest.find(is_word) {
            let word = &rest[start..];
            let (word, after) = word.split_at(word.find(|of| !is_word(of)).unwrap_or(word.len()));
            text += &rest[..start];
            let table = TABLES.iter().find(|(table, ..)| *table == word && !after.starts_with('.'));
            match table {
                None => text += word,
                Some((table, organization, columns)) => {
                    count += 1;
                    let columns = columns(table, Dialect::Postgres);
                    text += &format!("(SELECT {columns} FROM {table} WHERE {organization} = ?)");
                    if !after.trim_start().starts_with("AS ") {
                        text += &format!(" AS {table}");
                    }
                }
            }
            rest = after;
        }
        (text + rest, count)
    }

    /// The whole statement, with the select of rows and the given values as additional tables. With
    /// `are_few`, the plan looks up each selected row.
    pub(crate) fn statement(
        self,
        backend: DbBackend,
        organization: Uuid,
        selected: (&str, sea_orm::sea_query::SelectStatement),
        are_few: bool,
        given: Option<ValuesTable>,
    ) -> sea_orm::Statement {
        use sea_orm::sea_query::{PostgresQueryBuilder, SqliteQueryBuilder};
        let shadows = self.shadows(backend);
        let (name, select) = selected;
        // otherwise SQLite would parse the JSON at each access
        let (dialect, kept, (inner, values)) = match backend {
            DbBackend::Postgres => (Dialect::Postgres, "", select.build(PostgresQueryBuilder)),
            _ => (Dialect::Sqlite, "MATERIALIZED", select.build(SqliteQueryBuilder)),
        };
        let mut values = values.0;
        let before = values.len();
        let organizations = std::iter::repeat_n(Value::from(organization), shadows.count);
        // `selected` comes first, so that it reads the real tables, with its own predicate
        let text = |tables: &str| {
            let tables = numbered(backend, tables, before);
            let text = self.with_selected_rows(backend, are_few);
            format!("WITH {name} AS ({inner}), {tables} {text}")
        };
        let sql = match given {
            Some(ValuesTable { table, rows }) => {
                let (rows, bound) = dialect.rows(&rows);
                values.extend(bound);
                text(&format!("{table} AS {kept} (SELECT * FROM {rows}), {}", shadows.text))
            }
            None if are_few => {
                self.cached_text(backend, name, &inner, || text(&shadows.text)).to_string()
            }
            None => text(&shadows.text),
        };
        values.extend(organizations);
        sea_orm::Statement::from_sql_and_values(backend, sql, values)
    }

    /// The text of a statement for rows that `inner` selects by key. Such selects have few texts.
    fn cached_text(
        self,
        backend: DbBackend,
        name: &str,
        inner: &str,
        make: impl FnOnce() -> String,
    ) -> Arc<str> {
        static CACHE: LazyLock<RwLock<TextCache>> = LazyLock::new(RwLock::default);
        // two texts with the same address and length are the same text
        let key = (self.0.as_ptr().addr(), self.0.len(), backend == DbBackend::Sqlite);
        let is_own = |text: &CachedText| text.name == name && text.inner == inner;
        let known = CACHE.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(&key).and_then(|texts| texts.iter().find(|text| is_own(text)));
        if let Some(found) = found {
            return Arc::clone(&found.text);
        }
        drop(known);
        let text: Arc<str> = make().into();
        let mut cache = CACHE.write().unwrap_or_else(PoisonError::into_inner);
        let texts = cache.entry(key).or_default();
        if texts.len() < MAX_TEXTS && !texts.iter().any(is_own) {
            let (name, inner) = (name.to_owned(), inner.to_owned());
            texts.push(CachedText { name, inner, text: Arc::clone(&text) });
        }
        text
    }
}

/// An expression from text with a `?` for each value.
pub(crate) fn custom(backend: DbBackend, text: &str, values: Vec<Value>) -> Expr {
    Expr::cust_with_values(numbered(backend, text, 0), values)
}

/// The text with each `?` in the syntax of the database, after `before` other placeholders.
fn numbered(backend: DbBackend, text: &str, before: usize) -> String {
    if backend != DbBackend::Postgres {
        return text.to_owned();
    }
    let mut parts = text.split('?');
    let first = parts.next().unwrap_or("").to_owned();
    parts
        .enumerate()
        .fold(first, |sql, (number, part)| format!("{sql}${}{part}", before + number + 1))
}

/// Whether each brace is part of `{table BY column}`.
const fn selects_rows_by_column(text: &[u8]) -> bool {
    let (mut at, mut is_open, mut has_by) = (0, false, false);
    while at < text.len() {
        match text[at] {
            b'{' if is_open => return false,
            b'{' => (is_open, has_by) = (true, false),
            b'}' if !(is_open && has_by) => return false,
            b'}' => is_open = false,
            b' ' if is_open => {
                let by = at + 3 < text.len()
                    && text[at + 1] == b'B'
                    && text[at + 2] == b'Y'
                    && text[at + 3] == b' ';
                if has_by || !by {
                    return false;
                }
                has_by = true;
                at += 3;
            }
            _ => {}
        }
        at += 1;
    }
    !is_open
}

const fn contains(text: &[u8], part: &[u8]) -> bool {
    let mut start = 0;
    while start + part.len() <= text.len() {
        let mut at = 0;
        while at < part.len() && text[start + at].to_ascii_lowercase() == part[at] {
            at += 1;
        }
        if at == part.len() {
            return true;
        }
        start += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use sea_orm::{DbBackend, sea_query::Query};

    use super::*;

    #[test]
    fn each_table_that_is_read_is_a_subquery_of_its_organization() {
        const FOUND: Sql = Sql::new(
            "SELECT contact_companies.contact_id AS id, of.name AS value FROM contact_companies
             JOIN companies AS of ON of.id = contact_companies.company_id",
        );
        let (text, count) = FOUND.inlined();
        assert_eq!(count, 2);
        assert!(text.starts_with(
            "SELECT contact_companies.contact_id AS id, of.name AS value FROM (SELECT "
        ));
        assert!(text.contains(" FROM contact_companies WHERE org_id = ?) AS contact_companies\n"));
        assert!(text.ends_with(
            " FROM companies WHERE org_id = ?) AS of ON of.id = contact_companies.company_id"
        ));
        for table in ["companies", "contact_companies"] {
            assert_eq!(text.matches(&format!("FROM {table} ")).count(), 1);
        }
    }

    #[test]
    fn each_table_that_is_named_is_shadowed_with_its_organization() {
        const COUNT: Sql = Sql::new("SELECT count(*) FROM campaign_sends JOIN campaigns ON true");
        let organization = Uuid::from_u128(7);
        let mut select = Query::select();
        select.expr(COUNT.expression(DbBackend::Postgres, organization));
        let text = select.to_string(sea_orm::sea_query::PostgresQueryBuilder);
        let org = "'00000000-0000-0000-0000-000000000007'";
        for table in ["campaigns", "campaign_sends"] {
            let shadow = format!(" FROM {table} WHERE org_id = {org})");
            assert!(text.contains(&format!("{table} AS NOT MATERIALIZED (SELECT {table}.id, ")));
            assert!(text.contains(&shadow), "{text}");
        }
        assert!(text.ends_with("SELECT count(*) FROM campaign_sends JOIN campaigns ON true)"));
        assert!(!text.contains("SELECT *"));
    }

    #[test]
    fn few_selected_ids_are_looked_up_one_by_one() {
        const TEXT: Sql =
            Sql::new("SELECT number FROM {campaign_send_changes BY campaign_id} WHERE number > 0");
        assert_eq!(
            TEXT.with_selected_rows(DbBackend::Postgres, true),
            "SELECT number FROM (SELECT campaign_send_changes.* FROM selected CROSS JOIN LATERAL \
             (SELECT * FROM campaign_send_changes WHERE campaign_id = selected.id OFFSET 0) \
             AS campaign_send_changes) AS campaign_send_changes WHERE number > 0"
        );
        for (backend, are_few) in
            [(DbBackend::Postgres, false), (DbBackend::Sqlite, true), (DbBackend::Sqlite, false)]
        {
            assert_eq!(
                TEXT.with_selected_rows(backend, are_few),
                "SELECT number FROM (SELECT * FROM campaign_send_changes \
                 WHERE campaign_id IN (SELECT id FROM selected)) AS campaign_send_changes WHERE number > 0"
            );
        }
    }
}
