//! Webhooks of mail providers, as admins configure them.

use campaigns_encryption::Keyring;
use campaigns_server::Settings;
use campaigns_tests::{Answer, Client, TestApp, on_both_databases, on_every_database};
use serde_json::{Value as Json, json};
use uuid::Uuid;

const SHOWN: &str = "id name provider enabled topicArns keys { hint createdAt } path createdAt updatedAt \
     stats { accepted refused recorded repeated ignored unmatched dropped unreadable lastAcceptedAt lastRefusedAt \
     lastRefusal }";
const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:campaigns";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn create(client: &Client, input: Json) -> Answer {
    let query = format!(
        "mutation ($input: CreateProviderWebhookInput!) {{ createProviderWebhook(input: $input) {{ \
         providerWebhook {{ {SHOWN} }} }} }}"
    );
    client.ask(&query, json!({ "input": input })).await
}

async fn created(client: &Client, input: Json) -> Json {
    let answer = create(client, input).await;
    assert!(answer.body.get("errors").is_none(), "{:#}", answer.body);
    answer.body["data"]["createProviderWebhook"]["providerWebhook"].clone()
}

async fn update(client: &Client, input: Json) -> Answer {
    let query = format!(
        "mutation ($input: UpdateProviderWebhookInput!) {{ updateProviderWebhook(input: $input) {{ \
         providerWebhook {{ {SHOWN} }} }} }}"
    );
    client.ask(&query, json!({ "input": input })).await
}

async fn list(client: &Client) -> Json {
    let mut data = client.data(&format!("{{ providerWebhooks {{ {SHOWN} }} }}"), json!({})).await;
    data["providerWebhooks"].take()
}

fn postmark(name: &str) -> Json {
    json!({ "name": name, "provider": "POSTMARK", "keys": ["postmark:correct horse"] })
}

#[on_every_database]
async fn an_admin_creates_changes_and_deletes_a_webhook(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = created(&acme.admin, postmark("Transactional")).await;
    insta::allow_duplicates! {
        insta::assert_json_snapshot!(made, {
            ".id" => "[id]", ".path" => "[path]", ".createdAt" => "[time]", ".updatedAt" => "[time]",
            ".keys[].createdAt" => "[time]",
        }, @r#"
        {
          "createdAt": "[time]",
          "enabled": true,
          "id": "[id]",
          "keys": [
            {
              "createdAt": "[time]",
              "hint": "postmark:…"
            }
          ],
          "name": "Transactional",
          "path": "[path]",
          "provider": "POSTMARK",
          "stats": {
            "accepted": 0,
            "dropped": 0,
            "ignored": 0,
            "lastAcceptedAt": null,
            "lastRefusal": null,
            "lastRefusedAt": null,
            "recorded": 0,
            "refused": 0,
            "repeated": 0,
            "unmatched": 0,
            "unreadable": 0
          },
          "topicArns": [],
          "updatedAt": "[time]"
        }
        "#);
    }
    let token = made["path"].as_str().unwrap().strip_prefix("/webhooks/").unwrap();
    assert!(token.len() >= 22 && token.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{token}");

    let changes = json!({
        "id": made["id"], "name": "Bulk", "enabled": false, "keys": ["other:password", "a-bearer-token-of-20"],
    });
    let changed = update(&acme.admin, changes).await;
    let changed = &changed.body["data"]["updateProviderWebhook"]["providerWebhook"];
    assert_eq!(changed["name"], "Bulk", "{changed:#}");
    assert_eq!((&changed["enabled"], &changed["path"]), (&json!(false), &made["path"]));
    let hints: Vec<_> =
        changed["keys"].as_array().unwrap().iter().map(|key| &key["hint"]).collect();
    assert_eq!(hints, ["other:…", "…f-20"]);
    assert_eq!(app.count("campaign_provider_keys").await, 2);
    // fields that are omitted stay as they are
    let renamed = update(&acme.admin, json!({ "id": made["id"], "name": "Newsletter" })).await;
    let renamed = renamed.body["data"]["updateProviderWebhook"]["providerWebhook"].clone();
    assert_eq!(renamed["keys"], changed["keys"]);
    assert_eq!(list(&acme.admin).await, json!([renamed]));
    let query = "query ($id: ID!) { node(id: $id) { id ... on ProviderWebhook { name } } }";
    let node = acme.member.data(query, json!({ "id": made["id"] })).await;
    assert_eq!(node["node"], json!({ "id": made["id"], "name": "Newsletter" }));

    let delete = "mutation ($id: ID!) { deleteProviderWebhook(id: $id) { id } }";
    acme.admin.data(delete, json!({ "id": made["id"] })).await;
    assert_eq!(list(&acme.admin).await, json!([]));
    for table in ["campaign_provider_webhooks", "campaign_provider_paths", "campaign_provider_keys"]
    {
        assert_eq!(app.count(table).await, 0, "{table}");
    }
    let again = acme.admin.ask(delete, json!({ "id": made["id"] })).await;
    assert_eq!((again.code(), again.field()), ("NOT_FOUND", "id"));
}

#[on_both_databases]
async fn each_provider_has_its_own_kind_of_keys(app: TestApp) {
    let acme = app.organization("acme").await;
    let p256 = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEzX3VKO/WIRxC9aZRDxMK/hCV2Gow/3lf/Hp6j/hcHyZBKEVcXx5dmhp3nlDvR5GVUZkwj5VlF7MfN+uQFvRvog==";
    for (provider, keys, hint) in [
        ("SENDGRID", json!([p256]), "…Rvog"),
        ("MAILGUN", json!(["key-0123456789abcdef"]), "…cdef"),
        ("RESEND", json!([SECRET]), "…LaSw"),
        ("BREVO", json!(["user:password"]), "user:…"),
        ("SPARKPOST", json!(["user:password"]), "user:…"),
        ("MAILJET", json!(["0123456789abcdef"]), "…cdef"),
        ("MANDRILL", json!(["AbCdEfGhIjKlMnOpQrStUv"]), "…StUv"),
    ] {
        let input = json!({ "name": provider, "provider": provider, "keys": keys });
        let made = created(&acme.admin, input).await;
        assert_eq!((&made["provider"], &made["keys"][0]["hint"]), (&json!(provider), &json!(hint)));
    }
    let input = json!({ "name": "SES", "provider": "SES", "topicArns": [TOPIC] });
    let made = created(&acme.admin, input).await;
    assert_eq!((&made["topicArns"], &made["keys"]), (&json!([TOPIC]), &json!([])));
    let other = format!("{TOPIC}-2");
    let changed = update(&acme.admin, json!({ "id": made["id"], "topicArns": [other] })).await;
    let changed = &changed.body["data"]["updateProviderWebhook"]["providerWebhook"];
    assert_eq!(changed["topicArns"], json!([other]), "{changed:#}");
}

#[on_both_databases]
async fn an_invalid_webhook_is_refused_with_the_field_at_fault(app: TestApp) {
    let acme = app.organization("acme").await;
    let many = vec!["user:password"; 6];
    let different: Vec<String> = (0..6).map(|number| format!("user:password{number}")).collect();
    let long = "x".repeat(501);
    for (input, code, field) in [
        (
            json!({ "name": " ", "provider": "POSTMARK", "keys": ["a:b"] }),
            "BAD_USER_INPUT",
            "input.name",
        ),
        (
            json!({ "name": long, "provider": "POSTMARK", "keys": ["a:b"] }),
            "BAD_USER_INPUT",
            "input.name",
        ),
        (json!({ "name": "x", "provider": "POSTMARK" }), "BAD_USER_INPUT", "input.keys"),
        (
            json!({ "name": "x", "provider": "POSTMARK", "keys": [] }),
            "BAD_USER_INPUT",
            "input.keys",
        ),
        (
            json!({ "name": "x", "provider": "POSTMARK", "keys": many }),
            "LIMIT_EXCEEDED",
            "input.keys",
        ),
        (
            json!({ "name": "x", "provider": "POSTMARK", "keys": different }),
            "LIMIT_EXCEEDED",
            "input.keys",
        ),
        (
            json!({ "name": "x", "provider": "POSTMARK", "keys": ["a:b", "a:b"] }),
            "BAD_USER_INPUT",
            "input.keys.1",
        ),
        (
            json!({ "name": "x", "provider": "RESEND", "keys": ["whsec_x"] }),
            "BAD_USER_INPUT",
            "input.keys.0",
        ),
        (
            json!({ "name": "x", "provider": "RESEND", "keys": ["a\u{0}b"] }),
            "BAD_USER_INPUT",
            "input.keys.0",
        ),
        (json!({ "name": "x", "provider": "SES" }), "BAD_USER_INPUT", "input.topicArns"),
        (
            json!({ "name": "x", "provider": "SES", "topicArns": [TOPIC, "arn:aws:s3:::x"] }),
            "BAD_USER_INPUT",
            "input.topicArns.1",
        ),
        (
            json!({ "name": "x", "provider": "SES", "topicArns": [TOPIC], "keys": ["a:b"] }),
            "BAD_USER_INPUT",
            "input.keys.0",
        ),
        (
            json!({ "name": "x", "provider": "POSTMARK", "topicArns": [TOPIC], "keys": ["a:b"] }),
            "BAD_USER_INPUT",
            "input.topicArns",
        ),
    ] {
        let refused = create(&acme.admin, input.clone()).await;
        assert_eq!((refused.code(), refused.field()), (code, field), "{input} {:#}", refused.body);
        assert!(!refused.error()["message"].as_str().unwrap().contains("whsec_x"));
    }
    assert_eq!(app.count("campaign_provider_webhooks").await, 0);
    let made = created(&acme.admin, postmark("x")).await;
    for (changes, field) in [
        (json!({ "name": null }), "input.name"),
        (json!({ "enabled": null }), "input.enabled"),
        (json!({ "keys": null }), "input.keys"),
        (json!({ "keys": [] }), "input.keys"),
        (json!({ "keys": ["user:"] }), "input.keys.0"),
        (json!({ "topicArns": [TOPIC] }), "input.topicArns"),
        (json!({ "id": "x" }), "input.id"),
    ] {
        let mut input = json!({ "id": made["id"] });
        input.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let refused = update(&acme.admin, input).await;
        assert_eq!((refused.code(), refused.field()), ("BAD_USER_INPUT", field));
    }
    assert_eq!(list(&acme.admin).await, json!([made]));
}

#[on_both_databases]
async fn an_organization_has_a_bounded_number_of_webhooks(app: TestApp) {
    let acme = app.organization("acme").await;
    for number in 0..50 {
        created(&acme.admin, postmark(&number.to_string())).await;
    }
    let refused = create(&acme.admin, postmark("one more")).await;
    assert_eq!((refused.code(), refused.field()), ("LIMIT_EXCEEDED", "input"));
    let names = list(&acme.admin).await;
    let names: Vec<_> = names.as_array().unwrap().iter().map(|of| of["name"].clone()).collect();
    let expected: Vec<_> = (0..50).map(|number| json!(number.to_string())).collect();
    assert_eq!(names, expected);
}

#[on_every_database]
async fn a_member_sees_webhooks_without_their_path_and_cannot_change_them(app: TestApp) {
    let acme = app.organization("acme").await;
    let mut made = created(&acme.admin, postmark("x")).await;
    let refused = create(&acme.member, postmark("y")).await;
    assert_eq!(refused.code(), "FORBIDDEN");
    assert_eq!(refused.error()["message"], "Only admins can configure webhooks.");
    let refused = update(&acme.member, json!({ "id": made["id"], "enabled": false })).await;
    assert_eq!(refused.code(), "FORBIDDEN");
    let delete = "mutation ($id: ID!) { deleteProviderWebhook(id: $id) { id } }";
    let refused = acme.member.ask(delete, json!({ "id": made["id"] })).await;
    assert_eq!(refused.code(), "FORBIDDEN");
    assert_eq!(list(&acme.admin).await, json!([made]));
    made["path"] = Json::Null;
    assert_eq!(list(&acme.member).await, json!([made]));
}

#[on_every_database]
async fn webhooks_of_another_organization_do_not_exist(app: TestApp) {
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let made = created(&acme.admin, postmark("x")).await;
    assert_eq!(list(&other.admin).await, json!([]));
    let refused = update(&other.admin, json!({ "id": made["id"], "enabled": false })).await;
    assert_eq!((refused.code(), refused.field()), ("NOT_FOUND", "input.id"));
    let delete = "mutation ($id: ID!) { deleteProviderWebhook(id: $id) { id } }";
    let refused = other.admin.ask(delete, json!({ "id": made["id"] })).await;
    assert_eq!(refused.code(), "NOT_FOUND");
    let node =
        other.admin.data("query ($id: ID!) { node(id: $id) { id } }", json!({ "id": made["id"] }));
    assert_eq!(node.await["node"], Json::Null);
    assert_eq!(list(&acme.admin).await, json!([made]));
}

#[on_both_databases(settings = Settings::default())]
async fn without_an_encryption_key_what_needs_a_secret_is_refused(app: TestApp) {
    let acme = app.organization("acme").await;
    let refused = create(&acme.admin, postmark("x")).await;
    assert_eq!(refused.code(), "CONFLICT");
    assert!(refused.error()["message"].as_str().unwrap().contains("--encryption-key"));
    assert_eq!(app.count("campaign_provider_webhooks").await, 0);
    // a webhook of SES has no key
    let input = json!({ "name": "SES", "provider": "SES", "topicArns": [TOPIC] });
    created(&acme.admin, input).await;
}

#[on_both_databases]
async fn a_key_is_stored_encrypted_with_the_id_of_its_row(app: TestApp) {
    let acme = app.organization("acme").await;
    created(&acme.admin, json!({ "name": "x", "provider": "RESEND", "keys": [SECRET] })).await;
    let rows = app.rows("SELECT id, sealed FROM campaign_provider_keys").await;
    let (id, sealed): (Uuid, Vec<u8>) =
        (rows[0].try_get("", "id").unwrap(), rows[0].try_get("", "sealed").unwrap());
    assert!(!sealed.windows(8).any(|part| SECRET.as_bytes().windows(8).any(|of| of == part)));
    let keyring: Keyring = campaigns_tests::keyring();
    assert_eq!(keyring.open(id, &sealed).unwrap(), SECRET.as_bytes());
    assert!(keyring.open(Uuid::new_v4(), &sealed).is_err());
}

#[on_every_database]
async fn the_message_id_of_a_send_is_stored_and_shown(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(6).await;
    let report = "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { updated unchanged \
         sends { id messageId } } }";
    let [first, second] = [made.sends[0], made.sends[1]];
    app.run("UPDATE campaign_sends SET status = 'queued'").await;
    let sent = |send: Uuid, id: &str| json!({ "id": send, "status": "SENT", "messageId": id });
    let input = json!({ "input": [sent(first, "<a@mail.example>"), sent(second, "b")] });
    let answer = acme.member.data(report, input.clone()).await;
    let stored = json!([
        { "id": first, "messageId": "<a@mail.example>" }, { "id": second, "messageId": "b" },
    ]);
    assert_eq!(answer["updateSends"]["sends"], stored);
    assert_eq!(answer["updateSends"]["updated"], 2);
    // repeated reports change nothing
    assert_eq!(acme.member.data(report, input).await["updateSends"]["unchanged"], 2);
    // a report that is late brings its message ID nevertheless
    app.run("UPDATE campaign_sends SET status = 'delivered'").await;
    let late = acme.member.data(report, json!({ "input": [sent(first, "c")] })).await;
    assert_eq!(late["updateSends"]["updated"], 1);
    assert_eq!(late["updateSends"]["sends"][0]["messageId"], "c");
    let all = acme.member.data("{ sends(first: 100) { nodes { id messageId } } }", json!({})).await;
    let known = all["sends"]["nodes"].as_array().unwrap().iter();
    assert_eq!(known.filter(|send| !send["messageId"].is_null()).count(), 2);
    for wrong in [" ", "<>", &"x".repeat(513), "a\u{0}"] {
        let refused = acme.member.ask(report, json!({ "input": [sent(first, wrong)] })).await;
        assert_eq!((refused.code(), refused.field()), ("BAD_USER_INPUT", "input.0.messageId"));
    }
}
