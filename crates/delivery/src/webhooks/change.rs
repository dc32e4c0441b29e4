//! What a report changes: as it is applied, and as it waits for its send.

use campaigns_entity::{event::EventType, send::SendStatus};
use campaigns_providers::{Event, Report, Status};
use chrono::{DateTime, Datelike, SecondsFormat, SubsecRound, Utc};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::NewEvent;

/// What a report changes.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) at: DateTime<Utc>,
    pub(super) status: Option<SendStatus>,
    pub(super) error: Option<String>,
    pub(super) event: Option<ChangeEvent>,
    pub(super) metadata: Map<String, Json>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChangeEvent {
    pub(super) event_type: EventType,
    pub(super) url: Option<String>,
    pub(super) bounce_type: Option<&'static str>,
}

/// Text that both databases can store.
fn storable(text: &str) -> String {
    text.replace('\0', "")
}

/// The names of event types and statuses, as they wait.
const TYPES: [(&str, EventType); 5] = [
    ("open", EventType::Open),
    ("click", EventType::Click),
    ("bounce", EventType::Bounce),
    ("complaint", EventType::Complaint),
    ("unsubscribe", EventType::Unsubscribe),
];
const STATUSES: [(&str, SendStatus); 4] = [
    ("sent", SendStatus::Sent),
    ("delivered", SendStatus::Delivered),
    ("bounced", SendStatus::Bounced),
    ("failed", SendStatus::Failed),
];
const BOUNCES: [&str; 2] = ["hard", "soft"];

impl Change {
    pub(super) fn of(report: &Report, received_at: DateTime<Utc>) -> Self {
        let event = report.event.as_ref().map(|event| {
            let of = |event_type| ChangeEvent { event_type, url: None, bounce_type: None };
            match event {
                Event::Open => of(EventType::Open),
                Event::Click { url } => {
                    ChangeEvent { url: Some(storable(url)), ..of(EventType::Click) }
                }
                Event::Bounce { hard } => {
                    let bounce_type = Some(if *hard { "hard" } else { "soft" });
                    ChangeEvent { bounce_type, ..of(EventType::Bounce) }
                }
                Event::Complaint => of(EventType::Complaint),
                Event::Unsubscribe => of(EventType::Unsubscribe),
            }
        });
        let mut metadata = Json::Object(report.metadata());
        make_storable(&mut metadata);
        let Json::Object(metadata) = metadata else { unreachable!("it stays an object") };
        // no event is older than e-mail
        let at = if report.at.year() < 1971 { received_at } else { report.at };
        Self {
            at: at.trunc_subsecs(6),
            status: report.status.map(|status| match status {
                Status::Sent => SendStatus::Sent,
                Status::Delivered => SendStatus::Delivered,
                Status::Bounced => SendStatus::Bounced,
                Status::Failed => SendStatus::Failed,
            }),
            error: report.error.as_deref().map(storable),
            event,
            metadata,
        }
    }

    /// Whether it adds an event and changes nothing else: no status, and no other events, as a click can.
    pub(super) fn adds_only_an_event(&self) -> bool {
        let event_type = self.event.as_ref().map(|event| event.event_type);
        self.status.is_none() && event_type.is_some_and(|of| of != EventType::Click)
    }

    /// The event to record for a send, if it is one.
    pub(super) fn new_event(&self, id: Uuid, send_id: Uuid) -> Option<NewEvent> {
        let ChangeEvent { event_type, url, bounce_type } = self.event.clone()?;
        Some(NewEvent {
            id: Some(id),
            send_id,
            event_type,
            url,
            bounce_type,
            occurred_at: self.at,
            metadata: self.metadata.clone(),
        })
    }

    /// As it waits.
    pub(super) fn to_json(&self) -> Json {
        let event = self.event.as_ref().map(|event| {
            json!({
                "type": name(&TYPES, event.event_type),
                "url": event.url,
                "bounceType": event.bounce_type,
            })
        });
        json!({
            "at": self.at.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            "status": self.status.and_then(|status| name(&STATUSES, status)),
            "error": self.error,
            "event": event,
            "metadata": self.metadata,
        })
    }

    /// What waited. `None` if it is not readable, as if another version wrote it.
    pub(super) fn from_json(json: &Json) -> Option<Self> {
        let text = |json: &Json, name: &str| json[name].as_str().map(str::to_owned);
        let event = match &json["event"] {
            Json::Null => None,
            event => {
                let bounce = event["bounceType"].as_str();
                Some(ChangeEvent {
                    event_type: named(&TYPES, event["type"].as_str()?)?,
                    url: text(event, "url"),
                    bounce_type: BOUNCES.into_iter().find(|of| Some(*of) == bounce),
                })
            }
        };
        let status = match json["status"].as_str() {
            None => None,
            Some(status) => Some(named(&STATUSES, status)?),
        };
        Some(Self {
            at: DateTime::parse_from_rfc3339(json["at"].as_str()?).ok()?.to_utc(),
            status,
            error: text(json, "error"),
            event,
            metadata: json["metadata"].as_object()?.clone(),
        })
    }
}

fn name<T: PartialEq>(names: &[(&'static str, T)], value: T) -> Option<&'static str> {
    names.iter().find(|(_, of)| *of == value).map(|(name, _)| *name)
}

fn named<T: Copy>(names: &[(&'static str, T)], name: &str) -> Option<T> {
    names.iter().find(|(of, _)| *of == name).map(|(_, value)| *value)
}

/// Removes what the databases cannot store from the texts of JSON.
fn make_storable(json: &mut Json) {
    match json {
        Json::String(text) if text.contains('\0') => *text = storable(text),
        Json::Array(values) => values.iter_mut().for_each(make_storable),
        Json::Object(object) => object.values_mut().for_each(make_storable),
        _ => {}
    }
}
