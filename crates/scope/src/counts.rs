//! The running counts of all organizations: adds pending changes, files pending events, finds wrong
//! counts and recounts. The migrations `m0008_counts` and `m0014_upkeep` explain what the counts are
//! and why they are exact.

use campaigns_entity::StoredText;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};
use uuid::Uuid;

use crate::{Dialect, Error, connections::Session};

/// The right to maintain the counts of all organizations. It comes from
/// [`Database::counts`](crate::Database::counts), and no request can get it.
pub struct Counts {
    pub(crate) session: Session,
}

/// A table of counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountTable {
    /// Its name.
    pub name: &'static str,
    /// The columns that identify its rows within an organization.
    keys: &'static [Key],
    /// Its counts.
    counts: &'static [&'static str],
    /// Its other columns.
    others: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Id(&'static str),
    Text(&'static str),
}

impl Key {
    fn name(self) -> &'static str {
        match self {
            Self::Id(name) | Self::Text(name) => name,
        }
    }

    fn read(self, row: &QueryResult) -> Result<String, DbErr> {
        match self {
            // in SQLite, another program can have stored another value
            Self::Id(name) => row
                .try_get::<Uuid>("", name)
                .map(|id| id.to_string())
                .or_else(|_| Ok(row.try_get::<StoredText>("", name)?.0)),
            Self::Text(name) => Ok(row.try_get::<StoredText>("", name)?.0),
        }
    }
}

/// Passes the list of event counts to another macro: for each, its name in the API, its column and
/// the condition of its events, which also holds for their changes.
#[macro_export]
macro_rules! event_counts {
    ($then:ident $($before:tt)*) => {
        $then! {
            $($before)*
            /// The total number of opens.
            "opens" opens: events ("event_type = 'open'");
            /// The total number of clicks.
            "clicks" clicks: events ("event_type = 'click'");
            /// The total number of unsubscribes.
            "unsubscribes" unsubscribes: events ("event_type = 'unsubscribe'");
            /// The total number of spam complaints.
            "complaints" complaints: events ("event_type = 'complaint'");
            /// The total number of reported bounces, hard and soft.
            "bounces" bounces: events ("event_type = 'bounce'");
            /// The number of opens by machines, which `opens` includes.
            "machineOpens" machine_opens: events ("event_type = 'open' AND machine");
            /// The number of clicks by machines, which `clicks` includes.
            "machineClicks" machine_clicks: events ("event_type = 'click' AND machine");
        }
    };
}

/// Passes the list of a campaign's counts to another macro, in the order of the API: for each, its
/// name in the API, its column, and the kind of its rows: sends, sends in a status, events with a
/// condition, or sends with such events, if need be more than of another count. The caller must import
/// `campaign_counts` by this name.
#[macro_export]
macro_rules! campaign_counts {
    ($then:ident) => { $crate::event_counts! { campaign_counts @ $then } };
    (@ $then:ident $($events:tt)*) => {
        $then! {
            /// The number of sends, in any status.
            "sends" sends: sends;
            /// The number of sends that are not sent yet.
            "queued" queued: status ("queued");
            /// The number of sends that the provider has accepted but not confirmed yet.
            "sent" sent: status ("sent");
            /// The number of sends whose delivery is confirmed.
            "delivered" delivered: status ("delivered");
            /// The number of sends that bounced.
            "bounced" bounced: status ("bounced");
            /// The number of sends that could not be sent.
            "failed" failed: status ("failed");
            $($events)*
            /// The number of sends that were opened at least once.
            "uniqueOpens" unique_opens: sends_with (opens);
            /// The number of sends in which at least one link was clicked.
            "uniqueClicks" unique_clicks: sends_with (clicks);
            /// The number of sends that led to an unsubscribe.
            "uniqueUnsubscribes" unique_unsubscribes: sends_with (unsubscribes);
            /// The number of sends that led to a spam complaint.
            "uniqueComplaints" unique_complaints: sends_with (complaints);
            /// The number of sends that were opened at least once by a human.
            "uniqueHumanOpens" unique_human_opens: sends_with (opens > machine_opens);
            /// The number of sends in which at least one link was clicked by a human.
            "uniqueHumanClicks" unique_human_clicks: sends_with (clicks > machine_clicks);
        }
    };
}

macro_rules! columns {
    ($($(#[$doc:meta])* $shown:literal $count:ident: $kind:ident $(($($of:tt)+))?;)*) => {
        &[$(stringify!($count)),*]
    };
}

const CAMPAIGN_COUNTS: &[&str] = campaign_counts!(columns);
const EVENT_COUNTS: &[&str] = event_counts!(columns);

/// Every table of counts.
pub const COUNT_TABLES: [CountTable; 6] = [
    CountTable {
        name: "campaign_counts",
        keys: &[Key::Id("campaign_id")],
        counts: CAMPAIGN_COUNTS,
        others: &[],
    },
    CountTable {
        name: "campaign_send_counts",
        keys: &[Key::Id("send_id"), Key::Id("campaign_id")],
        counts: EVENT_COUNTS,
        others: &[],
    },
    CountTable {
        name: "campaign_contact_counts",
        keys: &[Key::Id("contact_id")],
        counts: event_counts!(columns "suppressing" suppressing: events;),
        others: &[],
    },
    CountTable {
        name: "campaign_hour_counts",
        keys: &[Key::Id("campaign_id"), Key::Text("hour")],
        counts: EVENT_COUNTS,
        others: &[],
    },
    CountTable {
        name: "campaign_link_counts",
        keys: &[Key::Id("campaign_id"), Key::Text("link")],
        counts: &["clicks", "unique_clicks"],
        others: &["url"],
    },
    CountTable {
        name: "campaign_send_link_counts",
        keys: &[Key::Id("send_id"), Key::Id("campaign_id"), Key::Text("link")],
        counts: &["clicks"],
        others: &[],
    },
];

impl CountTable {
    /// All columns but the organization's, separated by commas.
    #[must_use]
    pub fn columns(&self) -> String {
        let keys = self.keys.iter().map(|key| key.name());
        let columns = keys.chain(self.counts.iter().copied()).chain(self.others.iter().copied());
        columns.collect::<Vec<_>>().join(", ")
    }
}

/// The columns of the table of counts with this name.
pub(crate) fn columns(table: &str, _: Dialect) -> String {
    let found = COUNT_TABLES.iter().find(|of| of.name == table);
    found.map(CountTable::columns).expect("the name is of a table of counts")
}

/// A row of a table of counts that differs from a recount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The columns and values that identify it.
    pub row: Vec<(&'static str, String)>,
    /// The counts that differ: the column, the stored count and the recount. A missing row has
    /// zeros.
    pub counts: Vec<(&'static str, i64, i64)>,
}

/// The result of checking events that wait for their send or for their place in the feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FilingOutcome {
    /// The number of checked events.
    pub looked: i64,
    /// The number of events that were filed, because their send has been inserted.
    pub filed: i64,
    /// The send of the last checked event.
    pub last: Option<Uuid>,
}

/// No limit on the number of events that one statement files, for recounts.
const UNLIMITED: i32 = i32::MAX;
/// The number of an organization's events that one statement files.
const FILING_BATCH: i32 = 2_000;
/// The number of full batches between two checks of progress.
const UNCHECKED_BATCHES: usize = 16;
/// The maximum number of attempts of a recount that conflicts with writers.
const ATTEMPTS: usize = 5;

/// Files events of an organization in SQLite: `$1` is the organization.
const REFILE_IN_SQLITE: &str = "UPDATE campaign_events SET \
       send_campaign_id = coalesce((SELECT send.campaign_id FROM campaign_sends AS send \
         WHERE send.id = send_id AND send.org_id = campaign_events.org_id), zeroblob(16)), \
       send_contact_id = coalesce((SELECT send.contact_id FROM campaign_sends AS send \
         WHERE send.id = send_id AND send.org_id = campaign_events.org_id), zeroblob(16)), \
       feed_position = CASE WHEN EXISTS (SELECT 1 FROM campaign_sends AS send \
         WHERE send.id = send_id AND send.org_id = campaign_events.org_id) \
         THEN abs(feed_position) ELSE -abs(feed_position) END \
     WHERE org_id = $1 AND CASE WHEN EXISTS (SELECT 1 FROM campaign_sends AS send \
         WHERE send.id = send_id AND send.org_id = campaign_events.org_id) \
       THEN feed_position <= 0 OR NOT EXISTS (SELECT 1 FROM campaign_sends AS send \
         WHERE send.id = send_id AND send.campaign_id = send_campaign_id AND send.contact_id = send_contact_id) \
       ELSE feed_position > 0 OR send_campaign_id <> zeroblob(16) OR send_contact_id <> zeroblob(16) END";

/// The first events of an organization in PostgreSQL that the function `campaign_events_refile` would
/// file. `$1` is the organization.
const MISFILED: &str = "SELECT event.id, CAST(CAST(event.tableoid AS regclass) AS text) AS of_table \
     FROM campaign_events AS event \
     LEFT JOIN campaign_sends AS send ON send.org_id = event.org_id AND send.id = event.send_id \
     WHERE event.org_id = $1 AND CASE WHEN send.id IS NULL \
       THEN event.feed_position > 0 OR event.send_campaign_id <> CAST(repeat('0', 32) AS uuid) \
         OR event.send_contact_id <> CAST(repeat('0', 32) AS uuid) \
       ELSE coalesce(event.feed_position, 0) <= 0 \
         OR event.send_campaign_id IS DISTINCT FROM send.campaign_id \
         OR event.send_contact_id IS DISTINCT FROM send.contact_id END \
     ORDER BY event.id";
/// The maximum number of events that an error lists.
const MAX_NAMED: usize = 20;

/// The maximum number of differing rows of a table that are listed for an organization.
const MAX_LISTED: u64 = 10_000;

impl Counts {
    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }

    fn statement(&self, sql: String, organization: Uuid) -> Statement {
        let backend = self.session.get_database_backend();
        Statement::from_sql_and_values(backend, sql, [organization.into()])
    }

    /// Adds pending changes to the counts, at most `most` of each kind. Returns their number, or
    /// `None` if another process is adding them. SQLite never has pending changes.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn fold(&self, most: i32) -> Result<Option<i64>, Error> {
        if self.session.get_database_backend() != DbBackend::Postgres {
            return Ok(Some(0));
        }
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT CAST(campaign_counts_fold($1) AS bigint) AS added",
            [most.into()],
        );
        let row = self.session.query_one_raw(statement).await?;
        Ok(row.map_or(Ok(None), |row| row.try_get("", "added"))?)
    }

    /// The number of pending changes, counted up to `most`.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn waiting(&self, most: i64) -> Result<i64, Error> {
        if self.session.get_database_backend() != DbBackend::Postgres {
            return Ok(0);
        }
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT count(*) AS waiting_changes FROM (SELECT 1 FROM ( \
               SELECT 1 FROM campaign_send_changes UNION ALL SELECT 1 FROM campaign_event_changes \
             ) AS changes LIMIT $1) AS counted",
            [most.into()],
        );
        let row = self.session.reading().query_one_raw(statement).await?;
        Ok(row.map_or(Ok(0), |row| row.try_get("", "waiting_changes"))?)
    }

    /// The organizations that have or could have counts, by ID.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn organizations(&self) -> Result<Vec<Uuid>, Error> {
        let sql = COUNT_TABLES
            .iter()
            .map(|table| format!("SELECT org_id AS id FROM {}", table.name))
            .collect::<Vec<_>>()
            .join(" UNION ");
        let backend = self.session.get_database_backend();
        let sql = format!(
            "SELECT id FROM (SELECT id FROM organizations UNION {sql}) AS named WHERE {} ORDER BY id",
            Dialect::of(backend).is_id("id")
        );
        let statement = Statement::from_string(backend, sql);
        let rows = self.session.reading().query_all_raw(statement).await?;
        Ok(rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, DbErr>>()?)
    }

    /// The rows of an organization that differ from a recount, in one snapshot, and their number. At
    /// most 10,000 are listed. Takes no locks.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn differences(
        &self,
        table: &CountTable,
        organization: Uuid,
    ) -> Result<(Vec<Difference>, u64), Error> {
        let CountTable { name, keys, counts, .. } = *table;
        let is_postgres = self.session.get_database_backend() == DbBackend::Postgres;
        let each = |joined: &str, of: &dyn Fn(&str) -> String| {
            counts.iter().map(|count| of(count)).collect::<Vec<_>>().join(joined)
        };
        let joined = |of: &dyn Fn(Key) -> String, by: &str| {
            keys.iter().map(|key| of(*key)).collect::<Vec<_>>().join(by)
        };
        let shown = joined(
            &|key| {
                let (key_name, value) =
                    (key.name(), format!("coalesce(kept.{0}, counted.{0})", key.name()));
                match key {
                    Key::Text(_) if is_postgres => format!("CAST({value} AS text) AS {key_name}"),
                    _ => format!("{value} AS {key_name}"),
                }
            },
            ", ",
        );
        let of = |from: &str| {
            let keys = joined(&|key| key.name().to_owned(), ", ");
            format!("(SELECT {keys}, {} FROM {from} WHERE org_id = $1)", counts.join(", "))
        };
        let sql = format!(
            "SELECT {shown}, {values}, count(*) OVER () AS all_of_them \
             FROM {kept} AS kept FULL JOIN {counted} AS counted ON {same} WHERE {differ} LIMIT {MAX_LISTED}",
            values = each(", ", &|count| format!(
                "coalesce(kept.{count}, 0) AS kept_{count}, \
                 CAST(coalesce(counted.{count}, 0) AS bigint) AS counted_{count}"
            )),
            kept = of(name),
            counted = of(&format!("{name}_recounted")),
            same = joined(&|key| format!("kept.{0} = counted.{0}", key.name()), " AND "),
            // a row of zeros should not exist
            differ =
                each(" OR ", &|count| format!("kept.{count} IS DISTINCT FROM counted.{count}")),
        );
        let rows = self.session.reading().query_all_raw(self.statement(sql, organization)).await?;
        let all = rows.first().map_or(Ok(0), |row| row.try_get::<i64>("", "all_of_them"))?;
        let read = |row: &QueryResult| {
            let values = counts.iter().map(|count| {
                let kept = row.try_get("", &format!("kept_{count}"))?;
                Ok((*count, kept, row.try_get("", &format!("counted_{count}"))?))
            });
            let values = values.collect::<Result<Vec<(&str, i64, i64)>, DbErr>>()?;
            Ok(Difference {
                row: keys
                    .iter()
                    .map(|key| Ok((key.name(), key.read(row)?)))
                    .collect::<Result<_, DbErr>>()?,
                counts: values.into_iter().filter(|(_, kept, counted)| kept != counted).collect(),
            })
        };
        let differences = rows.iter().map(read).collect::<Result<_, DbErr>>()?;
        Ok((differences, all.unsigned_abs()))
    }

    /// Files pending events whose send has been inserted. Checks up to `most` events, of sends with
    /// larger IDs than `after`. In SQLite, there are none: inserting the send files them.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn file_waiting(&self, after: Uuid, most: i32) -> Result<FilingOutcome, Error> {
        if self.session.get_database_backend() != DbBackend::Postgres {
            return Ok(FilingOutcome::default());
        }
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT CAST(looked AS bigint) AS looked, CAST(filed AS bigint) AS filed, last \
             FROM campaign_events_file_waiting($1, $2)",
            [after.into(), most.into()],
        );
        let Some(row) = self.session.query_one_raw(statement).await? else {
            return Ok(FilingOutcome::default());
        };
        Ok(FilingOutcome {
            looked: row.try_get("", "looked")?,
            filed: row.try_get("", "filed")?,
            last: row.try_get("", "last")?,
        })
    }

    /// Files the events of an organization that are not filed under their send, and returns their
    /// number.
    ///
    /// # Errors
    /// Any error of the database, also if triggers are turned off. [`Error::Unfilable`] if the same
    /// events remain after each attempt.
    pub async fn refile(&self, organization: Uuid) -> Result<u64, Error> {
        let mut filed = 0;
        let mut attempts = 0;
        let mut passes = 0;
        // the first event that is not filed, and the number of checks in which it was the first
        let mut first: Option<(Uuid, usize)> = None;
        loop {
            match self.refile_some(&self.session, organization, FILING_BATCH).await {
                Ok(0) => return Ok(filed),
                Ok(some) => {
                    filed += some;
                    passes += 1;
                    let is_full = i64::try_from(some).is_ok_and(|n| n >= i64::from(FILING_BATCH));
                    if is_full && passes % UNCHECKED_BATCHES != 0 {
                        continue;
                    }
                    // batches follow the IDs, so an event that stays the first is never filed
                    let left = self.misfiled(organization).await?;
                    let Some((id, _)) = left.first() else { return Ok(filed) };
                    let times = match first {
                        Some((last, times)) if last == *id => times + 1,
                        _ => 1,
                    };
                    if times == ATTEMPTS {
                        let named: Vec<_> =
                            left.iter().map(|(id, table)| format!("{id} in {table}")).collect();
                        return Err(Error::Unfilable(named.join(", ")));
                    }
                    first = Some((*id, times));
                }
                Err(error) => {
                    attempts += 1;
                    let error = Error::from(error);
                    if attempts == ATTEMPTS || !matches!(error, Error::Conflict(_)) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// The first events of an organization that are not filed under their send, each with its table.
    async fn misfiled(&self, organization: Uuid) -> Result<Vec<(Uuid, String)>, Error> {
        let sql = if self.session.get_database_backend() == DbBackend::Postgres {
            format!("{MISFILED} LIMIT {MAX_NAMED}")
        } else {
            let (_, condition) =
                REFILE_IN_SQLITE.split_once("WHERE org_id = $1").expect("it is a constant");
            format!(
                "SELECT id, 'campaign_events' AS of_table FROM campaign_events WHERE org_id = $1{condition} \
                 ORDER BY id LIMIT {MAX_NAMED}"
            )
        };
        let rows = self.session.reading().query_all_raw(self.statement(sql, organization)).await?;
        let read = |row: &QueryResult| Ok((row.try_get("", "id")?, row.try_get("", "of_table")?));
        Ok(rows.iter().map(read).collect::<Result<_, DbErr>>()?)
    }

    async fn refile_some(
        &self,
        session: &Session,
        organization: Uuid,
        most: i32,
    ) -> Result<u64, DbErr> {
        if session.get_database_backend() != DbBackend::Postgres {
            let statement = self.statement(REFILE_IN_SQLITE.to_owned(), organization);
            return Ok(session.execute_raw(statement).await?.rows_affected());
        }
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT CAST(campaign_events_refile($1, $2) AS bigint) AS filed",
            [organization.into(), most.into()],
        );
        let row = session.query_one_raw(statement).await?;
        let filed: i64 = row.map_or(Ok(0), |row| row.try_get("", "filed"))?;
        Ok(filed.unsigned_abs())
    }

    /// Recounts an organization while others write. The new counts are those of one snapshot in which
    /// each event is filed, and replace the pending changes of that snapshot. Until it is done,
    /// nothing is added to the counts of any organization.
    ///
    /// # Errors
    /// Any error of the database, also if triggers are turned off. Nothing is changed then.
    pub async fn rebuild(&self, organization: Uuid) -> Result<(), Error> {
        self.refile(organization).await?;
        for _ in 1..ATTEMPTS {
            match self.recount(organization).await {
                // another transaction changed an event that this one filed
                Err(Error::Conflict(_)) => {}
                done => return done,
            }
        }
        self.recount(organization).await
    }

    async fn recount(&self, organization: Uuid) -> Result<(), Error> {
        let (session, transaction) = self.session.begin_repeatable().await?;
        let done = async {
            if session.get_database_backend() == DbBackend::Postgres {
                // the snapshot is taken after the locks, so it sees everything added before
                for sql in [
                    "LOCK TABLE campaign_sends, campaign_events IN ACCESS SHARE MODE",
                    "LOCK TABLE campaign_counts IN SHARE ROW EXCLUSIVE MODE",
                    "SELECT set_config('campaigns.counting', 'on', true)",
                ] {
                    let statement = Statement::from_string(DbBackend::Postgres, sql);
                    session.execute_raw(statement).await?;
                }
            }
            self.refile_some(&session, organization, UNLIMITED).await?;
            if session.get_database_backend() == DbBackend::Postgres {
                let forget = "SELECT campaign_counts_forget_changes($1)".to_owned();
                session.execute_raw(self.statement(forget, organization)).await?;
            }
            for table in &COUNT_TABLES {
                let (name, columns) = (table.name, table.columns());
                for sql in [
                    format!("DELETE FROM {name} WHERE org_id = $1"),
                    format!(
                        "INSERT INTO {name} (org_id, {columns}) \
                         SELECT org_id, {columns} FROM {name}_recounted WHERE org_id = $1"
                    ),
                ] {
                    session.execute_raw(self.statement(sql, organization)).await?;
                }
            }
            Ok::<_, DbErr>(())
        };
        match done.await {
            Ok(()) => Ok(transaction.commit(None).await?),
            Err(error) => {
                transaction.roll_back().await;
                Err(error.into())
            }
        }
    }
}
