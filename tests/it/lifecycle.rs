//! The steps of a campaign from one status to the next.

use std::collections::HashMap;

use campaigns_tests::{Client, Organization, TestApp, on_both_databases};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use uuid::Uuid;

const STATUSES: [&str; 6] = ["DRAFT", "SCHEDULED", "SENDING", "SENT", "PAUSED", "CANCELED"];

/// Each mutation with the status that it leads to and the statuses that allow it, in the order of
/// `CampaignStep`.
const STEPS: [(&str, &str, &[&str]); 7] = [
    ("scheduleCampaign", "SCHEDULED", &["DRAFT", "PAUSED"]),
    ("unscheduleCampaign", "DRAFT", &["SCHEDULED"]),
    ("startCampaign", "SENDING", &["DRAFT", "SCHEDULED", "PAUSED"]),
    ("pauseCampaign", "PAUSED", &["SCHEDULED", "SENDING"]),
    ("resumeCampaign", "SENDING", &["PAUSED"]),
    ("cancelCampaign", "CANCELED", &["DRAFT", "SCHEDULED", "SENDING", "PAUSED"]),
    ("completeCampaign", "SENT", &["SENDING"]),
];

fn mutation(step: &str) -> String {
    let (at, given) =
        if step == "scheduleCampaign" { (", $at: DateTime!", ", at: $at") } else { ("", "") };
    format!(
        "mutation ($id: ID!{at}) {{ {step}(id: $id{given}) {{ campaign {{ id status scheduledAt \
         sentAt }} }} }}"
    )
}

fn in_an_hour() -> String {
    (Utc::now() + TimeDelta::hours(1)).to_rfc3339()
}

fn variables(step: &str, id: Uuid) -> Json {
    let mut variables = json!({ "id": id });
    if step == "scheduleCampaign" {
        variables["at"] = json!(in_an_hour());
    }
    variables
}

async fn campaign(app: &TestApp, organization: &Organization, status: &str) -> Uuid {
    let id = Uuid::new_v4();
    app.run(&format!(
        "INSERT INTO campaigns (id, org_id, name, status, scheduled_at) VALUES \
         ({}, {}, 'x', '{}', '2020-01-02T03:04:05+00:00')",
        app.literal(id),
        app.literal(organization.id),
        status.to_lowercase()
    ))
    .await;
    id
}

async fn shown(client: &Client, id: Uuid) -> Json {
    let query = "query ($id: ID!) { campaign(id: $id) { status scheduledAt sentAt } }";
    client.data(query, json!({ "id": id })).await["campaign"].take()
}

#[on_both_databases]
async fn a_campaign_takes_the_steps_of_the_table_and_no_others(app: TestApp) {
    let acme = app.organization("acme").await;
    for from in STATUSES {
        for (step, to, sources) in STEPS {
            let id = campaign(&app, &acme, from).await;
            let before = shown(&acme.member, id).await;
            let answer = acme.member.ask(&mutation(step), variables(step, id)).await;
            let after = shown(&acme.member, id).await;
            if sources.contains(&from) {
                let mut shown = answer.body["data"][step]["campaign"].clone();
                assert_eq!(shown["id"], json!(id), "{from} {step}: {:#}", answer.body);
                shown.as_object_mut().unwrap().remove("id");
                assert_eq!(after["status"], to, "{from} {step}");
                assert_eq!(shown, after, "{from} {step}");
            } else {
                assert_eq!(answer.code(), "CONFLICT", "{from} {step}");
                let message = answer.error()["message"].as_str().unwrap();
                assert!(message.contains(from) && message.contains(to), "{from} {step}: {message}");
                assert_eq!(after, before, "{from} {step}");
            }
        }
    }
}

#[on_both_databases]
async fn a_campaign_shows_the_steps_that_it_can_take(app: TestApp) {
    let acme = app.organization("acme").await;
    let query = "query ($id: ID!) { campaign(id: $id) { availableSteps } }";
    for from in STATUSES {
        let id = campaign(&app, &acme, from).await;
        let shown = acme.member.data(query, json!({ "id": id })).await;
        let steps = STEPS.iter().filter(|(_, _, sources)| sources.contains(&from));
        let steps: Vec<_> =
            steps.map(|(step, ..)| step.trim_end_matches("Campaign").to_uppercase()).collect();
        assert_eq!(shown["campaign"]["availableSteps"], json!(steps), "{from}");
    }
}

#[on_both_databases]
async fn scheduling_sets_a_time_and_unscheduling_clears_it(app: TestApp) {
    let acme = app.organization("acme").await;
    let id = campaign(&app, &acme, "DRAFT").await;
    let at = Utc::now() + TimeDelta::days(3);
    let schedule = mutation("scheduleCampaign");
    let data = acme.member.data(&schedule, json!({ "id": id, "at": at.to_rfc3339() })).await;
    let shown = data["scheduleCampaign"]["campaign"]["scheduledAt"].as_str().unwrap().to_owned();
    let shown = DateTime::parse_from_rfc3339(&shown).unwrap().to_utc();
    assert_eq!(shown.timestamp_micros(), at.timestamp_micros());
    let data = acme.member.data(&mutation("unscheduleCampaign"), json!({ "id": id })).await;
    assert!(data["unscheduleCampaign"]["campaign"]["scheduledAt"].is_null());
    // a pause keeps the time
    acme.member.data(&schedule, json!({ "id": id, "at": at.to_rfc3339() })).await;
    let data = acme.member.data(&mutation("pauseCampaign"), json!({ "id": id })).await;
    assert!(data["pauseCampaign"]["campaign"]["scheduledAt"].is_string());
}

#[on_both_databases]
async fn a_past_or_invalid_time_schedules_nothing(app: TestApp) {
    let acme = app.organization("acme").await;
    let id = campaign(&app, &acme, "DRAFT").await;
    for at in ["2020-01-01T00:00:00Z", "tomorrow", ""] {
        let answer =
            acme.member.ask(&mutation("scheduleCampaign"), json!({ "id": id, "at": at })).await;
        assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "at"), "{at}");
    }
    // invalid input is reported in any status
    let sent = campaign(&app, &acme, "SENT").await;
    let answer = acme
        .member
        .ask(&mutation("scheduleCampaign"), json!({ "id": sent, "at": "2020-01-01T00:00:00Z" }))
        .await;
    assert_eq!(answer.code(), "BAD_USER_INPUT");
    assert_eq!(shown(&acme.member, id).await["status"], "DRAFT");
}

#[on_both_databases]
async fn completing_sets_the_time_and_requires_that_nothing_is_queued(app: TestApp) {
    let acme = app.organization("acme").await;
    let id = campaign(&app, &acme, "SENDING").await;
    let org = app.literal(acme.id);
    app.run(&format!("INSERT INTO contacts (org_id, first_name) VALUES ({org}, 'Ann')")).await;
    app.run(&format!(
        "INSERT INTO campaign_sends (org_id, campaign_id, contact_id) SELECT {org}, {}, id FROM \
         contacts",
        app.literal(id)
    ))
    .await;
    let complete = mutation("completeCampaign");
    let answer = acme.member.ask(&complete, json!({ "id": id })).await;
    assert_eq!(answer.code(), "CONFLICT");
    assert!(answer.error()["message"].as_str().unwrap().contains("QUEUED"));
    assert_eq!(shown(&acme.member, id).await["status"], "SENDING");
    app.run("UPDATE campaign_sends SET status = 'sent'").await;
    let before = Utc::now() - TimeDelta::seconds(1);
    let data = acme.member.data(&complete, json!({ "id": id })).await;
    let sent_at = data["completeCampaign"]["campaign"]["sentAt"].as_str().unwrap();
    let sent_at = DateTime::parse_from_rfc3339(sent_at).unwrap().to_utc();
    assert!(before <= sent_at && sent_at <= Utc::now() + TimeDelta::seconds(1), "{sent_at}");
}

#[on_both_databases]
async fn starting_queues_sends_and_canceling_keeps_them(app: TestApp) {
    let acme = app.organization("acme").await;
    let id = campaign(&app, &acme, "SCHEDULED").await;
    let org = app.literal(acme.id);
    app.run(&format!(
        "INSERT INTO contacts (org_id, first_name, email) VALUES \
         ({org}, 'Ann', 'a@example.com'), ({org}, 'Bob', NULL)"
    ))
    .await;
    app.run(&format!(
        "INSERT INTO campaign_lists (org_id, campaign_id, contact_id) SELECT {org}, {}, id FROM \
         contacts",
        app.literal(id)
    ))
    .await;
    acme.member.data(&mutation("startCampaign"), json!({ "id": id })).await;
    let query = "query ($id: ID!) { campaign(id: $id) { stats { sends queued } sends { nodes { \
                 status contact { firstName } } } } }";
    let data = acme.member.data(query, json!({ "id": id })).await;
    assert_eq!(data["campaign"]["stats"], json!({ "sends": 1, "queued": 1 }));
    assert_eq!(
        data["campaign"]["sends"]["nodes"],
        json!([{ "status": "QUEUED", "contact": { "firstName": "Ann" } }])
    );
    acme.member.data(&mutation("cancelCampaign"), json!({ "id": id })).await;
    assert_eq!(acme.member.data(query, json!({ "id": id })).await, data);
}

#[on_both_databases]
async fn of_many_clients_that_take_the_same_step_at_once_one_succeeds(app: TestApp) {
    let acme = app.organization("acme").await;
    for (step, to, sources) in STEPS {
        let id = campaign(&app, &acme, sources[0]).await;
        let mut clients = JoinSet::new();
        for _ in 0..8 {
            let member = acme.member.clone();
            clients.spawn(async move { member.ask(&mutation(step), variables(step, id)).await });
        }
        let mut outcomes: HashMap<String, usize> = HashMap::new();
        while let Some(answer) = clients.join_next().await {
            let answer = answer.unwrap();
            let outcome = if answer.body.get("errors").is_none() {
                "done".to_owned()
            } else {
                // it already has this status, and cannot get it again
                let message = answer.error()["message"].as_str().unwrap();
                assert_eq!(message.matches(to).count(), 2, "{message}");
                answer.code().to_owned()
            };
            *outcomes.entry(outcome).or_default() += 1;
        }
        assert_eq!(
            outcomes,
            HashMap::from([("done".to_owned(), 1), ("CONFLICT".to_owned(), 7)]),
            "{step}"
        );
    }
}

#[on_both_databases]
async fn of_two_concurrent_steps_each_starts_from_the_status_that_it_finds(app: TestApp) {
    let acme = app.organization("acme").await;
    for _ in 0..15 {
        let id = campaign(&app, &acme, "SENDING").await;
        let (complete, cancel) = (mutation("completeCampaign"), mutation("cancelCampaign"));
        let (completed, canceled) = tokio::join!(
            acme.member.ask(&complete, json!({ "id": id })),
            acme.admin.ask(&cancel, json!({ "id": id })),
        );
        let won: Vec<&str> = [(&completed, "SENT"), (&canceled, "CANCELED")]
            .into_iter()
            .filter(|(answer, _)| answer.body.get("errors").is_none())
            .map(|(_, to)| to)
            .collect();
        assert_eq!(won.len(), 1);
        let lost = if won[0] == "SENT" { &canceled } else { &completed };
        assert_eq!(lost.code(), "CONFLICT");
        assert!(lost.error()["message"].as_str().unwrap().contains(won[0]));
        assert_eq!(shown(&acme.member, id).await["status"], won[0]);
    }
}

#[on_both_databases]
async fn a_step_of_a_foreign_or_missing_campaign_is_not_found(app: TestApp) {
    let ours = app.organization("ours").await;
    let theirs = app.organization("theirs").await;
    let id = campaign(&app, &theirs, "SCHEDULED").await;
    for (step, ..) in STEPS {
        let of_theirs = ours.admin.ask(&mutation(step), variables(step, id)).await;
        let of_nobody = ours.admin.ask(&mutation(step), variables(step, Uuid::new_v4())).await;
        assert_eq!((of_theirs.code(), of_theirs.field()), ("NOT_FOUND", "id"), "{step}");
        assert_eq!(of_theirs.body, of_nobody.body);
        let mut variables = variables(step, id);
        variables["id"] = json!("nonsense");
        let answer = ours.member.ask(&mutation(step), variables).await;
        assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "id"), "{step}");
    }
    assert_eq!(shown(&theirs.member, id).await["status"], "SCHEDULED");
}
