//! What was sent, and what happened to it: campaigns, lists, sends and events.

use std::collections::HashMap;

use campaigns_entity::{
    StoredJson,
    campaign::{self, CampaignStatus},
    event::{self, EventType},
    list_entry,
    send::{self, SendStatus},
};
use campaigns_scope::{Error, Scope};
use chrono::{DateTime, TimeDelta, Utc};
use rand::{RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use sea_orm::ActiveValue::Set;
use serde_json::json;
use uuid::Uuid;

use super::{
    audience::{Audience, Person, id},
    plans::Plan,
};

const PAGES: &[(&str, u32)] = &[
    ("https://shop.example/", 50),
    ("https://shop.example/new", 25),
    ("https://shop.example/sale", 15),
    ("https://shop.example/guides/care", 7),
    ("https://shop.example/unsubscribe-options", 3),
];

/// The contacts that are suppressed, each with the time of its first event that suppresses.
pub(super) type Suppressed = HashMap<Uuid, DateTime<Utc>>;

/// Writes a campaign with its list, its sends and their events. Contacts that are suppressed by then
/// are on the list, and are sent nothing.
pub(super) async fn load(
    scope: &Scope,
    rng: &mut ChaCha8Rng,
    plan: &Plan,
    audience: &Audience,
    suppressed: &mut Suppressed,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let start = now - TimeDelta::days(plan.age) - TimeDelta::minutes(rng.random_range(90..600));
    let made = start.min(now) - TimeDelta::days(5);
    let campaign = id(rng);
    scope.insert::<campaign::Entity>(campaign_row(campaign, plan, audience, start, made)).await?;

    let segment = audience.segments[plan.segment];
    let recipients: Vec<&Person> =
        audience.people.iter().filter(|person| person.segments.contains(&segment)).collect();
    if plan.status != CampaignStatus::Draft {
        let entries = recipients.iter().map(|person| list_entry::ActiveModel {
            id: Set(id(rng)),
            campaign_id: Set(campaign),
            segment_id: Set(Some(segment)),
            contact_id: Set(person.id),
            created_at: Set(made.into()),
            updated_at: Set(made.into()),
            ..Default::default()
        });
        scope.insert_all::<list_entry::Entity>(entries.collect()).await?;
    }
    if plan.progress == 0.0 {
        return Ok(());
    }

    let mut sends = Vec::with_capacity(recipients.len());
    let mut events = Vec::new();
    for (number, person) in (0_i64..).zip(&recipients) {
        // about sixty a minute
        let at = start + TimeDelta::seconds(number);
        // drawn whether it is kept or not, so that the rest stays the same
        let (send, its_events) = deliver(rng, plan, campaign, person, at, now);
        if suppressed.get(&person.id).is_some_and(|since| *since <= at) {
            continue;
        }
        for event in its_events.iter().filter(|event| suppresses(event)) {
            let at = event.occurred_at.as_ref().nearest();
            let since = suppressed.entry(person.id).or_insert(at);
            *since = at.min(*since);
        }
        sends.push(send);
        events.extend(its_events);
    }
    scope.insert_all::<send::Entity>(sends).await?;
    events.sort_by_key(|event| event.occurred_at.as_ref().nearest());
    scope.insert_all::<event::Entity>(events).await
}

/// Whether nothing more is sent to a contact after this event.
fn suppresses(event: &event::ActiveModel) -> bool {
    match event.event_type.as_ref() {
        EventType::Unsubscribe | EventType::Complaint => true,
        EventType::Bounce => {
            let metadata = event.metadata.as_ref();
            metadata.as_ref().is_none_or(|StoredJson(of)| of["bounce_type"] != "soft")
        }
        EventType::Open | EventType::Click => false,
    }
}

fn campaign_row(
    campaign: Uuid,
    plan: &Plan,
    audience: &Audience,
    start: DateTime<Utc>,
    made: DateTime<Utc>,
) -> campaign::ActiveModel {
    let scheduled = !matches!(plan.status, CampaignStatus::Draft | CampaignStatus::Canceled);
    let sent = plan.status == CampaignStatus::Sent;
    campaign::ActiveModel {
        id: Set(campaign),
        creator_id: Set(audience.creator),
        name: Set(plan.name.into()),
        subject: Set(Some(plan.subject.into())),
        body: Set(Some(format!("<h1>{}</h1>\n<p>…</p>", plan.subject).into())),
        channel: Set("email".into()),
        status: Set(plan.status),
        scheduled_at: Set(scheduled.then(|| start.into())),
        sent_at: Set(sent.then(|| (start + TimeDelta::minutes(40)).into())),
        created_at: Set(made.into()),
        updated_at: Set(if sent { start + TimeDelta::minutes(40) } else { made }.into()),
        metadata: Set(Some(
            json!({ "utm_campaign": plan.name.to_lowercase().replace(' ', "-") }).into(),
        )),
        ..Default::default()
    }
}

/// A send and what happened to it by `now`.
fn deliver(
    rng: &mut ChaCha8Rng,
    plan: &Plan,
    campaign: Uuid,
    person: &Person,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> (send::ActiveModel, Vec<event::ActiveModel>) {
    let bounced_error = "550 5.1.1 The address does not exist";
    let delivered_at = at + TimeDelta::milliseconds(rng.random_range(400..9_000));
    let status = if !rng.random_bool(plan.progress) {
        SendStatus::Queued
    } else if rng.random_bool(plan.bounces) {
        SendStatus::Bounced
    } else if rng.random_bool(0.004) {
        SendStatus::Failed
    } else if plan.progress < 1.0 && rng.random_bool(0.06) {
        SendStatus::Sent
    } else {
        SendStatus::Delivered
    };
    let was_sent = !matches!(status, SendStatus::Queued | SendStatus::Failed);
    let changed = if status == SendStatus::Queued { at } else { delivered_at };
    let row = send::ActiveModel {
        id: Set(id(rng)),
        campaign_id: Set(campaign),
        contact_id: Set(person.id),
        status: Set(status),
        sent_at: Set(was_sent.then(|| at.into())),
        delivered_at: Set((status == SendStatus::Delivered).then(|| delivered_at.into())),
        error: Set(match status {
            SendStatus::Bounced => Some(bounced_error.into()),
            SendStatus::Failed => Some("The provider did not answer".into()),
            _ => None,
        }),
        created_at: Set(at.into()),
        updated_at: Set(changed.into()),
        ..Default::default()
    };
    let mut happened = SendEvents { send: *row.id.as_ref(), now, events: Vec::new() };
    match status {
        SendStatus::Bounced => {
            let kind = if rng.random_bool(0.9) { "hard" } else { "soft" };
            happened.event(
                rng,
                EventType::Bounce,
                None,
                delivered_at,
                json!({ "bounce_type": kind }),
            );
        }
        SendStatus::Delivered => engage(rng, plan, person, delivered_at, &mut happened),
        _ => {}
    }
    (row, happened.events)
}

/// Opens decay over hours, clicks follow opens, and few people complain.
fn engage(
    rng: &mut ChaCha8Rng,
    plan: &Plan,
    person: &Person,
    delivered_at: DateTime<Utc>,
    happened: &mut SendEvents,
) {
    let opens = rng.random_bool((plan.opens * person.interest).min(0.95));
    if rng.random_bool(plan.complaints) {
        let at = delivered_at + after_hours(rng, 3.0);
        happened.event(rng, EventType::Complaint, None, at, json!({}));
    }
    if !opens {
        return;
    }
    // without random numbers, so that the rest is the same every time
    let [.., scanned, apple] = *person.id.as_bytes();
    let by_machine = |reason: &str| json!({ "machine": true, "machineReasons": [reason] });
    let opened_at = delivered_at + after_hours(rng, 7.0);
    let mut open_at = opened_at;
    // Apple's mail program loads the images of each message once
    let mut metadata = if apple < 50 { by_machine("apple-mpp") } else { json!({}) };
    loop {
        happened.event(rng, EventType::Open, None, open_at, metadata);
        metadata = json!({});
        if !rng.random_bool(0.28) {
            break;
        }
        open_at += after_hours(rng, 20.0);
    }
    if rng.random_bool(plan.clicks) {
        let mut clicked_at = opened_at + TimeDelta::seconds(rng.random_range(4..180));
        loop {
            let page = PAGES.choose_weighted(rng, |(_, weight)| *weight).map(|(url, _)| *url);
            let metadata = if scanned < 20 { by_machine("scanner") } else { json!({}) };
            happened.event(rng, EventType::Click, page.ok(), clicked_at, metadata);
            if !rng.random_bool(0.35) {
                break;
            }
            clicked_at += TimeDelta::seconds(rng.random_range(10..900));
        }
    }
    if rng.random_bool((plan.unsubscribes / plan.opens).min(1.0)) {
        let at = opened_at + TimeDelta::seconds(rng.random_range(8..400));
        happened.event(rng, EventType::Unsubscribe, None, at, json!({}));
    }
}

/// A random time with an exponential distribution with this mean.
fn after_hours(rng: &mut ChaCha8Rng, mean: f64) -> TimeDelta {
    let share: f64 = rng.random_range(0.001..1.0);
    #[expect(clippy::cast_possible_truncation, reason = "a few weeks of milliseconds")]
    TimeDelta::milliseconds((-share.ln() * mean * 3_600_000.0) as i64)
}

/// The events of one send.
struct SendEvents {
    send: Uuid,
    now: DateTime<Utc>,
    events: Vec<event::ActiveModel>,
}

impl SendEvents {
    /// An event, unless it is in the future.
    fn event(
        &mut self,
        rng: &mut ChaCha8Rng,
        event_type: EventType,
        url: Option<&str>,
        at: DateTime<Utc>,
        metadata: serde_json::Value,
    ) {
        // drawn whether it is kept or not, so that the rest is the same every time
        let id = id(rng);
        if at < self.now {
            self.events.push(event::ActiveModel {
                id: Set(id),
                send_id: Set(self.send),
                event_type: Set(event_type),
                url: Set(url.map(Into::into)),
                occurred_at: Set(at.into()),
                created_at: Set(at.into()),
                updated_at: Set(at.into()),
                metadata: Set(Some(metadata.into())),
                ..Default::default()
            });
        }
    }
}
