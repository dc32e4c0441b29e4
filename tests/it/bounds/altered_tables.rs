//! Tables that are altered while the service runs.

use campaigns_tests::{Backend, TestApp};
use serde_json::{Value as Json, json};
use uuid::Uuid;

const TABLES: [&str; 11] = [
    "organizations",
    "users",
    "memberships",
    "contacts",
    "companies",
    "contact_companies",
    "campaigns",
    "campaign_segments",
    "campaign_lists",
    "campaign_sends",
    "campaign_events",
];

#[tokio::test]
async fn columns_can_be_added_to_every_table_during_all_operations() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let app = TestApp::on(backend).start().await;
        let acme = app.organization("acme").await;
        let made = acme.populated(8).await;
        // twice, because plans are cached from the second execution on
        for round in 0..2 {
            for table in TABLES {
                do_everything(&acme, &made).await;
                app.run(&format!("ALTER TABLE {table} ADD COLUMN added_{round} text DEFAULT 'x'"))
                    .await;
                do_everything(&acme, &made).await;
            }
        }
        // a column gets another type
        if backend == Backend::Postgres {
            app.run("ALTER TABLE campaigns ALTER COLUMN subject TYPE varchar(500)").await;
            app.run("ALTER TABLE campaign_sends ALTER COLUMN error TYPE varchar(500)").await;
            do_everything(&acme, &made).await;
        }
    }
}

async fn do_everything(acme: &campaigns_tests::Organization, made: &campaigns_tests::Fixtures) {
    let (campaign, send) = (made.campaigns[0], made.sends[0]);
    for (operation, variables) in [
        (
            "query ($id: ID!) {
              viewer { organization { name } user { email } }
              campaigns(first: 5, orderBy: [{ field: OPEN_RATE, direction: DESC }]) {
                totalCount
                nodes {
                  name subject creator { fullName } stats { sends openRate } links { url } \
                  segments { name }
                  timeline(interval: DAY) { start opens }
                  list(first: 2) { nodes { contact { email companies { name } } segment { name } } }
                  sends(first: 3) { nodes { status error opens contact { email suppression { \
                  reason } } events(first: 2) { nodes { type } } } }
                }
              }
              segments { nodes { name campaignsUsedIn } }
              contacts(first: 3, filter: { clicked: true }) { nodes { id } }
              sends(first: 3) { nodes { id } }
              events(first: 3) { nodes { id type } }
              stats { sends opens }
              feedCursor
              node(id: $id) { id }
            }",
            json!({ "id": made.companies[0] }),
        ),
        (
            "mutation ($input: UpdateCampaignInput!) { updateCampaign(input: $input) { campaign { \
             name } } }",
            json!({ "input": { "id": campaign, "name": "renamed" } }),
        ),
        (
            "mutation ($id: ID!) { duplicateCampaign(id: $id) { campaign { id } } }",
            json!({ "id": campaign }),
        ),
        (
            "mutation ($input: UpdateSegmentInput!) { updateSegment(input: $input) { segment { \
             name } } }",
            json!({ "input": { "id": made.segments[0], "name": "renamed" } }),
        ),
        (
            "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { updated sends { \
             status error } } }",
            json!({ "input": [{ "id": send, "status": "DELIVERED" }] }),
        ),
        (
            "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded \
             events { type } } }",
            json!({ "input": [
                { "id": Uuid::new_v4(), "sendId": send, "type": "OPEN" },
                { "id": Uuid::new_v4(), "sendId": send, "type": "BOUNCE", "bounceType": "SOFT" },
            ] }),
        ),
    ] {
        let answer = acme.member.ask(operation, variables).await;
        assert_eq!(answer.body.get("errors"), None::<&Json>, "{operation}");
    }
    let create = "mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }";
    let created = acme.member.data(create, json!({})).await;
    let id = &created["createCampaign"]["campaign"]["id"];
    let delete = "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }";
    acme.admin.data(delete, json!({ "id": id })).await;
}
