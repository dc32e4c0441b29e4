//! Events that waited: recorded once their send is known.

use std::collections::BTreeMap;

use campaigns_scope::{Scope, WaitingEvent, WaitingKey, WebhookPart, WebhookStats};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    apply::{Known, apply},
    change::Change,
    find::{Found, Sought, find},
};
use crate::RecordError;

/// The most pages of events that the transaction of a call records. The keeper records the others.
const MOST_PAGES: usize = 20;

/// Records the events that waited for these message IDs, in the transaction that stores them.
pub(crate) async fn match_messages(
    scope: &Scope,
    ids: &[String],
    now: DateTime<Utc>,
) -> Result<usize, RecordError> {
    let (mut matched, mut after) = (0, WaitingKey::default());
    for _ in 0..MOST_PAGES {
        let waiting = scope.waiting_for_messages(ids, after).await?;
        let Some(last) = waiting.last() else { break };
        after = last.key;
        matched += match_waiting(scope, &waiting, now).await?;
    }
    Ok(matched)
}

/// Records those of the waiting events whose send is known, in a transaction, and returns how many.
pub(super) async fn match_waiting(
    scope: &Scope,
    waiting: &[WaitingEvent],
    now: DateTime<Utc>,
) -> Result<usize, RecordError> {
    // what another version wrote waits until it is dropped
    let readable: Vec<(&WaitingEvent, Sought, Change)> = waiting
        .iter()
        .filter_map(|event| {
            let sought = Sought::from_json(event.send_id, &event.details["sought"]);
            Some((event, sought, Change::from_json(&event.details["change"])?))
        })
        .collect();
    let sought: Vec<_> = readable.iter().map(|(_, sought, change)| (sought, change.at)).collect();
    let found = find(scope, &sought).await?;
    let mut matched = Vec::new();
    for ((event, _, change), found) in readable.iter().zip(found) {
        if let Found::Send(send_id) = found {
            matched.push((event.key, send_id, change));
        }
    }
    if matched.is_empty() {
        return Ok(0);
    }
    let taken = scope.remove_waiting(matched.iter().map(|(key, ..)| *key)).await?;
    matched.retain(|(key, ..)| taken.contains(key));
    let known: Vec<Known<'_>> = matched
        .iter()
        .map(|((webhook, id), send_id, change)| Known {
            webhook: *webhook,
            id: *id,
            send_id: *send_id,
            change,
        })
        .collect();
    let are_new = apply(scope, &known, now).await?;
    let mut of_webhooks: BTreeMap<Uuid, WebhookStats> = BTreeMap::new();
    for (report, is_new) in known.iter().zip(are_new) {
        let stats = of_webhooks.entry(report.webhook).or_default();
        if is_new {
            stats.recorded += 1;
        } else {
            stats.repeated += 1;
        }
    }
    let parts = of_webhooks.into_iter().map(|(webhook, stats)| WebhookPart { webhook, stats });
    scope.add_webhook_parts(&parts.collect::<Vec<_>>()).await?;
    Ok(known.len())
}
