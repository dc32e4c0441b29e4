//! Creates, changes, duplicates and deletes campaigns.

use campaigns_tests::{TestApp, on_both_databases};
use chrono::{TimeDelta, Utc};
use serde_json::{Value as Json, json};
use uuid::Uuid;

const CREATE: &str = "mutation ($input: CreateCampaignInput!) { createCampaign(input: $input) { \
    campaign { id name subject body channel status scheduledAt sentAt metadata creator { email } } \
    } }";
const UPDATE: &str = "mutation ($input: UpdateCampaignInput!) { updateCampaign(input: $input) { \
    campaign { id name subject body channel status metadata } } }";

#[on_both_databases]
async fn a_campaign_is_created_as_a_draft(app: TestApp) {
    let acme = app.organization("acme").await;
    let data = acme.member.data(CREATE, json!({ "input": { "name": "Launch" } })).await;
    insta::allow_duplicates! {
        insta::assert_json_snapshot!(data["createCampaign"]["campaign"], { ".id" => "[id]" }, @r#"
        {
          "body": null,
          "channel": "email",
          "creator": null,
          "id": "[id]",
          "metadata": {},
          "name": "Launch",
          "scheduledAt": null,
          "sentAt": null,
          "status": "DRAFT",
          "subject": null
        }
        "#);
    }
}

#[on_both_databases]
async fn a_campaign_with_a_time_is_scheduled_and_has_its_creator(app: TestApp) {
    let acme = app.organization("acme").await;
    let (user, subject) = (Uuid::new_v4(), Uuid::new_v4());
    app.run(&format!(
        "INSERT INTO users (id, org_id, auth_id, email) VALUES ({}, {}, {}, 'ann@example.com')",
        app.literal(user),
        app.literal(acme.id),
        app.literal(subject)
    ))
    .await;
    let at = (Utc::now() + TimeDelta::hours(1)).to_rfc3339();
    for subject in [subject, user] {
        let client = app.client(Some(TestApp::token(acme.id, "member", &subject.to_string())));
        let input =
            json!({ "name": "Launch", "scheduledAt": at, "metadata": { "b": [1, { "c": null }] } });
        let data = client.data(CREATE, json!({ "input": input })).await;
        let campaign = &data["createCampaign"]["campaign"];
        assert_eq!(campaign["status"], "SCHEDULED");
        assert_eq!(campaign["creator"]["email"], "ann@example.com");
        assert_eq!(campaign["metadata"], input["metadata"]);
    }
}

#[on_both_databases]
async fn a_past_time_schedules_nothing(app: TestApp) {
    let acme = app.organization("acme").await;
    let input = json!({ "name": "Launch", "scheduledAt": "2020-01-01T00:00:00Z" });
    let answer = acme.member.ask(CREATE, json!({ "input": input })).await;
    assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "input.scheduledAt"));
    assert_eq!(app.count("campaigns").await, 0);
}

#[on_both_databases]
async fn an_update_changes_the_given_fields_and_null_clears_them(app: TestApp) {
    let acme = app.organization("acme").await;
    let input = json!({ "name": "a", "subject": "s", "body": "b", "metadata": { "k": 1 } });
    let id = acme.member.data(CREATE, json!({ "input": input })).await
        ["createCampaign"]["campaign"]["id"].clone();
    let update = async |input: Json| {
        acme.member.data(UPDATE, json!({ "input": input })).await["updateCampaign"]["campaign"]
            .clone()
    };
    let after = update(json!({ "id": id, "name": "n" })).await;
    assert_eq!(
        (&after["name"], &after["subject"], &after["body"]),
        (&json!("n"), &json!("s"), &json!("b"))
    );
    let after = update(json!({ "id": id, "subject": null, "metadata": null })).await;
    assert_eq!(
        (&after["subject"], &after["body"], &after["metadata"]),
        (&json!(null), &json!("b"), &json!({}))
    );
    let after = update(json!({ "id": id })).await;
    assert_eq!(after["body"], "b");
}

#[on_both_databases]
async fn an_omitted_variable_clears_nothing(app: TestApp) {
    let acme = app.organization("acme").await;
    let input = json!({ "name": "a", "subject": "s", "metadata": { "k": 1 } });
    let id = acme.member.data(CREATE, json!({ "input": input })).await
        ["createCampaign"]["campaign"]["id"].clone();
    let update = "mutation ($id: ID!, $name: String, $subject: String, $metadata: JSON) { \
                  ...Change } fragment Change on Mutation { updateCampaign(input: { id: $id, name: \
                  $name, subject: $subject, metadata: $metadata }) { campaign { name subject \
                  metadata } } }";
    let data = acme.member.data(update, json!({ "id": id, "name": "n" })).await;
    assert_eq!(
        data["updateCampaign"]["campaign"],
        json!({ "name": "n", "subject": "s", "metadata": { "k": 1 } })
    );
    let create = "mutation ($channel: String) { createCampaign(input: { name: \"x\", channel: \
                  $channel }) { campaign { channel } } }";
    let data = acme.member.data(create, json!({})).await;
    assert_eq!(data["createCampaign"]["campaign"]["channel"], "email");
}

#[on_both_databases]
async fn content_is_fixed_once_sending_has_started_and_the_name_is_not(app: TestApp) {
    let acme = app.organization("acme").await;
    let id = acme.member.data(CREATE, json!({ "input": { "name": "a", "subject": "s" } })).await
        ["createCampaign"]["campaign"]["id"].clone();
    for (status, fixed) in [
        ("draft", false),
        ("scheduled", false),
        ("paused", false),
        ("sending", true),
        ("sent", true),
        ("canceled", true),
    ] {
        app.run(&format!("UPDATE campaigns SET status = '{status}'")).await;
        for field in ["subject", "body", "channel"] {
            let answer =
                acme.member.ask(UPDATE, json!({ "input": { "id": id, field: status } })).await;
            if fixed {
                assert_eq!(answer.code(), "CONFLICT", "{status} {field}");
            } else {
                assert_eq!(answer.body["data"]["updateCampaign"]["campaign"][field], status);
            }
        }
        let input = json!({ "id": id, "name": status, "metadata": { "s": status } });
        let data = acme.member.data(UPDATE, json!({ "input": input })).await;
        assert_eq!(data["updateCampaign"]["campaign"]["name"], status);
    }
}

#[on_both_databases]
async fn an_update_moves_updated_at(app: TestApp) {
    let acme = app.organization("acme").await;
    let create = "mutation { createCampaign(input: { name: \"a\" }) { campaign { id updatedAt \
                  createdAt } } }";
    let before = acme.member.data(create, json!({})).await["createCampaign"]["campaign"].clone();
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    let query = "mutation ($id: ID!) { updateCampaign(input: { id: $id, name: \"b\" }) { campaign \
                 { updatedAt createdAt } } }";
    let after =
        acme.member.data(query, json!({ "id": before["id"] })).await["updateCampaign"]["campaign"]
            .clone();
    let time =
        |value: &Json| chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
    let read = acme
        .member
        .data("query ($id: ID!) { campaign(id: $id) { updatedAt } }", json!({ "id": before["id"] }))
        .await;
    assert!(time(&read["campaign"]["updatedAt"]) > time(&before["updatedAt"]));
    assert_eq!(read["campaign"]["updatedAt"], after["updatedAt"]);
    assert_eq!(after["createdAt"], before["createdAt"]);
}

#[on_both_databases]
async fn a_copy_is_a_draft_without_list_and_sends(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(6).await;
    let id = made.campaigns.last().unwrap();
    let fields = "subject body channel metadata";
    let original = acme
        .member
        .data(
            &format!("query ($id: ID!) {{ campaign(id: $id) {{ name {fields} }} }}"),
            json!({ "id": id }),
        )
        .await["campaign"]
        .clone();
    let copy = format!(
        "mutation ($id: ID!, $name: String) {{ duplicateCampaign(id: $id, name: $name) {{ campaign \
         {{ id name status sentAt scheduledAt {fields} sends {{ totalCount }} }} }} }}"
    );
    let copied =
        acme.member.data(&copy, json!({ "id": id })).await["duplicateCampaign"]["campaign"].clone();
    assert_ne!(copied["id"], json!(id));
    assert_eq!(copied["name"], format!("Copy of {}", original["name"].as_str().unwrap()));
    assert_eq!(
        (&copied["status"], &copied["sentAt"], &copied["scheduledAt"]),
        (&json!("DRAFT"), &Json::Null, &Json::Null)
    );
    assert_eq!(copied["sends"]["totalCount"], 0);
    for field in fields.split(' ') {
        assert_eq!(copied[field], original[field]);
    }
    let named = acme.member.data(&copy, json!({ "id": id, "name": "Mine" })).await;
    assert_eq!(named["duplicateCampaign"]["campaign"]["name"], "Mine");
}

#[on_both_databases]
async fn a_member_cannot_delete_a_campaign(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let before = app.count("campaigns").await;
    let delete = "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }";
    // for any ID: the role is checked first
    for id in [made.campaigns[0].to_string(), Uuid::new_v4().to_string(), "nope".to_owned()] {
        let answer = acme.member.ask(delete, json!({ "id": id })).await;
        assert_eq!(answer.code(), "FORBIDDEN");
    }
    assert_eq!(app.count("campaigns").await, before);
}

#[on_both_databases]
async fn an_admin_deletes_a_campaign_with_everything_that_belongs_to_it(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let delete = "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }";
    for id in &made.campaigns {
        let data = acme.admin.data(delete, json!({ "id": id })).await;
        assert_eq!(data["deleteCampaign"]["id"], json!(id));
    }
    for table in ["campaigns", "campaign_lists", "campaign_sends", "campaign_events"] {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    assert_eq!(app.count("contacts").await, i64::try_from(made.contacts.len()).unwrap());
    let again = acme.admin.ask(delete, json!({ "id": made.campaigns[0] })).await;
    assert_eq!((again.code(), again.field()), ("NOT_FOUND", "id"));
}
