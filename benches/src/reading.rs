//! Queries of dashboards (a list, nested lists, and figures), compared with the same SQL by pgbench and, if
//! npm can install it, with PostGraphile on the same database.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use uuid::Uuid;

use crate::{
    figures,
    load::{self, Load},
    number,
    peer::Peer,
    pgbench,
    service::{self, Service},
};

/// The time for each query.
const TIME: Duration = Duration::from_secs(5);
/// The numbers of concurrent clients.
const CLIENTS: [usize; 3] = [1, 16, 64];

pub(crate) struct Query {
    pub(crate) name: &'static str,
    text: &'static str,
    /// The same query for PostGraphile.
    peer: &'static str,
    /// The same SQL for pgbench.
    sql: Vec<String>,
}

pub(crate) async fn run() -> anyhow::Result<()> {
    println!("  creating a database of 1.2 million events");
    let service = Service::of_scale(1).await?;
    figures::make_sums(&service).await?;
    println!(
        "  the service: {:.0} MB, listens after {} ms, {} MB of memory",
        number(usize::try_from(Service::size()?)?) / 1_024.0 / 1_024.0,
        service.started_in.as_millis(),
        service.memory()? / 1_024 / 1_024
    );
    let peer = Peer::start(&service.database.url).await;
    if let Err(error) = &peer {
        println!("  without PostGraphile: {error:#}");
    }
    println!(
        "reading, requests a second, median and 99th percentile in ms; pgbench with the same SQL; PostGraphile"
    );
    println!(
        "  {:<9} {:>7} {:>9} {:>7} {:>7}   {:>9} {:>6}   {:>9} {:>7} {:>7} {:>6}",
        "",
        "clients",
        "a second",
        "median",
        "99 %",
        "pgbench",
        "ratio",
        "PostGr.",
        "median",
        "99 %",
        "ratio"
    );
    let for_peer = json!({ "org": service.organization });
    let queries = queries(&service).await?;
    for query in &queries {
        for clients in CLIENTS {
            let ask = own(&service, query);
            load::of(&service.address, ask.clone(), clients, TIME / 5).await?;
            let own = load::of(&service.address, ask, clients, TIME).await?;
            let limit = pgbench::run(&service.database.url, &query.sql, clients).await?;
            let other = match &peer {
                Ok(peer) => Some(peer.load(query.peer, &for_peer, clients, TIME).await?),
                Err(_) => None,
            };
            print(query.name, clients, &own, &limit, other.as_ref());
        }
    }
    for query in &queries {
        println!(
            "  {:<9} {:.1} statements a request",
            query.name,
            statements(&service, query).await?
        );
    }
    let memory = service.memory()? / 1_024 / 1_024;
    let of_peer = peer.as_ref().map_or(Ok(0), Peer::memory)? / 1_024 / 1_024;
    println!("  memory afterwards: {memory} MB, PostGraphile {of_peer} MB");
    drop(peer);
    let (process, address, token) = service.behind_row_security().await?;
    for query in &queries {
        let secured = requests(&address, &token, query);
        load::of(&address, secured.clone(), 16, TIME / 5).await?;
        let secured = load::of(&address, secured, 16, TIME).await?;
        let plain = load::of(&service.address, own(&service, query), 16, TIME).await?;
        println!(
            "  {:<9} behind row security, 16 clients: {:.0} a second, median {:.2}, 99 % {:.2}; {:.2} of without",
            query.name,
            secured.per_second,
            secured.median,
            secured.p99,
            secured.per_second / plain.per_second
        );
    }
    drop(process);
    service::rest().await;
    Ok(())
}

fn own(service: &Service, query: &Query) -> Vec<Vec<u8>> {
    requests(&service.address, &service.token, query)
}

/// Requests whose variables differ from one to the next, so that no two at once are the same.
pub(crate) fn requests(address: &str, token: &str, query: &Query) -> Vec<Vec<u8>> {
    let request = |first: u32| load::request(address, token, query.text, &json!({ "n": first }));
    // in no order, and 50 on average
    [50, 47, 52, 49, 53, 48, 51].into_iter().map(request).collect()
}

/// The number of statements for a request, without the service's background statements.
async fn statements(service: &Service, query: &Query) -> anyhow::Result<f64> {
    let before = service.statements().await?;
    let idle = service.statements().await?;
    let answered = load::of(&service.address, own(service, query), 1, TIME).await?;
    let busy = service.statements().await?;
    let background = number(usize::try_from(idle - before)?) / 1.5;
    let all = number(usize::try_from(busy - idle)?);
    let seconds = TIME.as_secs_f64();
    Ok((all - background * (seconds + 1.5)) / (answered.per_second * seconds))
}

fn print(name: &str, clients: usize, own: &Load, limit: &Load, peer: Option<&Load>) {
    let Load { per_second, median, p99 } = own;
    print!(
        "  {name:<9} {clients:>7} {per_second:>9.0} {median:>7.2} {p99:>7.2}   {:>9.0} {:>6.2}",
        limit.per_second,
        per_second / limit.per_second
    );
    if let Some(Load { per_second: others, median, p99 }) = peer {
        print!("   {others:>9.0} {median:>7.2} {p99:>7.2} {:>6.1}", per_second / others);
    }
    println!();
}

pub(crate) async fn queries(service: &Service) -> anyhow::Result<[Query; 3]> {
    let org = service.organization;
    let page = |columns: &str| {
        format!("SELECT {columns} FROM campaigns WHERE org_id = '{org}' ORDER BY id LIMIT 51")
    };
    let sends = format!(
        "SELECT page.id, page.contact_id, page.status, page.sent_at, parent.id AS parent_id \
         FROM (SELECT id FROM campaigns WHERE org_id = '{org}' ORDER BY id LIMIT 50) AS parent \
         JOIN LATERAL (SELECT id, contact_id, status, sent_at FROM campaign_sends AS sends \
         WHERE org_id = '{org}' AND sends.campaign_id = parent.id ORDER BY id LIMIT 21) AS page ON true \
         ORDER BY page.id"
    );
    let select = Statement::from_string(service.sql.get_database_backend(), sends.clone());
    let rows = service.sql.query_all_raw(select).await?;
    let contacts: std::collections::BTreeSet<Uuid> =
        rows.iter().map(|row| row.try_get("", "contact_id")).collect::<Result<_, _>>()?;
    let contacts: Vec<String> = contacts.iter().map(ToString::to_string).collect();
    let contacts = format!(
        "SELECT id, email FROM contacts WHERE org_id = '{org}' AND id = ANY(CAST('{{{}}}' AS uuid[]))",
        contacts.join(",")
    );
    Ok([
        Query {
            name: "list",
            text: "query ($n: Int) { campaigns(first: $n) { nodes { id name status sentAt } } }",
            peer: "query ($org: UUID!) { allCampaigns(first: 50, condition: { orgId: $org }, orderBy: [PRIMARY_KEY_ASC]) { nodes { rowId name status sentAt } } }",
            sql: vec![page("id, name, status, sent_at")],
        },
        Query {
            name: "nested",
            text: "query ($n: Int) { campaigns(first: $n) { nodes { name sends(first: 20) { nodes { status sentAt contact { email } } } } } }",
            peer: "query ($org: UUID!) { allCampaigns(first: 50, condition: { orgId: $org }, orderBy: [PRIMARY_KEY_ASC]) { nodes { name campaignSendsByOrgIdAndCampaignId(first: 20, orderBy: [PRIMARY_KEY_ASC]) { nodes { status sentAt contactByOrgIdAndContactId { email } } } } } }",
            sql: vec![page("id, name"), sends, contacts],
        },
        Query {
            name: "rates",
            text: "query ($n: Int) { campaigns(first: $n) { nodes { id name stats { sends delivered deliveryRate openRate clickRate clickToOpenRate bounceRate unsubscribeRate complaintRate } } } }",
            peer: "query ($org: UUID!) { allSums(first: 50, condition: { orgId: $org }, orderBy: [PRIMARY_KEY_ASC]) { nodes { rowId name sends delivered bounced uniqueOpens uniqueClicks uniqueUnsubscribes uniqueComplaints } } }",
            sql: vec![format!("SELECT * FROM sums WHERE org_id = '{org}' ORDER BY id LIMIT 50")],
        },
    ])
}
