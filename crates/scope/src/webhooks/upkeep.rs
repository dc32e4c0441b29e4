//! Upkeep of what webhooks keep, for all organizations.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DbErr, Statement, Value};
use uuid::Uuid;

use super::tokens::time;
use crate::{
    Database, Dialect, Error, Scope,
    connections::{Lane, Session},
};

/// How long an event waits for its send.
const WAITS: TimeDelta = TimeDelta::days(7);
/// The most events of a webhook that wait.
const MOST_WAITING: i64 = 100_000;
/// How long a report that is no event is remembered: longer than any provider repeats it.
const REMEMBERED: TimeDelta = TimeDelta::days(8);
/// The most rows that a statement deletes or lists.
const AT_ONCE: u32 = 2_000;

/// The tables whose rows outlive an organization for a moment. Reports are forgotten soon, and message IDs are swept
/// with their sends.
const TABLES: [&str; 7] = [
    "campaign_provider_paths",
    "campaign_provider_keys",
    "campaign_provider_webhooks",
    "campaign_awaited_messages",
    "campaign_unmatched_events",
    "campaign_provider_stats",
    "campaign_provider_tokens",
];

/// The right to look after webhooks of all organizations. It comes from
/// [`Database::webhook_upkeep`](crate::Database::webhook_upkeep), and no request can get it.
pub struct WebhookUpkeep {
    database: Database,
    session: Session,
}

impl Database {
    /// The upkeep of what webhooks keep.
    #[must_use]
    pub fn webhook_upkeep(&self) -> WebhookUpkeep {
        // queued fairly with the organizations
        let session = self.session(Lane::Organization(Uuid::nil()));
        WebhookUpkeep { database: self.clone(), session }
    }
}

impl WebhookUpkeep {
    /// The scope of an organization.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn scope(&self, organization: Uuid) -> Result<Scope, Error> {
        self.database.scope_of(organization).await
    }

    /// Waiting events that came after a time and whose send is known by now, after this one in a fixed order:
    /// organization, webhook, event.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn matchable(
        &self,
        since: DateTime<Utc>,
        after: Option<(Uuid, Uuid, Uuid)>,
    ) -> Result<Vec<(Uuid, Uuid, Uuid)>, Error> {
        let (organization, webhook, id) = after.unwrap_or_default();
        let since = self.time(since);
        let sql = format!(
            "SELECT waiting.org_id AS org_id, waiting.webhook_id AS webhook_id, waiting.id AS id \
             FROM campaign_unmatched_events AS waiting WHERE waiting.received_at > {since} \
             AND (waiting.org_id, waiting.webhook_id, waiting.id) > ($1, $2, $3) \
             AND (EXISTS (SELECT 1 FROM campaign_sends AS send WHERE send.id = waiting.send_id AND send.org_id = waiting.org_id) \
               OR EXISTS (SELECT 1 FROM campaign_awaited_messages AS awaited \
                 JOIN campaign_message_ids AS message ON message.org_id = awaited.org_id AND message.compared = awaited.message_id \
                 WHERE awaited.webhook_id = waiting.webhook_id AND awaited.event_id = waiting.id)) \
             ORDER BY waiting.org_id, waiting.webhook_id, waiting.id LIMIT {AT_ONCE}"
        );
        let values = [organization.into(), webhook.into(), id.into()];
        let rows = self.session.reading().query_all_raw(self.statement(sql, values)).await?;
        let rows = rows.iter().map(|row| {
            Ok((row.try_get("", "org_id")?, row.try_get("", "webhook_id")?, row.try_get("", "id")?))
        });
        Ok(rows.collect::<Result<_, DbErr>>()?)
    }

    /// Waiting events that have waited for too long, or are too many: the oldest ones. Also whether there are more.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn droppable(
        &self,
        now: DateTime<Utc>,
    ) -> Result<(Vec<(Uuid, Uuid, Uuid)>, bool), Error> {
        let (mut found, mut is_more) = (Vec::new(), false);
        let late =
            "SELECT org_id, webhook_id, id FROM campaign_unmatched_events WHERE received_at <";
        let sql = format!("{late} {} ORDER BY received_at LIMIT {AT_ONCE}", self.time(now - WAITS));
        let mut statements = vec![self.statement(sql, [])];
        let many = format!(
            "SELECT org_id, webhook_id, count(*) - {MOST_WAITING} AS excess FROM campaign_unmatched_events \
             GROUP BY org_id, webhook_id HAVING count(*) > {MOST_WAITING}"
        );
        for row in self.session.reading().query_all_raw(self.statement(many, [])).await? {
            let (organization, webhook): (Uuid, Uuid) =
                (row.try_get("", "org_id")?, row.try_get("", "webhook_id")?);
            let excess: i64 = row.try_get("", "excess")?;
            let sql = format!(
                "SELECT org_id, webhook_id, id FROM campaign_unmatched_events WHERE org_id = $1 AND webhook_id = $2 \
                 ORDER BY received_at, id LIMIT {}",
                excess.min(i64::from(AT_ONCE))
            );
            statements.push(self.statement(sql, [organization.into(), webhook.into()]));
        }
        for statement in statements {
            let rows = self.session.reading().query_all_raw(statement).await?;
            is_more |= rows.len() >= AT_ONCE as usize;
            for row in rows {
                found.push((
                    row.try_get("", "org_id")?,
                    row.try_get("", "webhook_id")?,
                    row.try_get("", "id")?,
                ));
            }
        }
        Ok((found, is_more))
    }

    /// Webhooks whose figures have parts to merge, with their organizations.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn mergeable(&self) -> Result<Vec<(Uuid, Uuid)>, Error> {
        let sql = format!(
            "SELECT org_id, webhook_id FROM campaign_provider_stats GROUP BY org_id, webhook_id \
             HAVING count(*) > 1 LIMIT {AT_ONCE}"
        );
        let rows = self.session.reading().query_all_raw(self.statement(sql, [])).await?;
        let rows =
            rows.iter().map(|row| Ok((row.try_get("", "org_id")?, row.try_get("", "webhook_id")?)));
        Ok(rows.collect::<Result<_, DbErr>>()?)
    }

    /// Deletes what is not needed any more: old tokens and reports, and rows of organizations and webhooks that were
    /// deleted. Returns whether there is more.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn sweep(&self, now: DateTime<Utc>) -> Result<bool, Error> {
        let tokens = format!("until < {}", self.time(now));
        let reports = format!("received_at < {}", self.time(now - REMEMBERED));
        let mut conditions =
            vec![("campaign_provider_tokens", tokens), ("campaign_provider_reports", reports)];
        let no_organization =
            "NOT EXISTS (SELECT 1 FROM organizations WHERE organizations.id = swept.org_id)";
        conditions.extend(TABLES.map(|table| (table, no_organization.to_owned())));
        let no_webhook = "NOT EXISTS (SELECT 1 FROM campaign_provider_webhooks AS webhook WHERE webhook.id = swept.webhook_id)";
        conditions.extend(
            ["campaign_awaited_messages", "campaign_unmatched_events", "campaign_provider_stats"]
                .map(|table| (table, no_webhook.to_owned())),
        );
        let place = match self.dialect() {
            Dialect::Postgres => "ctid",
            Dialect::Sqlite => "rowid",
        };
        let mut is_more = false;
        for (table, condition) in conditions {
            let found =
                format!("SELECT {place} FROM {table} AS swept WHERE {condition} LIMIT {AT_ONCE}");
            let sql = match self.dialect() {
                Dialect::Postgres => {
                    format!("DELETE FROM {table} WHERE ctid = ANY (ARRAY({found}))")
                }
                Dialect::Sqlite => format!("DELETE FROM {table} WHERE rowid IN ({found})"),
            };
            let deleted = self.session.execute_raw(self.statement(sql, [])).await?;
            is_more |= deleted.rows_affected() >= u64::from(AT_ONCE);
        }
        Ok(is_more)
    }

    /// Deletes message IDs of sends that were deleted, among the next rows after this send. Returns the last row, or
    /// `None` at the end.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn sweep_message_ids(&self, after: Uuid) -> Result<Option<Uuid>, Error> {
        let sql = format!(
            "SELECT message.send_id AS send_id, message.org_id AS org_id, send.id AS of_send \
             FROM campaign_message_ids AS message \
             LEFT JOIN campaign_sends AS send ON send.id = message.send_id AND send.org_id = message.org_id \
             WHERE message.send_id > $1 ORDER BY message.send_id LIMIT {AT_ONCE}"
        );
        let rows =
            self.session.reading().query_all_raw(self.statement(sql, [after.into()])).await?;
        let mut last = None;
        for row in &rows {
            let id: Uuid = row.try_get("", "send_id")?;
            last = Some(id);
            if row.try_get::<Option<Uuid>>("", "of_send")?.is_none() {
                let organization: Uuid = row.try_get("", "org_id")?;
                let sql = "DELETE FROM campaign_message_ids WHERE org_id = $1 AND send_id = $2 \
                     AND NOT EXISTS (SELECT 1 FROM campaign_sends WHERE campaign_sends.id = $2)";
                let values = [organization.into(), id.into()];
                self.session.execute_raw(self.statement(sql.to_owned(), values)).await?;
            }
        }
        Ok(last)
    }

    fn dialect(&self) -> Dialect {
        Dialect::of(self.session.get_database_backend())
    }

    fn time(&self, at: DateTime<Utc>) -> String {
        time(self.dialect(), at)
    }

    fn statement<const N: usize>(&self, sql: String, values: [Value; N]) -> Statement {
        Statement::from_sql_and_values(self.session.get_database_backend(), sql, values)
    }
}
