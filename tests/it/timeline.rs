//! Time series, compared with a calendar that is read from the local clock minute by minute.

use std::collections::{BTreeMap, BTreeSet};

use campaigns_entity::{
    StoredJson,
    event::{self, EventType},
};
use campaigns_tests::{Backend, MARKS, Organization, TestApp, on_every_database};
use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use sea_orm::ActiveValue::Set;
use serde_json::{Value as Json, json};
use uuid::Uuid;

type Time = DateTime<Utc>;

/// Time zones, and times around which their clocks change.
const CHANGES: [(&str, &str); 8] = [
    ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"),
    ("America/New_York", "2026-03-08T07:00:00Z"),
    ("America/New_York", "2026-11-01T06:00:00Z"),
    ("Asia/Kolkata", "2026-03-01T18:30:00Z"),
    // December 30, 2011, does not exist there
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Pacific/Apia", "2012-03-31T14:00:00Z"),
    ("Pacific/Apia", "2012-09-29T14:00:00Z"),
];

const FIELDS: &str = "{ start end opens clicks unsubscribes complaints bounces machineOpens machineClicks uniqueOpens \
     uniqueClicks }";

/// A selection without numbers of sends, which can be read from running counts.
const SUMS: &str = "{ start end opens clicks unsubscribes complaints bounces machineOpens \
                    machineClicks }";

/// Buckets without the numbers of sends.
fn sums(mut buckets: Json) -> Json {
    for bucket in buckets.as_array_mut().unwrap() {
        let bucket = bucket.as_object_mut().unwrap();
        bucket.retain(|name, _| !name.starts_with("unique"));
    }
    buckets
}

struct Event {
    send: Uuid,
    campaign: String,
    kind: EventType,
    at: Time,
    by_machine: bool,
}

/// The edges of all buckets around a time: an edge is the first minute of an hour, day, week or
/// month.
fn edges(zone: Tz, interval: &str, around: Time, days: i64) -> Vec<Time> {
    let mut first: BTreeMap<(i64, i64, i64), Time> = BTreeMap::new();
    let mut edges = Vec::new();
    let start = around - TimeDelta::days(days);
    for minute in 0..days * 2 * 24 * 60 {
        let at = start + TimeDelta::minutes(minute);
        let local = at.with_timezone(&zone);
        let kind = match interval {
            "MINUTE" => {
                edges.push(at);
                continue;
            }
            // the clocks of all of these zones change by whole hours
            "HOUR" => {
                edges.extend((local.minute() == 0).then_some(at));
                continue;
            }
            "DAY" => (local.year().into(), local.month().into(), local.day().into()),
            "WEEK" => (local.iso_week().year().into(), local.iso_week().week().into(), 0),
            _ => (local.year().into(), local.month().into(), 0),
        };
        first.entry(kind).or_insert(at);
    }
    edges.extend(first.into_values());
    edges.sort();
    // the first bucket started before the first of these minutes
    edges.split_off(1)
}

fn expected(edges: &[Time], from: Time, to: Time, events: &[&Event]) -> Json {
    let shown = |time: Time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let buckets = edges.windows(2).filter(|edge| edge[1] > from && edge[0] < to).map(|edge| {
        let within = || events.iter().filter(|event| event.at >= edge[0] && event.at < edge[1]);
        let count = |kind| within().filter(|event| event.kind == kind).count();
        let by_machines =
            |kind| within().filter(|event| event.kind == kind && event.by_machine).count();
        let unique = |kind| {
            within()
                .filter(|event| event.kind == kind)
                .map(|event| event.send)
                .collect::<BTreeSet<_>>()
                .len()
        };
        json!({
            "start": shown(edge[0]), "end": shown(edge[1]),
            "opens": count(EventType::Open), "clicks": count(EventType::Click),
            "unsubscribes": count(EventType::Unsubscribe),
            "complaints": count(EventType::Complaint),
            "bounces": count(EventType::Bounce),
            "machineOpens": by_machines(EventType::Open),
            "machineClicks": by_machines(EventType::Click),
            "uniqueOpens": unique(EventType::Open), "uniqueClicks": unique(EventType::Click),
        })
    });
    buckets.collect()
}

/// Random events around a time, including at edges and a microsecond before and after them.
async fn events(
    acme: &Organization,
    rng: &mut ChaCha8Rng,
    around: Time,
    edges: &[Time],
) -> Vec<Event> {
    let sends =
        acme.member.data("{ sends(first: 40) { nodes { id campaign { id } } } }", json!({})).await;
    let sends = sends["sends"]["nodes"].as_array().unwrap().clone();
    let kinds = [
        EventType::Open,
        EventType::Open,
        EventType::Click,
        EventType::Unsubscribe,
        EventType::Complaint,
        EventType::Bounce,
    ];
    let mut events = Vec::new();
    for number in 0..400 {
        let send = sends.choose(rng).unwrap();
        let at = if number % 4 == 0 {
            *edges.choose(rng).unwrap() + TimeDelta::microseconds(rng.random_range(-1..=1))
        } else {
            around
                + TimeDelta::microseconds(rng.random_range(-259_200_000_000_i64..259_200_000_000))
        };
        events.push(Event {
            send: send["id"].as_str().unwrap().parse().unwrap(),
            campaign: send["campaign"]["id"].as_str().unwrap().to_owned(),
            kind: *kinds.choose(rng).unwrap(),
            at,
            by_machine: number % MARKS.len() == 1,
        });
    }
    let rows = events.iter().zip(MARKS.iter().cycle()).map(|(event, mark)| event::ActiveModel {
        id: Set(Uuid::new_v4()),
        send_id: Set(event.send),
        event_type: Set(event.kind),
        occurred_at: Set(event.at.into()),
        metadata: Set(Some(StoredJson(serde_json::from_str(mark).unwrap()))),
        ..Default::default()
    });
    acme.scope.insert_all::<event::Entity>(rows.collect()).await.unwrap();
    events
}

#[on_every_database]
async fn buckets_are_those_of_the_calendar_where_clocks_change(app: TestApp) {
    let mut rng = ChaCha8Rng::seed_from_u64(101);
    let acme = app.organization("acme").await;
    acme.populated(6).await;
    app.organization("other").await.populated(6).await;
    for (zone_name, around) in CHANGES {
        app.run("DELETE FROM campaign_events").await;
        let (zone, around): (Tz, Time) = (zone_name.parse().unwrap(), around.parse().unwrap());
        let hours: Vec<Time> = edges(zone, "HOUR", around, 3);
        let events = events(&acme, &mut rng, around, &hours).await;
        let campaign = events.choose(&mut rng).unwrap().campaign.clone();
        for (interval, minutes, days) in [
            ("MINUTE", 300, 4),
            ("HOUR", 4_000, 5),
            ("DAY", 8_000, 20),
            ("WEEK", 20_000, 40),
            ("MONTH", 80_000, 130),
        ] {
            let edges = edges(zone, interval, around, days);
            let from = around + TimeDelta::seconds(rng.random_range(-minutes * 60..-1));
            let to = around + TimeDelta::seconds(rng.random_range(1..minutes * 60));
            let variables = json!({
                "interval": interval, "from": from, "to": to, "zone": zone_name, "id": campaign,
            });
            let query = format!(
                "query ($id: ID!, $interval: TimeInterval!, $from: DateTime!, $to: DateTime!, \
                 $zone: String!) {{
                   timeline(interval: $interval, from: $from, to: $to, timezone: $zone) {FIELDS}
                   one: timeline(interval: $interval, from: $from, to: $to, timezone: $zone, \
                   filter: {{ id: {{ eq: $id }} }}) {FIELDS}
                   campaign(id: $id) {{
                     timeline(interval: $interval, from: $from, to: $to, timezone: $zone) {FIELDS}
                     sums: timeline(interval: $interval, from: $from, to: $to, timezone: $zone) \
                     {SUMS}
                   }}
                   sums: timeline(interval: $interval, from: $from, to: $to, timezone: $zone) {SUMS}
                 }}"
            );
            let data = acme.member.data(&query, variables).await;
            let all = expected(&edges, from, to, &events.iter().collect::<Vec<_>>());
            assert_eq!(data["timeline"], all, "{interval} {zone_name} {from} {to}");
            let own: Vec<&Event> =
                events.iter().filter(|event| event.campaign == campaign).collect();
            let of_campaign = expected(&edges, from, to, &own);
            assert_eq!(data["one"], of_campaign);
            assert_eq!(data["campaign"]["timeline"], of_campaign);
            assert_eq!(data["campaign"]["sums"], sums(of_campaign));
            assert_eq!(data["sums"], sums(all.clone()));
            assert!(all.as_array().unwrap().len() > 1);
        }
    }
}

#[on_every_database]
async fn sums_from_counts_equal_sums_from_events_at_any_offset(app: TestApp) {
    let mut rng = ChaCha8Rng::seed_from_u64(103);
    let acme = app.organization("acme").await;
    acme.populated(8).await;
    // by 5:30, by 5:45, by half an hour of daylight saving, and by 44 minutes and 30 seconds
    for (zone, around) in [
        ("Asia/Kolkata", "2026-03-01T00:00:00Z"),
        ("Asia/Kathmandu", "2026-03-01T18:15:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
        ("Africa/Monrovia", "1972-01-06T12:00:00Z"),
    ] {
        let around: Time = around.parse().unwrap();
        let hours = edges(zone.parse().unwrap(), "HOUR", around, 3);
        let mut quarters: Vec<Time> =
            hours.iter().map(|edge| *edge + TimeDelta::minutes(15)).collect();
        quarters.push(around);
        events(&acme, &mut rng, around, &quarters).await;
        if rng.random_bool(0.5) && app.database.backend == Backend::Postgres {
            app.rows("SELECT campaign_counts_fold() AS added").await;
        }
        for interval in ["HOUR", "DAY", "WEEK", "MONTH"] {
            let (from, to) = (around - TimeDelta::days(3), around + TimeDelta::days(3));
            let query = format!(
                "query ($interval: TimeInterval!, $from: DateTime!, $to: DateTime!, $zone: \
                 String!) {{
                   all: timeline(interval: $interval, from: $from, to: $to, timezone: $zone) \
                   {FIELDS}
                   sums: timeline(interval: $interval, from: $from, to: $to, timezone: $zone) {SUMS}
                   campaigns(first: 50) {{ nodes {{
                     all: timeline(interval: $interval, from: $from, to: $to, timezone: $zone) \
                     {FIELDS}
                     sums: timeline(interval: $interval, from: $from, to: $to, timezone: $zone) \
                     {SUMS}
                   }} }}
                 }}"
            );
            let variables = json!({ "interval": interval, "from": from, "to": to, "zone": zone });
            let data = acme.member.data(&query, variables).await;
            let opens: u64 = data["all"]
                .as_array()
                .unwrap()
                .iter()
                .map(|bucket| bucket["opens"].as_u64().unwrap())
                .sum();
            assert!(opens > 50, "{opens}");
            assert_eq!(data["sums"], sums(data["all"].clone()), "{interval} {zone}");
            for campaign in data["campaigns"]["nodes"].as_array().unwrap() {
                assert_eq!(campaign["sums"], sums(campaign["all"].clone()), "{interval} {zone}");
            }
        }
    }
}

#[on_every_database]
async fn without_bounds_a_campaigns_timeline_goes_from_its_first_to_its_last_event(app: TestApp) {
    let mut rng = ChaCha8Rng::seed_from_u64(102);
    let acme = app.organization("acme").await;
    acme.populated(12).await;
    app.run("DELETE FROM campaign_events").await;
    let around: Time = "2026-06-10T00:00:00Z".parse().unwrap();
    let hours = edges(Tz::UTC, "HOUR", around, 3);
    let events = events(&acme, &mut rng, around, &hours).await;
    let query = format!(
        "{{ campaigns(first: 50) {{ nodes {{ id timeline(interval: HOUR) {FIELDS} }} }} }}"
    );
    let data = acme.member.data(&query, json!({})).await;
    let edges = edges(Tz::UTC, "HOUR", around, 6);
    let mut empty = 0;
    for campaign in data["campaigns"]["nodes"].as_array().unwrap() {
        let own: Vec<&Event> =
            events.iter().filter(|event| event.campaign == campaign["id"]).collect();
        let first = own.iter().map(|event| event.at).min();
        let last = own.iter().map(|event| event.at).max();
        let Some((first, last)) = first.zip(last) else {
            assert_eq!(campaign["timeline"], json!([]));
            empty += 1;
            continue;
        };
        let buckets = expected(&edges, first, last + TimeDelta::microseconds(1), &own);
        assert_eq!(campaign["timeline"], buckets);
        let sum: u64 = buckets
            .as_array()
            .unwrap()
            .iter()
            .map(|bucket| {
                ["opens", "clicks", "unsubscribes", "complaints", "bounces"]
                    .iter()
                    .map(|name| bucket[name].as_u64().unwrap())
                    .sum::<u64>()
            })
            .sum();
        assert_eq!(sum, own.len() as u64);
    }
    assert!(empty > 0);
    let half = "query ($from: DateTime) { campaigns(first: 50) { nodes { \
                timeline(interval: DAY, from: $from) { start } } } }";
    let data = acme.member.data(half, json!({ "from": "2030-01-01T00:00:00Z" })).await;
    assert!(
        data["campaigns"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|campaign| campaign["timeline"] == json!([]))
    );
}

#[on_every_database]
async fn an_invalid_timeline_is_refused(app: TestApp) {
    let acme = app.organization("acme").await;
    let id = acme
        .admin
        .data("mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }", json!({}))
        .await["createCampaign"]["campaign"]["id"]
        .clone();
    for (of, interval, from, to, timezone, field) in [
        ("", "DAY", "2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z", "UTC", "from"),
        ("", "DAY", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "UTC", "from"),
        ("", "DAY", "2026-01-02", "2026-01-03T00:00:00Z", "UTC", "from"),
        ("", "DAY", "2026-01-02T00:00:00Z", "tomorrow", "UTC", "to"),
        ("", "DAY", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "Mars/Olympus", "timezone"),
        ("", "MINUTE", "2026-01-02T00:00:00Z", "2026-01-02T16:40:01Z", "UTC", "interval"),
        (
            "",
            "MONTH",
            "0001-01-01T00:00:00Z",
            "9999-12-31T00:00:00Z",
            "America/New_York",
            "interval",
        ),
        ("", "MONTH", "9999-11-01T00:00:00Z", "9999-12-31T00:00:00Z", "UTC", "to"),
        ("campaign", "DAY", "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "UTC", "from"),
        ("campaign", "HOUR", "2025-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "UTC", "interval"),
    ] {
        let series =
            "timeline(interval: $interval, from: $from, to: $to, timezone: $timezone) { start }";
        let selection = if of.is_empty() {
            series.to_owned()
        } else {
            format!("campaign(id: \"{}\") {{ {series} }}", id.as_str().unwrap())
        };
        let query = format!(
            "query ($interval: TimeInterval!, $from: DateTime!, $to: DateTime!, $timezone: \
             String!) {{ {selection} }}"
        );
        let answer = acme
            .member
            .ask(
                &query,
                json!({ "interval": interval, "from": from, "to": to, "timezone": timezone }),
            )
            .await;
        assert_eq!(
            (answer.code(), answer.field()),
            ("BAD_USER_INPUT", field),
            "{interval} {from} {to} {timezone}"
        );
    }
    let whole = "query { timeline(interval: MINUTE, from: \"2026-01-02T00:00:30Z\", \
                 to: \"2026-01-02T16:39:31Z\") { opens } }";
    assert_eq!(
        acme.member.data(whole, json!({})).await["timeline"].as_array().unwrap().len(),
        1_000
    );
}
