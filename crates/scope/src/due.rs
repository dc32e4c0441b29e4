//! Campaigns of all organizations that a worker has to start or complete.

use sea_orm::{ConnectionTrait, DbErr, Statement, Value};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{Dialect, Error, Operator, connections::Lane, scope::is_given_in};

/// A campaign for a worker to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueCampaign {
    /// Its organization.
    pub organization: Uuid,
    /// Its ID.
    pub campaign: Uuid,
}

/// Campaigns and organizations that a worker skips for now.
#[derive(Clone, Debug, Default)]
pub struct Exclusions {
    /// Campaigns.
    pub campaigns: Vec<Uuid>,
    /// Organizations, with all of their campaigns.
    pub organizations: Vec<Uuid>,
}

/// Scheduled campaigns whose time has come. Statuses are literals, to match the partial index.
const TO_START: &str = "SELECT org_id, id FROM campaigns \
     WHERE status = 'scheduled' AND scheduled_at <= $1";

/// Campaigns in status `sending` whose sends are all final. The subqueries run once per campaign: a
/// join could read all sends.
const TO_COMPLETE: &str = "SELECT org_id, id FROM campaigns WHERE status = 'sending' \
     AND (SELECT id FROM campaign_sends \
       WHERE campaign_id = campaigns.id AND campaign_sends.org_id = campaigns.org_id LIMIT 1) IS NOT NULL \
     AND (SELECT id FROM campaign_sends \
       WHERE campaign_id = campaigns.id AND campaign_sends.org_id = campaigns.org_id \
       AND status IN ('queued', 'sent') LIMIT 1) IS NULL";

impl Operator {
    /// Scheduled campaigns with a start time up to `by`, oldest first, at most `most`, excluding
    /// `except`.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn campaigns_to_start(
        &self,
        by: chrono::DateTime<chrono::Utc>,
        except: &Exclusions,
        most: u32,
    ) -> Result<Vec<DueCampaign>, Error> {
        self.due(TO_START, vec![by.into()], except, most).await
    }

    /// Campaigns that are being sent and have only delivered, bounced or failed sends, at most
    /// `most`, excluding `except`.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn campaigns_to_complete(
        &self,
        except: &Exclusions,
        most: u32,
    ) -> Result<Vec<DueCampaign>, Error> {
        self.due(TO_COMPLETE, Vec::new(), except, most).await
    }

    async fn due(
        &self,
        query: &str,
        mut values: Vec<Value>,
        except: &Exclusions,
        most: u32,
    ) -> Result<Vec<DueCampaign>, Error> {
        // queued fairly with the organizations, since it can take long
        let session = self.session().clone().on(Lane::Organization(Uuid::nil())).reading().by_key();
        let dialect = Dialect::of(session.get_database_backend());
        let mut sql = query.to_owned();
        for (column, ids) in [("id", &except.campaigns), ("org_id", &except.organizations)] {
            if ids.is_empty() {
                continue;
            }
            // one bound value, so that the SQL text does not depend on the number of IDs
            let placeholder = format!("${}", values.len() + 1);
            let is_resting = is_given_in(dialect, column, &placeholder);
            sql += &format!(" AND NOT ({is_resting})");
            values.push(ids.iter().map(Uuid::to_string).collect::<Json>().into());
        }
        // the worker cannot enter what has no ID
        sql += &format!(" AND {} AND {}", dialect.is_id("id"), dialect.is_id("org_id"));
        sql += &format!(" ORDER BY scheduled_at, id LIMIT {most}");
        let statement = Statement::from_sql_and_values(session.get_database_backend(), sql, values);
        let rows = session.query_all_raw(statement).await?;
        Ok(rows
            .iter()
            .map(|row| {
                Ok(DueCampaign {
                    organization: row.try_get("", "org_id")?,
                    campaign: row.try_get("", "id")?,
                })
            })
            .collect::<Result<_, DbErr>>()?)
    }
}
