//! Figures, compared with the SQL of the document that specifies the tables.

use std::collections::HashMap;

use campaigns_tests::{Backend, Organization, Socket, TestApp, on_every_database};
use sea_orm::QueryResult;
use serde_json::{Value as Json, json};
use uuid::Uuid;

const FIGURES: &str = "sends queued sent delivered bounced failed opens clicks unsubscribes \
    complaints bounces uniqueOpens uniqueClicks uniqueUnsubscribes uniqueComplaints machineOpens \
    machineClicks uniqueHumanOpens uniqueHumanClicks deliveryRate openRate clickRate clickToOpenRate \
    bounceRate unsubscribeRate complaintRate humanOpenRate humanClickRate firstEventAt lastEventAt";

async fn stats_of_all(organization: &Organization) -> HashMap<Uuid, Json> {
    let query = format!("{{ campaigns(first: 500) {{ nodes {{ id stats {{ {FIGURES} }} }} }} }}");
    let mut data = organization.member.data(&query, json!({})).await;
    let nodes = data["campaigns"]["nodes"].as_array_mut().unwrap();
    nodes
        .iter_mut()
        .map(|node| (node["id"].as_str().unwrap().parse().unwrap(), node["stats"].take()))
        .collect()
}

/// The seed's first query, over every campaign of an organization. Its inner join leaves out
/// campaigns without sends. SQLite rounds a binary fraction, so the query returns the two integers
/// of each rate.
fn rates_of_the_seed(app: &TestApp, organization: Uuid) -> String {
    format!(
        "SELECT c.id AS campaign,
         count(DISTINCT cs.id) AS total_sends,
         count(DISTINCT cs.id) FILTER (WHERE cs.status = 'delivered') AS delivered,
         count(DISTINCT ce.id) FILTER (WHERE ce.event_type = 'open') AS opens,
         count(DISTINCT ce.id) FILTER (WHERE ce.event_type = 'click') AS clicks,
         count(DISTINCT ce.send_id) FILTER (WHERE ce.event_type = 'open') AS opened,
         count(DISTINCT ce.send_id) FILTER (WHERE ce.event_type = 'click') AS clicked
         FROM campaigns c
         JOIN campaign_sends cs ON cs.campaign_id = c.id
         LEFT JOIN campaign_events ce ON ce.send_id = cs.id
         WHERE c.org_id = {} GROUP BY c.id, c.name",
        app.literal(organization)
    )
}

fn number(row: &QueryResult, name: &str) -> i64 {
    row.try_get("", name).unwrap()
}

/// A rate as text, in integers: the seed's `round(100.0 * part / nullif(whole, 0), 1)`.
fn rate(part: i64, whole: i64) -> Json {
    if whole == 0 {
        return Json::Null;
    }
    let tenths = (part * 10_000 / whole + 5) / 10;
    json!(format!("{}.{}", tenths / 10, tenths % 10).parse::<f64>().unwrap())
}

async fn compare(app: &TestApp, organization: &Organization) {
    let shown = stats_of_all(organization).await;
    let rows = app.rows(&rates_of_the_seed(app, organization.id)).await;
    assert!(!rows.is_empty());
    let mut with_sends = Vec::new();
    for row in rows {
        let id: Uuid = row.try_get("", "campaign").unwrap();
        let stats = &shown[&id];
        let expected = json!({
            "sends": number(&row, "total_sends"),
            "delivered": number(&row, "delivered"),
            "opens": number(&row, "opens"),
            "clicks": number(&row, "clicks"),
            "uniqueOpens": number(&row, "opened"),
            "uniqueClicks": number(&row, "clicked"),
            "openRate": rate(number(&row, "opened"), number(&row, "delivered")),
            "clickRate": rate(number(&row, "clicked"), number(&row, "delivered")),
            "clickToOpenRate": rate(number(&row, "clicked"), number(&row, "opened")),
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&stats[name], value, "{name} of {id}: {stats:#}");
        }
        with_sends.push(id);
    }
    for (id, stats) in &shown {
        if !with_sends.contains(id) {
            assert_eq!(stats["sends"], 0);
            assert_eq!(stats["bounceRate"], Json::Null);
            assert_eq!(stats["humanOpenRate"], Json::Null);
            assert_eq!(stats["lastEventAt"], Json::Null);
        }
    }
}

/// Compares each figure with a count over the rows.
async fn recount(app: &TestApp, organization: &Organization) {
    let org = app.literal(organization.id);
    let shown = stats_of_all(organization).await;
    let mut totals: HashMap<String, i64> = HashMap::new();
    for (id, stats) in &shown {
        let campaign = app.literal(*id);
        let of_campaign =
            format!("FROM campaign_sends s WHERE s.org_id = {org} AND s.campaign_id = {campaign}");
        let events = format!(
            "FROM campaign_events e JOIN campaign_sends s ON s.id = e.send_id \
             WHERE s.org_id = {org} AND s.campaign_id = {campaign}"
        );
        let mut counts = vec![("sends", format!("SELECT count(*) AS n {of_campaign}"))];
        for status in ["queued", "sent", "delivered", "bounced", "failed"] {
            counts.push((
                status,
                format!("SELECT count(*) AS n {of_campaign} AND s.status = '{status}'"),
            ));
        }
        for (name, unique, event) in [
            ("opens", "uniqueOpens", "open"),
            ("clicks", "uniqueClicks", "click"),
            ("unsubscribes", "uniqueUnsubscribes", "unsubscribe"),
            ("complaints", "uniqueComplaints", "complaint"),
            ("bounces", "", "bounce"),
        ] {
            counts.push((
                name,
                format!("SELECT count(*) AS n {events} AND e.event_type = '{event}'"),
            ));
            if !unique.is_empty() {
                counts.push((
                    unique,
                    format!(
                        "SELECT count(DISTINCT e.send_id) AS n {events} AND e.event_type = \
                         '{event}'"
                    ),
                ));
            }
        }
        let machine = match app.database.backend {
            Backend::Sqlite => "json_type(e.metadata, '$.machine') = 'true'",
            Backend::Postgres => "e.metadata @> '{\"machine\": true}'",
        };
        for (event, all, sends) in [
            ("open", "machineOpens", "uniqueHumanOpens"),
            ("click", "machineClicks", "uniqueHumanClicks"),
        ] {
            let of_type = format!("{events} AND e.event_type = '{event}'");
            counts.push((all, format!("SELECT count(*) AS n {of_type} AND {machine}")));
            counts.push((
                sends,
                format!(
                    "SELECT count(DISTINCT e.send_id) AS n {of_type} AND ({machine}) IS NOT TRUE"
                ),
            ));
        }
        for (name, sql) in counts {
            let counted = number(&app.rows(&sql).await[0], "n");
            assert_eq!(stats[name], counted, "{name}: {sql}");
            *totals.entry(name.to_owned()).or_default() += counted;
        }
        for (name, part, whole) in [
            ("deliveryRate", "delivered", "sends"),
            ("bounceRate", "bounced", "sends"),
            ("unsubscribeRate", "uniqueUnsubscribes", "delivered"),
            ("complaintRate", "uniqueComplaints", "delivered"),
            ("humanOpenRate", "uniqueHumanOpens", "delivered"),
            ("humanClickRate", "uniqueHumanClicks", "delivered"),
        ] {
            let expected = rate(stats[part].as_i64().unwrap(), stats[whole].as_i64().unwrap());
            assert_eq!(stats[name], expected, "{name} of {stats:#}");
        }
    }
    let query = format!("{{ stats {{ {FIGURES} }} }}");
    let data = organization.member.data(&query, json!({})).await;
    for (name, total) in totals {
        assert_eq!(data["stats"][&name], total, "{name} in all");
    }
}

/// A rate with any number of decimals, as text by long division: no floating point.
fn exact_rate(part: i64, whole: i64, decimals: usize) -> Json {
    if whole == 0 {
        return Json::Null;
    }
    let (part, whole) = (i128::from(part), i128::from(whole));
    let unit = 10_i128.pow(u32::try_from(decimals).unwrap());
    let (quotient, rest) = (part * 100 * unit / whole, part * 100 * unit % whole);
    let digits = quotient + i128::from(2 * rest >= whole);
    json!(format!("{}.{:0decimals$}0", digits / unit, digits % unit).parse::<f64>().unwrap())
}

const RATES: [(&str, &str, &str); 9] = [
    ("deliveryRate", "delivered", "sends"),
    ("openRate", "uniqueOpens", "delivered"),
    ("clickRate", "uniqueClicks", "delivered"),
    ("clickToOpenRate", "uniqueClicks", "uniqueOpens"),
    ("bounceRate", "bounced", "sends"),
    ("unsubscribeRate", "uniqueUnsubscribes", "delivered"),
    ("complaintRate", "uniqueComplaints", "delivered"),
    ("humanOpenRate", "uniqueHumanOpens", "delivered"),
    ("humanClickRate", "uniqueHumanClicks", "delivered"),
];

#[on_every_database]
async fn a_rate_has_the_requested_number_of_decimals(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(30).await;
    let mut socket = Socket::of(&acme.member).await;
    for (rate, part, whole) in RATES {
        let alias = |decimals| format!("of{decimals}: {rate}(decimals: {decimals})");
        let aliases = (0..=6).map(alias).collect::<Vec<_>>().join(" ");
        let figures = format!("{part} {whole} {aliases} {rate} given: {rate}(decimals: $decimals)");
        let compare = |stats: &Json| {
            let count = |name: &str| stats[name].as_i64().unwrap();
            let expected = |decimals| exact_rate(count(part), count(whole), decimals);
            for decimals in 0..=6 {
                assert_eq!(
                    stats[format!("of{decimals}")],
                    expected(decimals),
                    "{rate} of {stats:#}"
                );
            }
            assert_eq!(stats[rate], expected(1));
            assert_eq!(stats["given"], expected(4));
        };
        // of each campaign, of all campaigns together, and over a socket
        let query = format!(
            "query ($decimals: Int!) {{ campaigns(first: 500) {{ nodes {{ stats {{ {figures} }} }} \
             }} }}"
        );
        let data = acme.member.data(&query, json!({ "decimals": 4 })).await;
        for campaign in data["campaigns"]["nodes"].as_array().unwrap() {
            compare(&campaign["stats"]);
        }
        let query = format!("query ($decimals: Int!) {{ stats {{ {figures} }} }}");
        compare(&acme.member.data(&query, json!({ "decimals": 4 })).await["stats"]);
        let query = format!(
            "subscription ($id: ID!, $decimals: Int! = 4) {{ campaignStats(campaignId: $id) {{ \
             {figures} }} }}"
        );
        socket.subscribe(rate, &query, json!({ "id": made.campaigns[0] })).await;
        compare(&socket.next(rate).await["campaignStats"]);
    }
    // without an argument, rates have one decimal
    let query =
        "query ($decimals: Int = 2) { stats { sends bounced bounceRate(decimals: $decimals) } }";
    let stats = acme.member.data(query, json!({})).await["stats"].take();
    let count = |name: &str| stats[name].as_i64().unwrap();
    assert_eq!(stats["bounceRate"], exact_rate(count("bounced"), count("sends"), 2));
}

#[on_every_database]
async fn an_invalid_number_of_decimals_is_refused(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(3).await;
    for (rate, ..) in RATES {
        for decimals in [-1, 7, i32::MIN, i32::MAX] {
            let query = format!("{{ stats {{ sends {rate}(decimals: {decimals}) }} }}");
            let answer = acme.member.ask(&query, json!({})).await.body;
            assert_eq!(answer["data"]["stats"][rate], Json::Null);
            assert!(answer["data"]["stats"]["sends"].is_i64());
            let error = &answer["errors"][0];
            assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{answer:#}");
            assert_eq!(error["extensions"]["field"], "decimals");
            assert_eq!(error["path"], json!(["stats", rate]));
        }
    }
    // by a variable, for each campaign
    let query = "query ($of: Int!) { campaigns { nodes { stats { openRate(decimals: $of) } } } }";
    let answer = acme.member.ask(query, json!({ "of": 7 })).await.body;
    let campaigns = answer["data"]["campaigns"]["nodes"].as_array().unwrap().len();
    assert_eq!(answer["errors"].as_array().unwrap().len(), campaigns);
    for wrong in ["null", "1.5", "\"2\"", "3000000000"] {
        let answer = acme
            .member
            .ask(&format!("{{ stats {{ openRate(decimals: {wrong}) }} }}"), json!({}))
            .await
            .body;
        assert_eq!(answer["data"], Json::Null, "{wrong}: {answer:#}");
    }
}

#[on_every_database]
async fn figures_equal_the_seeds_sql_for_both_organizations(app: TestApp) {
    let acme = app.organization("acme").await;
    let other = app.organization("other").await;
    for (organization, size) in [(&acme, 30), (&other, 12)] {
        organization.populated(size).await;
    }
    for organization in [&acme, &other] {
        compare(&app, organization).await;
        recount(&app, organization).await;
    }
}

#[on_every_database]
async fn figures_include_rows_that_other_programs_write(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(12).await;
    for sql in [
        "UPDATE campaign_sends SET status = 'delivered' WHERE status = 'queued'",
        "UPDATE campaign_events SET event_type = 'open' WHERE event_type = 'bounce'",
        "DELETE FROM campaign_events WHERE event_type = 'complaint'",
        "DELETE FROM campaign_sends WHERE status = 'failed'",
        "DELETE FROM campaigns WHERE status = 'paused'",
    ] {
        app.run(sql).await;
        compare(&app, &acme).await;
        recount(&app, &acme).await;
    }
}
