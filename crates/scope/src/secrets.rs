//! The sealed secrets of all organizations: to find those that no key opens, and to encrypt them anew.

use sea_orm::{ConnectionTrait, QueryResult, Statement};
use uuid::Uuid;

use crate::{Error, connections::Session};

/// The tables with secrets. Each has the columns `id`, `org_id` and `sealed`.
const TABLES: [&str; 1] = ["campaign_provider_keys"];
/// The number of secrets that are read at once.
const AT_ONCE: u64 = 500;

/// The right to read and replace the sealed secrets of all organizations. It comes from
/// [`Database::secrets`](crate::Database::secrets), and no request can get it.
pub struct Secrets {
    session: Session,
}

/// A sealed secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The table.
    pub table: &'static str,
    /// The ID of the row, which is authenticated with the secret.
    pub id: Uuid,
    /// The organization.
    pub organization: Uuid,
    /// The sealed secret.
    pub sealed: Vec<u8>,
}

impl Secrets {
    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }

    /// The next secrets after this one, or the first ones, in a fixed order. Empty after the last one.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn after(&self, last: Option<&Secret>) -> Result<Vec<Secret>, Error> {
        let start = last.and_then(|last| TABLES.iter().position(|table| *table == last.table));
        for (index, table) in TABLES.into_iter().enumerate().skip(start.unwrap_or(0)) {
            let after = last.filter(|_| start == Some(index)).map_or(Uuid::nil(), |last| last.id);
            let sql = format!(
                "SELECT id, org_id, sealed FROM {table} WHERE id > $1 ORDER BY id LIMIT {AT_ONCE}"
            );
            let statement = self.statement(sql, [after.into()]);
            let rows = self.session.reading().query_all_raw(statement).await?;
            if !rows.is_empty() {
                let secrets = rows.iter().map(|row| secret(table, row));
                return Ok(secrets.collect::<Result<_, _>>()?);
            }
        }
        Ok(Vec::new())
    }

    /// Replaces a sealed secret, unless it was changed or deleted since it was read. Returns whether it was
    /// replaced.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn replace(&self, secret: &Secret, sealed: Vec<u8>) -> Result<bool, Error> {
        let Secret { table, id, organization, sealed: old } = secret;
        let sql =
            format!("UPDATE {table} SET sealed = $1 WHERE id = $2 AND org_id = $3 AND sealed = $4");
        let values = [sealed.into(), (*id).into(), (*organization).into(), old.clone().into()];
        let replaced = self.session.execute_raw(self.statement(sql, values)).await?;
        Ok(replaced.rows_affected() > 0)
    }

    fn statement<const N: usize>(&self, sql: String, values: [sea_orm::Value; N]) -> Statement {
        Statement::from_sql_and_values(self.session.get_database_backend(), sql, values)
    }
}

fn secret(table: &'static str, row: &QueryResult) -> Result<Secret, sea_orm::DbErr> {
    Ok(Secret {
        table,
        id: row.try_get("", "id")?,
        organization: row.try_get("", "org_id")?,
        sealed: row.try_get("", "sealed")?,
    })
}
