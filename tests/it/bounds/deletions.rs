//! Large deletions run in steps that can be repeated, and the figures are correct after each step.

use std::time::{Duration, Instant};

use campaigns_graphql::Limits;
use campaigns_server::Settings;
use campaigns_tests::{Backend, Organization, TestApp};
use serde_json::{Value as Json, json};
use uuid::Uuid;

const DELETE: &str = "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }";

/// A campaign with `sends` sends, an event of each, and a list of the same length.
async fn large(app: &TestApp, organization: &Organization, sends: usize) -> Uuid {
    let org = app.literal(organization.id);
    let campaign = Uuid::new_v4();
    let id = app.literal(campaign);
    for sql in [
        format!("INSERT INTO campaigns (id, org_id, name) VALUES ({id}, {org}, 'large')"),
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {sends}) \
             INSERT INTO contacts (org_id, first_name) SELECT {org}, 'x' FROM n"
        ),
        format!(
            "INSERT INTO campaign_sends (org_id, campaign_id, contact_id) \
             SELECT {org}, {id}, id FROM contacts WHERE org_id = {org}"
        ),
        format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type) \
             SELECT {org}, id, 'open' FROM campaign_sends WHERE campaign_id = {id}"
        ),
        format!(
            "INSERT INTO campaign_lists (org_id, campaign_id, contact_id) \
             SELECT {org}, {id}, id FROM contacts WHERE org_id = {org}"
        ),
    ] {
        app.run(&sql).await;
    }
    campaign
}

fn settings(query: Duration, deletion: Duration) -> Settings {
    Settings {
        query_timeout: query,
        limits: Limits { deletion, ..Limits::default() },
        ..Settings::default()
    }
}

#[tokio::test]
async fn a_deletion_may_take_longer_than_an_operation() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let settings = settings(Duration::from_millis(150), Duration::from_mins(2));
        let app = TestApp::on(backend).settings(settings).start().await;
        let (acme, other) = (app.organization("acme").await, app.organization("other").await);
        let campaign = large(&app, &acme, 20_000).await;
        let kept = large(&app, &other, 10).await;
        let started = Instant::now();
        let data = acme.admin.data(DELETE, json!({ "id": campaign })).await;
        assert_eq!(data["deleteCampaign"]["id"], json!(campaign));
        assert!(started.elapsed() > Duration::from_millis(150), "{:?}", started.elapsed());
        for table in ["campaign_events", "campaign_sends", "campaign_lists"] {
            assert_eq!(app.count(table).await, 10, "{table}");
        }
        assert_eq!(app.count(&format!("campaigns WHERE id = {}", app.literal(kept))).await, 1);
        let again = acme.admin.ask(DELETE, json!({ "id": campaign })).await;
        assert_eq!(again.code(), "NOT_FOUND");
    }
}

#[tokio::test]
async fn a_repeated_deletion_continues_and_figures_stay_correct() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let settings = settings(Duration::from_secs(10), Duration::from_nanos(1));
        let app = TestApp::on(backend).settings(settings).start().await;
        let acme = app.organization("acme").await;
        let campaign = large(&app, &acme, 9_000).await;
        let id = app.literal(campaign);
        let mut calls = 0;
        loop {
            let answer = acme.admin.ask(DELETE, json!({ "id": campaign })).await;
            calls += 1;
            if answer.body.get("errors").is_none() {
                break;
            }
            assert_eq!(answer.code(), "TIMEOUT");
            assert!(answer.error()["message"].as_str().unwrap().contains("Repeat"));
            let query =
                "query ($id: ID!) { campaign(id: $id) { stats { sends opens uniqueOpens } } }";
            let data = acme.member.data(query, json!({ "id": campaign })).await;
            let counted = async |of: &str| app.count(&format!("{of} = {id}")).await;
            let sends = counted("campaign_sends WHERE campaign_id").await;
            let events = counted("campaign_events WHERE send_campaign_id").await;
            assert_eq!(
                data["campaign"]["stats"],
                json!({ "sends": sends, "opens": events, "uniqueOpens": events })
            );
        }
        assert!(calls > 3, "{calls}");
        assert_eq!(app.count("campaigns").await, 0);
    }
}

#[tokio::test]
async fn two_deletions_and_a_write_of_the_same_rows_do_not_deadlock() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let campaign = large(&app, &acme, 5_000).await;
    let sends = app.rows("SELECT id FROM campaign_sends LIMIT 200").await;
    let input: Vec<Json> = sends
        .iter()
        .map(|row| {
            json!({
                "sendId": row.try_get::<Uuid>("", "id").unwrap(), "type": "CLICK",
                "url": "https://x.example",
            })
        })
        .collect();
    let record =
        "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
    let (one, two) = (acme.admin.clone(), acme.admin.clone());
    let writer = acme.member.clone();
    let (one, two, written) = tokio::join!(
        one.ask(DELETE, json!({ "id": campaign })),
        two.ask(DELETE, json!({ "id": campaign })),
        writer.ask(record, json!({ "input": input })),
    );
    let gone = [&one, &two].iter().filter(|answer| answer.body.get("errors").is_none()).count();
    assert_eq!(gone, 1, "{one:?} {two:?}");
    // it was written before the deletion, or its sends no longer existed
    let code = written.body["errors"][0]["extensions"]["code"].as_str().unwrap_or("none");
    assert!(["none", "NOT_FOUND"].contains(&code), "{written:?}");
    assert_eq!(app.count("campaign_events").await + app.count("campaign_sends").await, 0);
}

#[tokio::test]
async fn a_segment_with_a_long_list_is_deleted_in_steps() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let app = TestApp::on(backend).start().await;
        let acme = app.organization("acme").await;
        large(&app, &acme, 5_000).await;
        let create = "mutation { createSegment(input: { name: \"x\" }) { segment { id } } }";
        let data = acme.member.data(create, json!({})).await;
        let id: Uuid = data["createSegment"]["segment"]["id"].as_str().unwrap().parse().unwrap();
        app.run(&format!("UPDATE campaign_lists SET segment_id = {}", app.literal(id))).await;
        app.forget_statements();
        let delete = "mutation ($id: ID!) { deleteSegment(id: $id) { id } }";
        acme.admin.data(delete, json!({ "id": id })).await;
        assert!(app.statements().len() >= 3, "{:?}", app.statements());
        assert_eq!(app.count("campaign_lists").await, 5_000);
        assert_eq!(app.count("campaign_lists WHERE segment_id IS NOT NULL").await, 0);
    }
}
