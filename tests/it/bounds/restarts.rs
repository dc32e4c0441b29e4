//! PostgreSQL restarts between two requests.

use campaigns_tests::{Postgres, TestApp};
use serde_json::json;
use tokio::task::JoinSet;

const QUERY: &str = "{ campaigns(first: 5) { totalCount nodes { name stats { sends } } } }";
const RECORD: &str =
    "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
const UPDATE: &str = "mutation ($input: UpdateCampaignInput!) { updateCampaign(input: $input) { \
    campaign { name } } }";

#[tokio::test]
async fn no_request_fails_after_the_database_restarted() {
    let (postgres, database) = Postgres::own().await;
    let app = TestApp::on_database(database).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(10).await;
    let asked_at_once = async || {
        let mut asked = JoinSet::new();
        for number in 0..15 {
            let (client, send) = (acme.member.clone(), made.sends[number % made.sends.len()]);
            let campaign = made.campaigns[number % made.campaigns.len()];
            asked.spawn(async move {
                match number % 3 {
                    0 => client.data(QUERY, json!({})).await,
                    1 => {
                        let event = json!({ "sendId": send, "type": "OPEN" });
                        client.data(RECORD, json!({ "input": [event] })).await
                    }
                    _ => {
                        let name = format!("renamed {number}");
                        let input = json!({ "id": campaign, "name": name });
                        client.data(UPDATE, json!({ "input": input })).await
                    }
                }
            });
        }
        while let Some(answered) = asked.join_next().await {
            answered.unwrap();
        }
    };
    let before = app.count("campaign_events").await;
    // all connections are open, and are lost together
    asked_at_once().await;
    for mode in ["fast", "immediate"] {
        postgres.restart(mode).await;
        asked_at_once().await;
    }
    assert_eq!(app.count("campaign_events").await, before + 15);
}
