//! Prepared statements of the database connections.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use campaigns_scope::Options;
use campaigns_tests::{Backend, Client, LOCK_WAITERS, TestApp, fold_all, on_every_database, until};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use uuid::Uuid;

const LENGTHS: [usize; 4] = [1, 2, 41, 600];

fn ids(count: usize) -> Json {
    (1..=count as u128).map(|number| json!(Uuid::from_u128(number))).collect()
}

fn texts(count: usize) -> Json {
    (1..=count).map(|number| json!(format!("É{number}'\"\\"))).collect()
}

fn numbers(count: usize) -> Json {
    (1..=count).map(|number| json!(number * 2)).collect()
}

/// The first `count` of these, or all.
fn some(all: &[&str], count: usize) -> Json {
    all.iter().take(count).map(|value| json!(value)).collect()
}

/// The texts of the statements that an operation sends.
async fn texts_of(
    app: &TestApp,
    client: &Client,
    query: &str,
    variables: Json,
) -> BTreeSet<String> {
    // the look-up of the organization is cached for some seconds
    client.data("{ campaigns { totalCount } }", json!({})).await;
    app.forget_statements();
    client.data(query, variables).await;
    // the organization is looked up again on a slow machine
    let is_look_up = |sql: &String| sql.starts_with("SELECT \"organizations\"");
    app.statements().into_iter().map(|sent| sent.sql).filter(|sql| !is_look_up(sql)).collect()
}

/// A filter with a list of this length.
type Filter<'a> = &'a dyn Fn(usize) -> Json;

#[on_every_database]
async fn statements_that_do_not_stay_prepared_read_the_types_of_the_tables_on_new_connections(
    app: TestApp,
) {
    let acme = app.organization("acme").await;
    acme.populated(8).await;
    let long: Vec<_> =
        (0..150).map(|at| json!({ "name": { "ne": format!("none {at}") } })).collect();
    let mut asking = JoinSet::new();
    // each on several connections
    for query in [
        "query ($f: CampaignFilter!) { list: campaigns(filter: $f, orderBy: [{ field: STATUS }]) { \
         nodes { id status } pageInfo { endCursor } } }",
        "query ($f: CampaignFilter!) { list: campaigns(filter: { and: [{ status: { in: [SENT, \
         SENDING, DRAFT] } }, $f] }) { nodes { status sends(orderBy: [{ field: STATUS }]) { nodes \
         { status } } } } }",
    ]
    .repeat(8)
    {
        let (client, filter) = (acme.member.clone(), json!({ "and": long }));
        asking.spawn(async move {
            let data = client.data(query, json!({ "f": filter })).await;
            assert!(!data["list"]["nodes"].as_array().unwrap().is_empty());
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    for query in [
        "{ contacts(filter: { type: { in: [LEAD, PROSPECT] } }) { totalCount } }",
        "{ sends(filter: { status: { in: [SENT, BOUNCED] } }, orderBy: [{ field: STATUS }]) { \
         nodes { id } } }",
    ] {
        acme.member.data(query, json!({})).await;
    }
}

#[on_every_database]
async fn the_text_of_a_statement_does_not_depend_on_the_length_of_its_lists(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(8).await;
    let statuses = ["DRAFT", "SCHEDULED", "SENDING", "SENT", "PAUSED", "CANCELED"];
    let of_sends = ["QUEUED", "SENT", "DELIVERED", "BOUNCED", "FAILED"];
    let kinds = ["OPEN", "CLICK", "BOUNCE", "UNSUBSCRIBE"];
    for field in ["in", "notIn"] {
        let filters: [(&str, &str, Filter<'_>); 9] = [
            ("campaigns", "CampaignFilter", &|n| json!({ "id": { field: ids(n) } })),
            ("campaigns", "CampaignFilter", &|n| json!({ "name": { field: texts(n) } })),
            (
                "campaigns",
                "CampaignFilter",
                &|n| json!({ "status": { field: some(&statuses, n) } }),
            ),
            ("campaigns", "CampaignFilter", &|n| json!({ "segmentId": { field: ids(n) } })),
            ("contacts", "ContactFilter", &|n| json!({ "email": { field: texts(n) } })),
            (
                "contacts",
                "ContactFilter",
                &|n| json!({ "type": { field: some(&["LEAD", "CUSTOMER"], n) } }),
            ),
            ("segments", "SegmentFilter", &|n| json!({ "contactCount": { field: numbers(n) } })),
            ("sends", "SendFilter", &|n| json!({ "status": { field: some(&of_sends, n) } })),
            ("events", "EngagementEventFilter", &|n| json!({ "type": { field: some(&kinds, n) } })),
        ];
        for (list, of, filter) in filters {
            let query = format!(
                "query ($filter: {of}) {{ {list}(filter: $filter) {{ totalCount nodes {{ id }} }} \
                 }}"
            );
            let mut all = Vec::new();
            for length in LENGTHS {
                let variables = json!({ "filter": filter(length) });
                all.push(texts_of(&app, &acme.member, &query, variables).await);
            }
            assert!(all.iter().all(|texts| *texts == all[0]), "{list} {field}: {all:#?}");
        }
    }
}

#[on_every_database]
async fn the_text_of_segment_rules_does_not_depend_on_the_length_of_their_lists(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(8).await;
    let query = "query ($rules: JSON!) { previewSegment(rules: $rules) { count contacts { id } } }";
    let times = |count: usize| -> Json {
        (0..count).map(|n| json!(format!("2026-01-01T00:00:{:02}.{n:03}Z", n % 60))).collect()
    };
    let fields: [(&str, &dyn Fn(usize) -> Json); 9] = [
        ("email", &texts),
        ("id", &ids),
        ("created_at", &times),
        ("type", &|n| some(&["lead", "customer"], n)),
        ("metadata.size", &numbers),
        ("metadata.size", &texts),
        ("company.name", &texts),
        ("received_campaign", &ids),
        // not consecutive, which would be a range
        ("opens", &|n| numbers(n + 1)),
    ];
    for (field, list) in fields {
        for operator in ["in", "notIn"] {
            let mut all = Vec::new();
            for length in LENGTHS {
                let rule = json!({ "field": field, "operator": operator, "value": list(length) });
                let variables = json!({ "rules": { "combinator": "and", "rules": [rule] } });
                all.push(texts_of(&app, &acme.member, query, variables).await);
            }
            assert!(all.iter().all(|texts| *texts == all[0]), "{field} {operator}: {all:#?}");
        }
    }
}

#[on_every_database]
async fn the_text_of_a_page_does_not_depend_on_the_number_of_its_rows(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(20).await;
    // figures take another statement while changes are pending
    fold_all(&app.sql).await;
    let query = "query ($n: Int!) { campaigns(first: $n) { nodes { \
                 stats { sends } timeline(interval: DAY) { opens uniqueOpens } sends(first: 2) { \
                 totalCount nodes { events(first: 2) { nodes { id } } contact { companies { id } } \
                 } } list(first: 2) { nodes { contact { email } } } segments { id } } } }";
    let hours = "query ($to: DateTime!) { timeline(interval: HOUR, from: \"2026-01-01T00:30:00Z\", \
                 to: $to) { opens } }";
    let mut all = Vec::new();
    for length in [4, 9, 20] {
        let mut texts = texts_of(&app, &acme.member, query, json!({ "n": length })).await;
        let to = format!("2026-01-01T{length:02}:30:00Z");
        texts.extend(texts_of(&app, &acme.member, hours, json!({ "to": to })).await);
        all.push(texts);
    }
    assert!(all.iter().all(|texts| *texts == all[0]), "{all:#?}");
}

/// Filters with many conditions of different shapes, and lists of different lengths.
fn varied(rng: &mut ChaCha8Rng) -> Json {
    // texts of few conditions stay prepared
    let most = *[20, 500].choose(rng).unwrap();
    let conditions: Vec<Json> = (0..rng.random_range(2..most))
        .map(|_| {
            let field = ["firstName", "lastName", "email", "city"].choose(rng).unwrap();
            let operator = ["eq", "ne", "contains", "startsWith"].choose(rng).unwrap();
            json!({ *field: { *operator: "x" } })
        })
        .collect();
    json!({ "or": conditions, "id": { "in": ids(rng.random_range(1..1_000)) } })
}

/// Makes each connection that creates a campaign record its prepared statements.
const NOTE: &str = "CREATE TABLE noted (process int PRIMARY KEY, statements bigint, bytes bigint, \
    longest bigint); \
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
      INSERT INTO noted SELECT pg_backend_pid(), count(*), sum(length(statement)), \
      max(length(statement)) FROM pg_prepared_statements ON CONFLICT (process) DO UPDATE \
        SET statements = excluded.statements, bytes = excluded.bytes, longest = excluded.longest; \
      PERFORM pg_sleep(0.05); RETURN new; END $$; \
    CREATE TRIGGER note AFTER INSERT ON campaigns FOR EACH ROW EXECUTE FUNCTION note()";

/// The number of connections, and the maximum number of prepared statements, their bytes, and the
/// length of a text, over all connections.
async fn prepared(app: &TestApp, client: &Client) -> [i64; 4] {
    let create = "mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }";
    let mut creating = JoinSet::new();
    for _ in 0..24 {
        let client = client.clone();
        creating.spawn(async move { client.data(create, json!({})).await });
    }
    creating.join_all().await;
    let noted =
        "SELECT count(*), max(statements), CAST(max(bytes) AS bigint), max(longest) FROM noted";
    let row = &app.rows(noted).await[0];
    [0, 1, 2, 3].map(|index| row.try_get_by_index(index).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_and_length_of_prepared_statements_are_bounded() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = Arc::new(app.organization("acme").await);
    app.run(NOTE).await;
    let query =
        "query ($filter: ContactFilter) { contacts(filter: $filter) { totalCount nodes { id } } }";
    let list = |seed: u64| {
        let acme = Arc::clone(&acme);
        async move {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for _ in 0..40 {
                acme.member.data(query, json!({ "filter": varied(&mut rng) })).await;
            }
        }
    };
    let mut noted = [0; 4];
    // until connections with the lists have created one as well
    for round in 0..20 {
        let mut asking: JoinSet<()> = (0..8).map(|task| list(984 + 8 * round + task)).collect();
        while !asking.is_empty() {
            noted = prepared(&app, &acme.member).await;
            while asking.try_join_next().is_some() {}
        }
        if noted[0] > 1 && noted[1] > 1 {
            break;
        }
    }
    let [connections, statements, bytes, longest] = noted;
    assert!(connections > 1 && statements > 1, "{connections} {statements}");
    assert!(statements <= 100, "{statements} statements");
    assert!(longest <= 4 << 10, "a statement of {longest} bytes");
    assert!(bytes <= 400 << 10, "{bytes} bytes");
}

#[tokio::test]
async fn statements_abandoned_while_they_are_prepared_do_not_pile_up() {
    // a single connection for the organization
    let app = TestApp::on(Backend::Postgres)
        .options(|options| Options { max_connections: 3, ..options })
        .start()
        .await;
    let acme = app.organization("acme").await;
    app.run(NOTE).await;
    let query = "{ contacts(filter: { email: { eq: \"x\" } }) { totalCount } }";
    for _ in 0..150 {
        let lock = app.sql.begin().await.unwrap();
        lock.execute_unprepared("LOCK TABLE contacts IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let member = acme.member.clone();
        let asked = tokio::spawn(async move { member.ask(query, json!({})).await });
        let soon = Duration::from_secs(10);
        until("it is being prepared", soon, async || app.count(LOCK_WAITERS).await == 1).await;
        asked.abort();
        lock.rollback().await.unwrap();
    }
    let [_, statements, ..] = prepared(&app, &acme.member).await;
    assert!(statements < 90, "{statements} statements");
}
