//! Problems in the data of other programs, and in the objects that the service added to their tables.
//!
//! Other programs write to the same tables, constraints can be missing or not validated, and a
//! restore can leave triggers turned off. Each [`Check`] looks for one such problem in all
//! organizations at once.
//!
//! **Invariants.** A check only reads. It is one statement, so its result is consistent. It lists a
//! bounded number of rows with a problem, and counts the others.

mod check;
mod objects;
mod rows;
mod values;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

pub use check::Check;

use crate::{Dialect, Error, connections::Session, sequence, tables, triggers};
use check::{Probe, Rows};

/// The allowed difference between clocks, for times in the future.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// The right to check the rows of all organizations for problems. It comes from
/// [`Database::doctor`](crate::Database::doctor), and no request can get it.
pub struct Doctor {
    session: Session,
}

/// The findings of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The findings, one line each, up to the requested number.
    pub named: Vec<String>,
    /// The total number of findings.
    pub all: u64,
}

impl Doctor {
    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }

    /// All checks.
    #[must_use]
    pub fn checks(&self) -> Vec<Check> {
        let mut checks = vec![Check {
            wrong: "tables were changed, and the service cannot work with them".to_owned(),
            remedy: "Run the statement beside each fault. Other checks fail until then.".to_owned(),
            probe: Probe::Tables,
        }];
        checks.extend(rows::checks(self.backend()));
        checks.extend(values::checks(self.backend()));
        checks.extend(objects::checks());
        checks.push(Check {
            wrong: "subscribers to the feed miss events".to_owned(),
            remedy:
                "Run the statement after each fault. Clients that subscribed meanwhile have to \
                     reload their data."
                    .to_owned(),
            probe: Probe::Feed,
        });
        checks
    }

    /// Runs a check, and lists up to `most` findings.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn look(
        &self,
        check: &Check,
        now: DateTime<Utc>,
        most: u64,
    ) -> Result<Findings, Error> {
        let missing = match &check.probe {
            Probe::Rows(rows) => return self.rows(rows, now, most).await,
            Probe::Indexes => objects::missing_indexes(&self.session).await?,
            Probe::BrokenTriggers => {
                let broken = triggers::inspect(&self.session).await?.broken;
                broken.iter().map(ToString::to_string).collect()
            }
            Probe::SwitchedTriggers => triggers::inspect(&self.session).await?.switched,
            Probe::Feed => faults_of_feed(&self.session).await?,
            Probe::Tables => tables::faults(&self.session).await?,
        };
        let all = missing.len() as u64;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok(Findings { named: missing.into_iter().take(most).collect(), all })
    }

    async fn rows(&self, rows: &Rows, now: DateTime<Utc>, most: u64) -> Result<Findings, Error> {
        let sql = rows.sql(most, Dialect::of(self.backend()));
        let values = if sql.contains("$1") { vec![(now + AHEAD).into()] } else { Vec::new() };
        let statement = Statement::from_sql_and_values(self.backend(), sql, values);
        let found = self.session.query_all_raw(statement).await?;
        let mut named = Vec::with_capacity(found.len());
        let mut all: i64 = 0;
        for row in &found {
            named.push(rows.line(row)?);
            all = row.try_get("", "all_of_them")?;
        }
        Ok(Findings { named, all: all.unsigned_abs() })
    }

    fn backend(&self) -> DbBackend {
        self.session.get_database_backend()
    }
}

async fn faults_of_feed(session: &Session) -> Result<Vec<String>, Error> {
    let faults = sequence::faults(session).await?;
    Ok(faults.into_iter().map(|fault| format!("{}: {}", fault.wrong, fault.remedy)).collect())
}
