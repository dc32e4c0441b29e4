//! Databases that another program created and the service adopts: none of that program's objects
//! change.

use std::{collections::BTreeSet, io::Write, time::Duration};

use campaigns_scope::Options;
use campaigns_tests::{
    Backend, Binary, Organization, Pooler, Socket, Statuses, TestApp, TestDatabase,
    assert_same_schema, until,
};
use sea_orm::{ConnectionTrait, QueryResult, Statement, TransactionTrait};
use serde_json::{Value as Json, json};
use uuid::Uuid;

async fn run(database: &TestDatabase, sql: &str) {
    let connection = database.connect().await;
    connection.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.close().await.unwrap();
}

async fn rows(database: &TestDatabase, sql: &str) -> Vec<QueryResult> {
    let connection = database.connect().await;
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let rows = connection.query_all_raw(statement).await;
    connection.close().await.unwrap();
    rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

async fn undo_all(database: &TestDatabase) {
    for _ in campaigns_migration::names() {
        campaigns_migration::down(&database.url).await.unwrap().expect("there is one to undo");
    }
}

/// An organization of another program, with a campaign, `contacts` contacts with a send each, and
/// events of these sends.
async fn fill(database: &TestDatabase, contacts: usize, events: usize) -> Uuid {
    let org = Uuid::new_v4();
    run(
        database,
        &format!(
            "INSERT INTO organizations (id, name, slug) VALUES ('{org}', 'theirs', '{org}');
             INSERT INTO campaigns (org_id, name, status) SELECT '{org}', 'Campaign ' || n, 'sent' \
             FROM generate_series(1, 4) AS n;
             INSERT INTO contacts (org_id, first_name) SELECT '{org}', 'Contact ' || n FROM \
             generate_series(1, {contacts}) AS n;
             INSERT INTO campaign_sends (org_id, campaign_id, contact_id, status)
                SELECT '{org}', campaigns.id, contacts.id, CASE WHEN random() < 0.8 THEN \
                'delivered' ELSE 'bounced' END::send_status
                FROM campaigns, contacts;
             INSERT INTO campaign_events (org_id, send_id, event_type, url, updated_at)
                SELECT org_id, id, (ARRAY['open', 'open', 'click', 'unsubscribe'])[1 + \
                floor(random() * 4)]::campaign_event_type,
                    'https://a.example/' || n % 3, '2020-01-01'
                FROM campaign_sends, generate_series(1, greatest({events} / (4 * {contacts}), 1)) \
                AS n"
        ),
    )
    .await;
    org
}

/// Compares the service's figures of each campaign with the seed's SQL.
async fn compare_figures(app: &TestApp, organization: &Organization) {
    let query = "{ campaigns(first: 100, orderBy: [{ field: NAME }]) { nodes { name stats { sends \
                 delivered opens clicks uniqueOpens uniqueClicks } } } }";
    let data = organization.member.data(query, json!({})).await;
    let shown: Vec<Json> = data["campaigns"]["nodes"].as_array().unwrap().clone();
    let sql = format!(
        "SELECT c.name, count(DISTINCT cs.id) AS sends,
         count(DISTINCT cs.id) FILTER (WHERE cs.status = 'delivered') AS delivered,
         count(DISTINCT ce.id) FILTER (WHERE ce.event_type = 'open') AS opens,
         count(DISTINCT ce.id) FILTER (WHERE ce.event_type = 'click') AS clicks,
         count(DISTINCT ce.send_id) FILTER (WHERE ce.event_type = 'open') AS \"uniqueOpens\",
         count(DISTINCT ce.send_id) FILTER (WHERE ce.event_type = 'click') AS \"uniqueClicks\"
         FROM campaigns c LEFT JOIN campaign_sends cs ON cs.campaign_id = c.id
         LEFT JOIN campaign_events ce ON ce.send_id = cs.id
         WHERE c.org_id = '{}' GROUP BY c.id, c.name ORDER BY c.name COLLATE \"C\"",
        organization.id
    );
    let counted: Vec<Json> = app
        .rows(&sql)
        .await
        .iter()
        .map(|row| {
            let names = ["sends", "delivered", "opens", "clicks", "uniqueOpens", "uniqueClicks"];
            let stats =
                names.map(|name| (name.to_owned(), json!(row.try_get::<i64>("", name).unwrap())));
            let name: String = row.try_get("", "name").unwrap();
            json!({ "name": name, "stats": stats.into_iter().collect::<serde_json::Map<_, _>>() })
        })
        .collect();
    assert_eq!(shown, counted);
}

#[tokio::test]
async fn down_leaves_a_database_as_it_was_found() {
    for statuses in [Statuses::Documented, Statuses::OtherEnums, Statuses::Text] {
        let database = TestDatabase::of_other_program(statuses).await;
        let before = database.schema();
        for _ in 0..2 {
            let applied = campaigns_migration::up(&database.url).await.unwrap();
            assert_eq!(applied, campaigns_migration::names());
            assert_ne!(database.schema(), before);
            undo_all(&database).await;
            assert_eq!(database.schema(), before, "{statuses:?}");
        }
    }
}

#[tokio::test]
async fn a_large_database_is_adopted_while_others_write_to_it() {
    let database = TestDatabase::of_other_program(Statuses::Documented).await;
    let org = fill(&database, 500, 200_000).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..4 {
        let (connection, stopped) = (database.connect().await, stopped.clone());
        writers.spawn(async move {
            let (mut written, mut waited) = (0, 0);
            while !*stopped.borrow() {
                let sql = match number {
                    0 => format!(
                        "INSERT INTO campaign_events (org_id, send_id, event_type) SELECT \
                         '{org}', id, 'click' FROM campaign_sends LIMIT 5"
                    ),
                    1 => "UPDATE campaign_sends SET status = 'sent' WHERE id = \
                          (SELECT id FROM campaign_sends TABLESAMPLE SYSTEM (5) LIMIT 1)"
                        .to_owned(),
                    2 => "DELETE FROM campaign_events WHERE id = \
                          (SELECT id FROM campaign_events TABLESAMPLE SYSTEM (1) LIMIT 1)"
                        .to_owned(),
                    _ => format!(
                        "INSERT INTO campaign_sends (org_id, campaign_id, contact_id) \
                         SELECT '{org}', campaign_id, contact_id FROM campaign_sends \
                         LIMIT 2"
                    ),
                };
                // fails instead of waiting for longer
                let transaction = connection.begin().await.unwrap();
                transaction.execute_unprepared("SET LOCAL lock_timeout = '100ms'").await.unwrap();
                match transaction.execute_unprepared(&sql).await {
                    Ok(_) => transaction.commit().await.unwrap(),
                    Err(error) => {
                        assert!(error.to_string().contains("lock timeout"), "{sql}: {error}");
                        waited += 1;
                        transaction.rollback().await.unwrap();
                    }
                }
                written += 1;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            (written, waited)
        });
    }
    let steps: std::sync::Arc<std::sync::Mutex<Vec<campaigns_migration::Progress>>> =
        <_>::default();
    let reported = steps.clone();
    let listener = move |progress| reported.lock().unwrap().push(progress);
    campaigns_migration::up_telling(&database.url, listener).await.unwrap();
    stop.send_replace(true);
    while let Some(writer) = writers.join_next().await {
        let (written, waited) = writer.unwrap();
        // the limit allows for a busy machine
        assert!(written > 20 && waited * 100 <= written, "{waited} of {written}");
    }
    assert!(steps.lock().unwrap().iter().filter(|step| step.done.is_some()).count() > 20);

    let app = TestApp::on_database(database).start().await;
    let theirs = app.existing_organization(org).await;
    compare_figures(&app, &theirs).await;
    // existing rows keep their `updated_at`
    assert!(app.count("campaign_events WHERE updated_at = '2020-01-01'").await > 150_000);
    let all = app.count("campaign_events").await;
    assert_eq!(
        app.count("(SELECT DISTINCT feed_position FROM campaign_events) AS positions").await,
        all
    );
    let data = theirs
        .member
        .data("{ events(first: 1, orderBy: [{ field: FEED }]) { totalCount } }", json!({}))
        .await;
    assert_eq!(data["events"]["totalCount"], all);
    // new events are followed
    let mut socket = Socket::of(&theirs.member).await;
    let cursor = theirs.member.feed_cursor().await;
    socket
        .subscribe(
            "1",
            "subscription ($after: String) { engagementEvents(after: $after) { node { url } } }",
            json!({ "after": cursor }),
        )
        .await;
    app.run(
        "INSERT INTO campaign_events (org_id, send_id, event_type, url) SELECT org_id, id, \
         'click', 'https://new.example/' FROM campaign_sends LIMIT 1",
    )
    .await;
    assert_eq!(socket.next("1").await["engagementEvents"]["node"]["url"], "https://new.example/");
}

#[tokio::test]
async fn an_interrupted_adoption_continues() {
    let database = TestDatabase::of_other_program(Statuses::Documented).await;
    let before = database.schema();
    fill(&database, 100, 30_000).await;
    for milliseconds in [40, 150, 400, 900] {
        let url = database.url.clone();
        let run = tokio::spawn(async move { campaigns_migration::up(&url).await });
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        run.abort();
        run.await.ok();
    }
    campaigns_migration::up(&database.url).await.unwrap();
    assert_eq!(
        rows(&database, "SELECT 1 FROM campaign_events WHERE feed_position IS NULL").await.len(),
        0
    );
    assert_eq!(rows(&database, "SELECT 1 FROM pg_index WHERE NOT indisvalid").await.len(), 0);
    undo_all(&database).await;
    assert_same_schema(&before, &database.schema());
}

#[tokio::test]
async fn an_interrupted_adoption_can_be_undone() {
    let database = TestDatabase::of_other_program(Statuses::Documented).await;
    let before = database.schema();
    fill(&database, 100, 30_000).await;
    let sessions = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
                    AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    // each run is cut off later, until enough runs had started by then
    let (mut begun, mut cut_after) = (0, Duration::from_millis(150));
    while begun < 4 {
        let url = database.url.clone();
        let run = tokio::spawn(async move { campaigns_migration::up(&url).await });
        tokio::time::sleep(cut_after).await;
        run.abort();
        run.await.ok();
        // PostgreSQL finishes the statement that it was executing
        until("its sessions end", Duration::from_mins(2), async || {
            rows(&database, sessions).await.is_empty()
        })
        .await;
        let applied = campaigns_migration::status(&database.url).await.unwrap();
        begun += usize::from(applied.iter().any(|(_, applied)| *applied));
        while campaigns_migration::down(&database.url).await.unwrap().is_some() {}
        assert_same_schema(&before, &database.schema());
        cut_after = cut_after * 3 / 2;
        assert!(cut_after < Duration::from_mins(2), "{begun} runs had begun");
    }
}

#[tokio::test]
async fn undoing_nothing_drops_an_empty_table_of_migrations_and_no_other() {
    let database = TestDatabase::of_other_program(Statuses::Documented).await;
    let before = database.schema();
    // as after a run that ends before its first migration
    let create = "CREATE TABLE seaql_migrations \
                  (version varchar NOT NULL PRIMARY KEY, applied_at bigint NOT NULL)";
    run(&database, create).await;
    assert_eq!(campaigns_migration::down(&database.url).await.unwrap(), None);
    assert_same_schema(&before, &database.schema());
    run(&database, create).await;
    run(&database, "INSERT INTO seaql_migrations VALUES ('m1_of_another_program', 0)").await;
    let with_others = database.schema();
    let refused = campaigns_migration::down(&database.url).await.unwrap_err().to_string();
    assert!(refused.contains("m1_of_another_program"), "{refused}");
    assert_same_schema(&with_others, &database.schema());
}

/// Statements of the other program, whose rows show whether they keep their meaning.
fn statements(org: Uuid) -> Vec<String> {
    vec![
        "SELECT campaign_id, contact_id, event_type, s.status FROM campaign_events e \
         JOIN campaign_sends s ON s.id = send_id JOIN campaigns c ON c.id = campaign_id"
            .to_owned(),
        "SELECT name, subject, segment_id, first_name FROM campaign_lists l JOIN campaigns c ON \
         c.id = campaign_id JOIN contacts k ON k.id = contact_id"
            .to_owned(),
        "SELECT * FROM clicks".to_owned(),
        "SELECT * FROM every_event".to_owned(),
        "SELECT * FROM campaigns".to_owned(),
        "SELECT * FROM campaign_events".to_owned(),
        "SELECT * FROM events_of((SELECT id FROM campaign_sends LIMIT 1))".to_owned(),
        format!(
            "INSERT INTO campaign_events VALUES (gen_random_uuid(), '{org}', \
             (SELECT id FROM campaign_sends LIMIT 1), 'open', \
             NULL, now(), now(), now(), '{{}}') RETURNING id"
        ),
        format!(
            "INSERT INTO campaigns VALUES (gen_random_uuid(), '{org}', NULL, 'By position') \
             RETURNING id"
        ),
        "INSERT INTO campaign_events SELECT gen_random_uuid(), org_id, send_id, event_type, url, \
         occurred_at, created_at, updated_at, metadata FROM every_event LIMIT 1 RETURNING id"
            .to_owned(),
        // as PostgREST queries an embedded resource
        "WITH source AS (SELECT s.*, row_to_json(campaigns.*) AS campaigns FROM campaign_sends s \
         LEFT JOIN LATERAL (SELECT c.* FROM campaigns c WHERE c.id = s.campaign_id) AS campaigns \
         ON true) SELECT json_agg(source) FROM source"
            .to_owned(),
        "UPDATE campaign_events e SET url = 'https://x.example/' FROM campaign_sends s WHERE s.id \
         = send_id AND campaign_id IS NOT NULL RETURNING e.id"
            .to_owned(),
    ]
}

/// Copies a row in with `psql`, as a program that loads files does.
fn copy_in(database: &TestDatabase, into: &str, row: &str) {
    let mut psql = std::process::Command::new("psql")
        .args([
            &database.url,
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            &format!("COPY {into} FROM STDIN"),
        ])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    psql.stdin.take().unwrap().write_all(row.as_bytes()).unwrap();
    assert!(psql.wait().unwrap().success(), "{into}");
}

/// Copies rows into each table: without a list of columns if the service adds none to the table.
fn copy_rows(database: &TestDatabase, org: Uuid, send: Uuid) {
    let (id, time, none) = (Uuid::new_v4(), "2026-01-01 00:00+00", "\\N");
    let campaign = format!(
        "{id}\t{org}\t{none}\tcopied\t{none}\t{none}\temail\tdraft\t\
         {none}\t{none}\t{time}\t{time}\t{{}}\n"
    );
    copy_in(database, "campaigns", &campaign);
    copy_in(
        database,
        "campaign_events (org_id, send_id, event_type)",
        &format!("{org}\t{send}\topen\n"),
    );
}

#[tokio::test]
async fn statements_of_other_programs_keep_their_meaning() {
    let database = TestDatabase::of_other_program(Statuses::Documented).await;
    let org = fill(&database, 3, 24).await;
    let user = Uuid::new_v4();
    run(
        &database,
        &format!("INSERT INTO users (org_id, auth_id, email) VALUES ('{org}', '{user}', 'x')"),
    )
    .await;
    // PostgREST embeds by the foreign key between two tables, so there must still be exactly one
    let references =
        "SELECT conrelid::regclass, confrelid::regclass FROM pg_constraint WHERE contype = 'f'";
    let before = rows(&database, references).await.len();
    let sends = rows(&database, "SELECT id FROM campaign_sends").await;
    let send: Uuid = sends[0].try_get("", "id").unwrap();
    copy_rows(&database, org, send);
    let mut found = Vec::new();
    for sql in statements(org) {
        found.push(rows(&database, &sql).await.len());
    }
    campaigns_migration::up(&database.url).await.unwrap();
    copy_rows(&database, org, send);
    for (number, sql) in statements(org).iter().enumerate() {
        let now = rows(&database, sql).await.len();
        assert!(now >= found[number] && now > 0 || found[number] == 0, "{sql}: {now}");
    }
    assert_eq!(rows(&database, references).await.len(), before);
    // as a signed-in user, under their policies
    let connection = database.connect_once().await;
    connection.execute_unprepared("GRANT USAGE ON SCHEMA public TO authenticated").await.unwrap();
    let claims =
        format!("SELECT set_config('request.jwt.claims', '{{\"sub\": \"{user}\"}}', false)");
    connection.execute_unprepared(&claims).await.unwrap();
    connection.execute_unprepared("SET ROLE authenticated").await.unwrap();
    for sql in statements(org) {
        connection.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    // only the service can read its own tables, which have rows of every organization
    for table in [
        "campaign_counts",
        "campaign_sends_to_count",
        "campaign_event_changes",
        "campaign_cursor_key",
        "campaign_provider_paths",
        "campaign_provider_keys",
        "campaign_unmatched_events",
        "campaign_message_ids",
        "seaql_migrations",
        "service_tables",
        "campaign_feed_horizon()",
        "campaign_feed_oldest()",
    ] {
        let refused = connection.execute_unprepared(&format!("SELECT 1 FROM {table}")).await;
        assert!(refused.unwrap_err().to_string().contains("permission denied"), "{table}");
    }
    let refused = connection.execute_unprepared("SELECT campaign_counts_fold()").await;
    assert!(refused.unwrap_err().to_string().contains("permission denied"));
}

#[tokio::test]
async fn a_table_that_differs_in_a_way_that_matters_is_named_with_a_remedy() {
    let database = TestDatabase::of_other_program(Statuses::Documented).await;
    run(
        &database,
        "ALTER TABLE campaigns DROP COLUMN body; ALTER TABLE campaigns ADD COLUMN account integer \
         NOT NULL;
         ALTER TABLE campaign_sends ALTER COLUMN sent_at TYPE timestamp;
         ALTER TABLE campaign_lists DROP CONSTRAINT campaign_lists_campaign_id_contact_id_key;
         ALTER TABLE campaign_events ALTER COLUMN occurred_at DROP NOT NULL, DROP CONSTRAINT \
         campaign_events_send_id_fkey;
         CREATE TABLE campaign_counts (id integer)",
    )
    .await;
    let before = database.schema();
    let refused = campaigns_migration::up(&database.url).await.unwrap_err().to_string();
    for part in [
        "campaigns has no column body\n    ALTER TABLE campaigns ADD COLUMN body text",
        "campaigns.account cannot be null and has no default",
        "ALTER COLUMN sent_at TYPE timestamptz USING sent_at AT TIME ZONE 'UTC'",
        "CREATE UNIQUE INDEX CONCURRENTLY ON campaign_lists (campaign_id, contact_id)",
        "ALTER TABLE campaign_events ALTER COLUMN occurred_at SET NOT NULL",
        "campaign_events.send_id does not refer to campaign_sends with ON DELETE CASCADE",
        "a relation campaign_counts, a name that the service uses",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    assert_same_schema(&before, &database.schema());
}

/// The names of relations and functions, and those of triggers and columns of the service's tables.
const NAMES: &str = "SELECT 'relation' AS kind, '' AS of_table, CAST(relname AS text) AS name FROM pg_class
       WHERE relnamespace = 'public'::regnamespace
     UNION ALL SELECT 'function', '', CAST(proname AS text) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
     UNION ALL SELECT 'trigger', CAST(relname AS text), CAST(tgname AS text) FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
       WHERE relname IN ('campaign_sends', 'campaign_events') AND NOT tgisinternal
     UNION ALL SELECT 'column', CAST(table_name AS text), CAST(column_name AS text) FROM information_schema.columns
       WHERE table_name IN ('campaigns', 'campaign_segments', 'campaign_lists', 'campaign_sends', 'campaign_events')";

/// A statement by which another program uses a name.
fn use_of((kind, table, name): &(String, String, String)) -> String {
    match kind.as_str() {
        "relation" => format!("CREATE TABLE {name} (id integer)"),
        "function" => {
            format!("CREATE FUNCTION {name}() RETURNS integer LANGUAGE sql AS 'SELECT 1'")
        }
        "trigger" => format!(
            "CREATE TRIGGER {name} BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION set_updated_at()"
        ),
        _ => format!("ALTER TABLE {table} ADD COLUMN {name} text"),
    }
}

#[tokio::test]
async fn a_name_that_the_service_uses_is_refused_or_does_not_matter() {
    let names = async |database: &TestDatabase| -> BTreeSet<(String, String, String)> {
        let rows = rows(database, NAMES).await;
        let text = |row: &QueryResult, column: &str| row.try_get::<String>("", column).unwrap();
        rows.iter()
            .map(|row| (text(row, "kind"), text(row, "of_table"), text(row, "name")))
            .collect()
    };
    let of_service = names(&TestDatabase::adopted().await).await;
    let found = TestDatabase::of_other_program(Statuses::Documented).await;
    let of_others = names(&found).await;
    // the tables of migrations, and indexes, which get a second name if the first is in use
    let is_exempt = |name: &str| {
        name.starts_with("seaql_migrations")
            || name.starts_with("service_tables")
            || name.ends_with("_of_service")
    };
    let added: Vec<_> =
        of_service.difference(&of_others).filter(|(.., name)| !is_exempt(name)).collect();
    assert!(added.len() > 60, "{added:?}");
    for name in &added {
        run(&found, &use_of(name)).await;
    }
    let refused = campaigns_migration::up(&found.url).await.unwrap_err().to_string();
    let is_refused = |(kind, table, name): &(String, String, String)| {
        let name = if kind == "column" { format!("{table}.{name}") } else { name.clone() };
        refused.contains(&format!("there is a {kind} {name}, a name that the service uses"))
    };
    let taken: Vec<_> = added.iter().filter(|name| is_refused(name)).collect();
    for kind in ["relation", "function", "trigger", "column"] {
        assert!(taken.iter().any(|(of, ..)| of == kind), "{kind}: {refused}");
    }

    let database = TestDatabase::of_other_program(Statuses::Documented).await;
    for name in added.iter().filter(|name| !is_refused(name)) {
        run(&database, &use_of(name)).await;
    }
    let before = database.schema();
    campaigns_migration::up(&database.url).await.unwrap();
    undo_all(&database).await;
    assert_same_schema(&before, &database.schema());
}

#[tokio::test]
async fn tables_that_no_statement_can_change_are_named_as_not_supported() {
    let database = TestDatabase::of_other_program(Statuses::Documented).await;
    run(
        &database,
        "ALTER TABLE contacts RENAME TO people; CREATE VIEW contacts AS SELECT * FROM people;
         ALTER TABLE companies RENAME TO firms; CREATE MATERIALIZED VIEW companies AS SELECT * \
         FROM firms;
         DROP VIEW clicks, every_event;
         ALTER TABLE campaign_events ALTER COLUMN id DROP DEFAULT, ALTER COLUMN id TYPE bigint \
         USING 0;
         ALTER TABLE campaign_lists ALTER COLUMN id DROP DEFAULT, ALTER COLUMN id TYPE integer \
         USING 0",
    )
    .await;
    let before = database.schema();
    let refused = campaigns_migration::up(&database.url).await.unwrap_err().to_string();
    for part in [
        "contacts is not an ordinary table\n    A view, a foreign table and a partitioned table \
         are not supported",
        "companies is not an ordinary table\n    A view, a foreign table and a partitioned table \
         are not supported",
        "campaign_events.id is bigint instead of uuid\n    IDs that are numbers are not supported",
        "campaign_lists.id is integer instead of uuid\n    IDs that are numbers are not supported",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    for table in ["contacts", "companies"] {
        assert!(!refused.contains(&format!("ALTER TABLE {table} ")), "{table}: {refused}");
    }
    assert_same_schema(&before, &database.schema());
}

#[tokio::test]
async fn a_plan_is_printed_and_adopting_needs_a_confirmation() {
    let database = TestDatabase::of_other_program(Statuses::Documented).await;
    let before = database.schema();
    let directory = tempfile::tempdir().unwrap();
    let migrate = async |more: &[&str]| {
        let arguments = [&["migrate", "--database-url", &database.url], more].concat();
        Binary::run(directory.path(), &arguments).await
    };
    let plan = migrate(&["--plan"]).await;
    assert_eq!(plan.code, 0, "{}", plan.err);
    for part in [
        "ADD COLUMN IF NOT EXISTS feed_position bigint",
        "-- locks its tables against writers, for a few milliseconds",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS campaign_sends_campaign ON campaign_sends",
        "VALIDATE CONSTRAINT",
        "CREATE TABLE campaign_counts",
    ] {
        assert!(plan.out.contains(part), "{part}: {}", plan.out);
    }
    assert!(!plan.out.contains("CREATE TABLE campaigns"), "{}", plan.out);
    let refused = migrate(&[]).await;
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("--plan") && refused.err.contains("--yes"), "{}", refused.err);
    assert_same_schema(&before, &database.schema());
    let adopted = migrate(&["--yes"]).await;
    assert_eq!(adopted.code, 0, "{}", adopted.err);
    fill(&database, 4, 32).await;
    let doctor = ["doctor", "--database-url", &database.url];
    let checked = Binary::run(directory.path(), &doctor).await;
    assert_eq!(checked.code, 0, "{} {}", checked.out, checked.err);
    // confirmed once, it does not ask again
    assert!(migrate(&[]).await.out.contains("up to date"));
    assert!(migrate(&["--plan"]).await.out.contains("up to date"));
}

/// Every operation with statuses, on columns of any type.
async fn use_statuses(app: &TestApp, organization: &Organization) {
    let made = organization.populated(6).await;
    let member = &organization.member;
    let queries = "{
        campaigns(filter: { status: { in: [SENT, DRAFT] } }, orderBy: [{ field: STATUS }]) { nodes \
        { status stats { openRate } } }
        sends(first: 5, filter: { status: { eq: DELIVERED } }, orderBy: [{ field: STATUS }]) { \
        nodes { status } pageInfo { endCursor } }
        events(filter: { type: { eq: CLICK } }) { nodes { type } }
        contacts(filter: { type: { eq: LEAD }, clicked: true }) { nodes { type } }
    }";
    let data = member.data(queries, json!({})).await;
    // in the order of a campaign's lifecycle, not of the type
    let order = ["DRAFT", "SENT"];
    let shown = data["campaigns"]["nodes"].as_array().unwrap().iter();
    let places: Vec<_> =
        shown.map(|node| order.iter().position(|status| node["status"] == *status)).collect();
    assert!(places.is_sorted(), "{places:?}");
    let cursor = data["sends"]["pageInfo"]["endCursor"].clone();
    let next = "query ($after: String) { sends(after: $after, orderBy: [{ field: STATUS }]) { \
                nodes { status } } }";
    member.data(next, json!({ "after": cursor })).await;
    let record =
        "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
    let input = json!({
        "input": [
            { "sendId": made.sends[0], "type": "OPEN" },
            { "sendId": made.sends[1], "type": "BOUNCE" },
        ],
    });
    assert_eq!(member.data(record, input).await["recordEvents"]["recorded"], 2);
    let update =
        "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { __typename } }";
    member.data(update, json!({ "input": [{ "id": made.sends[2], "status": "DELIVERED" }] })).await;
    let create = "mutation { createCampaign(input: { name: \"new\" }) { campaign { id status } } }";
    let campaign = member.data(create, json!({})).await["createCampaign"]["campaign"].clone();
    assert_eq!(campaign["status"], "DRAFT");
    let add = "mutation ($id: ID!, $contacts: [ID!]!) { addContactsToList(campaignId: $id, \
               contactIds: $contacts) { __typename } }";
    member.data(add, json!({ "id": campaign["id"], "contacts": made.contacts })).await;
    let start =
        "mutation ($id: ID!) { startCampaign(id: $id) { campaign { status stats { queued } } } }";
    let started = member.data(start, json!({ "id": campaign["id"] })).await;
    assert_eq!(started["startCampaign"]["campaign"]["status"], "SENDING");
    let delete = "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }";
    organization.admin.data(delete, json!({ "id": made.campaigns[1] })).await;
    compare_sums(app, organization).await;
}

/// Asserts that the counts equal a recount.
async fn compare_sums(app: &TestApp, organization: &Organization) {
    let counts = app.service_database.counts();
    for table in &campaigns_scope::COUNT_TABLES {
        let (differences, all) = counts.differences(table, organization.id).await.unwrap();
        assert_eq!(all, 0, "{}: {differences:#?}", table.name);
    }
}

#[tokio::test]
async fn statuses_can_be_enums_with_other_names_or_text() {
    for statuses in [Statuses::OtherEnums, Statuses::Text] {
        let database = TestDatabase::of_other_program(statuses).await;
        campaigns_migration::up(&database.url).await.unwrap();
        let app = TestApp::on_database(database).start().await;
        let theirs = app.organization("theirs").await;
        use_statuses(&app, &theirs).await;
    }
}

#[tokio::test]
async fn a_role_that_owns_nothing_can_serve() {
    let database = TestDatabase::adopted().await;
    let role = format!("service_{}", Uuid::new_v4().simple());
    run(&database, &format!("CREATE ROLE {role} LOGIN")).await;
    let script = |name: &str| format!("{}/../deploy/{name}.sql", env!("CARGO_MANIFEST_DIR"));
    let psql = async |name: &str| {
        let run = tokio::process::Command::new("psql")
            .args([
                &database.url,
                "-X",
                "-q",
                "-v",
                &format!("role={role}"),
                "-v",
                "schema=public",
                "-f",
                &script(name),
            ])
            .output()
            .await
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    };
    let before = database.schema();
    let url = database.url.replacen("postgres@", &format!("{role}@"), 1);
    let check = async || {
        let secret = "a secret of the tests, 32 bytes or more";
        let check = ["serve", "--check", "--listen", "127.0.0.1:0"];
        let of_database = ["--database-url", &url, "--jwt-secret", secret];
        Binary::run(std::path::Path::new("/"), &[check, of_database].concat()).await
    };
    let lacking = check().await;
    assert_eq!(lacking.code, 1, "{}", lacking.err);
    for right in [
        "SELECT ON campaigns",
        "UPDATE ON users",
        "EXECUTE ON campaign_feed_draw_for(uuid, integer)",
    ] {
        assert!(lacking.out.contains(right), "{}", lacking.out);
    }
    psql("grants").await;
    psql("grants").await;
    let found = check().await;
    assert_eq!(found.code, 0, "{}", found.out);
    let org = fill(&database, 4, 32).await;
    let pooler = Pooler::start_as(&database, &role).await;
    for url in [&database.url, &pooler.url] {
        serve_as(&database, &role, url, org).await;
    }
    let owned =
        rows(&database, &format!("SELECT 1 FROM pg_class WHERE relowner = '{role}'::regrole"))
            .await;
    assert!(owned.is_empty());
    drop(pooler);
    psql("revoke").await;
    assert_same_schema(&before, &database.schema());
}

/// Uses everything that a service does, as this role.
async fn serve_as(database: &TestDatabase, role: &str, url: &str, org: Uuid) {
    let url = url.replacen("postgres@", &format!("{role}@"), 1);
    let database_again = TestDatabase::at(Backend::Postgres, &database.url);
    let app = TestApp::on_database(database_again)
        .options(|options| Options { url, ..options })
        .start()
        .await;
    let theirs = app.existing_organization(org).await;
    let data =
        theirs.member.data("{ campaigns { nodes { stats { sends opens } } } }", json!({})).await;
    assert!(data["campaigns"]["nodes"].as_array().unwrap().len() >= 4);
    let sends = rows(database, "SELECT id FROM campaign_sends").await;
    let send: Uuid = sends[0].try_get("", "id").unwrap();
    let record = "mutation ($id: ID!) { recordEvents(input: [{ sendId: $id, type: BOUNCE }]) { \
                  recorded } updateSends(input: [{ id: $id, status: BOUNCED }]) { __typename } }";
    theirs.member.data(record, json!({ "id": send })).await;
    let create = "mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } \
                  createSegment(input: { name: \"all\", filterRules: {} }) { segment { id } } }";
    let made = theirs.member.data(create, json!({})).await;
    let (campaign, segment) =
        (&made["createCampaign"]["campaign"]["id"], &made["createSegment"]["segment"]["id"]);
    let start = "mutation ($id: ID!, $segment: ID!) { addSegmentToList(campaignId: $id, segmentId: \
                 $segment) { __typename } startCampaign(id: $id) { campaign { stats { queued } } } \
                 }";
    let started = theirs.member.data(start, json!({ "id": campaign, "segment": segment })).await;
    let queued = rows(database, "SELECT 1 FROM campaign_sends WHERE status = 'queued'").await.len();
    assert_eq!(started["startCampaign"]["campaign"]["stats"]["queued"], queued);
    theirs
        .admin
        .data("mutation ($id: ID!) { deleteCampaign(id: $id) { id } }", json!({ "id": campaign }))
        .await;
    compare_sums(&app, &theirs).await;
    app.service_database.counts().rebuild(org).await.unwrap();
}

#[tokio::test]
async fn tables_can_be_in_another_schema() {
    let database = TestDatabase::empty(Backend::Postgres).await;
    run(&database, "CREATE SCHEMA \"Mail out\"").await;
    let schema = "Mail out";
    let directory = tempfile::tempdir().unwrap();
    let migrated = Binary::run(
        directory.path(),
        &["migrate", "--database-url", &database.url, "--schema", schema],
    )
    .await;
    assert_eq!(migrated.code, 0, "{}", migrated.err);
    let in_public = "SELECT 1 FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert!(rows(&database, in_public).await.is_empty());
    for pooled in [false, true] {
        let pooler = Pooler::start(&database).await;
        if pooled {
            let migrate = ["migrate", "--database-url", &pooler.url];
            let refused = Binary::run(directory.path(), &migrate).await;
            assert!(refused.code == 1 && refused.err.contains("pooler"), "{}", refused.err);
        }
        let url = if pooled { pooler.url.clone() } else { database.url.clone() };
        let schema = Some(schema.to_owned());
        let app = TestApp::on_database(TestDatabase::empty(Backend::Postgres).await)
            .options(|options| Options { url, schema, ..options })
            .start()
            .await;
        let theirs = app.organization(if pooled { "pooled" } else { "direct" }).await;
        use_statuses(&app, &theirs).await;
    }
    let doctor = ["doctor", "--database-url", &database.url, "--schema", schema];
    let checked = Binary::run(directory.path(), &doctor).await;
    assert_eq!(checked.code, 1, "{} {}", checked.out, checked.err);
    assert!(checked.out.contains("a status other than bounced"), "{} {}", checked.out, checked.err);
    let refused = Binary::run(
        directory.path(),
        &["migrate", "--database-url", &database.url, "--schema", "nowhere"],
    )
    .await;
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("no schema nowhere"), "{}", refused.err);
}
