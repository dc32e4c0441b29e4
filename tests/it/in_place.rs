//! Lists are written faster than single objects: columns directly from PostgreSQL's bytes, and
//! to-one objects for all rows at once. Both return the same values as single objects.

use campaigns_tests::{
    Backend, Client, Organization, TestApp, on_both_databases, on_every_database,
};
use chrono::{DateTime, Utc};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sea_orm::ConnectionTrait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

const CONTACT: &str =
    "__typename id firstName lastName email phone type createdAt updatedAt metadata again: email";
const CAMPAIGN: &str = "id name subject body channel status scheduledAt sentAt createdAt \
                        updatedAt metadata __typename";
const SEND: &str = "status id sentAt deliveredAt error createdAt updatedAt metadata";
const SEGMENT: &str = "id name description createdAt updatedAt filterRules";
const USER: &str = "id fullName email";
const STATS: &str =
    "sends delivered opens openRate(decimals: 3) clickRate firstEventAt lastEventAt";

/// The objects of a list in `nodes`, and in `edges`, where each is resolved separately.
async fn both(client: &Client, list: &str, selected: &str) -> (Vec<Json>, Vec<Json>) {
    let parts = format!("nodes {{ {selected} }} edges {{ node {{ {selected} }} }}");
    let query = format!("{{ of: {} }}", list.replace('#', &parts));
    let data = client.data(&query, json!({})).await;
    let mut of = &data["of"];
    while of.get("nodes").is_none() {
        of = of.as_object().unwrap().values().next().unwrap();
    }
    let edges = of["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone());
    (of["nodes"].as_array().unwrap().clone(), edges.collect())
}

#[on_every_database]
async fn objects_that_rows_refer_to_are_the_same_in_a_list_and_alone(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(12).await;
    let org = app.literal(acme.id);
    let longest = format!(
        "SELECT campaign_id FROM campaign_lists WHERE org_id = {org} GROUP BY campaign_id \
         ORDER BY count(*) DESC LIMIT 1"
    );
    let campaign: Uuid = app.rows(&longest).await[0].try_get("", "campaign_id").unwrap();
    let entries = format!("campaign(id: \"{campaign}\") {{ list(first: 100) {{ # }} }}");
    for (list, field, selected) in [
        ("sends(first: 100) { # }", "contact", CONTACT),
        ("sends(first: 100) { # }", "campaign", CAMPAIGN),
        ("events(first: 100) { # }", "send", SEND),
        ("events(first: 100) { # }", "contact", CONTACT),
        ("events(first: 100) { # }", "campaign", CAMPAIGN),
        (&entries, "contact", CONTACT),
        (&entries, "campaign", CAMPAIGN),
        (&entries, "segment", SEGMENT),
        ("campaigns(first: 100) { # }", "creator", USER),
        ("campaigns(first: 100) { # }", "stats", STATS),
    ] {
        let selected = format!("before: id {field} {{ {selected} }} after: __typename");
        let (listed, alone) = both(&acme.member, list, &selected).await;
        assert!(listed.len() > 2, "{list} {field}");
        assert_eq!(listed, alone, "{list} {field}");
        assert!(listed.iter().any(|node| !node[field].is_null()), "{list} {field}");
    }
}

/// Deletes a referenced row, as a program without foreign keys could.
async fn delete_alone(app: &TestApp, table: &str, id: Uuid) {
    let connection = app.database.connect_once().await;
    let without = match app.database.backend {
        Backend::Postgres => "SET session_replication_role = replica",
        Backend::Sqlite => "PRAGMA foreign_keys = off",
    };
    connection.execute_unprepared(without).await.unwrap();
    let delete = format!("DELETE FROM {table} WHERE id = {}", app.literal(id));
    connection.execute_unprepared(&delete).await.unwrap();
}

#[on_both_databases]
async fn a_missing_object_is_an_error_or_null_at_its_own_place(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(8).await;
    let of_sends = "{ sends(first: 100) { nodes { to: contact { id } } } }";
    delete_alone(&app, "contacts", last_id(&acme, of_sends, "to").await).await;
    let query = "{ sends(first: 100) { nodes { id contact { email } } } }";
    let answer = acme.member.ask(query, json!({})).await;
    let errors = answer.body["errors"].as_array().unwrap();
    assert!(answer.codes().iter().all(|code| *code == "NOT_FOUND"), "{:#}", answer.body);
    for error in errors {
        let path = error["path"].as_array().unwrap();
        assert_eq!(path.len(), 4, "{error}");
        assert_eq!(path[3], "contact");
        assert!(path[2].is_u64());
    }
    let of_campaigns = "{ campaigns { nodes { creator { id } } } }";
    delete_alone(&app, "users", last_id(&acme, of_campaigns, "creator").await).await;
    let data = acme.member.data("{ campaigns { nodes { creator { id } } } }", json!({})).await;
    let nodes = data["campaigns"]["nodes"].as_array().unwrap();
    assert!(nodes.iter().any(|node| node["creator"].is_null()));
}

/// The last ID of the objects in a field of a list.
async fn last_id(acme: &Organization, query: &str, field: &str) -> Uuid {
    let data = acme.member.data(query, json!({})).await;
    let list = data.as_object().unwrap().values().next().unwrap();
    let nodes = list["nodes"].as_array().unwrap();
    let mut ids = nodes.iter().filter_map(|node| node[field]["id"].as_str());
    ids.next_back().unwrap().parse().unwrap()
}

/// Text with any characters that PostgreSQL stores.
fn text(rng: &mut ChaCha8Rng) -> String {
    let length = rng.random_range(0..40);
    let character = |rng: &mut ChaCha8Rng| match rng.random_range(0..4) {
        0 => char::from(rng.random_range(1..128_u8)),
        1 => ['"', '\\', '/', '\u{7f}', '\u{2028}', '\u{feff}'][rng.random_range(0..6)],
        _ => char::from_u32(rng.random_range(1..0x11_0000)).unwrap_or('\u{fffd}'),
    };
    (0..length).map(|_| character(rng)).collect()
}

#[tokio::test]
async fn any_value_of_postgresql_is_shown_as_sql_reads_it() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let org = app.literal(acme.id);
    let mut rng = ChaCha8Rng::seed_from_u64(41);
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    for _ in 0..400 {
        let (name, subject) = (text(&mut rng), text(&mut rng));
        // the years 1 to 9999, in whole seconds, milliseconds or microseconds
        let unit = 1_000_i64.pow(rng.random_range(0..3));
        let micros =
            rng.random_range(-62_135_596_800_000_000..253_402_300_800_000_000) / unit * unit;
        let at = DateTime::<Utc>::from_timestamp_micros(micros).unwrap();
        let status = ["draft", "scheduled", "sending", "sent", "paused", "canceled"];
        let status = status[rng.random_range(0..6)];
        app.run(&format!(
            "INSERT INTO campaigns (org_id, name, subject, status, sent_at) \
             VALUES ({org}, {}, {}, '{status}', '{}')",
            quoted(&format!("x{name}")),
            if rng.random_bool(0.2) { "NULL".to_owned() } else { quoted(&subject) },
            at.format("%Y-%m-%dT%H:%M:%S%.6f+00:00"),
        ))
        .await;
    }
    let rows = app
        .rows(
            "SELECT CAST(id AS text) AS id, CAST(to_json(name) AS text) AS name, \
             coalesce(CAST(to_json(subject) AS text), 'null') AS subject, \
             upper(CAST(status AS text)) AS status, \
             CAST(extract(epoch FROM sent_at) * 1000000 AS bigint) AS micros FROM campaigns",
        )
        .await;
    let data = acme
        .member
        .data("{ campaigns(first: 500) { nodes { id name subject status sentAt } } }", json!({}))
        .await;
    let nodes = data["campaigns"]["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 400);
    for row in &rows {
        let get = |column: &str| row.try_get::<String>("", column).unwrap();
        let json_of = |column: &str| serde_json::from_str::<Json>(&get(column)).unwrap();
        let node = nodes.iter().find(|node| node["id"] == json!(get("id"))).unwrap();
        assert_eq!(node["name"], json_of("name"));
        assert_eq!(node["subject"], json_of("subject"));
        assert_eq!(node["status"], json!(get("status")));
        let shown: DateTime<Utc> = node["sentAt"].as_str().unwrap().parse().unwrap();
        assert_eq!(shown.timestamp_micros(), row.try_get::<i64>("", "micros").unwrap());
    }
}
