//! A large audience: the time of previews of rules over 200,000 contacts with a million events, of
//! adding all of them to a list, and of queueing their sends.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value as Json, json};

use crate::{
    load::{self, Load},
    service::Service,
};

const TIME: Duration = Duration::from_secs(4);

const PREVIEW: &str = "query ($rules: JSON!) { previewSegment(rules: $rules) { count contacts(first: 20) { id firstName lastName email } } }";
const CREATE: &str = "mutation { campaign: createCampaign(input: { name: \"all\" }) { campaign { id } } segment: createSegment(input: { name: \"all\" }) { segment { id } } }";
const ADD: &str = "mutation ($campaign: ID!, $segment: ID!) { addSegmentToList(campaignId: $campaign, segmentId: $segment) { added alreadyOnList } }";
const QUEUE: &str = "mutation ($campaign: ID!) { queueSends(campaignId: $campaign) { queued suppressed withoutAddress alreadyQueued } }";

pub(crate) async fn run() -> anyhow::Result<()> {
    println!("  creating 200,000 contacts and a million events");
    let service = Service::with_audience().await?;
    println!("audience: previews over 200,000 contacts, ms of one client");
    println!("  {:<44} {:>8} {:>8} {:>9}", "rules", "median", "99 %", "contacts");
    let http = reqwest::Client::new();
    for (name, rules) in rules(&service, &http).await? {
        let variables = json!({ "rules": rules });
        let counted = service.execute_as(&http, &service.token, PREVIEW, variables.clone()).await?;
        let ask = vec![load::request(&service.address, &service.token, PREVIEW, &variables)];
        let Load { median, p99, .. } = load::of(&service.address, ask, 1, TIME).await?;
        let count = &counted["previewSegment"]["count"];
        println!("  {name:<44} {median:>8.1} {p99:>8.1} {count:>9}");
    }
    let made = service.execute_as(&http, &service.token, CREATE, json!({})).await?;
    let campaign = &made["campaign"]["campaign"]["id"];
    let segment = &made["segment"]["segment"]["id"];
    let ids = json!({ "campaign": campaign, "segment": segment });
    for (what, mutation) in [("added to a list", ADD), ("queued", QUEUE), ("queued again", QUEUE)] {
        let started = Instant::now();
        let done = service.execute_as(&http, &service.token, mutation, ids.clone()).await?;
        println!("  all {what}: {:.1} s, {done}", started.elapsed().as_secs_f64());
    }
    Ok(())
}

async fn rules(
    service: &Service,
    http: &reqwest::Client,
) -> anyhow::Result<Vec<(&'static str, Json)>> {
    let campaigns = "{ campaigns(first: 1) { nodes { id } } }";
    let found = service.execute_as(http, &service.token, campaigns, json!({})).await?;
    let campaign = found.pointer("/campaigns/nodes/0/id").context("a campaign")?;
    let rule = |field: &str, operator: &str, value: Json| json!({ "field": field, "operator": operator, "value": value });
    let all = |rules: &[Json]| json!({ "combinator": "and", "rules": rules });
    Ok(vec![
        ("everyone", json!({})),
        ("country = DE", all(&[rule("country", "=", json!("DE"))])),
        ("email contains 99", all(&[rule("email", "contains", json!("99"))])),
        ("metadata.plan = team", all(&[rule("metadata.plan", "=", json!("team"))])),
        ("company.industry = Retail", all(&[rule("company.industry", "=", json!("Retail"))])),
        ("clicked", all(&[rule("clicked", "=", json!(true))])),
        ("not suppressed", all(&[rule("suppressed", "=", json!(false))])),
        ("opens >= 3", all(&[rule("opens", ">=", json!(3))])),
        ("sends < 2", all(&[rule("sends", "<", json!(2))])),
        ("last_clicked_at > -14d", all(&[rule("last_clicked_at", ">", json!("-14d"))])),
        ("last_opened_at < -30d", all(&[rule("last_opened_at", "<", json!("-30d"))])),
        ("opened_campaign", all(&[rule("opened_campaign", "=", campaign.clone())])),
        ("clicked_url endsWith /7", all(&[rule("clicked_url", "endsWith", json!("/7"))])),
        (
            "customers in DE who clicked, unsuppressed",
            all(&[
                rule("type", "=", json!("customer")),
                rule("country", "=", json!("DE")),
                rule("clicked", "=", json!(true)),
                rule("suppressed", "=", json!(false)),
            ]),
        ),
    ])
}
