//! Programs that write sends and events with any SQL.

use campaigns_tests::{Backend, TestDatabase, assert_exact};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use uuid::Uuid;

use super::{assert_filed, run};

/// Two organizations with campaigns and contacts, and a few IDs for their sends and events, so that
/// writes collide.
struct World {
    is_sqlite: bool,
    organizations: Vec<Uuid>,
    campaigns: Vec<(Uuid, Uuid)>,
    contacts: Vec<(Uuid, Uuid)>,
    sends: Vec<Uuid>,
    events: Vec<Uuid>,
}

const TYPES: [&str; 5] = ["open", "click", "unsubscribe", "complaint", "bounce"];
const STATUSES: [&str; 5] = ["queued", "sent", "delivered", "bounced", "failed"];
const BOUNCES: [&str; 5] = ["NULL", "'{}'", "'{\"bounce_type\": \"soft\"}'", "'[1]'", "'null'"];
const URLS: [&str; 4] = ["NULL", "'https://a.example/'", "'https://b.example/ä\\'", "''"];

impl World {
    async fn new(sql: &DatabaseConnection, rng: &mut ChaCha8Rng, is_sqlite: bool) -> Self {
        let ids = |rng: &mut ChaCha8Rng, count| -> Vec<Uuid> {
            (0..count).map(|_| Uuid::from_u128(rng.random())).collect()
        };
        let organizations = ids(rng, 2);
        let owned = |rng: &mut ChaCha8Rng, count| -> Vec<(Uuid, Uuid)> {
            let owners = organizations.iter().copied();
            owners.flat_map(|of| ids(rng, count).into_iter().map(move |id| (of, id))).collect()
        };
        let world = Self {
            is_sqlite,
            campaigns: owned(rng, 3),
            contacts: owned(rng, 4),
            sends: ids(rng, 12),
            events: ids(rng, 16),
            organizations: organizations.clone(),
        };
        for organization in &world.organizations {
            let id = world.literal(*organization);
            run(
                sql,
                &format!(
                    "INSERT INTO organizations (id, name, slug) VALUES ({id}, 'x', 's{}')",
                    organization.simple()
                ),
            )
            .await;
        }
        for (table, column, rows) in
            [("campaigns", "name", &world.campaigns), ("contacts", "first_name", &world.contacts)]
        {
            for (organization, id) in rows {
                let (organization, id) = (world.literal(*organization), world.literal(*id));
                run(
                    sql,
                    &format!(
                        "INSERT INTO {table} (org_id, id, {column}) VALUES \
                         ({organization}, {id}, 'x')"
                    ),
                )
                .await;
            }
        }
        world
    }

    fn literal(&self, id: Uuid) -> String {
        if self.is_sqlite { format!("x'{}'", id.simple()) } else { format!("'{id}'") }
    }

    fn one(&self, rng: &mut ChaCha8Rng, of: &[Uuid]) -> String {
        self.literal(*of.choose(rng).unwrap())
    }

    fn some(&self, rng: &mut ChaCha8Rng, of: &[Uuid]) -> String {
        let count = rng.random_range(1..5);
        let ids: Vec<String> = of.sample(rng, count).map(|id| self.literal(*id)).collect();
        ids.join(", ")
    }

    /// A random write, which can fail. Most rows refer to rows of their own organization.
    fn write(&self, rng: &mut ChaCha8Rng) -> Vec<String> {
        let organization = *self.organizations.choose(rng).unwrap();
        let other = if rng.random_bool(0.8) {
            organization
        } else {
            *self.organizations.choose(rng).unwrap()
        };
        let own = |rng: &mut ChaCha8Rng, rows: &[(Uuid, Uuid)]| {
            let rows: Vec<Uuid> =
                rows.iter().filter(|(of, _)| *of == other).map(|(_, id)| *id).collect();
            self.one(rng, &rows)
        };
        let (org, org_2) = (self.literal(organization), self.literal(other));
        let (campaign, contact) = (own(rng, &self.campaigns), own(rng, &self.contacts));
        let (send, send_2) = (self.one(rng, &self.sends), self.one(rng, &self.sends));
        let (event, event_2) = (self.one(rng, &self.events), self.one(rng, &self.events));
        let (sends, events) = (self.some(rng, &self.sends), self.some(rng, &self.events));
        let kind = *TYPES.choose(rng).unwrap();
        let status = *STATUSES.choose(rng).unwrap();
        let (url, metadata) = (*URLS.choose(rng).unwrap(), *BOUNCES.choose(rng).unwrap());
        let decimals = if self.is_sqlite { [".250000000", ".5", ""] } else { [".25", ".5", ""] };
        let at = format!(
            "'2026-03-01T{:02}:30:00{}+00:00'",
            rng.random_range(0..24),
            decimals.choose(rng).unwrap()
        );
        let number = rng.random_range(1..30);
        let of_event = format!("({event}, {org}, {send}, '{kind}', {url}, {at}, {metadata})");
        let of_send = format!("({send}, {org}, {campaign}, {contact}, '{status}')");
        let into_events =
            "INTO campaign_events (id, org_id, send_id, event_type, url, occurred_at, metadata)";
        let into_sends = "INTO campaign_sends (id, org_id, campaign_id, contact_id, status)";
        let sql = match rng.random_range(0..20) {
            0 | 1 => format!("INSERT {into_sends} VALUES {of_send}"),
            2 | 3 => format!("INSERT {into_events} VALUES {of_event}"),
            4 => format!("UPDATE campaign_sends SET id = {send_2} WHERE id = {send}"),
            5 => format!("UPDATE campaign_events SET id = {event_2} WHERE id = {event}"),
            6 => format!(
                "UPDATE campaign_events SET send_id = {send}, event_type = '{kind}' WHERE id IN \
                 ({events})"
            ),
            7 => format!(
                "UPDATE campaign_sends SET campaign_id = {campaign}, org_id = {org_2}, contact_id \
                 = {contact} WHERE id = {send}"
            ),
            8 => format!("DELETE FROM campaign_sends WHERE id IN ({sends})"),
            9 => format!("DELETE FROM campaign_events WHERE id IN ({events})"),
            10 => format!(
                "INSERT {into_events} VALUES {of_event} ON CONFLICT (id) DO UPDATE SET event_type \
                 = excluded.event_type, send_id = excluded.send_id, url = excluded.url"
            ),
            11 => format!(
                "INSERT {into_sends} VALUES {of_send} ON CONFLICT (id) DO UPDATE SET status = \
                 excluded.status, campaign_id = excluded.campaign_id, contact_id = \
                 excluded.contact_id"
            ),
            12 => format!("INSERT {into_events} VALUES {of_event} ON CONFLICT DO NOTHING"),
            13 => format!(
                "INSERT INTO campaign_events (id, org_id, send_id, event_type, feed_position, \
                 send_campaign_id, send_contact_id) VALUES ({event}, {org}, {send}, '{kind}', \
                 {number}, {campaign}, {contact})"
            ),
            14 => format!(
                "UPDATE campaign_events SET occurred_at = {at}, url = {url}, metadata = {metadata} \
                 WHERE id IN ({events})"
            ),
            15 => format!("UPDATE campaign_sends SET status = '{status}' WHERE id IN ({sends})"),
            16 => format!(
                "UPDATE campaign_events SET send_campaign_id = {campaign}, send_contact_id = \
                 {contact} WHERE id IN ({events})"
            ),
            17 => format!("UPDATE campaign_events SET org_id = {org_2} WHERE id = {event}"),
            18 => format!(
                "INSERT {into_events} VALUES {of_event}; INSERT {into_sends} VALUES {of_send}"
            ),
            _ if self.is_sqlite => return self.write_as_sqlite(rng, &of_event, &of_send),
            _ => return Self::write_as_postgres(rng, &org, &events, &of_send),
        };
        let sql = if self.is_sqlite { or_something(rng, &sql) } else { sql };
        sql.split("; ").map(str::to_owned).collect()
    }

    /// Writes that only SQLite supports: by rowid, and REPLACE of referenced rows.
    fn write_as_sqlite(&self, rng: &mut ChaCha8Rng, of_event: &str, of_send: &str) -> Vec<String> {
        let number = rng.random_range(1..12);
        let (event, send) = (self.one(rng, &self.events), self.one(rng, &self.sends));
        let send_2 = self.one(rng, &self.sends);
        let (organization, id) = *self.campaigns.choose(rng).unwrap();
        let campaign = format!("({}, {}, 'y')", self.literal(organization), self.literal(id));
        let (organization, id) = *self.contacts.choose(rng).unwrap();
        let contact = format!("({}, {}, 'y')", self.literal(organization), self.literal(id));
        let sql = match rng.random_range(0..6) {
            0 => format!(
                "INSERT INTO campaign_events (rowid, id, org_id, send_id, event_type, url, \
                 occurred_at, metadata) VALUES ({number}, {}",
                &of_event[1..]
            ),
            1 => format!(
                "INSERT INTO campaign_sends (rowid, id, org_id, campaign_id, contact_id, status) \
                 VALUES ({number}, {}",
                &of_send[1..]
            ),
            2 => format!("UPDATE campaign_events SET rowid = {number} WHERE id = {event}"),
            3 => format!(
                "UPDATE campaign_sends SET _rowid_ = {number}, id = {send_2} WHERE id = {send}"
            ),
            4 => {
                return vec![format!(
                    "REPLACE INTO campaigns (org_id, id, name) VALUES {campaign}"
                )];
            }
            _ => {
                return vec![format!(
                    "REPLACE INTO contacts (org_id, id, first_name) VALUES {contact}"
                )];
            }
        };
        vec![or_something(rng, &sql)]
    }

    /// Writes that only PostgreSQL supports.
    fn write_as_postgres(
        rng: &mut ChaCha8Rng,
        org: &str,
        events: &str,
        of_send: &str,
    ) -> Vec<String> {
        vec![match rng.random_range(0..5) {
            0 => format!(
                "MERGE INTO campaign_events AS e USING (SELECT id, org_id FROM campaign_sends) AS \
                 s ON e.send_id = s.id AND e.id IN ({events}) WHEN MATCHED THEN DELETE WHEN NOT \
                 MATCHED THEN INSERT (org_id, send_id, event_type) VALUES (s.org_id, s.id, 'open')"
            ),
            1 => format!(
                "WITH s AS (INSERT INTO campaign_sends (id, org_id, campaign_id, contact_id, \
                 status) VALUES {of_send} RETURNING id, org_id) INSERT INTO campaign_events \
                 (org_id, send_id, event_type) SELECT org_id, id, 'click' FROM s"
            ),
            2 => "TRUNCATE campaign_events".to_owned(),
            3 => "TRUNCATE campaign_sends CASCADE".to_owned(),
            _ => format!(
                "DELETE FROM contacts WHERE org_id = {org} AND id = \
                 (SELECT contact_id FROM campaign_sends LIMIT 1)"
            ),
        }]
    }
}

/// The statement with one of SQLite's conflict clauses.
fn or_something(rng: &mut ChaCha8Rng, sql: &str) -> String {
    let ways = ["", " OR REPLACE", " OR REPLACE", " OR IGNORE", " OR FAIL", " OR ABORT"];
    let or = ways.choose(rng).unwrap();
    sql.replace("INSERT INTO", &format!("INSERT{or} INTO"))
        .replace("UPDATE campaign", &format!("UPDATE{or} campaign"))
}

/// Runs statements one after the other, in one transaction if there are several, or rolls them
/// back.
async fn try_all(
    sql: &DatabaseConnection,
    begin: &str,
    statements: &[String],
) -> Result<(), sea_orm::DbErr> {
    sql.execute_unprepared(begin).await?;
    for statement in statements {
        if let Err(error) = sql.execute_unprepared(statement).await {
            // OR FAIL keeps its changes, and the transaction may have ended
            sql.execute_unprepared("COMMIT").await.ok();
            return Err(error);
        }
    }
    let done = sql.execute_unprepared("COMMIT").await;
    if done.is_err() {
        sql.execute_unprepared("ROLLBACK").await.ok();
    }
    done.map(|_| ())
}

/// Writes at random, and compares the counts and the feed with the oracle after each write.
async fn write_at_random(database: &TestDatabase, seed: u64, steps: usize) {
    let is_sqlite = database.backend == Backend::Sqlite;
    let sql = database.connect_once().await;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let world = World::new(&sql, &mut rng, is_sqlite).await;
    let (mut log, mut done) = (Vec::new(), 0);
    for _ in 0..steps {
        let mut begin = "BEGIN".to_owned();
        if is_sqlite {
            for pragma in ["foreign_keys", "recursive_triggers", "ignore_check_constraints"] {
                if rng.random_bool(0.1) {
                    let set = format!("PRAGMA {pragma} = {}", rng.random_bool(0.5));
                    run(&sql, &set).await;
                    log.push(set);
                }
            }
            if rng.random_bool(0.3) {
                begin += "; PRAGMA defer_foreign_keys = on";
            }
        } else {
            let session = ["origin", "replica", "local"].choose(&mut rng).unwrap();
            begin += &format!(
                "; SET LOCAL session_replication_role = {session}; SET CONSTRAINTS ALL DEFERRED"
            );
        }
        let mut statements = world.write(&mut rng);
        if rng.random_bool(0.3) {
            statements.extend(world.write(&mut rng));
        }
        let result = try_all(&sql, &begin, &statements).await;
        done += usize::from(result.is_ok());
        log.push(format!("{begin}; {}: {result:?}", statements.join("; ")));
        let context = Context { log: &log, seed, armed: true };
        let oracle = assert_exact(&sql).await;
        assert_filed(&sql, &oracle).await;
        context.disarm();
    }
    assert!(done * 5 > steps, "{done} of {steps}");
}

/// Prints the last statements if a check panics.
struct Context<'a> {
    log: &'a [String],
    seed: u64,
    armed: bool,
}

impl Context<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        if self.armed {
            let last = self.log.len().saturating_sub(8);
            eprintln!("seed {}:\n{}", self.seed, self.log[last..].join("\n"));
        }
    }
}

#[tokio::test]
async fn rows_that_sqlite_replaces_are_counted_once() {
    for seed in 0..12 {
        write_at_random(&TestDatabase::new(Backend::Sqlite).await, seed, 150).await;
    }
}

/// Defers the checks of references to the end of a transaction.
async fn defer_references(database: &TestDatabase) {
    let sql = database.connect_once().await;
    run(
        &sql,
        "DO $$ DECLARE k record; BEGIN FOR k IN SELECT conrelid::regclass AS t, conname FROM \
         pg_constraint WHERE contype = 'f' LOOP EXECUTE format('ALTER TABLE %s ALTER CONSTRAINT %I \
         DEFERRABLE', k.t, k.conname); END LOOP; END $$",
    )
    .await;
    sql.close().await.unwrap();
}

#[tokio::test]
async fn writes_by_sessions_and_deferred_references_in_postgresql_are_counted_once() {
    for seed in 100..104 {
        let database = TestDatabase::new(Backend::Postgres).await;
        defer_references(&database).await;
        write_at_random(&database, seed, 150).await;
    }
}

#[tokio::test]
async fn the_same_holds_for_tables_of_another_program() {
    for seed in 200..203 {
        let database = TestDatabase::adopted().await;
        defer_references(&database).await;
        write_at_random(&database, seed, 150).await;
    }
}
