//! `campaigns doctor` finds problems in data from other programs.

use campaigns_tests::{Backend, Binary, TestApp, on_both_databases, serve_arguments};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};
use uuid::Uuid;

/// Its output and exit code.
async fn doctor(app: &TestApp, arguments: &[&str]) -> (String, i32) {
    let here = tempfile::tempdir().unwrap();
    let mut all = vec!["doctor", "--database-url", &app.database.url];
    all.extend(arguments);
    let finished = Binary::run(here.path(), &all).await;
    (finished.out, finished.code)
}

#[on_both_databases]
async fn a_healthy_database_has_no_problems(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(20).await;
    // corrects contradictions in the random rows
    app.run("UPDATE campaign_sends SET status = 'delivered' WHERE status IN ('queued', 'failed')")
        .await;
    app.run("UPDATE campaigns SET status = 'draft' WHERE status = 'scheduled'").await;
    app.run(&format!(
        "UPDATE campaign_sends SET status = 'bounced' WHERE EXISTS \
         (SELECT 1 FROM campaign_events e WHERE e.send_id = campaign_sends.id AND e.event_type = \
         'bounce' AND coalesce({}, 'hard') <> 'soft')",
        soft(&app)
    ))
    .await;
    let (printed, code) = doctor(&app, &[]).await;
    assert_eq!(code, 0, "{printed}");
    assert!(printed.starts_with("no problems found by "), "{printed}");
}

#[on_both_databases]
async fn each_contradiction_is_named_with_its_row_and_a_remedy(app: TestApp) {
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let made = acme.populated(20).await;
    let theirs = other.populated(5).await;
    // one connection, because SQLite turns its checks off for a connection
    let sql = app.database.connect_once().await;
    without_constraints(&sql).await;
    let id = |id: Uuid| app.literal(id);
    let (send, event, contact) = (made.sends[0], made.events[0], made.contacts[0]);
    let nowhere = Uuid::new_v4();
    app.run(&format!(
        "UPDATE campaign_sends SET status = 'queued' WHERE id = {}",
        id(made.sends[1])
    ))
    .await;
    let sent = app.campaign_of(made.sends[1]).await;
    let campaign = made.campaigns.iter().copied().find(|campaign| *campaign != sent).unwrap();
    let cases = [
        (
            format!(
                "UPDATE campaign_lists SET contact_id = {} WHERE id = \
                 (SELECT id FROM campaign_lists WHERE org_id = {} LIMIT 1)",
                id(theirs.contacts[0]),
                id(acme.id)
            ),
            "campaign_lists.contact_id refers to a row of another organization",
            theirs.contacts[0],
        ),
        (
            format!(
                "UPDATE campaign_events SET send_id = {} WHERE id = {}",
                id(nowhere),
                id(event)
            ),
            "campaign_events.send_id refers to a row that does not exist",
            nowhere,
        ),
        (
            format!(
                "UPDATE contacts SET org_id = {} WHERE id = {}",
                id(nowhere),
                id(made.contacts[5])
            ),
            "contacts.org_id refers to an organization that does not exist",
            made.contacts[5],
        ),
        (
            format!("UPDATE contacts SET metadata = '[1]' WHERE id = {}", id(contact)),
            "contacts.metadata is not a JSON object",
            contact,
        ),
        (
            format!(
                "UPDATE campaign_segments SET filter_rules = '{{\"planet\": \"Mars\"}}' WHERE id = \
                 {}",
                id(made.segments[0])
            ),
            "campaign_segments.filter_rules cannot be read",
            made.segments[0],
        ),
        (
            format!(
                "UPDATE campaigns SET status = 'scheduled', scheduled_at = NULL WHERE id = {}",
                id(campaign)
            ),
            "campaigns are scheduled without a time",
            campaign,
        ),
        (
            format!(
                "UPDATE campaign_sends SET status = 'delivered', sent_at = \
                 '2999-01-01T00:00:00+00:00' WHERE id = {}",
                id(send)
            ),
            "campaign_sends.sent_at is in the future",
            send,
        ),
        (
            format!("UPDATE campaigns SET status = 'sent' WHERE id = {}", id(sent)),
            "campaigns are sent but have queued sends",
            sent,
        ),
    ];
    for (statement, ..) in &cases {
        sql.execute_unprepared(statement)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let (printed, code) = doctor(&app, &["--rows", "100000"]).await;
    assert_eq!(code, 1, "{printed}");
    let problems: Vec<&str> = printed.split("\n\n").collect();
    for (statement, wrong, row) in cases {
        let problem = problems.iter().find(|problem| problem.starts_with(wrong));
        let problem =
            problem.unwrap_or_else(|| panic!("{statement}\n{wrong}: is not in\n{printed}"));
        assert!(problem.contains(&row.to_string()), "{row}: {problem}");
        assert!(problem.lines().last().unwrap().starts_with("  Remedy: "), "{problem}");
    }
    // a send that was opened but is queued
    assert!(
        printed.contains("campaign_sends have opens or clicks but are queued or failed: "),
        "{printed}"
    );
    let (printed, _) = doctor(&app, &["--rows", "1"]).await;
    assert!(printed.contains("  and "), "{printed}");
}

#[on_both_databases]
async fn missing_objects_that_the_service_needs_are_named(app: TestApp) {
    let (index, trigger, off) = match app.database.backend {
        Backend::Postgres => (
            "DROP INDEX campaign_events_contact_occurred",
            "ALTER TABLE campaign_events DISABLE TRIGGER ALL; ALTER TABLE campaign_events ENABLE \
             TRIGGER ALL",
            "campaign_counts_row on campaign_events does not fire in sessions of replication",
        ),
        Backend::Sqlite => (
            "DROP INDEX campaign_events_contact_occurred",
            "DROP TRIGGER campaign_counts_event_insert",
            "campaign_counts_event_insert is missing",
        ),
    };
    app.run(index).await;
    app.run(trigger).await;
    let (printed, code) = doctor(&app, &[]).await;
    assert_eq!(code, 1);
    assert!(
        printed.contains("  campaign_events has no index that begins with send_contact_id\n"),
        "{printed}"
    );
    assert!(printed.contains(off), "{printed}");
}

fn soft(app: &TestApp) -> &'static str {
    match app.database.backend {
        Backend::Sqlite => "json_extract(e.metadata, '$.bounce_type')",
        Backend::Postgres => "e.metadata ->> 'bounce_type'",
    }
}

/// Drops constraints, as some programs do for an import.
async fn without_constraints(sql: &DatabaseConnection) {
    let statement = match sql.get_database_backend() {
        DbBackend::Sqlite => "PRAGMA foreign_keys = off",
        _ => {
            "DO $$ DECLARE k record; BEGIN FOR k IN SELECT conrelid::regclass AS t, conname FROM \
             pg_constraint WHERE contype = 'f' LOOP EXECUTE \
             format('ALTER TABLE %s DROP CONSTRAINT %I', k.t, k.conname); END LOOP; END $$"
        }
    };
    sql.execute_unprepared(statement).await.unwrap();
}

/// The problems of the feed that `doctor`, `serve --check` and `serve`, which does not start,
/// report.
async fn faults_of_feed(app: &TestApp) -> Option<String> {
    let (printed, code) = doctor(app, &[]).await;
    let here = tempfile::tempdir().unwrap();
    let arguments = serve_arguments(&app.database.url);
    let check = Binary::run(here.path(), &[&arguments, ["--check"].as_slice()].concat()).await;
    let Some((_, fault)) = printed.split_once("subscribers to the feed miss events") else {
        assert_eq!(check.code, 0, "{}", check.out);
        assert!(check.out.contains("ok      feed\n"), "{}", check.out);
        return None;
    };
    let fault = fault.split("\n\n").next().unwrap();
    let line = fault.lines().find(|line| line.contains("campaign_")).unwrap().trim().to_owned();
    assert_eq!((code, check.code), (1, 1));
    assert!(check.out.contains("failed  feed: "), "{}", check.out);
    let served = Binary::run(here.path(), &arguments).await;
    assert_eq!(served.code, 1, "{}", served.err);
    for output in [&check.out, &served.err] {
        assert!(output.contains(&line), "{line}\n{output}");
    }
    Some(line)
}

#[tokio::test]
async fn a_sequence_that_breaks_the_order_of_the_feed_is_named_with_a_fix() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    acme.populated(4).await;
    assert_eq!(faults_of_feed(&app).await, None);
    for (statement, wrong) in [
        ("ALTER SEQUENCE campaign_feed_position CACHE 20", "hands out 20 numbers in advance"),
        ("ALTER SEQUENCE campaign_feed_position INCREMENT BY 2", "has an increment of 2"),
        (
            "ALTER SEQUENCE campaign_feed_position MAXVALUE 1000000 CYCLE",
            "starts again after its last number",
        ),
        (
            "ALTER SEQUENCE campaign_feed_position OWNED BY campaign_events.feed_position",
            "belongs to a column",
        ),
        ("ALTER SEQUENCE campaign_feed_position SET UNLOGGED", "is unlogged"),
        ("ALTER SEQUENCE campaign_feed_position RESTART", "is at 1, behind an event at "),
        ("SELECT setval('campaign_feed_position', 2)", "is at 2, behind an event at "),
        (
            "DROP SEQUENCE campaign_feed_position; CREATE SEQUENCE campaign_feed_position",
            "behind an event at ",
        ),
        ("DROP SEQUENCE campaign_feed_position", "is missing"),
        ("DELETE FROM campaign_cursor_key", "campaign_cursor_key has no key"),
    ] {
        app.run(statement).await;
        let line = faults_of_feed(&app).await.unwrap_or_else(|| panic!("{statement}: nothing"));
        assert!(line.contains(wrong), "{statement}: {line}");
        // the suggested statement fixes it
        let (_, remedy) = line.split_once(": ").unwrap();
        app.run(remedy).await;
        assert_eq!(faults_of_feed(&app).await, None, "{statement}");
        let insert = "INSERT INTO campaign_events (org_id, send_id, event_type) SELECT org_id, id, \
                      'open' FROM campaign_sends LIMIT 1";
        let latest = "SELECT max(feed_position) AS latest FROM campaign_events";
        let before: i64 = app.rows(latest).await[0].try_get("", "latest").unwrap();
        app.run(insert).await;
        assert!(app.rows(latest).await[0].try_get::<i64>("", "latest").unwrap() > before);
    }
}

#[tokio::test]
async fn a_counter_that_breaks_the_order_of_the_feed_is_named_with_a_fix() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    acme.populated(4).await;
    assert_eq!(faults_of_feed(&app).await, None);
    for (statement, wrong) in [
        ("UPDATE campaign_feed SET last_position = 3", "is at 3, behind an event at "),
        ("DELETE FROM campaign_feed", "campaign_feed has no counter"),
        ("DELETE FROM campaign_cursor_key", "campaign_cursor_key has no key"),
    ] {
        app.run(statement).await;
        let line = faults_of_feed(&app).await.unwrap_or_else(|| panic!("{statement}: nothing"));
        assert!(line.contains(wrong), "{statement}: {line}");
        let (_, remedy) = line.split_once(": ").unwrap();
        app.run(remedy).await;
        assert_eq!(faults_of_feed(&app).await, None, "{statement}");
    }
}

#[tokio::test]
async fn values_that_cannot_be_shown_are_named_on_adopted_tables() {
    let app = TestApp::adopted().start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(8).await;
    let employment = app.rows("SELECT id FROM contact_companies LIMIT 1").await;
    let employment: Uuid = employment[0].try_get("", "id").unwrap();
    app.run("ALTER TABLE contacts ALTER first_name DROP NOT NULL").await;
    let time = "is not a time in the years 1 to 9999";
    let cases = [
        ("campaign_events", "occurred_at", "'infinity'", made.events[0], time),
        ("campaign_events", "created_at", "'0044-03-15 BC'", made.events[1], time),
        ("campaign_sends", "delivered_at", "'10000-01-01 00:00+00'", made.sends[0], time),
        ("campaigns", "scheduled_at", "'-infinity'", made.campaigns[0], time),
        ("campaign_segments", "updated_at", "'infinity'", made.segments[0], time),
        ("campaign_lists", "created_at", "'infinity'", made.entries[0], time),
        ("contacts", "created_at", "'294276-01-01 00:00+00'", made.contacts[0], time),
        ("companies", "updated_at", "'infinity'", made.companies[0], time),
        ("users", "last_sign_in_at", "'-infinity'", made.users[0], time),
        ("organizations", "created_at", "'-infinity'", acme.id, time),
        (
            "contact_companies",
            "started_at",
            "'infinity'",
            employment,
            "is not a date in the years 1 to 9999",
        ),
        (
            "companies",
            "annual_revenue",
            "'NaN'",
            made.companies[1],
            "is not a number of at most 28 digits",
        ),
        ("contacts", "first_name", "NULL", made.contacts[1], "is null"),
    ];
    let set_updated_at = "organizations users contacts companies contact_companies campaigns \
                          campaign_segments campaign_lists campaign_sends campaign_events";
    for table in set_updated_at.split(' ') {
        app.run(&format!("ALTER TABLE {table} DISABLE TRIGGER set_updated_at")).await;
    }
    for (table, column, value, id, _) in cases {
        app.run(&format!("UPDATE {table} SET {column} = {value} WHERE id = '{id}'")).await;
    }
    let (printed, code) = doctor(&app, &["--rows", "100000"]).await;
    assert_eq!(code, 1, "{printed}");
    let problems: Vec<&str> = printed.split("\n\n").collect();
    for (table, column, value, id, what) in cases {
        let wrong = format!("{table}.{column} {what}: 1\n");
        let problem = problems.iter().find(|problem| problem.starts_with(&wrong));
        let problem = problem.unwrap_or_else(|| panic!("{value}: {wrong} is not in\n{printed}"));
        assert!(problem.contains(&id.to_string()), "{problem}");
        assert!(problem.lines().last().unwrap().starts_with("  Remedy: "), "{problem}");
    }
}

#[tokio::test]
async fn invalid_times_are_named_on_sqlite() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let sql = app.database.connect_once().await;
    sql.execute_unprepared("PRAGMA ignore_check_constraints = on").await.unwrap();
    sql.execute_unprepared("DROP TRIGGER contacts_times_on_update").await.unwrap();
    let id = app.literal(made.contacts[0]);
    let set = format!("UPDATE contacts SET created_at = 'yesterday' WHERE id = {id}");
    sql.execute_unprepared(&set).await.unwrap();
    let (printed, code) = doctor(&app, &["--rows", "100000"]).await;
    assert_eq!(code, 1, "{printed}");
    let wrong = "contacts.created_at is not a time in the years 1 to 9999: 1\n";
    assert!(
        printed.contains(wrong) && printed.contains(&made.contacts[0].to_string()),
        "{printed}"
    );
}
