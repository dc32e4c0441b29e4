//! `campaigns doctor`: what is wrong in data that others wrote.

use campaigns_tests::{Backend, Binary, TestApp, on_both_databases, populate};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};
use uuid::Uuid;

/// What it prints, and its exit code.
async fn doctor(app: &TestApp, arguments: &[&str]) -> (String, i32) {
    let here = tempfile::tempdir().unwrap();
    let mut all = vec!["doctor", "--database-url", &app.database.url];
    all.extend(arguments);
    let finished = Binary::run(here.path(), &all).await;
    (finished.out, finished.code)
}

on_both_databases! {
    async fn a_healthy_database_has_nothing_wrong(app: TestApp) {
        let acme = app.organization("acme").await;
        populate(&acme.scope, &mut ChaCha8Rng::seed_from_u64(171), 20).await;
        // what the random rows contradict is put right first
        app.run("UPDATE campaign_sends SET status = 'delivered' WHERE status IN ('queued', 'failed')").await;
        app.run("UPDATE campaigns SET status = 'draft' WHERE status = 'scheduled'").await;
        app.run(&format!("UPDATE campaign_sends SET status = 'bounced' WHERE EXISTS (SELECT 1 FROM campaign_events e \
            WHERE e.send_id = campaign_sends.id AND e.event_type = 'bounce' AND coalesce({}, 'hard') <> 'soft')", soft(&app))).await;
        let (printed, code) = doctor(&app, &[]).await;
        assert_eq!(code, 0, "{printed}");
        assert!(printed.starts_with("no problems found by "), "{printed}");
    }

    async fn each_contradiction_is_named_with_its_row_and_a_remedy(app: TestApp) {
        let (acme, other) = (app.organization("acme").await, app.organization("other").await);
        let made = populate(&acme.scope, &mut ChaCha8Rng::seed_from_u64(172), 20).await;
        let theirs = populate(&other.scope, &mut ChaCha8Rng::seed_from_u64(173), 5).await;
        // one connection, as SQLite turns its checks off for one
        let sql = app.database.connect_once().await;
        without_constraints(&sql).await;
        let id = |id: Uuid| app.literal(id);
        let (send, event, contact) = (made.sends[0], made.events[0], made.contacts[0]);
        let nowhere = Uuid::new_v4();
        app.run(&format!("UPDATE campaign_sends SET status = 'queued' WHERE id = {}", id(made.sends[1]))).await;
        let sent = app.rows(&format!("SELECT campaign_id FROM campaign_sends WHERE id = {}", id(made.sends[1]))).await;
        let sent: Uuid = sent[0].try_get("", "campaign_id").unwrap();
        let campaign = made.campaigns.iter().copied().find(|campaign| *campaign != sent).unwrap();
        let cases = [
            (format!("UPDATE campaign_lists SET contact_id = {} WHERE id = (SELECT id FROM campaign_lists WHERE org_id = {} LIMIT 1)", id(theirs.contacts[0]), id(acme.id)),
             "campaign_lists.contact_id refers to a row of another organization", theirs.contacts[0]),
            (format!("UPDATE campaign_events SET send_id = {} WHERE id = {}", id(nowhere), id(event)),
             "campaign_events.send_id refers to a row that does not exist", nowhere),
            (format!("UPDATE contacts SET org_id = {} WHERE id = {}", id(nowhere), id(made.contacts[5])),
             "contacts.org_id refers to an organization that does not exist", made.contacts[5]),
            (format!("UPDATE contacts SET metadata = '[1]' WHERE id = {}", id(contact)),
             "contacts.metadata is not a JSON object", contact),
            (format!("UPDATE campaign_segments SET filter_rules = '{{\"planet\": \"Mars\"}}' WHERE id = {}", id(made.segments[0])),
             "campaign_segments.filter_rules cannot be read", made.segments[0]),
            (format!("UPDATE campaigns SET status = 'scheduled', scheduled_at = NULL WHERE id = {}", id(campaign)),
             "campaigns are scheduled without a time", campaign),
            (format!("UPDATE campaign_sends SET status = 'delivered', sent_at = '2999-01-01T00:00:00+00:00' WHERE id = {}", id(send)),
             "campaign_sends.sent_at is in the future", send),
            (format!("UPDATE campaigns SET status = 'sent' WHERE id = {}", id(sent)),
             "campaigns are sent but have queued sends", sent),
        ];
        for (statement, ..) in &cases {
            sql.execute_unprepared(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        let (printed, code) = doctor(&app, &["--rows", "100000"]).await;
        assert_eq!(code, 1, "{printed}");
        let problems: Vec<&str> = printed.split("\n\n").collect();
        for (statement, wrong, row) in cases {
            let problem = problems.iter().find(|problem| problem.starts_with(wrong));
            let problem = problem.unwrap_or_else(|| panic!("{statement}\n{wrong}: is not in\n{printed}"));
            assert!(problem.contains(&row.to_string()), "{row}: {problem}");
            assert!(problem.lines().last().unwrap().starts_with("  Remedy: "), "{problem}");
        }
        // what was sent and opened, and is called queued
        assert!(printed.contains("campaign_sends have opens or clicks but are queued or failed: "), "{printed}");
        let (printed, _) = doctor(&app, &["--rows", "1"]).await;
        assert!(printed.contains("  and "), "{printed}");
    }

    async fn what_the_service_needs_and_is_gone_is_named(app: TestApp) {
        let (index, trigger, off) = match app.database.backend {
            Backend::Postgres => (
                "DROP INDEX campaign_events_contact_occurred",
                "ALTER TABLE campaign_events DISABLE TRIGGER ALL; ALTER TABLE campaign_events ENABLE TRIGGER ALL",
                "campaign_counts_row on campaign_events does not fire when it has to: ALTER TABLE campaign_events ENABLE REPLICA TRIGGER campaign_counts_row",
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
        assert!(printed.contains("  campaign_events has no index that begins with send_contact_id\n"), "{printed}");
        assert!(printed.contains(off), "{printed}");
    }
}

fn soft(app: &TestApp) -> &'static str {
    match app.database.backend {
        Backend::Sqlite => "json_extract(e.metadata, '$.bounce_type')",
        Backend::Postgres => "e.metadata ->> 'bounce_type'",
    }
}

/// As in a database whose foreign keys were dropped for an import.
async fn without_constraints(sql: &DatabaseConnection) {
    let statement = match sql.get_database_backend() {
        DbBackend::Sqlite => "PRAGMA foreign_keys = off",
        _ => {
            "DO $$ DECLARE k record; BEGIN FOR k IN SELECT conrelid::regclass AS t, conname FROM pg_constraint \
                 WHERE contype = 'f' LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', k.t, k.conname); END LOOP; END $$"
        }
    };
    sql.execute_unprepared(statement).await.unwrap();
}
