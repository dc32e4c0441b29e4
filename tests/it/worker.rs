//! Workers: scheduled campaigns start at their time, and campaigns that have been sent are
//! completed.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use campaigns_tests::{
    Backend, Binary, LOCK_WAITERS, Organization, TestApp, TestDatabase, on_both_databases, until,
};
use chrono::{TimeDelta, Utc};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// A campaign in a status, with this many contacts on its list, that became due this many seconds
/// ago.
pub(crate) async fn campaign(
    app: &TestApp,
    organization: &Organization,
    status: &str,
    ago: i64,
    contacts: usize,
) -> Uuid {
    let id = Uuid::new_v4();
    let (literal, org) = (app.literal(id), app.literal(organization.id));
    let at = (Utc::now() - TimeDelta::seconds(ago)).to_rfc3339();
    app.run(&format!(
        "INSERT INTO campaigns (id, org_id, name, status, scheduled_at) VALUES \
         ({literal}, {org}, 'x', '{status}', '{at}')"
    ))
    .await;
    if contacts > 0 {
        app.run(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {contacts}) \
             INSERT INTO contacts (org_id, first_name, email, source) SELECT {org}, 'x', \
             'x@example.com', '{id}' FROM n"
        ))
        .await;
        app.run(&format!(
            "INSERT INTO campaign_lists (org_id, campaign_id, contact_id) \
             SELECT {org}, {literal}, id FROM contacts WHERE source = '{id}'"
        ))
        .await;
    }
    id
}

async fn sends(app: &TestApp, id: Uuid, status: &str) {
    app.run(&format!(
        "INSERT INTO campaign_sends (org_id, campaign_id, contact_id, status) \
         SELECT org_id, campaign_id, contact_id, '{status}' FROM campaign_lists WHERE campaign_id \
         = {}",
        app.literal(id)
    ))
    .await;
}

async fn shown(organization: &Organization, id: Uuid) -> Json {
    let query = "query ($id: ID!) { campaign(id: $id) { status sentAt stats { sends queued } } }";
    organization.member.data(query, json!({ "id": id })).await["campaign"].take()
}

/// Waits until a campaign has a status.
async fn becomes(organization: &Organization, id: Uuid, status: &str) -> Json {
    let mut now = Json::Null;
    until(&format!("it becomes {status}"), Duration::from_mins(2), async || {
        now = shown(organization, id).await;
        now["status"] == status
    })
    .await;
    now
}

async fn worker(database: &TestDatabase) -> Binary {
    let arguments = ["worker", "--database-url", &database.url];
    let mut worker = Binary::start(Path::new("/"), &arguments).await;
    worker.line(|line| line.contains("looking for campaigns").then_some(())).await;
    worker
}

/// Asserts that every contact on the list of a started campaign has exactly one send.
async fn everyone_has_one_send(app: &TestApp) {
    let wrong = app
        .rows(
            "SELECT l.id FROM campaign_lists l JOIN campaigns c ON c.id = l.campaign_id AND \
             c.status = 'sending' LEFT JOIN campaign_sends s ON s.campaign_id = l.campaign_id AND \
             s.contact_id = l.contact_id GROUP BY l.id HAVING count(s.id) <> 1",
        )
        .await;
    assert_eq!(wrong.len(), 0);
}

#[on_both_databases]
async fn due_campaigns_start_and_others_wait(app: TestApp) {
    let acme = app.organization("acme").await;
    let other = app.organization("other").await;
    let waiting = [
        campaign(&app, &acme, "draft", 60, 1).await,
        campaign(&app, &acme, "paused", 60, 1).await,
        campaign(&app, &acme, "canceled", 60, 1).await,
        campaign(&app, &acme, "scheduled", -3_600, 1).await,
    ];
    let before = [
        shown(&acme, waiting[0]).await,
        shown(&acme, waiting[1]).await,
        shown(&acme, waiting[2]).await,
        shown(&acme, waiting[3]).await,
    ];
    // without a time, a campaign is never due
    let timeless = campaign(&app, &acme, "scheduled", 60, 1).await;
    app.run(&format!(
        "UPDATE campaigns SET scheduled_at = NULL WHERE id = {}",
        app.literal(timeless)
    ))
    .await;
    let worker = worker(&app.database).await;
    let soon = campaign(&app, &acme, "scheduled", -1, 4).await;
    let due = [
        campaign(&app, &acme, "scheduled", 5, 3).await,
        campaign(&app, &other, "scheduled", 0, 2).await,
    ];
    assert_eq!(
        becomes(&acme, due[0], "SENDING").await["stats"],
        json!({ "sends": 3, "queued": 3 })
    );
    assert_eq!(
        becomes(&other, due[1], "SENDING").await["stats"],
        json!({ "sends": 2, "queued": 2 })
    );
    assert_eq!(becomes(&acme, soon, "SENDING").await["stats"], json!({ "sends": 4, "queued": 4 }));
    for (id, before) in waiting.into_iter().zip(before) {
        assert_eq!(shown(&acme, id).await, before);
    }
    assert_eq!(shown(&acme, timeless).await["status"], "SCHEDULED");
    let log = worker.log();
    assert_eq!(worker.terminate().await, 0);
    assert_eq!(log.matches("campaign started").count(), 3, "{log}");
    assert!(!log.contains("example.com"), "{log}");
}

#[on_both_databases]
async fn only_campaigns_that_were_sent_are_completed(app: TestApp) {
    let acme = app.organization("acme").await;
    let mut sending = Vec::new();
    for status in ["queued", "sent", "delivered", "bounced", "failed"] {
        let id = campaign(&app, &acme, "sending", 60, 2).await;
        sends(&app, id, "delivered").await;
        app.run(&format!(
            "UPDATE campaign_sends SET status = '{status}' WHERE id = \
             (SELECT id FROM campaign_sends WHERE campaign_id = {} LIMIT 1)",
            app.literal(id)
        ))
        .await;
        sending.push(id);
    }
    let without_sends = campaign(&app, &acme, "sending", 60, 2).await;
    let paused = campaign(&app, &acme, "paused", 60, 2).await;
    sends(&app, paused, "delivered").await;
    let worker = worker(&app.database).await;
    for id in &sending[2..] {
        assert!(becomes(&acme, *id, "SENT").await["sentAt"].is_string());
    }
    // after one more round, earlier campaigns have been checked
    let last = campaign(&app, &acme, "sending", 60, 1).await;
    sends(&app, last, "failed").await;
    becomes(&acme, last, "SENT").await;
    for id in [sending[0], sending[1], without_sends] {
        assert_eq!(shown(&acme, id).await["status"], "SENDING");
    }
    assert_eq!(shown(&acme, paused).await["status"], "PAUSED");
    // the campaign waited for the last report
    app.run("UPDATE campaign_sends SET status = 'delivered'").await;
    becomes(&acme, sending[0], "SENT").await;
    becomes(&acme, sending[1], "SENT").await;
    assert_eq!(worker.terminate().await, 0);
}

#[on_both_databases]
async fn several_workers_start_each_campaign_once(app: TestApp) {
    let acme = app.organization("acme").await;
    let mut ids = Vec::new();
    for number in 0..12 {
        ids.push(campaign(&app, &acme, "scheduled", 5 - number % 3, 200).await);
    }
    let workers =
        [worker(&app.database).await, worker(&app.database).await, worker(&app.database).await];
    // a client does the same meanwhile, and may be faster
    let start = "mutation ($id: ID!) { startCampaign(id: $id) { campaign { status } } }";
    let mut by_client = 0;
    for id in &ids[8..] {
        let answer = acme.member.ask(start, json!({ "id": id })).await;
        if answer.body.get("errors").is_none() {
            by_client += 1;
        } else {
            assert_eq!(answer.code(), "CONFLICT");
        }
    }
    for id in &ids {
        assert_eq!(
            becomes(&acme, *id, "SENDING").await["stats"],
            json!({ "sends": 200, "queued": 200 })
        );
    }
    everyone_has_one_send(&app).await;
    let mut started = 0;
    for worker in workers {
        started += worker.log().matches("campaign started").count();
        assert_eq!(worker.terminate().await, 0);
    }
    // a line can be logged shortly after its transaction is visible, and each is logged once
    assert!(started + by_client <= 12, "{started} {by_client}");
}

#[on_both_databases]
async fn killed_workers_lose_and_repeat_nothing(app: TestApp) {
    let acme = app.organization("acme").await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(campaign(&app, &acme, "scheduled", 5, 2_000).await);
    }
    for _ in 0..4 {
        let worker = worker(&app.database).await;
        // at any point of its work
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(60) {
            shown(&acme, ids[0]).await;
        }
        worker.kill().await;
        for id in &ids {
            let shown = shown(&acme, *id).await;
            let sends = if shown["status"] == "SENDING" { 2_000 } else { 0 };
            assert_eq!(shown["stats"], json!({ "sends": sends, "queued": sends }), "{shown}");
        }
    }
    let worker = worker(&app.database).await;
    for id in &ids {
        becomes(&acme, *id, "SENDING").await;
    }
    everyone_has_one_send(&app).await;
    assert_eq!(worker.terminate().await, 0);
}

#[tokio::test]
async fn a_worker_that_is_killed_between_step_and_sends_has_done_neither() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let id = campaign(&app, &acme, "scheduled", 5, 10).await;
    // sends cannot be inserted meanwhile
    let holder = app.database.connect().await;
    let hold = holder.begin().await.unwrap();
    hold.execute_unprepared("LOCK TABLE campaign_sends IN SHARE MODE").await.unwrap();
    let first = worker(&app.database).await;
    until("the worker begins", Duration::from_mins(2), async || app.count(LOCK_WAITERS).await > 0)
        .await;
    first.kill().await;
    let second = worker(&app.database).await;
    assert_eq!(shown(&acme, id).await["status"], "SCHEDULED");
    hold.rollback().await.unwrap();
    assert_eq!(becomes(&acme, id, "SENDING").await["stats"], json!({ "sends": 10, "queued": 10 }));
    everyone_has_one_send(&app).await;
    assert_eq!(second.terminate().await, 0);
}

#[tokio::test]
async fn a_campaign_that_cannot_start_does_not_delay_others() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let broken = campaign(&app, &acme, "scheduled", 60, 2).await;
    app.run(&format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.campaign_id = '{broken}' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON campaign_sends FOR EACH ROW EXECUTE FUNCTION \
         refuse()"
    ))
    .await;
    let worker = worker(&app.database).await;
    for _ in 0..3 {
        let id = campaign(&app, &acme, "scheduled", 1, 2).await;
        becomes(&acme, id, "SENDING").await;
    }
    assert_eq!(shown(&acme, broken).await["status"], "SCHEDULED");
    assert!(worker.log().contains(&broken.to_string()), "{}", worker.log());
    app.run("DROP TRIGGER refuse ON campaign_sends").await;
    becomes(&acme, broken, "SENDING").await;
    assert_eq!(worker.terminate().await, 0);
}

#[tokio::test]
async fn a_service_is_a_worker_with_the_flag_and_in_development_mode() {
    const SECRET: &str = "a secret of thirty-two bytes or more";
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let directory = tempfile::tempdir().unwrap();
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--jwt-secret",
        SECRET,
        "--database-url",
        &app.database.url,
    ];
    let id = campaign(&app, &acme, "scheduled", 60, 2).await;
    let mut plain = Binary::start(directory.path(), &arguments).await;
    plain.address().await;
    let mut service =
        Binary::start(directory.path(), &[&arguments[..], &["--worker"]].concat()).await;
    service.address().await;
    becomes(&acme, id, "SENDING").await;
    assert!(!plain.log().contains("campaign started"));
    assert_eq!(plain.terminate().await, 0);
    assert_eq!(service.terminate().await, 0);

    let here = tempfile::tempdir().unwrap();
    let mut service = Binary::start(here.path(), &["--listen", "127.0.0.1:0"]).await;
    let address = service.address().await;
    let token = service
        .line(|line| line.trim().strip_prefix("member ").map(|of| of.trim().to_owned()))
        .await;
    let mut client = acme.member.clone();
    client.address = address;
    client.token = Some(token);
    let input =
        json!({ "name": "x", "scheduledAt": (Utc::now() + TimeDelta::seconds(1)).to_rfc3339() });
    let create = "mutation ($input: CreateCampaignInput!) { createCampaign(input: $input) { \
                  campaign { id status } } }";
    let made = client.data(create, json!({ "input": input })).await;
    let id = made["createCampaign"]["campaign"]["id"].as_str().unwrap().parse().unwrap();
    let mut developers = app.existing_organization(acme.id).await;
    developers.member = client;
    becomes(&developers, id, "SENDING").await;
    assert_eq!(service.terminate().await, 0);
}

#[on_both_databases]
async fn a_campaign_whose_step_panics_rests_and_the_others_start(app: TestApp) {
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    // more campaigns than a round takes, and due before all others
    let mut broken = Vec::new();
    for _ in 0..120 {
        broken.push(campaign(&app, &acme, "scheduled", 600, 0).await);
    }
    let whole = campaign(&app, &other, "scheduled", 5, 2).await;
    // none of these steps locks a row of the other organization
    let of_acme = acme.id.to_string();
    app.panic_where(move |sent| {
        sent.sql.contains("FROM \"campaigns\"")
            && sent.values.iter().any(|value| value.contains(&of_acme))
    });
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let worker = tokio::spawn(campaigns_delivery::work(app.service_database.clone(), stopped));
    let started = async |id: Uuid| {
        let rows = app
            .rows(&format!(
                "SELECT id FROM campaigns WHERE status <> 'scheduled' AND id = {}",
                app.literal(id)
            ))
            .await;
        !rows.is_empty()
    };
    let patience = Duration::from_mins(1);
    until("the other one starts", patience, async || started(whole).await).await;
    assert!(!started(broken[0]).await);
    app.panic_where(|_| false);
    until("they start as well", patience, async || {
        app.count("campaigns WHERE status = 'scheduled'").await == 0
    })
    .await;
    stop.send(true).unwrap();
    worker.await.unwrap();
}
