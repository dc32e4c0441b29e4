//! Requests, as the intake writes them.

use std::collections::BTreeMap;

use campaigns_providers::Report;
use campaigns_scope::{Error, OnceToken, Scope, WaitingEvent, WebhookPart, WebhookStats};
use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{
    apply::{Known, apply},
    change::Change,
    find::{Found, Sought, find},
};
use crate::{RecordError, batcher::BatchWork};

/// Requests of webhooks.
pub(crate) struct Requests;

/// A row of a call: the request itself, and then its events.
#[derive(Clone, Debug)]
pub(crate) enum Row {
    Begin(Begin),
    Event(Box<ReportedEvent>),
}

/// A request without its events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Begin {
    pub(super) webhook: Uuid,
    pub(super) received_at: DateTime<Utc>,
    pub(super) once: Option<OnceToken>,
    pub(super) ignored: usize,
    pub(super) unreadable: usize,
}

/// An event of a request.
#[derive(Clone, Debug)]
pub(crate) struct ReportedEvent {
    webhook: Uuid,
    id: Uuid,
    sought: Sought,
    change: Change,
    received_at: DateTime<Utc>,
}

/// The result of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Begun,
    TokenSeen,
    Recorded,
    Repeated,
    Unmatched,
}

impl Row {
    pub(super) fn event(webhook: Uuid, report: &Report, received_at: DateTime<Utc>) -> Self {
        Self::Event(Box::new(ReportedEvent {
            webhook,
            id: report.id(webhook),
            sought: Sought::from(&report.correlation),
            change: Change::of(report, received_at),
            received_at,
        }))
    }
}

impl BatchWork for Requests {
    type Row = Row;
    type Done = Done;
    type Error = RecordError;

    async fn write(scope: &Scope, rows: &[Row]) -> Result<Vec<Done>, RecordError> {
        scope.repeat(|| take(scope, rows)).await
    }

    fn in_doubt(error: &RecordError) -> Option<&Error> {
        match error {
            RecordError::Scope(error @ Error::InDoubt(_)) => Some(error),
            _ => None,
        }
    }
}

/// Takes requests in one transaction.
async fn take(scope: &Scope, rows: &[Row]) -> Result<Vec<Done>, RecordError> {
    if let Some(done) = take_opens(scope, rows).await? {
        return Ok(done);
    }
    scope
        .transaction(async |scope| {
            let mut done = refuse_seen_tokens(scope, rows).await?;
            let taken: Vec<(usize, &ReportedEvent)> = rows
                .iter()
                .enumerate()
                .filter(|(index, _)| done[*index] != Done::TokenSeen)
                .filter_map(|(index, row)| match row {
                    Row::Event(event) => Some((index, &**event)),
                    Row::Begin(_) => None,
                })
                .collect();
            if !taken.is_empty() {
                take_events(scope, &taken, &mut done).await?;
            }
            let parts = parts(rows, &done);
            if !parts.is_empty() {
                scope.add_webhook_parts(&parts).await?;
            }
            Ok(done)
        })
        .await
}

/// Takes requests that only add events of known sends to one webhook, such as opens. This needs no lock, so it is one
/// statement instead of a transaction. `None` if there is anything else.
async fn take_opens(scope: &Scope, rows: &[Row]) -> Result<Option<Vec<Done>>, RecordError> {
    let parts = parts(rows, &vec![Done::Begun; rows.len()]);
    let [part] = &parts[..] else { return Ok(None) };
    let (mut new_events, mut recipients) = (Vec::new(), Vec::new());
    for row in rows {
        match row {
            Row::Begin(begin) if begin.once.is_some() => return Ok(None),
            Row::Begin(_) => {}
            Row::Event(event) if event.change.adds_only_an_event() => {
                let Some(send_id) = event.sought.send_id else { return Ok(None) };
                let new_event = event.change.new_event(event.id, send_id);
                new_events.extend(new_event.map(|new_event| new_event.row(event.id)));
                recipients.extend(event.sought.recipient_of(send_id));
            }
            Row::Event(_) => return Ok(None),
        }
    }
    if new_events.is_empty() {
        return Ok(None);
    }
    let inserted = scope.insert_events_of_webhook(&new_events, &recipients, part).await?;
    let Some(mut new) = inserted else { return Ok(None) };
    let done = rows.iter().map(|row| match row {
        Row::Begin(_) => Done::Begun,
        // the first occurrence of a repeated event is new
        Row::Event(event) if new.remove(&event.id) => Done::Recorded,
        Row::Event(_) => Done::Repeated,
    });
    Ok(Some(done.collect()))
}

/// The results of rows so far: the rows of a request are refused if its token came with other events.
async fn refuse_seen_tokens(scope: &Scope, rows: &[Row]) -> Result<Vec<Done>, Error> {
    let tokens: Vec<OnceToken> = rows
        .iter()
        .filter_map(|row| match row {
            Row::Begin(begin) => begin.once.clone(),
            Row::Event(_) => None,
        })
        .collect();
    let seen = if tokens.is_empty() { Vec::new() } else { scope.remember_tokens(&tokens).await? };
    let mut seen = seen.into_iter();
    let mut is_refused = false;
    Ok(rows
        .iter()
        .map(|row| {
            if let Row::Begin(begin) = row {
                is_refused = begin.once.is_some() && seen.next().unwrap_or(false);
            }
            if is_refused { Done::TokenSeen } else { Done::Begun }
        })
        .collect())
}

/// Records events, or lets them wait.
async fn take_events(
    scope: &Scope,
    taken: &[(usize, &ReportedEvent)],
    done: &mut [Done],
) -> Result<(), RecordError> {
    let sought: Vec<_> = taken.iter().map(|(_, event)| (&event.sought, event.change.at)).collect();
    let found = find(scope, &sought).await?;
    let (mut known, mut indices, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for ((index, event), found) in taken.iter().zip(found) {
        match found {
            Found::Send(send_id) => {
                let ReportedEvent { webhook, id, change, .. } = event;
                known.push(Known { webhook: *webhook, id: *id, send_id, change });
                indices.push(*index);
            }
            Found::None { is_other } => {
                // events that would wait for a send that is another recipient's wait for a message ID alone
                let send_id = event.sought.send_id.filter(|_| !is_other);
                waiting.push((*index, waiting_event(scope, event, send_id)?));
            }
        }
    }
    let now = taken.iter().map(|(_, event)| event.received_at).max().unwrap_or_default();
    if !known.is_empty() {
        let are_new = apply(scope, &known, now).await?;
        for (index, is_new) in indices.into_iter().zip(are_new) {
            done[index] = if is_new { Done::Recorded } else { Done::Repeated };
        }
    }
    if !waiting.is_empty() {
        let (indices, events): (Vec<usize>, Vec<WaitingEvent>) = waiting.into_iter().unzip();
        let mut new = scope.add_waiting(&events).await?;
        for (index, event) in indices.into_iter().zip(&events) {
            done[index] = if new.remove(&event.key) { Done::Unmatched } else { Done::Repeated };
        }
    }
    Ok(())
}

fn waiting_event(
    scope: &Scope,
    event: &ReportedEvent,
    send_id: Option<Uuid>,
) -> Result<WaitingEvent, Error> {
    Ok(WaitingEvent {
        key: (event.webhook, event.id),
        send_id,
        message_ids: event.sought.message_ids.clone(),
        details: json!({ "sought": event.sought.to_json(scope)?, "change": event.change.to_json() }),
        received_at: event.received_at,
    })
}

/// What is added to the figures of each webhook.
fn parts(rows: &[Row], done: &[Done]) -> Vec<WebhookPart> {
    let mut of_webhooks: BTreeMap<Uuid, WebhookStats> = BTreeMap::new();
    for (row, done) in rows.iter().zip(done) {
        let webhook = match row {
            _ if *done == Done::TokenSeen => continue,
            Row::Begin(begin) => begin.webhook,
            Row::Event(event) => event.webhook,
        };
        let stats = of_webhooks.entry(webhook).or_default();
        match (row, done) {
            (Row::Begin(begin), _) => stats.add(&WebhookStats {
                accepted: 1,
                ignored: number(begin.ignored),
                unreadable: number(begin.unreadable),
                last_accepted_at: Some(begin.received_at),
                ..Default::default()
            }),
            (_, Done::Recorded) => stats.recorded += 1,
            (_, Done::Repeated) => stats.repeated += 1,
            _ => {}
        }
    }
    of_webhooks.into_iter().map(|(webhook, stats)| WebhookPart { webhook, stats }).collect()
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
