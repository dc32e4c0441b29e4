//! The demo data: the same every time, and realistic.

use campaigns_server::demo;
use campaigns_tests::{Backend, TestApp};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value as Json, json};

const README: &str = include_str!("../../README.md");
const QUERY: &str = "{ campaigns(first: 500) { nodes {
    id name status createdAt scheduledAt sentAt
    stats { sends delivered openRate clickRate bounceRate complaintRate unsubscribeRate \
    uniqueOpens uniqueClicks lastEventAt }
    sends(first: 3) { nodes { id status opens contact { firstName email } } }
} } }";

async fn load(backend: Backend, now: DateTime<Utc>) -> (TestApp, Json) {
    let app = TestApp::on(backend).start().await;
    demo::load(&app.service_database, now).await.unwrap();
    let token = TestApp::token(demo::ORGANIZATIONS[0].id, "member", "x");
    let data = app.client(Some(token)).data(QUERY, json!({})).await;
    (app, data["campaigns"]["nodes"].clone())
}

/// Shifts every time in a response.
fn shifted(value: &Json, by: TimeDelta) -> Json {
    match value {
        Json::String(text) => match DateTime::parse_from_rfc3339(text) {
            Ok(time) => json!((time.to_utc() + by).to_rfc3339()),
            Err(_) => value.clone(),
        },
        Json::Array(values) => values.iter().map(|value| shifted(value, by)).collect(),
        Json::Object(values) => {
            values.iter().map(|(name, value)| (name.clone(), shifted(value, by))).collect()
        }
        other => other.clone(),
    }
}

#[tokio::test]
async fn the_demo_data_is_the_same_every_time_but_for_the_dates() {
    let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
    let (_sqlite, first) = load(Backend::Sqlite, now).await;
    let later = TimeDelta::days(40);
    let (_postgres, second) = load(Backend::Postgres, now + later).await;
    assert_eq!(shifted(&first, later), shifted(&second, TimeDelta::zero()));
}

#[tokio::test]
async fn the_first_query_of_the_readme_has_the_answer_that_it_shows() {
    let (app, _) = load(Backend::Sqlite, Utc::now()).await;
    let (_, rest) = README.split_once("## A first query").unwrap();
    let block = |kind: &str| {
        let (_, rest) = rest.split_once(&format!("```{kind}\n")).unwrap();
        rest.split_once("```").unwrap().0
    };
    let token = TestApp::token(demo::ORGANIZATIONS[0].id, "member", "x");
    let data = app.client(Some(token)).data(block("graphql"), json!({})).await;
    let shown: Json = serde_json::from_str(block("json")).unwrap();
    assert_eq!(json!({ "data": data }), shown);
}

#[tokio::test]
async fn the_demo_data_is_realistic() {
    let now = Utc::now();
    let (app, campaigns) = load(Backend::Sqlite, now).await;
    let campaigns = campaigns.as_array().unwrap();
    assert!(campaigns.len() >= 12);
    let first = &demo::ORGANIZATIONS[0];
    for (table, count) in [("contacts", 2_000), ("companies", 150), ("campaign_segments", 5)] {
        let of = format!("{table} WHERE org_id = {}", app.literal(first.id));
        assert_eq!(app.count(&of).await, count, "{table}");
    }
    assert!(app.count("organizations").await == 2);

    let number = |campaign: &Json, figure: &str| campaign["stats"][figure].as_f64().unwrap_or(0.0);
    let sent: Vec<&Json> =
        campaigns.iter().filter(|campaign| campaign["status"] == "SENT").collect();
    let bad = sent.iter().filter(|campaign| {
        number(campaign, "bounceRate") > 10.0 || number(campaign, "complaintRate") > 0.5
    });
    assert_eq!(bad.count(), 2);
    for campaign in campaigns {
        assert!(number(campaign, "uniqueClicks") <= number(campaign, "uniqueOpens"));
        let time = |name: &str| {
            campaign[name].as_str().map(|text| DateTime::parse_from_rfc3339(text).unwrap().to_utc())
        };
        assert!(time("createdAt").unwrap() > now - TimeDelta::days(92));
        if let Some(sent_at) = time("sentAt") {
            assert!(sent_at < now);
        }
        if campaign["status"] == "SCHEDULED" {
            assert!(time("scheduledAt").unwrap() > now);
            assert_eq!(campaign["stats"]["sends"], 0);
        }
    }
    assert_eq!(
        app.count(&format!("campaign_events WHERE occurred_at > '{}'", now.to_rfc3339())).await,
        0
    );

    // most opens occur within a day of the delivery
    let within = |hours: i64| {
        format!(
            "campaign_events e JOIN campaign_sends s ON s.id = e.send_id WHERE e.event_type = \
             'open' AND julianday(e.occurred_at) - julianday(s.delivered_at) < {hours} / 24.0"
        )
    };
    let (soon, all) = (app.count(&within(6)).await, app.count(&within(24 * 90)).await);
    assert!(soon * 10 > all * 3 && soon * 10 < all * 8, "{soon} of {all} opens within six hours");
    // a click follows an open
    let unopened = "campaign_events c WHERE c.event_type = 'click' AND NOT EXISTS \
                    (SELECT 1 FROM campaign_events o WHERE o.send_id = c.send_id AND o.event_type \
                    = 'open' AND o.occurred_at <= c.occurred_at)";
    assert_eq!(app.count(unopened).await, 0);
    // nothing was sent to a contact after it was suppressed, as the pages say
    let suppressed = "campaign_sends s WHERE EXISTS (SELECT 1 FROM campaign_events e \
                      WHERE e.send_contact_id = s.contact_id AND e.occurred_at <= s.created_at \
                      AND (e.event_type IN ('unsubscribe', 'complaint') \
                          OR e.event_type = 'bounce' AND json_extract(e.metadata, '$.bounce_type') \
                          = 'hard'))";
    assert_eq!(app.count(suppressed).await, 0);
    // a bounced send has a bounce event
    let bounced = "campaign_sends s WHERE (s.status = 'bounced') <> EXISTS \
                   (SELECT 1 FROM campaign_events e WHERE e.send_id = s.id AND e.event_type = \
                   'bounce')";
    assert_eq!(app.count(bounced).await, 0);
}

#[tokio::test]
async fn loading_the_demo_data_again_changes_nothing() {
    let (app, _) = load(Backend::Sqlite, Utc::now()).await;
    let before = (app.count("contacts").await, app.count("campaign_events").await);
    demo::load(&app.service_database, Utc::now()).await.unwrap();
    assert_eq!((app.count("contacts").await, app.count("campaign_events").await), before);
}
