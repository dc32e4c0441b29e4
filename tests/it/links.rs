//! Clicked links.

use campaigns_tests::{TestApp, assert_exact, on_every_database};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// Ordered by code point: capitals come first and é last.
const URLS: &[&str] = &[
    "https://a.example/",
    "https://A.example/",
    "https://é.example/",
    "https://b.example/?q=%20",
    "https://a.example/b",
];

#[on_every_database]
async fn links_are_ordered_by_clicks_and_then_by_url(app: TestApp) {
    let mut rng = ChaCha8Rng::seed_from_u64(91);
    let acme = app.organization("acme").await;
    let made = acme.populated(10).await;
    app.organization("other").await.populated(5).await;
    app.run("DELETE FROM campaign_events").await;
    let org = app.literal(acme.id);
    let mut values = Vec::new();
    for _ in 0..200 {
        let send = app.literal(*made.sends.choose(&mut rng).unwrap());
        let kind = if rng.random_bool(0.9) { "click" } else { "open" };
        let url = if rng.random_bool(0.95) {
            format!("'{}'", URLS.choose(&mut rng).unwrap())
        } else {
            "NULL".to_owned()
        };
        let second = rng.random_range(10..60);
        values.push(format!("({org}, {send}, '{kind}', {url}, '2026-03-01T00:00:{second}+00:00')"));
    }
    app.run(&format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type, url, occurred_at) VALUES {}",
        values.join(", ")
    ))
    .await;
    let query = "query ($first: Int! = 50) { campaigns { nodes { id links(first: $first) { url \
                 clicks uniqueClicks lastClickedAt } } } }";
    let data = acme.member.data(query, json!({})).await;
    let few = acme.member.data(query, json!({ "first": 2 })).await;
    let mut ties = 0;
    for (index, campaign) in data["campaigns"]["nodes"].as_array().unwrap().iter().enumerate() {
        let id: Uuid = campaign["id"].as_str().unwrap().parse().unwrap();
        let rows = app
            .rows(&format!(
                "SELECT e.url, count(*) AS clicks, count(DISTINCT e.send_id) AS unique_clicks, \
                 max(e.occurred_at) AS last FROM campaign_events e JOIN campaign_sends s ON s.id = \
                 e.send_id WHERE s.campaign_id = {} AND e.event_type = 'click' AND e.url IS NOT \
                 NULL GROUP BY e.url",
                app.literal(id)
            ))
            .await;
        let mut expected: Vec<(i64, String, i64, chrono::DateTime<chrono::Utc>)> = rows
            .iter()
            .map(|row| {
                (
                    -row.try_get::<i64>("", "clicks").unwrap(),
                    row.try_get("", "url").unwrap(),
                    row.try_get("", "unique_clicks").unwrap(),
                    row.try_get("", "last").unwrap(),
                )
            })
            .collect();
        expected.sort();
        ties += expected.windows(2).filter(|pair| pair[0].0 == pair[1].0).count();
        let expected: Vec<Json> = expected
            .into_iter()
            .map(|(clicks, url, unique, last)| {
                json!({
                    "url": url, "clicks": -clicks, "uniqueClicks": unique,
                    "lastClickedAt": last.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
                })
            })
            .collect();
        assert_eq!(campaign["links"], json!(expected));
        assert_eq!(
            few["campaigns"]["nodes"][index]["links"],
            json!(expected[..expected.len().min(2)])
        );
    }
    assert!(ties > 0);
    for first in [-1, 501] {
        let answer = acme.member.ask(query, json!({ "first": first })).await;
        assert_eq!(answer.body["errors"][0]["extensions"]["field"], "first");
        assert_eq!(answer.body["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    }
}

#[on_every_database]
async fn links_with_the_same_md5_are_two_links(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    app.run("DELETE FROM campaign_events").await;
    // a collision published by Marc Stevens, which differs in one letter
    let urls = ["hA", "hE"].map(|letters| {
        format!("TEXTCOLLBYfGiJUETHQ4{letters}cKSMd5zYpgqf1YRDhkmxHkhPWptrkoyz28wnI9V0aHeAuaKnak")
    });
    // text that is not a URL
    let odd = r"https://x.example/\000\x41\\ä";
    let org = app.literal(acme.id);
    let send = app.literal(made.sends[0]);
    for (url, clicks) in [(urls[0].as_str(), 3), (&urls[1], 2), (odd, 1)] {
        for _ in 0..clicks {
            app.run(&format!(
                "INSERT INTO campaign_events (org_id, send_id, event_type, url) \
                 VALUES ({org}, {send}, 'click', '{url}')"
            ))
            .await;
        }
    }
    let query =
        "{ campaigns(first: 50) { nodes { links { url clicks uniqueClicks lastClickedAt } } } }";
    for _ in 0..2 {
        let data = acme.member.data(query, json!({})).await;
        let links: Vec<(String, i64, i64)> = data["campaigns"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|campaign| campaign["links"].as_array().unwrap())
            .map(|link| {
                assert!(link["lastClickedAt"].is_string());
                (
                    link["url"].as_str().unwrap().to_owned(),
                    link["clicks"].as_i64().unwrap(),
                    link["uniqueClicks"].as_i64().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            links,
            [(urls[0].clone(), 3, 1), (urls[1].clone(), 2, 1), (odd.to_owned(), 1, 1)]
        );
        // whether or not pending changes have been added
        assert_exact(&app.sql).await;
    }
}
