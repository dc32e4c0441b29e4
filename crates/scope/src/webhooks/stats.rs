//! The figures of webhooks: the sums of their parts.

use std::collections::HashMap;

use campaigns_entity::{StoredText, StoredTime};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::tokens::text;
use crate::{Dialect, Error, Scope, scope::is_given};

/// What became of the requests to a webhook, and of the events in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookStats {
    /// Requests that were accepted.
    pub accepted: i64,
    /// Requests that were refused.
    pub refused: i64,
    /// Events that were recorded.
    pub recorded: i64,
    /// Events that were recorded before.
    pub repeated: i64,
    /// Events about which there is nothing to record.
    pub ignored: i64,
    /// Events that lack a required value.
    pub unreadable: i64,
    /// Events that waited for too long, or were too many.
    pub dropped: i64,
    /// Events that wait now.
    pub unmatched: i64,
    /// When a request was last accepted.
    pub last_accepted_at: Option<DateTime<Utc>>,
    /// When a request was last refused.
    pub last_refused_at: Option<DateTime<Utc>>,
    /// Why.
    pub last_refusal: Option<String>,
}

/// A part of the figures of a webhook: numbers to add.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookPart {
    /// The webhook.
    pub webhook: Uuid,
    /// What is added. `unmatched` is not: it is the number of events that wait.
    pub stats: WebhookStats,
}

/// The most parts that are merged at once.
const AT_ONCE: u32 = 2_000;

/// The columns of the numbers.
pub(super) const NUMBERS: [&str; 7] =
    ["accepted", "refused", "recorded", "repeated", "ignored", "unreadable", "dropped"];

/// The other columns.
const TEXTS: &str = "last_accepted_at, last_refused_at, last_refusal";

/// Parts in a parameter, as an item of FROM.
fn given_of_postgres(parameter: &str) -> String {
    format!(
        "json_to_recordset(CAST({parameter} AS json)) AS part(id uuid, webhook_id uuid, {}, \
         last_accepted_at timestamptz, last_refused_at timestamptz, last_refusal text)",
        NUMBERS.map(|name| format!("{name} bigint")).join(", ")
    )
}

/// An item of WITH, `added`, that adds the part in `$3` if `whole` holds, and has its ID then. Of its `repeated` events,
/// those in `new` are recorded.
pub(crate) fn part_of_events(whole: &str) -> String {
    let numbers = NUMBERS.map(|name| match name {
        "recorded" => "(SELECT count(*) FROM new)".to_owned(),
        "repeated" => "repeated - (SELECT count(*) FROM new)".to_owned(),
        name => name.to_owned(),
    });
    format!(
        ", added AS (INSERT INTO campaign_provider_stats (id, org_id, webhook_id, {}, {TEXTS}) \
           SELECT id, $1, webhook_id, {}, {TEXTS} FROM {} WHERE {whole} RETURNING id)",
        NUMBERS.join(", "),
        numbers.join(", "),
        given_of_postgres("$3"),
    )
}

impl WebhookStats {
    /// Adds numbers, and keeps the later times.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.recorded += other.recorded;
        self.repeated += other.repeated;
        self.ignored += other.ignored;
        self.unreadable += other.unreadable;
        self.dropped += other.dropped;
        self.last_accepted_at = self.last_accepted_at.max(other.last_accepted_at);
        if other.last_refused_at >= self.last_refused_at && other.last_refusal.is_some() {
            self.last_refused_at = other.last_refused_at;
            self.last_refusal.clone_from(&other.last_refusal);
        }
    }
}

impl Scope {
    /// Adds parts to the figures of webhooks. Nothing is locked.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn add_webhook_parts(&self, parts: &[WebhookPart]) -> Result<(), Error> {
        let rows: Json = parts.iter().map(row_of_part).collect();
        let names = NUMBERS.join(", ");
        let given = match self.dialect() {
            Dialect::Postgres => given_of_postgres("$2"),
            Dialect::Sqlite => format!(
                "(SELECT unhex(replace(value ->> 'id', '-', '')) AS id, \
                 unhex(replace(value ->> 'webhook_id', '-', '')) AS webhook_id, {}, \
                 value ->> 'last_accepted_at' AS last_accepted_at, value ->> 'last_refused_at' AS last_refused_at, \
                 value ->> 'last_refusal' AS last_refusal FROM json_each($2)) AS part",
                NUMBERS.map(|name| format!("value ->> '{name}' AS {name}")).join(", ")
            ),
        };
        let sql = format!(
            "INSERT INTO campaign_provider_stats (id, org_id, webhook_id, {names}, {TEXTS}) \
             SELECT id, $1, webhook_id, {names}, {TEXTS} FROM {given}"
        );
        self.executor().execute_raw(self.with_rows(sql, &rows)).await?;
        Ok(())
    }

    /// Merges parts of a webhook's figures, and returns how many. Those that another transaction merges are left out.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn merge_webhook_parts(&self, webhook: Uuid) -> Result<usize, Error> {
        let skip = match self.dialect() {
            Dialect::Postgres => "FOR UPDATE SKIP LOCKED",
            Dialect::Sqlite => "",
        };
        let sql = format!(
            "SELECT id, {}, last_accepted_at, last_refused_at, last_refusal FROM campaign_provider_stats \
             WHERE org_id = $1 AND {} ORDER BY id LIMIT {AT_ONCE} {skip}",
            NUMBERS.join(", "),
            is_given(self.dialect(), "webhook_id"),
        );
        self.transaction(async |scope| {
            let session = scope.executor();
            let rows = session.query_all_raw(scope.with_ids(sql.clone(), [webhook])).await?;
            if rows.len() < 2 {
                return Ok(0);
            }
            let mut whole = WebhookStats::default();
            let mut ids: Vec<Uuid> = Vec::with_capacity(rows.len());
            for row in &rows {
                whole.add(&stats(row)?);
                ids.push(row.try_get("", "id")?);
            }
            let is_given = is_given(scope.dialect(), "id");
            let delete =
                format!("DELETE FROM campaign_provider_stats WHERE org_id = $1 AND {is_given}");
            session.execute_raw(scope.with_ids(delete, ids)).await?;
            scope.add_webhook_parts(&[WebhookPart { webhook, stats: whole }]).await?;
            Ok(rows.len())
        })
        .await
    }

    /// The figures of webhooks. Those without any are missing.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn webhook_stats(
        &self,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<HashMap<Uuid, WebhookStats>, Error> {
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let is_given = is_given(self.dialect(), "webhook_id");
        let sums = NUMBERS.map(|number| format!("CAST(sum({number}) AS bigint) AS {number}"));
        let sql = format!(
            "SELECT webhook_id, {}, max(last_accepted_at) AS last_accepted_at, max(last_refused_at) AS last_refused_at, \
             (SELECT last_refusal FROM campaign_provider_stats AS part WHERE part.org_id = $1 \
               AND part.webhook_id = parts.webhook_id AND part.last_refusal IS NOT NULL \
               ORDER BY part.last_refused_at DESC, part.id DESC LIMIT 1) AS last_refusal \
             FROM campaign_provider_stats AS parts WHERE org_id = $1 AND {is_given} GROUP BY webhook_id",
            sums.join(", "),
        );
        let session = self.executor().reading();
        let rows = session.query_all_raw(self.with_ids(sql, ids.iter().copied())).await?;
        let mut all = HashMap::with_capacity(rows.len());
        for row in &rows {
            all.insert(row.try_get("", "webhook_id")?, stats(row)?);
        }
        let sql = format!(
            "SELECT webhook_id, count(*) AS unmatched FROM campaign_unmatched_events \
             WHERE org_id = $1 AND {is_given} GROUP BY webhook_id"
        );
        for row in session.query_all_raw(self.with_ids(sql, ids)).await? {
            let id = row.try_get("", "webhook_id")?;
            all.entry(id).or_insert_with(WebhookStats::default).unmatched =
                row.try_get("", "unmatched")?;
        }
        Ok(all)
    }
}

pub(crate) fn row_of_part(part: &WebhookPart) -> Json {
    let WebhookPart { webhook, stats } = part;
    json!({
        "id": Uuid::now_v7(),
        "webhook_id": webhook,
        "accepted": stats.accepted,
        "refused": stats.refused,
        "recorded": stats.recorded,
        "repeated": stats.repeated,
        "ignored": stats.ignored,
        "unreadable": stats.unreadable,
        "dropped": stats.dropped,
        "last_accepted_at": stats.last_accepted_at.map(text),
        "last_refused_at": stats.last_refused_at.map(text),
        "last_refusal": stats.last_refusal,
    })
}

fn stats(row: &QueryResult) -> Result<WebhookStats, DbErr> {
    let number = |name: &str| row.try_get::<i64>("", name);
    let time = |name: &str| {
        let time = row.try_get::<Option<StoredTime>>("", name)?;
        Ok::<_, DbErr>(time.and_then(|time| time.get()))
    };
    let refusal: Option<StoredText> = row.try_get("", "last_refusal")?;
    Ok(WebhookStats {
        accepted: number("accepted")?,
        refused: number("refused")?,
        recorded: number("recorded")?,
        repeated: number("repeated")?,
        ignored: number("ignored")?,
        unreadable: number("unreadable")?,
        dropped: number("dropped")?,
        unmatched: 0,
        last_accepted_at: time("last_accepted_at")?,
        last_refused_at: time("last_refused_at")?,
        last_refusal: refusal.map(|StoredText(text)| text),
    })
}
