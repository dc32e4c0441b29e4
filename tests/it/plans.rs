//! PostgreSQL's plans for the most frequent queries of dashboards: they use indexes, also for the
//! seventh execution and with very many pending changes.

use campaigns_scope::Exclusions;
use campaigns_tests::{Backend, Organization, Sent, TestApp, until_at_most};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value as Json, json};

/// Twelve organizations of the same size, so that an index on the organization pays off.
const PLACES: &str = "
INSERT INTO organizations (id, name, slug) SELECT CAST(md5('o' || n) AS uuid), 'o' || n, 'o' || n \
FROM generate_series(1, 12) n;
INSERT INTO contacts (org_id, first_name, last_name) SELECT o.id, 'f' || n, 'l' || n FROM \
organizations o, generate_series(1, 150) n;
INSERT INTO campaigns (org_id, name, status) SELECT o.id, 'c' || n, 'sent' FROM organizations o, \
generate_series(1, 10) n;
INSERT INTO campaign_segments (org_id, name) SELECT o.id, 's' || n FROM organizations o, \
generate_series(1, 5) n";

/// The sends and events of the organizations.
const HISTORY: &str = "
INSERT INTO campaign_sends (org_id, campaign_id, contact_id, status, sent_at)
    SELECT c.org_id, c.id, k.id, 'delivered', now() FROM campaigns c JOIN contacts k ON k.org_id = \
    c.org_id;
INSERT INTO campaign_lists (org_id, campaign_id, contact_id, segment_id)
    SELECT s.org_id, s.campaign_id, s.contact_id, g.id FROM campaign_sends s
    JOIN campaign_segments g ON g.org_id = s.org_id AND g.name = 's' || 1 + \
    abs(hashtext(CAST(s.id AS text))) % 5
    ON CONFLICT DO NOTHING;
INSERT INTO campaign_events (org_id, send_id, event_type, url, metadata, occurred_at)
    SELECT org_id, id, CAST((ARRAY['open', 'click', 'bounce'])[1 + n % 3] AS campaign_event_type),
        CASE n % 3 WHEN 1 THEN 'https://example.com/' || n END,
        CASE n WHEN 3 THEN '{\"machine\": true}' ELSE '{}' END::jsonb, now() - random() * interval '40 \
        days'
    FROM campaign_sends, generate_series(1, 4) n;
UPDATE campaigns SET status = 'sending' WHERE name = 'c1'";

/// The queries.
const HOT: [&str; 17] = [
    "{ campaigns(first: 50) { nodes { stats { sends delivered openRate clickRate bounceRate } } } \
     }",
    "{ campaigns(first: 50) { nodes { stats { uniqueOpens firstEventAt lastEventAt } } } }",
    "{ campaigns(first: 5, orderBy: [{ field: OPEN_RATE, direction: DESC }]) { nodes { name } } }",
    "{ campaigns(first: 5, orderBy: [{ field: BOUNCE_RATE }, { field: SENDS }]) { nodes { name } } \
     }",
    "{ stats { sends openRate clickRate firstEventAt } }",
    "{ campaigns(first: 5) { nodes { links(first: 5) { url clicks uniqueClicks lastClickedAt } } } \
     }",
    "{ campaigns(first: 1) { nodes { timeline(interval: DAY) { opens clicks } } } }",
    "{ campaigns(first: 1) { nodes { timeline(interval: DAY, timezone: \"Asia/Kolkata\") { opens \
     clicks } } } }",
    "{ contacts(first: 50, filter: { clicked: true, unsubscribed: false }) { nodes { lastName } } \
     }",
    "{ contacts(first: 20, filter: { suppressed: true }) { nodes { suppression { since } } } }",
    "{ campaigns(first: 1) { nodes { sends(first: 20, filter: { opened: true }) { nodes { opens \
     clicks contact { lastName } } } } } }",
    "{ campaigns(first: 5) { nodes { sends(first: 20) { nodes { opens clicks } } events(first: 20) \
     { nodes { type } } } } }",
    "{ contacts(first: 5) { nodes { events(first: 20, orderBy: [{ field: OCCURRED_AT, direction: \
     DESC }]) { nodes { type } } } } }",
    "{ segments(first: 5) { nodes { campaignsUsedIn } } }",
    "{ campaigns(first: 50) { nodes { stats { machineOpens uniqueHumanOpens humanOpenRate \
     humanClickRate } } } }",
    "{ campaigns(first: 1) { nodes { timeline(interval: DAY) { opens machineOpens machineClicks } \
     events(first: 20, filter: { machine: true }) { nodes { machine } } } } }",
    "{ events(first: 20, filter: { machine: true }) { nodes { machine metadata } } }",
];

/// Tables that grow with the history. No query can read one of them as a whole.
const LARGE: [&str; 6] = [
    "campaign_events",
    "campaign_sends",
    "campaign_lists",
    "campaign_send_counts",
    "campaign_hour_counts",
    "campaign_event_changes",
];

/// The tables that a plan reads as a whole.
fn read_whole(plan: &Json, found: &mut Vec<String>) {
    if plan["Node Type"] == "Seq Scan" {
        found.extend(plan["Relation Name"].as_str().map(str::to_owned));
    }
    for child in plan["Plans"].as_array().into_iter().flatten() {
        read_whole(child, found);
    }
}

/// The SQL type of a bound value.
fn kind(value: &str) -> &'static str {
    let text = value.trim_matches('\'');
    if value == "TRUE" || value == "FALSE" {
        "boolean"
    } else if let Some(elements) = value.strip_prefix("ARRAY [") {
        match kind(elements.split([',', ']']).next().unwrap()) {
            "boolean" => "boolean[]",
            "bigint" => "bigint[]",
            "timestamptz" => "timestamptz[]",
            "uuid" => "uuid[]",
            _ => "text[]",
        }
    } else if value.parse::<i64>().is_ok() {
        "bigint"
    } else if text.parse::<uuid::Uuid>().is_ok() {
        "uuid"
    } else if text.len() > 18 && text[..4].parse::<u16>().is_ok() && &text[4..5] == "-" {
        "timestamptz"
    } else {
        "unknown"
    }
}

async fn run(sql: &DatabaseConnection, text: &str) {
    sql.execute_unprepared(text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Prepares a statement on a connection with the service's settings. Returns the EXECUTE statement.
async fn prepare(sql: &DatabaseConnection, sent: &Sent) -> String {
    run(sql, "RESET ALL; SET plan_cache_mode = force_custom_plan; SET jit = off").await;
    if sent.plans != "RESET ALL" {
        run(sql, sent.plans).await;
    }
    let (kinds, values) = if sent.values.is_empty() {
        (String::new(), String::new())
    } else {
        let kinds: Vec<&str> = sent.values.iter().map(|value| kind(value)).collect();
        let values: Vec<String> = kinds
            .iter()
            .zip(&sent.values)
            .map(|(kind, value)| {
                if kind.ends_with("[]") {
                    format!("CAST({value} AS {kind})")
                } else {
                    value.clone()
                }
            })
            .collect();
        (format!("({})", kinds.join(", ")), format!("({})", values.join(", ")))
    };
    run(sql, &format!("PREPARE hot {kinds} AS {}", sent.sql)).await;
    format!("EXECUTE hot {values}")
}

async fn explain(sql: &DatabaseConnection, options: &str, execute: &str) -> Json {
    let explain = format!("EXPLAIN ({options}FORMAT JSON) {execute}");
    let statement = Statement::from_string(sql.get_database_backend(), explain);
    let row = sql.query_one_raw(statement).await.unwrap().unwrap();
    let plan: Json = row.try_get("", "QUERY PLAN").unwrap();
    plan[0]["Plan"].clone()
}

/// The plan of the seventh execution of a statement.
async fn seventh(sql: &DatabaseConnection, sent: &Sent) -> Json {
    let execute = prepare(sql, sent).await;
    for _ in 0..6 {
        run(sql, &execute).await;
    }
    let plan = explain(sql, "", &execute).await;
    run(sql, "DEALLOCATE hot").await;
    plan
}

/// The nodes of a plan that discard rows, with the number of rows.
fn unwanted(plan: &Json, found: &mut Vec<String>) {
    let removed = plan["Rows Removed by Filter"].as_i64().unwrap_or(0)
        * plan["Actual Loops"].as_i64().unwrap_or(1);
    if removed > 10 && plan["Relation Name"].is_string() {
        let [relation, condition, filter] =
            ["Relation Name", "Index Cond", "Filter"].map(|key| &plan[key]);
        found.push(format!("{removed} of {relation} by {condition}, then {filter}"));
    }
    for child in plan["Plans"].as_array().into_iter().flatten() {
        unwanted(child, found);
    }
}

async fn first_organization(app: &TestApp, sql: &DatabaseConnection) -> Organization {
    let statement = "SELECT id FROM organizations WHERE name = 'o1'";
    let statement = Statement::from_string(sql.get_database_backend(), statement);
    let first = sql.query_one_raw(statement).await.unwrap().unwrap();
    app.existing_organization(first.try_get("", "id").unwrap()).await
}

async fn check(app: &TestApp, organization: &Organization, sql: &DatabaseConnection) {
    let mut looked_at = 0;
    // a table of a few pages can be read as a whole
    let mut large = Vec::new();
    for table in LARGE {
        if app
            .count(&format!(
                "pg_class WHERE oid = '{table}'::regclass AND pg_relation_size(oid) > 300000"
            ))
            .await
            > 0
        {
            large.push(table.to_owned());
        }
    }
    assert!(large.len() > 2, "{large:?}");
    for query in HOT {
        organization.member.data("{ campaigns { totalCount } }", json!({})).await;
        app.forget_statements();
        organization.member.data(query, json!({})).await;
        for sent in app.statements() {
            if !sent.sql.starts_with("SELECT") && !sent.sql.starts_with("WITH") {
                continue;
            }
            let plan = seventh(sql, &sent).await;
            let mut found = Vec::new();
            read_whole(&plan, &mut found);
            found.retain(|table| large.contains(table));
            assert!(found.is_empty(), "{query}\n{}\nreads all of {found:?}: {plan:#}", sent.sql);
            looked_at += 1;
        }
    }
    assert!(looked_at > HOT.len(), "{looked_at}");
    check_worker(app, sql, &large).await;
}

/// Checks that the worker's queries read campaigns by an index and do not read all sends.
async fn check_worker(app: &TestApp, sql: &DatabaseConnection, large: &[String]) {
    app.forget_statements();
    let operator = app.service_database.operator();
    operator.campaigns_to_start(chrono::Utc::now(), &Exclusions::default(), 100).await.unwrap();
    operator.campaigns_to_complete(&Exclusions::default(), 100).await.unwrap();
    let statements = app.statements();
    assert_eq!(statements.len(), 2);
    for sent in statements {
        let plan = seventh(sql, &sent).await;
        let mut found = Vec::new();
        read_whole(&plan, &mut found);
        found.retain(|table| large.contains(table) || table == "campaigns");
        assert!(found.is_empty(), "{} reads all of {found:?}: {plan:#}", sent.sql);
        assert!(plan.to_string().contains("campaigns_due"), "{plan:#}");
    }
}

#[tokio::test]
async fn common_queries_scan_no_history() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let sql = app.database.connect_once().await;
    let held = app.hold_changes().await;
    // autovacuum must not change the states below
    for table in ["campaign_event_changes", "campaign_send_changes"] {
        run(&sql, &format!("ALTER TABLE {table} SET (autovacuum_enabled = off)")).await;
    }
    run(&sql, PLACES).await;
    run(&sql, HISTORY).await;
    sql.execute_unprepared("VACUUM ANALYZE").await.unwrap();
    let organization = first_organization(&app, &sql).await;
    assert!(app.count("campaign_event_changes").await > 50_000);
    check(&app, &organization, &sql).await;

    held.unwrap().close().await.unwrap();
    let changes = async || app.count("campaign_event_changes").await;
    until_at_most("the changes are added", 0, changes).await;
    check(&app, &organization, &sql).await;
    sql.execute_unprepared("VACUUM ANALYZE").await.unwrap();
    check(&app, &organization, &sql).await;
}

#[tokio::test]
async fn a_plan_made_without_pending_changes_reads_few_rows_with_many_pending() {
    // look-ups of one campaign of ten, and of its sends
    const LOOK_UPS: [&str; 4] = [
        "{ campaigns(first: 1) { nodes { stats { sends uniqueOpens } } } }",
        "{ campaigns(first: 1) { nodes { stats { firstEventAt } } } }",
        "{ campaigns(first: 1) { nodes { links { url } } } }",
        "{ campaigns(first: 1) { nodes { sends(first: 5) { nodes { opens contact { email } } } } } \
         }",
    ];
    let app = TestApp::on(Backend::Postgres).start().await;
    let sql = app.database.connect_once().await;
    let _held = app.hold_changes().await;
    run(&sql, PLACES).await;
    let organization = first_organization(&app, &sql).await;
    // the send exists, so that its references are looked up
    let one = "INSERT INTO campaign_sends (org_id, campaign_id, contact_id, status) SELECT \
        c.org_id, c.id, k.id, 'queued'
        FROM campaigns c JOIN contacts k ON k.org_id = c.org_id WHERE k.first_name = 'f1'";
    run(&sql, one).await;
    let mut all = Vec::new();
    // first without statistics of the tables of changes, then with statistics of empty tables, as
    // between two writers; statistics of growing tables are updated, which replaces plans
    for state in ["SELECT 1", "VACUUM ANALYZE campaign_event_changes, campaign_send_changes"] {
        run(&sql, state).await;
        for query in LOOK_UPS {
            app.forget_statements();
            organization.member.data(query, json!({})).await;
            for sent in app.statements() {
                if sent.plans.contains("force_generic_plan") && sent.sql.contains("selected") {
                    let connection = app.database.connect_once().await;
                    let execute = prepare(&connection, &sent).await;
                    run(&connection, &execute).await;
                    all.push((query, sent, connection, execute));
                }
            }
        }
    }
    let asked: Vec<_> = all.iter().map(|(query, ..)| query).collect();
    assert!(LOOK_UPS.iter().all(|query| asked.contains(&query)), "{asked:?}");

    run(&sql, HISTORY).await;
    run(
        &sql,
        "INSERT INTO campaigns (org_id, name) SELECT o.id, 'z' || n FROM organizations o, \
         generate_series(1, 500) n",
    )
    .await;
    // autovacuum may have analyzed this table while it was empty
    run(&sql, "ANALYZE campaign_events").await;
    for (query, sent, connection, execute) in &all {
        let plan = explain(connection, "ANALYZE, ", execute).await;
        let mut found = Vec::new();
        unwanted(&plan, &mut found);
        assert!(found.is_empty(), "{query}\n{}\n{found:#?}", sent.sql);
    }
}
