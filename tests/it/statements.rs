//! The statements that reach the database: their number, and the organization in each.

use std::collections::HashSet;

use campaigns_tests::{Backend, Client, Organization, TestApp, fold_all, on_both_databases};
use serde_json::json;

/// A page of campaigns with everything that depends on them.
const PAGE: &str = "{
  campaigns(first: 50, orderBy: [{ field: OPEN_RATE, direction: DESC }]) {
    totalCount
    pageInfo { hasNextPage hasPreviousPage }
    nodes {
      name
      creator { fullName }
      stats { sends openRate bounceRate }
      links(first: 3) { url }
      timeline(interval: DAY) { start opens }
      segments { name campaignsUsedIn }
      list(first: 5) { totalCount nodes { segment { name } contact { companies { name } } } }
      sends(first: 20) {
        totalCount
        pageInfo { hasNextPage }
        nodes {
          status opens clicks
          contact { firstName companies { name } sends(first: 2) { nodes { id } } }
          campaign { name stats { sends } }
          events(first: 5) { totalCount pageInfo { hasNextPage } nodes { type occurredAt send { \
          status } contact { email } campaign { name } } }
        }
      }
    }
  }
}";

async fn statements_of(app: &TestApp, client: &Client, query: &str) -> usize {
    // the look-up of the organization is cached for some seconds
    client.data("{ campaigns { totalCount } }", json!({})).await;
    app.forget_statements();
    client.data(query, json!({})).await;
    app.statements().len()
}

async fn organization_of_size(app: &TestApp, slug: &str, size: usize) -> Organization {
    let organization = app.organization(slug).await;
    organization.populated(size).await;
    // figures take another statement while changes are pending
    fold_all(&app.sql).await;
    organization
}

#[on_both_databases]
async fn the_number_of_statements_does_not_depend_on_the_number_of_rows(app: TestApp) {
    let small = organization_of_size(&app, "small", 12).await;
    let large = organization_of_size(&app, "large", 60).await;
    let few = statements_of(&app, &small.member, PAGE).await;
    let many = statements_of(&app, &large.member, PAGE).await;
    assert_eq!(few, many);
    // campaigns with their count, creators, figures, links, when their events were, their days;
    // their segments (two), and in how many each was used;
    // lists, their count, segments, contacts, the companies of these (two);
    // sends, their count, opens, clicks, contacts, the companies (two) and sends of these,
    // their campaigns and the figures of those;
    // how far the feed is settled (PostgreSQL), events, their count, sends, contacts, campaigns
    let settled = usize::from(app.database.backend == Backend::Postgres);
    assert_eq!(many, 29 + settled, "{:#?}", app.statements());
}

/// In SQLite, triggers change the counts themselves.
#[tokio::test]
async fn figures_are_one_statement_unless_a_change_of_the_organization_is_pending() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = organization_of_size(&app, "acme", 12).await;
    let other = organization_of_size(&app, "other", 12).await;
    let held = app.hold_changes().await;
    let query = "{ campaigns(first: 500) { nodes { stats { opens } } } }";
    let opens = async || {
        let page = acme.member.data(query, json!({})).await;
        let nodes = page["campaigns"]["nodes"].as_array().unwrap();
        nodes.iter().map(|node| node["stats"]["opens"].as_i64().unwrap()).sum::<i64>()
    };
    let before = opens().await;
    assert_eq!(statements_of(&app, &acme.member, query).await, 2);
    let open = |of: &Organization| {
        let org = app.literal(of.id);
        format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type) \
             SELECT org_id, id, 'open' FROM campaign_sends WHERE org_id = {org} LIMIT 1"
        )
    };
    app.run(&open(&other)).await;
    assert_eq!(statements_of(&app, &acme.member, query).await, 2);
    app.run(&open(&acme)).await;
    assert_eq!(statements_of(&app, &acme.member, query).await, 3);
    assert_eq!(opens().await, before + 1);
    drop(held);
    fold_all(&app.sql).await;
    assert_eq!(statements_of(&app, &acme.member, query).await, 2);
    assert_eq!(opens().await, before + 1);
}

#[on_both_databases]
async fn the_number_of_statements_does_not_depend_on_the_number_of_segments(app: TestApp) {
    let query = "{ segments(first: 100) { nodes { contacts(first: 3) { totalCount pageInfo { \
                 hasNextPage } nodes { id companies { name } } edges { cursor } } } } }";
    let mut sent = Vec::new();
    for (slug, count) in [("few", 2), ("many", 60)] {
        let organization = organization_of_size(&app, slug, 12).await;
        for number in 0..count {
            let rules = json!({ "combinator": "or", "rules": [
                {
                    "field": "first_name", "operator": "contains",
                    "value": if number % 2 == 0 { "a" } else { "e" },
                },
                { "field": "opens", "operator": ">", "value": number },
            ] });
            let create = "mutation ($rules: JSON!) { createSegment(input: { name: \"x\", \
                          filterRules: $rules }) { segment { id } } }";
            organization.member.data(create, json!({ "rules": rules })).await;
        }
        sent.push(statements_of(&app, &organization.member, query).await);
    }
    // segments, their contacts, how many these are, the companies (two)
    assert_eq!(sent, [5, 5], "{:#?}", app.statements());
}

#[on_both_databases]
async fn a_list_is_counted_in_the_statement_of_its_page(app: TestApp) {
    let acme = organization_of_size(&app, "acme", 12).await;
    let total = acme.member.data("{ campaigns { totalCount } }", json!({})).await;
    let total = total["campaigns"]["totalCount"].as_u64().unwrap();
    let one = acme.member.data("{ campaigns(first: 1) { nodes { id } } }", json!({})).await;
    let one = &one["campaigns"]["nodes"][0]["id"];
    let last =
        acme.member.data("{ campaigns(last: 1) { pageInfo { endCursor } } }", json!({})).await;
    let last = &last["campaigns"]["pageInfo"]["endCursor"];
    for (arguments, count, statements) in [
        ("(first: 2)".to_owned(), total, 1),
        ("(first: 0)".to_owned(), total, 1),
        ("(last: 2)".to_owned(), total, 1),
        ("(first: 2, orderBy: [{ field: OPEN_RATE }, { field: NAME }])".to_owned(), total, 1),
        (format!("(filter: {{ id: {{ eq: {one} }} }})"), 1, 1),
        ("(filter: { name: { eq: \"no campaign\" } })".to_owned(), 0, 1),
        // the count is not in any row
        (format!("(after: {last})"), total, 2),
    ] {
        let query = format!(
            "{{ campaigns{arguments} {{ totalCount pageInfo {{ hasNextPage }} nodes {{ id }} }} }}"
        );
        assert_eq!(statements_of(&app, &acme.member, &query).await, statements, "{query}");
        let shown = acme.member.data(&query, json!({})).await;
        assert_eq!(shown["campaigns"]["totalCount"], count, "{query}");
    }
    let events =
        "{ events(first: 3) { totalCount nodes { id } } events_again: events { totalCount } }";
    let shown = acme.member.data(events, json!({})).await;
    assert_eq!(shown["events"]["totalCount"], shown["events_again"]["totalCount"]);
}

#[on_both_databases]
async fn a_preview_and_a_refresh_are_few_statements(app: TestApp) {
    let acme = organization_of_size(&app, "acme", 12).await;
    let rules = "{ opened: true, industry: \"x\" }";
    for (selection, statements) in
        [("count", 1), ("contacts { id }", 1), ("count contacts { id }", 2)]
    {
        let preview = format!("{{ previewSegment(rules: {rules}) {{ {selection} }} }}");
        assert_eq!(statements_of(&app, &acme.member, &preview).await, statements);
    }
    assert_eq!(statements_of(&app, &acme.member, "{ segmentFields { name } }").await, 0);
    let data = acme.member.data("{ segments(first: 1) { nodes { id } } }", json!({})).await;
    let id = &data["segments"]["nodes"][0]["id"];
    let refresh =
        format!("mutation {{ refreshSegment(id: {id}) {{ segment {{ contactCount }} }} }}");
    // the segment, locked; the count, stored (in SQLite the row is read again)
    let again = usize::from(app.database.backend == Backend::Sqlite);
    assert_eq!(statements_of(&app, &acme.member, &refresh).await, 2 + again);
}

#[on_both_databases]
async fn a_page_with_more_rows_than_a_statement_binds_is_answered(app: TestApp) {
    let acme = app.organization("acme").await;
    let org = app.literal(acme.id);
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <";
    app.run(&format!(
        "{numbers} 70) INSERT INTO campaigns (org_id, name) SELECT {org}, 'x' FROM n"
    ))
    .await;
    // a separate contact for each of 35,000 sends, since SQLite binds up to 32,766 values
    app.run(&format!(
        "{numbers} 35000) INSERT INTO contacts (org_id, first_name) SELECT {org}, 'x' FROM n"
    ))
    .await;
    app.run(&format!(
        "INSERT INTO campaign_sends (org_id, campaign_id, contact_id) \
         SELECT {org}, c.id, k.id FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS i FROM \
         campaigns) c JOIN (SELECT id, row_number() OVER (ORDER BY id) AS i FROM contacts) k ON \
         k.i % 70 = c.i"
    ))
    .await;
    let query = "query ($n: Int!) { campaigns(first: $n) { nodes { sends(first: 500) { nodes { \
                 contact { suppression { since } } } } } } }";
    let data = acme.member.data(query, json!({ "n": 70 })).await;
    let sends: usize = data["campaigns"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|campaign| campaign["sends"]["nodes"].as_array().unwrap().len())
        .sum();
    assert_eq!(sends, 35_000);
    let companies = query.replace("suppression { since }", "companies { id }");
    acme.member.data(&companies, json!({ "n": 50 })).await;
}

#[on_both_databases]
async fn columns_that_are_not_selected_are_not_loaded(app: TestApp) {
    let acme = organization_of_size(&app, "acme", 6).await;
    let count = async |query| statements_of(&app, &acme.member, query).await;
    assert_eq!(count("{ __typename }").await, 0);
    assert_eq!(count("{ campaigns { totalCount } }").await, 1);
    assert_eq!(
        count("{ campaigns { nodes { name } edges { cursor } pageInfo { hasNextPage } } }").await,
        1
    );
    assert_eq!(count("{ campaigns(first: 1) { pageInfo { hasPreviousPage } } }").await, 1);
    assert_eq!(count("{ viewer { subject isAdmin } }").await, 0);
}

#[on_both_databases]
async fn every_statement_contains_the_organization(app: TestApp) {
    let acme = organization_of_size(&app, "acme", 6).await;
    organization_of_size(&app, "other", 6).await;
    let org = acme.id.to_string();
    let org_blob = format!("x'{}'", acme.id.simple());
    app.forget_statements();
    acme.admin.data(PAGE, json!({})).await;
    acme.admin
        .data(
            "query ($filter: CampaignFilter, $sends: SendFilter, $rules: JSON!) {
           campaigns(filter: $filter, last: 2) { nodes { id } totalCount pageInfo { hasNextPage } }
           sends(filter: $sends) { nodes { id } totalCount }
           stats(filter: $filter) { sends openRate }
           viewer { user { id } organization { name } }
           segments { nodes { contacts(first: 2) { totalCount nodes { id } } } }
           previewSegment(rules: $rules) { count contacts { id } }
         }",
            json!({
                "filter": {
                    "or": [{ "segmentId": { "isNull": true } }, { "name": { "contains": "a" } }],
                },
                "sends": { "or": [{ "opened": true }, { "clicked": false }] },
                "rules": { "combinator": "and", "rules": [
                    { "field": "sends", "operator": ">", "value": 1 },
                    { "field": "opens", "operator": "<", "value": 9 },
                    { "field": "company.name", "operator": "doesNotContain", "value": "x" },
                    { "field": "last_clicked_at", "operator": "<", "value": "-1h" },
                    { "field": "clicked_url", "operator": "null" },
                    { "field": "suppressed", "operator": "=", "value": false },
                    { "field": "received_campaign", "operator": "!=", "value": acme.id },
                ] },
            }),
        )
        .await;
    let node = acme
        .admin
        .data("mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }", json!({}))
        .await["createCampaign"]["campaign"]["id"]
        .clone();
    for mutation in [
        "mutation ($id: ID!) { updateCampaign(input: { id: $id, name: \"y\" }) { campaign { id } } \
         }",
        "mutation ($id: ID!) { duplicateCampaign(id: $id) { campaign { id } } }",
        "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }",
    ] {
        acme.admin.data(mutation, json!({ "id": node })).await;
    }
    acme.admin.data("query ($id: ID!) { node(id: $id) { id } }", json!({ "id": node })).await;
    let sent = app.statements();
    assert!(sent.len() > 25);
    let tables: HashSet<&str> = [
        "campaigns",
        "campaign_segments",
        "campaign_lists",
        "campaign_sends",
        "campaign_events",
        "contacts",
        "companies",
        "contact_companies",
        "users",
        "memberships",
        "organizations",
        "campaign_provider_webhooks",
        "campaign_provider_paths",
        "campaign_provider_keys",
        "campaign_provider_stats",
        "campaign_unmatched_events",
        "campaign_message_ids",
    ]
    .into();
    for statement in sent {
        if statement.sql.starts_with("SELECT campaign_feed_settled_for($1) AS settled") {
            // a number, and no row
            continue;
        }
        if statement.sql.contains("JOIN pg_constraint")
            || statement.sql.contains("pragma_foreign_key_list")
            || statement.sql.contains("JOIN pg_trigger")
            || statement.sql.contains("JOIN sqlite_master")
        {
            // the catalog, which has no rows of organizations
            continue;
        }
        let words: HashSet<&str> = statement
            .sql
            .split(|character: char| !(character.is_alphanumeric() || character == '_'))
            .collect();
        let touched = tables.iter().filter(|table| words.contains(**table)).count();
        assert!(touched > 0, "which table is this of? {statement:?}");
        let named = statement
            .values
            .iter()
            .filter(|value| {
                value.trim_matches('\'').eq_ignore_ascii_case(&org)
                    || value.eq_ignore_ascii_case(&org_blob)
            })
            .count();
        assert!(named > 0, "without the organization: {statement:?}");
        // each table that is read has its own predicate
        let predicates = statement.sql.matches("org_id").count()
            + statement.sql.matches("organizations").count();
        assert!(predicates >= touched, "{statement:?}");
    }
}

#[tokio::test]
async fn a_list_without_a_filter_is_planned_once() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = organization_of_size(&app, "acme", 12).await;
    for (query, is_kept) in [
        ("{ campaigns { nodes { id name } } }", true),
        ("{ campaigns(filter: {}) { nodes { id name } } }", true),
        ("{ campaigns(filter: { and: [{}, {}] }) { nodes { id name } } }", true),
        ("{ contacts(last: 5) { nodes { id } pageInfo { hasPreviousPage } } }", true),
        ("{ segments { nodes { id } } }", true),
        ("{ campaigns { nodes { sends(first: 2) { nodes { contact { email } } } } } }", true),
        // these depend on the size of the organization
        ("{ campaigns(filter: { status: { eq: SENT } }) { nodes { id } } }", false),
        ("{ campaigns(orderBy: [{ field: NAME }]) { nodes { id } } }", false),
        ("{ campaigns { totalCount nodes { id } } }", false),
    ] {
        statements_of(&app, &acme.member, query).await;
        for sent in app.statements() {
            let kept = sent.plans.contains("force_generic_plan");
            assert_eq!(kept, is_kept, "{query}\n{}", sent.sql);
            assert!(!sent.sql.contains("AND TRUE") && !sent.sql.contains("true"), "{}", sent.sql);
        }
    }
}
