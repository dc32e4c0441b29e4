//! Times, dates, numbers and text that a column allows but the API cannot return as stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use campaigns_tests::{
    Backend, Client, Fixtures, Organization, Socket, TestApp, on_both_databases, until,
};
use sea_orm::ConnectionTrait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::watching::of_this_process;

const EARLIEST: &str = "0001-01-01T00:00:00Z";
const LATEST: &str = "9999-12-31T23:59:59.999999Z";

/// Times that PostgreSQL can store, and the nearest time that RFC 3339 can represent.
const IN_POSTGRES: [(&str, &str); 6] = [
    ("infinity", LATEST),
    ("-infinity", EARLIEST),
    ("294276-12-31 23:59:59.999999+00", LATEST),
    ("10000-01-01 00:00:00+00", LATEST),
    ("0001-12-31 23:59:59.999999+00 BC", EARLIEST),
    ("4714-11-24 00:00:00+00 BC", EARLIEST),
];

/// Texts that SQLite stores without a CHECK. They have the length of a time, because triggers would
/// change others.
const IN_SQLITE: [(&str, &str); 4] = [
    ("yesterday, or so, perhaps", LATEST),
    ("+9999-12-31T23:59:59+00:0", EARLIEST),
    ("2026-02-31T00:00:00+00:00", EARLIEST),
    ("9999-99-99T99:99:99+99:99", LATEST),
];

const FOLLOW: &str = "subscription ($after: String, $filter: EngagementEventFilter) \
    { engagementEvents(after: $after, filter: $filter) { node { id occurredAt createdAt } } }";

/// A database without the CHECKs that prevent such values.
async fn unchecked(backend: Backend) -> (TestApp, &'static [(&'static str, &'static str)]) {
    match backend {
        Backend::Postgres => (TestApp::adopted().start().await, &IN_POSTGRES),
        Backend::Sqlite => (TestApp::on(Backend::Sqlite).start().await, &IN_SQLITE),
    }
}

/// Runs SQL without CHECKs.
async fn write(app: &TestApp, statements: &[String]) {
    let sql = app.database.connect_once().await;
    if app.database.backend == Backend::Sqlite {
        sql.execute_unprepared("PRAGMA ignore_check_constraints = on").await.unwrap();
    }
    for statement in statements {
        let done = sql.execute_unprepared(statement).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// Every field that returns an event, its campaign or its contact.
const EVERYTHING: &str = "{
    stats { opens clicks firstEventAt lastEventAt }
    events(first: 500) { totalCount nodes { id occurredAt createdAt updatedAt send { id } contact \
    { id } campaign { id } } }
    campaigns(first: 500) { nodes {
        id scheduledAt sentAt createdAt updatedAt stats { opens clicks firstEventAt lastEventAt }
        timeline(interval: MONTH) { start clicks } links { url clicks lastClickedAt }
    } }
    sends(first: 500) { nodes { id sentAt deliveredAt createdAt updatedAt } }
    segments(first: 500) { nodes { id createdAt updatedAt } }
    contacts(first: 500) { nodes { id createdAt updatedAt suppression { since } events(first: 9) { \
    nodes { id occurredAt } } companies { name } } }
    viewer { user { id } organization { id } }
    feedCursor
}";

async fn everything(client: &Client) -> Json {
    client.data(EVERYTHING, json!({})).await
}

fn click(app: &TestApp, organization: &Organization, send: Uuid, at: &str) -> String {
    let [org, send] = [organization.id, send].map(|id| app.literal(id));
    format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type, url, occurred_at) \
         VALUES ({org}, {send}, 'click', 'https://x.example/odd', '{at}')"
    )
}

/// The values of a field in the rows of a list, by ID.
fn values(list: &Json, field: &str) -> BTreeMap<Uuid, Json> {
    let nodes = list["nodes"].as_array().unwrap();
    let value = |node: &Json| (node["id"].as_str().unwrap().parse().unwrap(), node[field].clone());
    nodes.iter().map(value).collect()
}

async fn an_event_at_such_a_time_is_shown_and_ends_no_feed(backend: Backend) {
    let (app, odd) = unchecked(backend).await;
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let made = acme.populated(6).await;
    let theirs = other.populated(6).await;
    let start = acme.member.feed_cursor().await;
    let before = everything(&acme.member).await;
    let (mut socket, mut beside) =
        (Socket::of(&acme.member).await, Socket::of(&other.member).await);
    socket.subscribe("1", FOLLOW, json!({ "after": start })).await;
    let their_start = other.member.feed_cursor().await;
    beside.subscribe("1", FOLLOW, json!({ "after": their_start })).await;
    for (stored, shown) in odd {
        write(&app, &[click(&app, &acme, made.sends[0], stored)]).await;
        let event = socket.next("1").await["engagementEvents"]["node"].take();
        assert_eq!(event["occurredAt"], *shown, "{stored}");
        // the other organization is not affected
        write(&app, &[click(&app, &other, theirs.sends[0], "2026-01-31T12:00:00+00:00")]).await;
        let event = beside.next("1").await["engagementEvents"]["node"].take();
        assert_eq!(event["occurredAt"], "2026-01-31T12:00:00Z");
    }
    // from the table, too
    let mut later = Socket::of(&acme.member).await;
    later.subscribe("1", FOLLOW, json!({ "after": start })).await;
    for (_, shown) in odd {
        assert_eq!(later.next("1").await["engagementEvents"]["node"]["occurredAt"], *shown);
    }
    // a recount is the same
    let counts = app.service_database.counts();
    for table in campaigns_scope::COUNT_TABLES {
        let (differences, _) = counts.differences(&table, acme.id).await.unwrap();
        assert!(differences.is_empty(), "{} {differences:?}", table.name);
    }
    // they are counted, but are neither the first nor the last event
    let after = everything(&acme.member).await;
    let clicks = |data: &Json| data["stats"]["clicks"].as_u64().unwrap();
    assert_eq!(clicks(&after), clicks(&before) + odd.len() as u64);
    for field in ["firstEventAt", "lastEventAt"] {
        // in SQLite, text that is not a time can sort first or last
        let is_none = backend == Backend::Sqlite && after["stats"][field].is_null();
        assert!(is_none || after["stats"][field] == before["stats"][field], "{field}");
    }
    let times = values(&after["events"], "occurredAt");
    for (_, shown) in odd {
        assert!(times.values().any(|time| time == shown));
    }
    let links = |campaign: &Json| campaign["links"].as_array().unwrap().clone();
    let campaigns = after["campaigns"]["nodes"].as_array().unwrap();
    let mut odd_links =
        campaigns.iter().flat_map(links).filter(|link| link["url"] == "https://x.example/odd");
    assert_eq!(odd_links.next().unwrap()["clicks"], odd.len());
    let unreadable =
        of_this_process(&app, "campaigns_unreadable_values_total{kind=\"time\"}").await;
    assert!(unreadable >= 1.0);
    // the latest time that can be shown is the link's
    write(&app, &[click(&app, &acme, made.sends[0], "2027-01-31T12:00:00+00:00")]).await;
    let after = everything(&acme.member).await;
    let campaigns = after["campaigns"]["nodes"].as_array().unwrap();
    let mut odd_links =
        campaigns.iter().flat_map(links).filter(|link| link["url"] == "https://x.example/odd");
    assert_eq!(odd_links.next().unwrap()["lastClickedAt"], "2027-01-31T12:00:00Z");
}

#[tokio::test]
async fn an_event_at_infinity_is_shown_and_ends_no_feed_on_adopted_tables() {
    an_event_at_such_a_time_is_shown_and_ends_no_feed(Backend::Postgres).await;
}

#[tokio::test]
async fn an_event_with_an_invalid_time_is_shown_and_ends_no_feed_on_sqlite() {
    an_event_at_such_a_time_is_shown_and_ends_no_feed(Backend::Sqlite).await;
}

/// Sets a column of some rows to such times, and returns the expected value of each row.
async fn set(
    app: &TestApp,
    table: &str,
    column: &str,
    ids: &[Uuid],
    odd: &[(&'static str, &'static str)],
) -> BTreeMap<Uuid, &'static str> {
    let rows = ids.iter().zip(odd.iter().cycle()).take(odd.len() * 2);
    let statements: Vec<String> = rows
        .clone()
        .map(|(id, (stored, _))| {
            format!("UPDATE {table} SET {column} = '{stored}' WHERE id = {}", app.literal(*id))
        })
        .collect();
    write(app, &statements).await;
    rows.map(|(id, (_, shown))| (*id, *shown)).collect()
}

/// Drops the triggers that change a row after it is written.
async fn without_triggers(app: &TestApp, table: &str) {
    let sql = match app.database.backend {
        Backend::Postgres => format!("ALTER TABLE {table} DISABLE TRIGGER set_updated_at"),
        Backend::Sqlite => {
            format!("DROP TRIGGER {table}_times_on_update; DROP TRIGGER {table}_updated_at")
        }
    };
    app.run(&sql).await;
}

async fn a_time_is_null_or_the_nearest_wherever_it_is_shown(backend: Backend) {
    let (app, odd) = unchecked(backend).await;
    let acme = app.organization("acme").await;
    let made = acme.populated(12).await;
    let Fixtures { campaigns, sends, segments, contacts, events, .. } = &made;
    for (table, list, ids, columns) in [
        (
            "campaigns",
            "campaigns",
            campaigns,
            &["scheduled_at", "sent_at", "created_at", "updated_at"][..],
        ),
        (
            "campaign_sends",
            "sends",
            sends,
            &["sent_at", "delivered_at", "created_at", "updated_at"],
        ),
        ("campaign_segments", "segments", segments, &["created_at", "updated_at"]),
        ("contacts", "contacts", contacts, &["created_at", "updated_at"]),
        ("campaign_events", "events", events, &["occurred_at", "created_at", "updated_at"]),
    ] {
        without_triggers(&app, table).await;
        for column in columns {
            let expected = set(&app, table, column, ids, odd).await;
            let (first, rest) = column.split_once('_').unwrap();
            let field = format!("{first}{}{}", rest[..1].to_uppercase(), &rest[1..]);
            let is_nullable = ["scheduled_at", "sent_at", "delivered_at"].contains(column);
            // in a list, and in rows that are read as a whole
            let listed = values(&everything(&acme.member).await[list], &field);
            let name = match list {
                "events" => "EngagementEvent".to_owned(),
                _ => format!("{}{}", list[..1].to_uppercase(), &list[1..list.len() - 1]),
            };
            let nodes = format!(
                "query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ id ... on {name} {{ {field} }} }} }}"
            );
            let found: Vec<Uuid> = expected.keys().copied().collect();
            let found = acme.member.data(&nodes, json!({ "ids": found })).await;
            let found = values(&json!({ "nodes": found["nodes"] }), &field);
            for (id, shown) in expected {
                let shown = if is_nullable { Json::Null } else { json!(shown) };
                assert_eq!(listed[&id], shown, "{table}.{column}");
                assert_eq!(found[&id], shown, "{table}.{column}");
            }
        }
    }
    // an update keeps the columns that it does not change
    let id = campaigns[0];
    let update = "mutation ($input: UpdateCampaignInput!) { updateCampaign(input: $input) { \
                  campaign { name createdAt } } }";
    let data = acme.member.data(update, json!({ "input": { "id": id, "name": "new" } })).await;
    assert_eq!(data["updateCampaign"]["campaign"], json!({ "name": "new", "createdAt": odd[0].1 }));
}

#[tokio::test]
async fn a_time_is_null_or_the_nearest_wherever_it_is_shown_on_adopted_tables() {
    a_time_is_null_or_the_nearest_wherever_it_is_shown(Backend::Postgres).await;
}

#[tokio::test]
async fn a_time_is_null_or_the_nearest_wherever_it_is_shown_on_sqlite() {
    a_time_is_null_or_the_nearest_wherever_it_is_shown(Backend::Sqlite).await;
}

/// The IDs of a list, page by page.
async fn pages(client: &Client, list: &str, order: &Json, from_end: bool) -> Vec<String> {
    let order_type = match list {
        "campaigns" => "CampaignOrder",
        "sends" => "SendOrder",
        "segments" => "SegmentOrder",
        "contacts" => "ContactOrder",
        _ => "EngagementEventOrder",
    };
    let arguments = if from_end { "last: 2, before: $cursor" } else { "first: 2, after: $cursor" };
    let query = format!(
        "query ($order: [{order_type}!]!, $cursor: String) {{ {list}({arguments}, orderBy: $order) \
         {{ nodes {{ id }} pageInfo {{ startCursor endCursor hasNextPage hasPreviousPage }} }} }}"
    );
    let (mut ids, mut cursor) = (Vec::new(), Json::Null);
    loop {
        let variables = json!({ "order": [order], "cursor": cursor });
        let page = client.data(&query, variables).await[list].take();
        let nodes = page["nodes"].as_array().unwrap().iter();
        let mut of_page: Vec<String> =
            nodes.map(|node| node["id"].as_str().unwrap().to_owned()).collect();
        if from_end {
            of_page.reverse();
        }
        ids.extend(of_page);
        assert!(ids.len() < 1_000, "{list} {order} goes on for ever");
        let (more, next) = if from_end {
            ("hasPreviousPage", "startCursor")
        } else {
            ("hasNextPage", "endCursor")
        };
        if page["pageInfo"][more] == false {
            break;
        }
        cursor = page["pageInfo"][next].clone();
    }
    if from_end {
        ids.reverse();
    }
    ids
}

async fn pages_by_such_times_neither_loop_nor_skip(backend: Backend) {
    let (app, odd) = unchecked(backend).await;
    let acme = app.organization("acme").await;
    let made = acme.populated(14).await;
    let Fixtures { campaigns, sends, segments, contacts, events, .. } = &made;
    for (table, list, ids, columns) in [
        ("campaigns", "campaigns", campaigns, &["scheduled_at", "sent_at", "created_at"][..]),
        ("campaign_sends", "sends", sends, &["sent_at", "delivered_at", "created_at"]),
        ("campaign_segments", "segments", segments, &["created_at"]),
        ("contacts", "contacts", contacts, &["created_at"]),
        ("campaign_events", "events", events, &["occurred_at"]),
    ] {
        without_triggers(&app, table).await;
        for column in columns {
            set(&app, table, column, ids, odd).await;
            for direction in ["ASC", "DESC"] {
                let order = json!({ "field": column.to_uppercase(), "direction": direction });
                let sql = format!(
                    "SELECT id FROM {table} WHERE org_id = {} ORDER BY {column} {direction} NULLS \
                     LAST, id",
                    app.literal(acme.id)
                );
                let rows = app.rows(&sql).await;
                let all = rows.iter().map(|row| row.try_get::<Uuid>("", "id").unwrap().to_string());
                let all: Vec<String> = all.collect();
                for from_end in [false, true] {
                    let paged = pages(&acme.member, list, &order, from_end).await;
                    assert_eq!(paged, all, "{table}.{column} {direction} {from_end}");
                }
            }
        }
    }
}

#[tokio::test]
async fn pages_by_such_times_neither_loop_nor_skip_on_adopted_tables() {
    pages_by_such_times_neither_loop_nor_skip(Backend::Postgres).await;
}

#[tokio::test]
async fn pages_by_such_times_neither_loop_nor_skip_on_sqlite() {
    pages_by_such_times_neither_loop_nor_skip(Backend::Sqlite).await;
}

#[tokio::test]
async fn filters_by_time_select_such_events_as_sql_does_stored_and_live() {
    let app = TestApp::adopted().start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let edges = [EARLIEST, "2026-01-31T12:00:00Z", LATEST];
    let operators = ["eq", "ne", "gt", "gte", "lt", "lte"];
    let filters: Vec<Json> = edges
        .iter()
        .flat_map(|edge| operators.map(|operator| json!({ "occurredAt": { operator: edge } })))
        .collect();
    let start = acme.member.feed_cursor().await;
    let mut sockets = Vec::new();
    for filter in &filters {
        let mut socket = Socket::of(&acme.member).await;
        socket.subscribe("1", FOLLOW, json!({ "after": start, "filter": filter })).await;
        sockets.push(socket);
    }
    for (stored, _) in IN_POSTGRES.iter().chain(&[("2026-01-31T12:00:00Z", ""), (LATEST, "")]) {
        app.run(&click(&app, &acme, made.sends[0], stored)).await;
    }
    let list = "query ($filter: EngagementEventFilter, $after: String) { \
                events(first: 100, after: $after, filter: $filter, \
                orderBy: [{ field: FEED }]) { nodes { id } } }";
    let ids = |list: &Json| -> Vec<String> {
        let nodes = list["events"]["nodes"].as_array().unwrap();
        nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
    };
    until("all are settled", Duration::from_secs(20), async || {
        ids(&acme.member.data(list, json!({ "after": start })).await).len() == 8
    })
    .await;
    let mut sizes = BTreeSet::new();
    for (filter, socket) in filters.iter().zip(&mut sockets) {
        let stored = acme.member.data(list, json!({ "filter": filter, "after": start })).await;
        let stored = ids(&stored);
        for id in &stored {
            let live = socket.next("1").await;
            assert_eq!(live["engagementEvents"]["node"]["id"], *id, "{filter}");
        }
        assert_eq!(socket.receive_within(Duration::from_millis(50)).await, None, "{filter}");
        sizes.insert(stored.len());
    }
    // none, one, some and all
    assert!(sizes.len() >= 4, "{sizes:?}");
}

#[tokio::test]
async fn a_campaign_scheduled_at_minus_infinity_is_due_and_at_infinity_never() {
    let app = TestApp::adopted().start().await;
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    // more campaigns than a round takes, and due before all others
    app.run(&format!(
        "INSERT INTO campaigns (org_id, name, status, scheduled_at) \
         SELECT '{}', 'early', 'scheduled', '-infinity' FROM generate_series(1, 120); \
         INSERT INTO campaigns (org_id, name, status, scheduled_at, created_at) VALUES \
         ('{0}', 'late', 'scheduled', 'infinity', '-infinity'), \
         ('{0}', 'late', 'scheduled', '10000-01-01', now()), \
         ('{0}', 'early', 'scheduled', '0044-03-15 BC', 'infinity'), \
         ('{1}', 'early', 'scheduled', now(), now())",
        acme.id, other.id
    ))
    .await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let worker = tokio::spawn(campaigns_delivery::work(app.service_database.clone(), stopped));
    until("those that are due start", Duration::from_mins(1), async || {
        app.count("campaigns WHERE name = 'early' AND status = 'scheduled'").await == 0
    })
    .await;
    assert_eq!(app.count("campaigns WHERE name = 'late' AND status = 'scheduled'").await, 2);
    stop.send(true).unwrap();
    worker.await.unwrap();
    // it can be scheduled again, and the others are shown
    let late = app.rows("SELECT id FROM campaigns WHERE scheduled_at = 'infinity'").await;
    let late: Uuid = late[0].try_get("", "id").unwrap();
    let schedule = "mutation ($id: ID!, $at: DateTime!) { scheduleCampaign(id: $id, at: $at) { \
                    campaign { scheduledAt } } }";
    let unschedule = "mutation ($id: ID!) { unscheduleCampaign(id: $id) { campaign { status } } }";
    acme.member.data(unschedule, json!({ "id": late })).await;
    let at = "2999-01-01T00:00:00Z";
    let data = acme.member.data(schedule, json!({ "id": late, "at": at })).await;
    assert_eq!(data["scheduleCampaign"]["campaign"]["scheduledAt"], at);
}

#[tokio::test]
async fn a_report_keeps_the_times_of_its_send_that_it_does_not_change() {
    let app = TestApp::adopted().start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(8).await;
    app.run("UPDATE campaign_sends SET status = 'queued', sent_at = NULL, delivered_at = NULL")
        .await;
    let mut reports = Vec::new();
    for ((stored, _), id) in IN_POSTGRES.iter().zip(&made.sends) {
        app.run(&format!("UPDATE campaign_sends SET sent_at = '{stored}' WHERE id = '{id}'")).await;
        reports.push(json!({ "id": id, "status": "DELIVERED", "at": "2026-01-31T12:00:00Z" }));
    }
    let report =
        "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { updated } }";
    let data = acme.member.data(report, json!({ "input": reports })).await;
    assert_eq!(data["updateSends"]["updated"], IN_POSTGRES.len());
    for ((stored, _), id) in IN_POSTGRES.iter().zip(&made.sends) {
        let kept = format!(
            "campaign_sends WHERE id = '{id}' AND sent_at = '{stored}' AND status = 'delivered' \
             AND delivered_at = '2026-01-31T12:00:00Z'"
        );
        assert_eq!(app.count(&kept).await, 1, "{stored}");
    }
}

#[tokio::test]
async fn unreadable_values_of_neighbours_hide_no_other_values() {
    let app = TestApp::adopted().start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(8).await;
    let before = everything(&acme.member).await;
    let subject = Uuid::new_v4();
    let (user, contact, company) = (made.users[0], made.contacts[0], made.companies[0]);
    app.run(&format!(
        "ALTER TABLE contacts ALTER first_name DROP NOT NULL, ALTER created_at DROP NOT NULL; \
         ALTER TABLE companies ALTER name DROP NOT NULL; \
         UPDATE contact_companies SET started_at = 'infinity', ended_at = '-infinity', created_at \
         = '0044-03-15 BC'; \
         UPDATE companies SET annual_revenue = 'NaN', updated_at = 'infinity'; \
         UPDATE companies SET annual_revenue = 'Infinity' WHERE id = '{company}'; \
         UPDATE contacts SET first_name = NULL, created_at = NULL WHERE id = '{contact}'; \
         UPDATE organizations SET created_at = '-infinity', updated_at = 'infinity'; \
         UPDATE memberships SET created_at = 'infinity'; \
         UPDATE users SET last_sign_in_at = '-infinity', created_at = 'infinity', auth_id = \
         '{subject}' WHERE id = '{user}'"
    ))
    .await;
    let after = everything(&acme.member).await;
    let companies = |data: &Json| values(&data["contacts"], "companies");
    assert_eq!(companies(&after), companies(&before));
    assert!(companies(&after).values().any(|companies| !companies.as_array().unwrap().is_empty()));
    let shown = "query ($id: ID!, $company: ID!) { contact(id: $id) { firstName createdAt } \
                 node(id: $company) { id } }";
    let data = acme.member.data(shown, json!({ "id": contact, "company": company })).await;
    assert_eq!(data["contact"], json!({ "firstName": "", "createdAt": EARLIEST }));
    assert_eq!(data["node"]["id"], json!(company));
    let member = app.client(Some(TestApp::token(acme.id, "member", &subject.to_string())));
    let data = member.data("{ viewer { user { id } organization { id } } }", json!({})).await;
    assert_eq!(
        data["viewer"],
        json!({ "user": { "id": user }, "organization": { "id": acme.id } })
    );
    // the service starts, and its commands work
    assert_eq!(app.service_database.operator().organizations().await.unwrap().len(), 1);
}

#[tokio::test]
async fn invalid_utf_8_in_text_is_replaced() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(6).await;
    let text = "CAST(x'61ff62' AS TEXT)";
    let [org, send] = [acme.id, made.sends[0]].map(|id| app.literal(id));
    let start = acme.member.feed_cursor().await;
    let mut socket = Socket::of(&acme.member).await;
    socket.subscribe("1", FOLLOW, json!({ "after": start })).await;
    app.run(&format!(
        "UPDATE contacts SET first_name = {text}; UPDATE campaigns SET name = {text}, subject = \
         {text}; \
         INSERT INTO campaign_events (org_id, send_id, event_type, url) VALUES \
         ({org}, {send}, 'click', {text})"
    ))
    .await;
    let query = "{ contacts { nodes { firstName } } campaigns { nodes { name subject links { url } \
                 } } events { nodes { url } } }";
    let data = acme.member.data(query, json!({})).await;
    for contact in data["contacts"]["nodes"].as_array().unwrap() {
        assert_eq!(contact["firstName"], "a\u{fffd}b");
    }
    let of_links = data["campaigns"]["nodes"].as_array().unwrap().iter();
    let urls: BTreeSet<&str> = of_links
        .flat_map(|campaign| campaign["links"].as_array().unwrap())
        .map(|link| link["url"].as_str().unwrap())
        .collect();
    assert!(urls.contains("a\u{fffd}b"), "{urls:?}");
    // the feed has it and continues
    let event = socket.next("1").await["engagementEvents"]["node"].take();
    assert_ne!(event["occurredAt"], "2026-01-31T12:00:00Z");
    write(&app, &[click(&app, &acme, made.sends[0], "2026-01-31T12:00:00+00:00")]).await;
    let event = socket.next("1").await["engagementEvents"]["node"].take();
    assert_eq!(event["occurredAt"], "2026-01-31T12:00:00Z");
}

#[on_both_databases]
async fn tables_of_the_service_refuse_such_times(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    for (stored, _) in IN_POSTGRES.iter().chain(&IN_SQLITE) {
        let refused = app.try_run(&click(&app, &acme, made.sends[0], stored)).await;
        assert!(refused.is_err(), "{stored}");
    }
}
