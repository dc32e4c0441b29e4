//! Writes that other programs refuse in unusual ways: each is a conflict that names the trigger or
//! column.

use campaigns_tests::{Backend, TestApp, on_both_databases};
use serde_json::json;

const CREATE: &str = "mutation { createCampaign(input: { name: \"a name of thirty characters ..\" }) \
                      { campaign { id } } }";

#[tokio::test]
async fn an_error_that_a_trigger_raises_is_a_conflict_with_any_code() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    for code in ["40001", "40P01", "57014", "08006", "25006", "57P01", "P0001", "22P02", "23505"] {
        app.run(&format!(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'hunter2' \
             USING ERRCODE = '{code}'; END $$; CREATE OR REPLACE TRIGGER refuse BEFORE INSERT ON \
             campaigns FOR EACH ROW EXECUTE FUNCTION refuse()"
        ))
        .await;
        app.forget_statements();
        let answer = acme.member.ask(CREATE, json!({})).await;
        assert_eq!(answer.code(), "CONFLICT", "{code} {:#}", answer.body);
        let message = answer.error()["message"].as_str().unwrap();
        assert_eq!(message, "The trigger function refuse of the database does not allow this.");
        // it is not retried
        let statements = app.statements();
        let inserts =
            statements.iter().filter(|of| of.sql.starts_with("INSERT INTO \"campaigns\""));
        assert_eq!(inserts.count(), 1, "{code} {statements:?}");
    }
    assert_eq!(app.count("campaigns").await, 0);
}

#[tokio::test]
async fn a_text_that_is_too_long_for_a_column_is_a_conflict() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    app.run("ALTER TABLE campaigns ALTER COLUMN name TYPE varchar(20)").await;
    let answer = acme.member.ask(CREATE, json!({})).await;
    assert_eq!(answer.code(), "CONFLICT", "{:#}", answer.body);
    let message = answer.error()["message"].as_str().unwrap();
    assert!(message.contains("limited length of a column"), "{message}");
}

#[on_both_databases]
async fn a_row_that_a_trigger_keeps_from_being_inserted_is_a_conflict_by_its_name(app: TestApp) {
    let acme = app.organization("acme").await;
    let trigger = match app.database.backend {
        Backend::Postgres => {
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
             CREATE TRIGGER keep_out BEFORE INSERT ON campaigns FOR EACH ROW EXECUTE FUNCTION keep()"
        }
        Backend::Sqlite => {
            "CREATE TRIGGER keep_out BEFORE INSERT ON campaigns BEGIN SELECT RAISE(IGNORE); END"
        }
    };
    app.run(trigger).await;
    let answer = acme.member.ask(CREATE, json!({})).await;
    assert_eq!(answer.code(), "CONFLICT", "{:#}", answer.body);
    let message = answer.error()["message"].as_str().unwrap();
    assert_eq!(message, "The trigger keep_out of the database does not allow this.");
}

#[tokio::test]
async fn events_are_not_recorded_under_ids_that_a_trigger_gives_them() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    app.run(
        "CREATE FUNCTION own_id() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := gen_random_uuid(); \
         RETURN NEW; END $$; CREATE TRIGGER own_id BEFORE INSERT ON campaign_events FOR EACH ROW EXECUTE \
         FUNCTION own_id()",
    )
    .await;
    let before = app.count("campaign_events").await;
    let record =
        "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
    for id in [json!(null), json!(uuid::Uuid::new_v4())] {
        let mut event = json!({ "sendId": made.sends[0], "type": "OPEN" });
        if !id.is_null() {
            event["id"] = id;
        }
        let answer = acme.member.ask(record, json!({ "input": [event] })).await;
        assert_eq!(answer.code(), "CONFLICT", "{:#}", answer.body);
        let message = answer.error()["message"].as_str().unwrap();
        assert!(message.contains("trigger that changes IDs"), "{message}");
        assert_eq!(app.count("campaign_events").await, before);
    }
    app.run("DROP TRIGGER own_id ON campaign_events").await;
    let event = json!({ "sendId": made.sends[0], "type": "OPEN" });
    let data = acme.member.data(record, json!({ "input": [event.clone(), event] })).await;
    assert_eq!(data["recordEvents"]["recorded"], json!(2));
}
