//! `Suppression`.

use async_graphql::{Context, Enum, SimpleObject};
use campaigns_entity::{
    contact,
    event::{self, EventType},
};

use crate::{
    context::RequestContext,
    error::Error,
    event::EngagementEvent,
    rows::{self, Row},
    scalars::DateTime,
};

/// What made somebody suppressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum SuppressionReason {
    /// The contact wants no more messages.
    Unsubscribe,
    /// The contact reported a message as spam.
    Complaint,
    /// A message came back for good.
    HardBounce,
}

/// Why nothing more is to be sent to a contact.
#[derive(Clone, SimpleObject)]
pub(crate) struct Suppression {
    /// What happened.
    reason: SuppressionReason,
    /// When that was.
    since: DateTime,
    /// The event: the latest of those that suppress.
    event: EngagementEvent,
}

impl From<Row<event::Entity>> for Suppression {
    fn from(row: Row<event::Entity>) -> Self {
        let reason = match row.event_type {
            EventType::Unsubscribe => SuppressionReason::Unsubscribe,
            EventType::Complaint => SuppressionReason::Complaint,
            EventType::Open | EventType::Click | EventType::Bounce => SuppressionReason::HardBounce,
        };
        Self { reason, since: row.occurred_at.into(), event: EngagementEvent(row) }
    }
}

/// The suppression of a contact, loaded for all contacts that came with it.
pub(super) async fn of(
    ctx: &Context<'_>,
    row: &Row<contact::Entity>,
) -> Result<Option<Suppression>, Error> {
    let scope = ctx.scope();
    let events = row
        .gather(scope, "suppression", |selected| async move {
            let found = campaigns_analytics::suppressing_events(scope, selected).await?;
            let (contacts, events): (Vec<_>, Vec<_>) = found.into_iter().unzip();
            Ok(contacts.into_iter().zip(rows::together::<event::Entity>(events)).collect())
        })
        .await?;
    Ok(events.get(&row.id).cloned().map(Into::into))
}
