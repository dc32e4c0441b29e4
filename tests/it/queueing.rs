//! Queueing sends for a list.

use campaigns_tests::{Backend, Organization, TestApp, on_both_databases};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use uuid::Uuid;

const QUEUE: &str = "mutation ($id: ID!) { queueSends(campaignId: $id) { queued alreadyQueued \
    suppressed withoutAddress campaign { id stats { sends queued } } } }";
const START: &str = "mutation ($id: ID!) { startCampaign(id: $id) { campaign { status } } }";

async fn campaign(app: &TestApp, organization: &Organization, channel: &str, status: &str) -> Uuid {
    let id = Uuid::new_v4();
    app.run(&format!(
        "INSERT INTO campaigns (id, org_id, name, channel, status) VALUES \
         ({}, {}, 'x', '{channel}', '{status}')",
        app.literal(id),
        app.literal(organization.id)
    ))
    .await;
    id
}

/// A contact with an address, or none.
async fn contact(app: &TestApp, organization: &Organization, email: Option<&str>) -> Uuid {
    let id = Uuid::new_v4();
    let email = email.map_or("NULL".to_owned(), |email| format!("'{email}'"));
    app.run(&format!(
        "INSERT INTO contacts (id, org_id, first_name, email) VALUES ({}, {}, 'x', {email})",
        app.literal(id),
        app.literal(organization.id)
    ))
    .await;
    id
}

async fn list(app: &TestApp, organization: &Organization, campaign: Uuid, contact: Uuid) {
    app.run(&format!(
        "INSERT INTO campaign_lists (org_id, campaign_id, contact_id) VALUES ({}, {}, {})",
        app.literal(organization.id),
        app.literal(campaign),
        app.literal(contact)
    ))
    .await;
}

/// A send, and an event of it.
async fn event(
    app: &TestApp,
    organization: &Organization,
    campaign: Uuid,
    contact: Uuid,
    kind: &str,
    metadata: &str,
) {
    let (send, org) = (app.literal(Uuid::new_v4()), app.literal(organization.id));
    app.run(&format!(
        "INSERT INTO campaign_sends (id, org_id, campaign_id, contact_id, status) VALUES \
         ({send}, {org}, {}, {}, 'sent')",
        app.literal(campaign),
        app.literal(contact)
    ))
    .await;
    app.run(&format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type, metadata) VALUES \
         ({org}, {send}, '{kind}', '{metadata}')"
    ))
    .await;
}

/// `number` contacts with an address on the list.
async fn many(app: &TestApp, organization: &Organization, campaign: Uuid, number: usize) {
    let (org, campaign) = (app.literal(organization.id), app.literal(campaign));
    app.run(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) \
         INSERT INTO contacts (org_id, first_name, email) SELECT {org}, 'x', 'x@example.com' FROM n"
    ))
    .await;
    app.run(&format!(
        "INSERT INTO campaign_lists (org_id, campaign_id, contact_id) SELECT {org}, {campaign}, id \
         FROM contacts WHERE org_id = {org} ON CONFLICT DO NOTHING"
    ))
    .await;
}

async fn queue(organization: &Organization, campaign: Uuid) -> [i64; 4] {
    let data = organization.member.data(QUEUE, json!({ "id": campaign })).await;
    counts(&data)
}

fn counts(data: &Json) -> [i64; 4] {
    ["alreadyQueued", "suppressed", "withoutAddress", "queued"]
        .map(|name| data["queueSends"][name].as_i64().unwrap())
}

#[on_both_databases]
async fn each_entry_counts_once_as_the_first_outcome_that_applies(app: TestApp) {
    let acme = app.organization("acme").await;
    let id = campaign(&app, &acme, "email", "draft").await;
    let sms = campaign(&app, &acme, "sms", "paused").await;
    let earlier = campaign(&app, &acme, "email", "sent").await;
    let address = Some("x@example.com");
    let people = [
        ("plain", address, None),
        ("soft", address, Some(("bounce", "{\"bounce_type\": \"soft\"}"))),
        ("opened", address, Some(("open", "{}"))),
        ("unsubscribed", address, Some(("unsubscribe", "{}"))),
        ("complained", address, Some(("complaint", "{}"))),
        ("hard", address, Some(("bounce", "{\"bounce_type\": \"hard\"}"))),
        ("unsaid", address, Some(("bounce", "{}"))),
        ("suppressed without address", None, Some(("unsubscribe", "{}"))),
        ("none", None, None),
        ("empty", Some(""), None),
        ("blank", Some(" \t\u{a0}\n "), None),
    ];
    let mut contacts = Vec::new();
    for (_, email, happened) in people {
        let contact = contact(&app, &acme, email).await;
        for campaign in [id, sms] {
            list(&app, &acme, campaign, contact).await;
        }
        if let Some((kind, metadata)) = happened {
            event(&app, &acme, earlier, contact, kind, metadata).await;
        }
        contacts.push(contact);
    }
    // a contact that already has a send, and has since been suppressed and lost its address
    let before = contact(&app, &acme, None).await;
    list(&app, &acme, id, before).await;
    event(&app, &acme, id, before, "unsubscribe", "{}").await;
    // not on the list, and therefore without a send
    contact(&app, &acme, address).await;

    let data = acme.member.data(QUEUE, json!({ "id": id })).await;
    assert_eq!(counts(&data), [1, 5, 3, 3]);
    assert_eq!(
        data["queueSends"]["campaign"],
        json!({ "id": id, "stats": { "sends": 4, "queued": 3 } })
    );
    let query = "query ($id: ID!) { campaign(id: $id) { status sends(first: 50) { nodes { status \
                 sentAt error contact { id suppression { since } } } } } }";
    let shown = acme.member.data(query, json!({ "id": id })).await;
    assert_eq!(shown["campaign"]["status"], "DRAFT", "queueing is no step");
    let mut queued: Vec<&Json> = shown["campaign"]["sends"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|send| send["status"] == "QUEUED")
        .map(|send| &send["contact"]["id"])
        .collect();
    queued.sort_by_key(ToString::to_string);
    let mut expected: Vec<Json> = contacts[..3].iter().map(|id| json!(id)).collect();
    expected.sort_by_key(ToString::to_string);
    assert_eq!(queued, expected.iter().collect::<Vec<_>>());

    // other channels need no address
    assert_eq!(queue(&acme, sms).await, [0, 5, 0, 6]);
    // safe to repeat
    assert_eq!(queue(&acme, id).await, [4, 5, 3, 0]);
    assert_eq!(queue(&acme, sms).await, [6, 5, 0, 0]);
}

#[on_both_databases]
async fn a_final_campaign_queues_nothing(app: TestApp) {
    let acme = app.organization("acme").await;
    for (status, is_over) in [
        ("draft", false),
        ("scheduled", false),
        ("sending", false),
        ("paused", false),
        ("sent", true),
        ("canceled", true),
    ] {
        let id = campaign(&app, &acme, "email", status).await;
        many(&app, &acme, id, 2).await;
        let answer = acme.member.ask(QUEUE, json!({ "id": id })).await;
        if is_over {
            assert_eq!(answer.code(), "CONFLICT", "{status}");
            assert!(answer.error()["message"].as_str().unwrap().contains(&status.to_uppercase()));
        } else {
            assert!(counts(&answer.body["data"])[3] >= 2, "{status}: {:#}", answer.body);
        }
        let sends =
            app.count(&format!("campaign_sends WHERE campaign_id = {}", app.literal(id))).await;
        assert_eq!(sends == 0, is_over);
    }
}

#[on_both_databases]
async fn suppression_and_figures_agree_with_what_is_queued_for_any_history(app: TestApp) {
    let acme = app.organization("acme").await;
    let mut rng = ChaCha8Rng::seed_from_u64(77);
    let id = campaign(&app, &acme, "email", "draft").await;
    let earlier = campaign(&app, &acme, "email", "sent").await;
    for _ in 0..60 {
        let email = [None, Some(""), Some("a@example.com"), Some("b@example.com")]
            .choose(&mut rng)
            .copied()
            .unwrap();
        let contact = contact(&app, &acme, email).await;
        if rng.random_bool(0.8) {
            list(&app, &acme, id, contact).await;
        }
        for _ in 0..rng.random_range(0..3) {
            let kind =
                ["open", "click", "unsubscribe", "complaint", "bounce"].choose(&mut rng).unwrap();
            let metadata = ["{}", "{\"bounce_type\": \"soft\"}", "{\"bounce_type\": null}"]
                .choose(&mut rng)
                .unwrap();
            let of = if rng.random_bool(0.2) { id } else { earlier };
            event(&app, &acme, of, contact, kind, metadata).await;
        }
    }
    // the oracle: the fields of each entry in the API
    let query =
        "query ($id: ID!) { campaign(id: $id) { list(first: 100) { nodes { contact { email \
        suppression { since }
        sends(first: 1, filter: { campaignId: { eq: $id } }) { totalCount } } } } stats { sends \
        queued sent } } }";
    let before = acme.member.data(query, json!({ "id": id })).await;
    let mut expected = [0; 4];
    for entry in before["campaign"]["list"]["nodes"].as_array().unwrap() {
        let contact = &entry["contact"];
        let place = if contact["sends"]["totalCount"] != 0 {
            0
        } else if !contact["suppression"].is_null() {
            1
        } else if contact["email"].as_str().unwrap_or("").is_empty() {
            2
        } else {
            3
        };
        expected[place] += 1;
    }
    assert!(expected.iter().all(|count| *count > 0), "{expected:?}");
    assert_eq!(queue(&acme, id).await, expected);
    let after = acme.member.data(query, json!({ "id": id })).await;
    let (before, after) = (&before["campaign"]["stats"], &after["campaign"]["stats"]);
    let grown = |name: &str| after[name].as_i64().unwrap() - before[name].as_i64().unwrap();
    assert_eq!(["sends", "queued", "sent"].map(grown), [expected[3], expected[3], 0]);
    // and a recount
    for table in campaigns_scope::COUNT_TABLES {
        let (differences, _) =
            app.service_database.counts().differences(&table, acme.id).await.unwrap();
        assert_eq!(differences, [], "{}", table.name);
    }
}

#[on_both_databases]
async fn of_many_clients_that_queue_at_once_no_contact_gets_two_sends(app: TestApp) {
    let acme = app.organization("acme").await;
    let id = campaign(&app, &acme, "email", "draft").await;
    many(&app, &acme, id, 1_500).await;
    let mut clients = JoinSet::new();
    for number in 0..10 {
        let member = acme.member.clone();
        clients.spawn(async move {
            if number == 4 {
                member.data(START, json!({ "id": id })).await;
                return [0; 4];
            }
            counts(&member.data(QUEUE, json!({ "id": id })).await)
        });
    }
    let mut queued = Vec::new();
    while let Some(counts) = clients.join_next().await {
        let [already, suppressed, without_address, new] = counts.unwrap();
        assert!([0, 1_500].contains(&(already + new)) && suppressed + without_address == 0);
        queued.push(new);
    }
    // one of them queued all, or the call that started the campaign did
    assert!([0, 1_500].contains(&queued.iter().sum()), "{queued:?}");
    assert_eq!(app.count("campaign_sends").await, 1_500);
    assert_eq!(
        app.rows("SELECT contact_id FROM campaign_sends GROUP BY contact_id HAVING count(*) > 1")
            .await
            .len(),
        0
    );
}

#[on_both_databases]
async fn a_contact_added_while_sends_are_queued_gets_one_by_the_next_time(app: TestApp) {
    let acme = app.organization("acme").await;
    let id = campaign(&app, &acme, "sms", "sending").await;
    many(&app, &acme, id, 50).await;
    let add = "mutation ($id: ID!, $contacts: [ID!]!) { addContactsToList(campaignId: $id, \
               contactIds: $contacts) { added } }";
    let mut clients = JoinSet::new();
    for _ in 0..6 {
        let mut fresh = Vec::new();
        for _ in 0..5 {
            fresh.push(contact(&app, &acme, None).await);
        }
        let (member, again) = (acme.member.clone(), acme.admin.clone());
        clients.spawn(async move {
            member.data(add, json!({ "id": id, "contacts": fresh })).await;
        });
        clients.spawn(async move {
            again.data(QUEUE, json!({ "id": id })).await;
        });
    }
    clients.join_all().await;
    let [already, .., queued] = queue(&acme, id).await;
    assert_eq!(already + queued, 80);
    assert_eq!(app.count("campaign_sends").await, 80);
}

#[on_both_databases]
async fn reports_finish_queued_sends_and_then_the_campaign(app: TestApp) {
    let acme = app.organization("acme").await;
    let id = campaign(&app, &acme, "email", "draft").await;
    many(&app, &acme, id, 6).await;
    acme.member.data(START, json!({ "id": id })).await;
    let query = "query ($id: ID!, $after: String) { campaign(id: $id) { \
                 sends(first: 4, after: $after, filter: { status: { eq: QUEUED } }) { nodes { id } \
                 pageInfo { endCursor hasNextPage } } } }";
    let mut sends = Vec::new();
    let mut after = Json::Null;
    loop {
        let data = acme.member.data(query, json!({ "id": id, "after": after })).await;
        let page = &data["campaign"]["sends"];
        sends.extend(page["nodes"].as_array().unwrap().iter().map(|send| send["id"].clone()));
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(sends.len(), 6);
    let update = "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { updated \
                  unchanged } }";
    let report = async |of: &[(usize, &str)]| {
        let input: Vec<Json> = of
            .iter()
            .map(|(send, status)| json!({ "id": sends[*send], "status": status }))
            .collect();
        let data = acme.member.data(update, json!({ "input": input })).await;
        (
            data["updateSends"]["updated"].as_i64().unwrap(),
            data["updateSends"]["unchanged"].as_i64().unwrap(),
        )
    };
    let complete = "mutation ($id: ID!) { completeCampaign(id: $id) { campaign { status stats { \
                    sends queued sent delivered bounced failed deliveryRate } } } }";
    // one report arrives before the report of SENT, one twice, one late
    assert_eq!(report(&[(0, "DELIVERED"), (1, "SENT"), (1, "SENT"), (1, "QUEUED")]).await, (2, 2));
    assert_eq!(
        report(&[(0, "SENT"), (1, "DELIVERED"), (2, "FAILED"), (3, "BOUNCED")]).await,
        (3, 1)
    );
    assert_eq!(
        report(&[(2, "DELIVERED"), (3, "SENT"), (4, "DELIVERED"), (4, "BOUNCED")]).await,
        (2, 2)
    );
    assert_eq!(acme.member.ask(complete, json!({ "id": id })).await.code(), "CONFLICT");
    // queueing again adds no second send, regardless of the status of the first
    assert_eq!(queue(&acme, id).await, [6, 0, 0, 0]);
    assert_eq!(report(&[(5, "DELIVERED")]).await, (1, 0));
    let data = acme.member.data(complete, json!({ "id": id })).await;
    assert_eq!(
        data["completeCampaign"]["campaign"],
        json!({
            "status": "SENT",
            "stats": {
                "sends": 6, "queued": 0, "sent": 0, "delivered": 3, "bounced": 2, "failed": 1,
                "deliveryRate": 50.0,
            },
        })
    );
}

#[on_both_databases]
async fn the_number_of_statements_does_not_depend_on_the_length_of_the_list(app: TestApp) {
    let acme = app.organization("acme").await;
    let statements = async |number: usize| {
        let id = campaign(&app, &acme, "email", "draft").await;
        many(&app, &acme, id, number).await;
        app.forget_statements();
        acme.member
            .data(
                "mutation ($id: ID!) { queueSends(campaignId: $id) { queued } }",
                json!({ "id": id }),
            )
            .await;
        app.statements()
    };
    acme.member.data("{ campaigns { totalCount } }", json!({})).await;
    let (few, some) = (statements(1).await, statements(2_000).await);
    assert_eq!(few.len(), some.len());
    // the campaign is locked and checked, and all sends are queued
    assert_eq!(
        some.len(),
        if app.database.backend == Backend::Postgres { 3 } else { 4 },
        "{some:#?}"
    );
}

#[on_both_databases]
async fn nothing_is_queued_for_a_campaign_of_another_organization(app: TestApp) {
    let ours = app.organization("ours").await;
    let theirs = app.organization("theirs").await;
    let id = campaign(&app, &theirs, "email", "draft").await;
    many(&app, &theirs, id, 3).await;
    let of_theirs = ours.admin.ask(QUEUE, json!({ "id": id })).await;
    let of_nobody = ours.admin.ask(QUEUE, json!({ "id": Uuid::new_v4() })).await;
    assert_eq!((of_theirs.code(), of_theirs.field()), ("NOT_FOUND", "campaignId"));
    assert_eq!(of_theirs.body, of_nobody.body);
    let answer = ours.admin.ask(QUEUE, json!({ "id": "x" })).await;
    assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "campaignId"));
    assert_eq!(app.count("campaign_sends").await, 0);
}
