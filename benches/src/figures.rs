//! The six queries of the document that specifies the tables, and the most common page of dashboards:
//! over HTTP, on a small and a large database, compared with the document's SQL.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{
    load::{self, Load},
    percentile, pgbench,
    service::Service,
};

/// The time for each query.
const TIME: Duration = Duration::from_secs(5);
/// The time for the document's SQL, which runs at least once.
const SQL_TIME: Duration = Duration::from_secs(3);

struct Query {
    name: &'static str,
    text: &'static str,
    /// The document's SQL, for one organization.
    sql: &'static str,
}

const QUERIES: [Query; 8] = [
    Query {
        name: "1  a campaign's open and click rate",
        text: "query ($campaign: ID!) { campaign(id: $campaign) { name stats { sends delivered opens clicks openRate clickRate } } }",
        sql: "SELECT c.name, count(DISTINCT cs.id), count(DISTINCT cs.id) FILTER (WHERE cs.status = 'delivered'), \
            count(DISTINCT ce.id) FILTER (WHERE ce.event_type = 'open'), count(DISTINCT ce.id) FILTER (WHERE ce.event_type = 'click'), \
            round(100.0 * count(DISTINCT ce.send_id) FILTER (WHERE ce.event_type = 'open') / nullif(count(DISTINCT cs.id) FILTER (WHERE cs.status = 'delivered'), 0), 1), \
            round(100.0 * count(DISTINCT ce.send_id) FILTER (WHERE ce.event_type = 'click') / nullif(count(DISTINCT cs.id) FILTER (WHERE cs.status = 'delivered'), 0), 1) \
            FROM campaigns c JOIN campaign_sends cs ON cs.campaign_id = c.id LEFT JOIN campaign_events ce ON ce.send_id = cs.id \
            WHERE c.org_id = '{org}' AND c.id = '{campaign}' GROUP BY c.id, c.name",
    },
    Query {
        name: "2  50 campaigns by bounce rate",
        text: "{ campaigns(first: 50, filter: { status: { eq: SENT } }, orderBy: [{ field: BOUNCE_RATE, direction: DESC }]) { nodes { name stats { sends bounced bounceRate } } } }",
        sql: "SELECT c.name, count(cs.id), count(cs.id) FILTER (WHERE cs.status = 'bounced'), \
            round(100.0 * count(cs.id) FILTER (WHERE cs.status = 'bounced') / nullif(count(cs.id), 0), 1) AS bounce_rate_pct \
            FROM campaigns c JOIN campaign_sends cs ON cs.campaign_id = c.id WHERE c.org_id = '{org}' AND c.status = 'sent' \
            GROUP BY c.id, c.name ORDER BY bounce_rate_pct DESC",
    },
    Query {
        name: "3  50 events of a contact",
        text: "query ($contact: ID!) { contact(id: $contact) { events(first: 50, orderBy: [{ field: OCCURRED_AT, direction: DESC }]) { nodes { type url occurredAt campaign { name } } } } }",
        sql: "SELECT c.name, ce.event_type, ce.url, ce.occurred_at FROM campaign_events ce \
            JOIN campaign_sends cs ON cs.id = ce.send_id JOIN campaigns c ON c.id = cs.campaign_id \
            WHERE c.org_id = '{org}' AND cs.contact_id = '{contact}' ORDER BY ce.occurred_at DESC",
    },
    Query {
        name: "4  segments and their campaigns",
        text: "{ segments(first: 50, orderBy: [{ field: CONTACT_COUNT, direction: DESC }]) { nodes { name contactCount campaignsUsedIn } } }",
        sql: "SELECT seg.name, seg.contact_count, count(DISTINCT cl.campaign_id) FROM campaign_segments seg \
            LEFT JOIN campaign_lists cl ON cl.segment_id = seg.id WHERE seg.org_id = '{org}' \
            GROUP BY seg.id, seg.name, seg.contact_count ORDER BY seg.contact_count DESC",
    },
    Query {
        name: "5  50 campaigns' deliveries",
        text: "{ campaigns(first: 50, orderBy: [{ field: SENT_AT, direction: DESC }]) { nodes { name status sentAt stats { queued sent delivered bounced failed } } } }",
        sql: "SELECT c.name, c.status, c.sent_at, count(cs.id) FILTER (WHERE cs.status = 'queued'), count(cs.id) FILTER (WHERE cs.status = 'sent'), \
            count(cs.id) FILTER (WHERE cs.status = 'delivered'), count(cs.id) FILTER (WHERE cs.status = 'bounced'), count(cs.id) FILTER (WHERE cs.status = 'failed') \
            FROM campaigns c LEFT JOIN campaign_sends cs ON cs.campaign_id = c.id WHERE c.org_id = '{org}' \
            GROUP BY c.id, c.name, c.status, c.sent_at ORDER BY c.sent_at DESC NULLS LAST",
    },
    Query {
        name: "6  50 who clicked, never unsubscribed",
        text: "{ contacts(first: 50, filter: { clicked: true, unsubscribed: false }) { nodes { id firstName lastName email } } }",
        sql: "SELECT DISTINCT con.id, con.first_name, con.last_name, con.email FROM contacts con \
            JOIN campaign_sends cs ON cs.contact_id = con.id JOIN campaign_events ce ON ce.send_id = cs.id AND ce.event_type = 'click' \
            WHERE con.org_id = '{org}' AND con.id NOT IN (SELECT cs2.contact_id FROM campaign_sends cs2 \
            JOIN campaign_events ce2 ON ce2.send_id = cs2.id AND ce2.event_type = 'unsubscribe') ORDER BY con.last_name, con.first_name",
    },
    Query {
        name: "   the same by name",
        text: "{ contacts(first: 50, filter: { clicked: true, unsubscribed: false }, orderBy: [{ field: LAST_NAME }, { field: FIRST_NAME }]) { nodes { id firstName lastName email } } }",
        sql: "SELECT DISTINCT con.id, con.first_name, con.last_name, con.email FROM contacts con \
            JOIN campaign_sends cs ON cs.contact_id = con.id JOIN campaign_events ce ON ce.send_id = cs.id AND ce.event_type = 'click' \
            WHERE con.org_id = '{org}' AND con.id NOT IN (SELECT cs2.contact_id FROM campaign_sends cs2 \
            JOIN campaign_events ce2 ON ce2.send_id = cs2.id AND ce2.event_type = 'unsubscribe') ORDER BY con.last_name, con.first_name",
    },
    Query {
        name: "   50 campaigns with all rates",
        text: "{ campaigns(first: 50) { nodes { id name stats { sends delivered deliveryRate openRate clickRate clickToOpenRate bounceRate unsubscribeRate complaintRate } } } }",
        sql: "SELECT c.id, c.name, count(DISTINCT cs.id), count(DISTINCT cs.id) FILTER (WHERE cs.status = 'delivered'), \
            count(DISTINCT ce.send_id) FILTER (WHERE ce.event_type = 'open'), count(DISTINCT ce.send_id) FILTER (WHERE ce.event_type = 'click'), \
            count(DISTINCT ce.send_id) FILTER (WHERE ce.event_type = 'unsubscribe'), count(DISTINCT ce.send_id) FILTER (WHERE ce.event_type = 'complaint') \
            FROM campaigns c JOIN campaign_sends cs ON cs.campaign_id = c.id LEFT JOIN campaign_events ce ON ce.send_id = cs.id \
            WHERE c.org_id = '{org}' GROUP BY c.id, c.name ORDER BY c.id LIMIT 50",
    },
];

/// The results of one query at one scale.
struct Results {
    alone: Load,
    concurrent: Load,
    /// The median of the document's SQL in milliseconds.
    sql: f64,
}

pub(crate) async fn run(scale: usize) -> anyhow::Result<()> {
    let small = measure_all(1).await?;
    let large = measure_all(scale).await?;
    println!(
        "figures, milliseconds of one client; beside the document's SQL; requests a second of 16"
    );
    println!(
        "  {:<38} {:>8} {:>8} {:>6}   {:>9} {:>9} {:>9}   {:>8} {:>8} {:>6}",
        "",
        "scale 1",
        format!("{scale}"),
        "ratio",
        "SQL at 1",
        format!("at {scale}"),
        "faster",
        "16 at 1",
        format!("at {scale}"),
        "99 %"
    );
    for ((query, small), large) in QUERIES.iter().zip(&small).zip(&large) {
        println!(
            "  {:<38} {:>8.2} {:>8.2} {:>6.2}   {:>9.1} {:>9.1} {:>9.0}   {:>8.0} {:>8.0} {:>6.1}",
            query.name,
            small.alone.median,
            large.alone.median,
            large.alone.median / small.alone.median,
            small.sql,
            large.sql,
            large.sql / large.alone.median,
            small.concurrent.per_second,
            large.concurrent.per_second,
            large.concurrent.p99,
        );
    }
    Ok(())
}

async fn measure_all(scale: usize) -> anyhow::Result<Vec<Results>> {
    println!("  creating a database of scale {scale}");
    let service = Service::of_scale(scale).await?;
    let one = async |table: &str| {
        let select = format!(
            "SELECT id FROM {table} WHERE org_id = '{}' ORDER BY id LIMIT 1",
            service.organization
        );
        let select = Statement::from_string(service.sql.get_database_backend(), select);
        let row = service.sql.query_one_raw(select).await?;
        anyhow::Ok(row.map_or(Ok(Uuid::nil()), |row| row.try_get("", "id"))?)
    };
    let (campaign, contact) = (one("campaigns").await?, one("contacts").await?);
    let variables: Json = json!({ "campaign": campaign, "contact": contact });
    let mut results = Vec::new();
    for query in &QUERIES {
        let request = vec![load::request(&service.address, &service.token, query.text, &variables)];
        load::of(&service.address, request.clone(), 1, TIME / 5).await?;
        let alone = load::of(&service.address, request.clone(), 1, TIME).await?;
        let concurrent = load::of(&service.address, request, 16, TIME).await?;
        let sql = query
            .sql
            .replace("{org}", &service.organization.to_string())
            .replace("{campaign}", &campaign.to_string())
            .replace("{contact}", &contact.to_string());
        results.push(Results { alone, concurrent, sql: milliseconds(&service, &sql).await? });
    }
    if scale == 1 {
        make_sums(&service).await?;
        println!(
            "  pgbench, 50 campaigns from a table of sums: {:.0} a second",
            sums(&service).await?
        );
    }
    Ok(results)
}

/// The median time of a statement in milliseconds.
async fn milliseconds(service: &Service, sql: &str) -> anyhow::Result<f64> {
    let (started, mut times) = (Instant::now(), Vec::new());
    while times.is_empty() || started.elapsed() < SQL_TIME {
        let asked = Instant::now();
        let statement = Statement::from_string(service.sql.get_database_backend(), sql);
        service.sql.query_all_raw(statement).await?;
        times.push(asked.elapsed().as_secs_f64() * 1_000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(percentile(&times, 0.5))
}

/// Creates a table of sums, `sums`, with SQL.
pub(crate) async fn make_sums(service: &Service) -> anyhow::Result<()> {
    for statement in [
        "CREATE TABLE sums AS SELECT campaigns.id, campaigns.org_id, name, sends, delivered, bounced, unique_opens, unique_clicks, \
         unique_unsubscribes, unique_complaints FROM campaigns JOIN campaign_counts ON campaign_id = campaigns.id",
        "ALTER TABLE sums ADD PRIMARY KEY (id)",
        "CREATE INDEX ON sums (org_id, id)",
        "VACUUM ANALYZE sums",
    ] {
        service.sql.execute_unprepared(statement).await?;
    }
    Ok(())
}

/// The requests a second of the database alone: fifty campaigns from a table of sums, by pgbench.
async fn sums(service: &Service) -> anyhow::Result<f64> {
    let select = format!(
        "SELECT * FROM sums WHERE org_id = '{}' ORDER BY id LIMIT 50",
        service.organization
    );
    Ok(pgbench::run(&service.database.url, &[select], 16).await?.per_second)
}
