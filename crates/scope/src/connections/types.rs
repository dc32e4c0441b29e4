//! The types of enum columns, if a table of another program has other types than documented.
//!
//! A statement casts bound values to the documented type. If a column has another type, the
//! statement's text is rewritten before it is sent, so that values are compared in the column's own
//! type and its indexes are used. In most databases, there is nothing to rewrite.

use std::borrow::Cow;

use sea_orm::{DbBackend, Statement};

use super::{Failure, Link, PlanMode, link::is_postgres};

/// The tables and columns with their documented and actual types.
const TYPE_DIFFERENCES: &str = "SELECT documented.name, CASE WHEN types.typtype = 'e' \
    THEN quote_ident(schemas.nspname) || '.' || quote_ident(types.typname) ELSE 'text' END AS type \
    FROM (VALUES ('campaigns', 'status', 'campaign_status'), ('campaign_sends', 'status', 'send_status'), \
        ('campaign_events', 'event_type', 'campaign_event_type'), ('contacts', 'type', 'contact_type'), \
        ('memberships', 'role', 'membership_role'), ('memberships', 'status', 'membership_status') \
    ) AS documented (of_table, of_column, name) \
    JOIN pg_attribute columns ON columns.attrelid = to_regclass(documented.of_table) \
        AND columns.attname = documented.of_column \
    JOIN pg_type types ON types.oid = columns.atttypid \
    JOIN pg_namespace schemas ON schemas.oid = types.typnamespace \
    WHERE types.oid IS DISTINCT FROM to_regtype(documented.name)";

/// Documented types, and the types that replace them.
#[derive(Debug, Default)]
pub(super) struct Types(Vec<(String, String)>);

impl Types {
    /// Looks up the types. Behind a pooler, in a transaction that starts with `pooled_begin`.
    pub(super) async fn look_up(
        link: &mut Link,
        pooled_begin: Option<&str>,
    ) -> Result<Self, Failure> {
        if !is_postgres(link) {
            return Ok(Self::default());
        }
        if let Some(begin) = pooled_begin {
            link.begin(begin).await?;
        }
        let statement = Statement::from_string(DbBackend::Postgres, TYPE_DIFFERENCES);
        let mut rows = Vec::new();
        let take = |row, _| {
            rows.push(row);
            Ok(())
        };
        link.run(&statement, PlanMode::Custom, take).await?;
        if pooled_begin.is_some() {
            link.end("COMMIT").await?;
        }
        let mut types = Vec::new();
        for row in &rows {
            let get = |name| match row.try_get("", name) {
                Ok(text) => Ok(text),
                Err(error) => Err(Failure::Sqlx(sea_orm::sqlx::Error::Protocol(error.to_string()))),
            };
            types.push((get("name")?, get("type")?));
        }
        Ok(Self(types))
    }

    /// Whether another type replaces this one.
    pub(super) fn replaces(&self, documented: &str) -> bool {
        self.0.iter().any(|(name, _)| name == documented)
    }

    /// The statement with the actual types of the columns.
    pub(super) fn rewrite<'a>(&self, statement: &'a Statement) -> Cow<'a, Statement> {
        if self.0.iter().all(|(documented, _)| !statement.sql.contains(documented.as_str())) {
            return Cow::Borrowed(statement);
        }
        let mut statement = statement.clone();
        for (documented, is) in &self.0 {
            statement.sql = replace_word(&statement.sql, documented, is);
        }
        Cow::Owned(statement)
    }
}

/// Replaces a word in text, including quotes around it.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let is_of_word = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
    };
    let (mut written, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(word) {
        let (mut start, mut end) = (at, at + word.len());
        let bytes = rest.as_bytes();
        let before = start.checked_sub(1).and_then(|before| bytes.get(before));
        if is_of_word(before) || is_of_word(bytes.get(end)) {
            written += &rest[..end];
        } else {
            if before == Some(&b'"') && bytes.get(end) == Some(&b'"') {
                (start, end) = (start - 1, end + 1);
            }
            written += &rest[..start];
            written += by;
        }
        rest = &rest[end..];
    }
    written + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_documented_type_is_replaced_and_nothing_else() {
        let types = Types(vec![("send_status".to_owned(), "kinds.\"Of sends\"".to_owned())]);
        let rewrite = |sql: &str| {
            types.rewrite(&Statement::from_string(DbBackend::Postgres, sql)).sql.clone()
        };
        assert_eq!(
            rewrite("SELECT CAST($1 AS \"send_status\"), CAST($2 AS send_status[])"),
            "SELECT CAST($1 AS kinds.\"Of sends\"), CAST($2 AS kinds.\"Of sends\"[])"
        );
        for other in ["SELECT resend_status", "SELECT send_status_at", "SELECT t.send_status"] {
            assert_eq!(rewrite(other), other);
        }
    }
}
