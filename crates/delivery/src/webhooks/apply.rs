//! Applies reports to their sends.

use std::collections::{BTreeSet, HashMap, HashSet};

use campaigns_entity::{
    event::EventType,
    send::{self, SendStatus},
};
use campaigns_scope::Scope;
use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::{
    bursts,
    change::{Change, ChangeEvent},
};
use crate::{NewEvent, RecordError, events};

/// A report whose send is known.
pub(super) struct Known<'a> {
    pub(super) webhook: Uuid,
    pub(super) id: Uuid,
    pub(super) send_id: Uuid,
    pub(super) change: &'a Change,
}

/// Applies reports in one transaction, and returns for each whether it is new. What is not new changes nothing.
pub(super) async fn apply(
    scope: &Scope,
    reports: &[Known<'_>],
    now: DateTime<Utc>,
) -> Result<Vec<bool>, RecordError> {
    let needs_lock = |change: &Change| {
        let is_click = |event: &ChangeEvent| event.event_type == EventType::Click;
        change.status.is_some() || change.event.as_ref().is_some_and(is_click)
    };
    let to_lock: BTreeSet<Uuid> = reports
        .iter()
        .filter(|report| needs_lock(report.change))
        .map(|report| report.send_id)
        .collect();
    let mut sends = if to_lock.is_empty() {
        HashMap::new()
    } else {
        scope.lock_all::<send::Entity>(to_lock.iter().copied()).await?
    };
    if sends.len() < to_lock.len() {
        let is_missing = |report: &Known<'_>| {
            to_lock.contains(&report.send_id) && !sends.contains_key(&report.send_id)
        };
        let index = reports.iter().position(is_missing).unwrap_or(0);
        return Err(RecordError::SendNotFound { index });
    }
    let mut new_events: Vec<(Uuid, NewEvent)> = reports
        .iter()
        .filter_map(|report| Some((report.id, report.change.new_event(report.id, report.send_id)?)))
        .collect();
    let mut inserted = HashSet::new();
    if !new_events.is_empty() {
        bursts::mark(scope, &mut new_events).await?;
        inserted = events::insert(scope, &new_events).await?;
    }
    let notes: Vec<(Uuid, Uuid)> = reports
        .iter()
        .filter(|report| report.change.event.is_none())
        .map(|report| (report.webhook, report.id))
        .collect();
    let mut noted =
        if notes.is_empty() { HashSet::new() } else { scope.note_reports(notes, now).await? };
    let mut are_new = Vec::with_capacity(reports.len());
    let mut changed = BTreeSet::new();
    for report in reports {
        // the first occurrence of a repeated report is new
        let is_new = match &report.change.event {
            Some(_) => inserted.remove(&report.id),
            None => noted.remove(&(report.webhook, report.id)),
        };
        are_new.push(is_new);
        // a send with a status that only a newer version knows does not change
        if let (true, Some(Some(send))) = (is_new, sends.get_mut(&report.send_id))
            && move_forward(report.change, send)
        {
            changed.insert(report.send_id);
        }
    }
    let rows: Vec<_> = changed
        .iter()
        .filter_map(|id| sends.remove(id).flatten())
        .map(|send| send::ActiveModel {
            id: Set(send.id),
            status: Set(send.status),
            sent_at: Set(send.sent_at),
            delivered_at: Set(send.delivered_at),
            error: Set(send.error),
            ..Default::default()
        })
        .collect();
    if !rows.is_empty() {
        scope.update_all::<send::Entity>(&rows).await?;
    }
    Ok(are_new)
}

/// Moves the status of a send forward, and returns whether anything changed. A report that is late brings the time
/// that the send lacks, so that the order of reports does not matter.
fn move_forward(change: &Change, send: &mut send::Model) -> bool {
    let Some(status) = change.status else { return false };
    let is_hard = change.event.as_ref().is_some_and(|event| event.bounce_type == Some("hard"));
    let moves = send.status.may_become(status) || is_hard && send.status != SendStatus::Bounced;
    if moves {
        send.status = status;
    }
    let lacks = match status {
        SendStatus::Sent => &mut send.sent_at,
        SendStatus::Delivered => &mut send.delivered_at,
        _ => {
            if moves {
                send.error = change.error.clone().map(Into::into);
            }
            return moves;
        }
    };
    if moves || lacks.is_none() {
        *lacks = Some(change.at.into());
        return true;
    }
    false
}
