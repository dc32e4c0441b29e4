//! The running counts of all organizations: adds waiting changes, finds wrong counts, and counts
//! again. The migration `m0008_counts` explains what they are and why they add up.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};
use uuid::Uuid;

use crate::{Error, connections::Session};

/// The right to maintain the counts of all organizations. It comes from
/// [`Database::counts`](crate::Database::counts), and no request can get it.
pub struct Counts {
    session: Session,
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
            Self::Id(name) => row.try_get::<Uuid>("", name).map(|id| id.to_string()),
            Self::Text(name) => row.try_get("", name),
        }
    }
}

const EVENTS: &[&str] = &["opens", "clicks", "unsubscribes", "complaints", "bounces"];

/// Every table of counts.
pub const COUNT_TABLES: [CountTable; 6] = [
    CountTable {
        name: "campaign_counts",
        keys: &[Key::Id("campaign_id")],
        counts: &[
            "sends",
            "queued",
            "sent",
            "delivered",
            "bounced",
            "failed",
            "opens",
            "clicks",
            "unsubscribes",
            "complaints",
            "bounces",
            "unique_opens",
            "unique_clicks",
            "unique_unsubscribes",
            "unique_complaints",
        ],
        others: &[],
    },
    CountTable {
        name: "campaign_send_counts",
        keys: &[Key::Id("send_id"), Key::Id("campaign_id")],
        counts: EVENTS,
        others: &[],
    },
    CountTable {
        name: "campaign_contact_counts",
        keys: &[Key::Id("contact_id")],
        counts: &["opens", "clicks", "unsubscribes", "complaints", "bounces", "suppressing"],
        others: &[],
    },
    CountTable {
        name: "campaign_hour_counts",
        keys: &[Key::Id("campaign_id"), Key::Text("hour")],
        counts: EVENTS,
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

/// A row of a table of counts that differs from a recount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The columns and values that identify it.
    pub row: Vec<(&'static str, String)>,
    /// The counts that differ: the column, the stored count and the recount. A missing row has
    /// zeros.
    pub counts: Vec<(&'static str, i64, i64)>,
}

/// The maximum number of rows of a table to list for an organization.
const NAMED: u64 = 10_000;

impl Counts {
    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }

    fn statement(&self, sql: String, organization: Uuid) -> Statement {
        let backend = self.session.get_database_backend();
        Statement::from_sql_and_values(backend, sql, [organization.into()])
    }

    /// Adds waiting changes, at most `most` of each kind, and returns how many there were, or
    /// `None` if another process is doing it. In SQLite, nothing ever waits.
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

    /// How many changes wait to be added to the counts, counted up to a number.
    ///
    /// # Errors
    /// Those of the database.
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
        let row = self.session.query_one_raw(statement).await?;
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
        let sql = format!("SELECT id FROM organizations UNION {sql} ORDER BY id");
        let statement = Statement::from_string(self.session.get_database_backend(), sql);
        let rows = self.session.query_all_raw(statement).await?;
        Ok(rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, DbErr>>()?)
    }

    /// The rows of an organization that differ from a recount, at one moment, and their number. At
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
             FROM {kept} AS kept FULL JOIN {counted} AS counted ON {same} WHERE {differ} LIMIT {NAMED}",
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
        let rows = self.session.query_all_raw(self.statement(sql, organization)).await?;
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

    /// Counts an organization again while others write: in one snapshot, minus the changes that are
    /// waiting in it. Until it is done, nothing is added to the counts of any organization.
    ///
    /// # Errors
    /// Any error of the database. Nothing is changed then.
    pub async fn rebuild(&self, organization: Uuid) -> Result<(), Error> {
        let (session, transaction) = self.session.begin_repeatable().await?;
        let done = async {
            if session.get_database_backend() == DbBackend::Postgres {
                // the snapshot is taken after the locks, so it sees everything added before
                for sql in [
                    "LOCK TABLE campaign_sends, campaign_events IN ACCESS SHARE MODE",
                    "LOCK TABLE campaign_counts IN SHARE ROW EXCLUSIVE MODE",
                ] {
                    let statement = Statement::from_string(DbBackend::Postgres, sql);
                    session.execute_raw(statement).await?;
                }
            }
            for CountTable { name, keys, counts, others } in COUNT_TABLES {
                let keys = keys.iter().map(|key| key.name());
                let columns: Vec<&str> =
                    keys.chain(counts.iter().copied()).chain(others.iter().copied()).collect();
                let columns = columns.join(", ");
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
