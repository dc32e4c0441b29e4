//! Checks of the sequence that orders the feed.
//!
//! A feed reader relies on positions that only grow, across all sessions (the migration
//! `m0012_horizons`). A sequence breaks this if sessions take numbers in advance, if it cycles, or if
//! it is set back.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

use crate::{Error, FeedReader, connections::Session};

/// A fault in the database objects that the feed depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedFault {
    /// The problem.
    pub wrong: String,
    /// The SQL statement that fixes it.
    pub remedy: String,
}

/// The sequence as PostgreSQL describes it.
const SEQUENCE: &str = "SELECT seqincrement AS step, seqcache AS cache, seqcycle AS cycles, \
     relpersistence = 'p' AS is_logged, EXISTS (SELECT FROM pg_depend \
       WHERE classid = CAST('pg_class' AS regclass) AND objid = seqrelid AND deptype = 'a') AS is_owned \
     FROM pg_sequence JOIN pg_class ON pg_class.oid = seqrelid \
     WHERE seqrelid = to_regclass('campaign_feed_position')";

/// The highest position of an event: a look-up in an index for each organization.
const LATEST: &str = "SELECT max(latest.feed_position) AS latest FROM organizations CROSS JOIN LATERAL \
     (SELECT feed_position FROM campaign_events WHERE org_id = organizations.id \
       ORDER BY feed_position DESC LIMIT 1) AS latest";
const LATEST_IN_SQLITE: &str = "SELECT max((SELECT max(feed_position) FROM campaign_events \
     WHERE org_id = organizations.id)) AS latest FROM organizations";

const KEYS: &str = "SELECT count(*) AS number FROM campaign_cursor_key";
const NEW_KEY: &str = "INSERT INTO campaign_cursor_key SELECT 1, sha256(uuid_send(gen_random_uuid()) || \
     uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))";
const NEW_KEY_IN_SQLITE: &str = "INSERT INTO campaign_cursor_key VALUES (1, randomblob(32))";

fn fault(wrong: impl Into<String>, remedy: impl Into<String>) -> FeedFault {
    FeedFault { wrong: wrong.into(), remedy: remedy.into() }
}

impl FeedReader {
    /// The faults in the database objects that the feed depends on. Events are lost while there are
    /// any.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn faults(&self) -> Result<Vec<FeedFault>, Error> {
        faults(self.session()).await
    }
}

/// [`FeedReader::faults`], for any session.
pub(crate) async fn faults(session: &Session) -> Result<Vec<FeedFault>, Error> {
    let is_postgres = session.get_database_backend() == DbBackend::Postgres;
    let mut faults = Vec::new();
    // read before the drawn position, so that concurrent events cannot look like a fault
    let sql = if is_postgres { LATEST } else { LATEST_IN_SQLITE };
    let latest = one(session, sql).await?.map(|row| row.try_get("", "latest"));
    let latest: i64 = latest.transpose().map_err(Error::from)?.flatten().unwrap_or(0);
    if is_postgres {
        of_sequence(session, latest, &mut faults).await?;
    } else {
        of_counter(session, latest, &mut faults).await?;
    }
    let keys = one(session, KEYS).await?.map(|row| row.try_get("", "number"));
    if keys.transpose().map_err(Error::from)? != Some(1_i64) {
        let remedy = if is_postgres { NEW_KEY } else { NEW_KEY_IN_SQLITE };
        faults.push(fault("campaign_cursor_key has no key for the cursors of events", remedy));
    }
    Ok(faults)
}

async fn of_sequence(
    session: &Session,
    latest: i64,
    faults: &mut Vec<FeedFault>,
) -> Result<(), Error> {
    let Some(sequence) = one(session, SEQUENCE).await? else {
        let remedy = format!("CREATE SEQUENCE campaign_feed_position START WITH {}", latest + 1);
        faults.push(fault("the sequence campaign_feed_position is missing", remedy));
        return Ok(());
    };
    let settings = settings(&sequence).map_err(Error::from)?;
    if !settings.is_empty() {
        faults.push(fault(
            format!("the sequence campaign_feed_position {}", settings.join(", ")),
            "ALTER SEQUENCE campaign_feed_position INCREMENT BY 1 CACHE 1 NO CYCLE OWNED BY NONE",
        ));
    }
    if !sequence.try_get::<bool>("", "is_logged").map_err(Error::from)? {
        faults.push(fault(
            "the sequence campaign_feed_position is unlogged, and restarts after a crash",
            "ALTER SEQUENCE campaign_feed_position SET LOGGED",
        ));
    }
    let drawn = one(session, "SELECT drawn FROM campaign_feed_horizon(NULL)").await?;
    let drawn = drawn.map(|row| row.try_get::<i64>("", "drawn")).transpose();
    if let Some(drawn) = drawn.map_err(Error::from)?.filter(|drawn| *drawn < latest) {
        faults.push(fault(
            format!(
                "the sequence campaign_feed_position is at {drawn}, behind an event at {latest}"
            ),
            format!("SELECT setval('campaign_feed_position', {latest})"),
        ));
    }
    Ok(())
}

/// The problems of the sequence's settings.
fn settings(sequence: &QueryResult) -> Result<Vec<String>, DbErr> {
    let (step, cache): (i64, i64) = (sequence.try_get("", "step")?, sequence.try_get("", "cache")?);
    let (cycles, is_owned): (bool, bool) =
        (sequence.try_get("", "cycles")?, sequence.try_get("", "is_owned")?);
    let wrong = [
        (cache != 1).then(|| format!("hands out {cache} numbers in advance to each session")),
        (step != 1).then(|| format!("has an increment of {step}")),
        cycles.then(|| "starts again after its last number".to_owned()),
        is_owned.then(|| "belongs to a column, and restarts with its table".to_owned()),
    ];
    Ok(wrong.into_iter().flatten().collect())
}

async fn of_counter(
    session: &Session,
    latest: i64,
    faults: &mut Vec<FeedFault>,
) -> Result<(), Error> {
    let counter = one(session, "SELECT last_position FROM campaign_feed").await?;
    let Some(counter) = counter else {
        let remedy = format!("INSERT INTO campaign_feed VALUES (1, {latest})");
        faults.push(fault("campaign_feed has no counter", remedy));
        return Ok(());
    };
    let last: i64 = counter.try_get("", "last_position").map_err(Error::from)?;
    if last < latest {
        faults.push(fault(
            format!("the counter in campaign_feed is at {last}, behind an event at {latest}"),
            format!("UPDATE campaign_feed SET last_position = {latest}"),
        ));
    }
    Ok(())
}

async fn one(session: &Session, sql: &str) -> Result<Option<QueryResult>, Error> {
    let statement = Statement::from_string(session.get_database_backend(), sql);
    Ok(session.reading().query_one_raw(statement).await?)
}
