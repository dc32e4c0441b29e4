//! `Suppression`.

use async_graphql::{Context, Enum, SimpleObject};
use campaigns_entity::{
    StoredTime, contact,
    event::{self, EventType},
};

use crate::{
    context::RequestContext,
    error::Error,
    event::EngagementEvent,
    rows::{self, Row},
    scalars::DateTime,
};

/// The reason why a contact is suppressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum SuppressionReason {
    /// The contact unsubscribed.
    Unsubscribe,
    /// The contact reported a message as spam.
    Complaint,
    /// A message to the contact bounced permanently.
    HardBounce,
}

/// Why a contact gets no more sends.
#[derive(Clone, SimpleObject)]
pub(crate) struct Suppression {
    /// The reason for the suppression.
    reason: SuppressionReason,
    /// When the event occurred.
    since: DateTime,
    /// The latest of the contact's events that suppress it.
    event: EngagementEvent,
}

impl Suppression {
    fn of(row: &Row<event::Entity>) -> Result<Self, Error> {
        let reason = match row.get(event::Column::EventType)? {
            EventType::Unsubscribe => SuppressionReason::Unsubscribe,
            EventType::Complaint => SuppressionReason::Complaint,
            EventType::Open | EventType::Click | EventType::Bounce => SuppressionReason::HardBounce,
        };
        let since = row.get::<StoredTime>(event::Column::OccurredAt)?.nearest().into();
        Ok(Self { reason, since, event: EngagementEvent(row.clone()) })
    }
}

/// The suppression of a contact, loaded for all contacts that were read with it.
pub(super) async fn of(
    ctx: &Context<'_>,
    row: &Row<contact::Entity>,
) -> Result<Option<Suppression>, Error> {
    let scope = ctx.scope();
    let events = row
        .gather(scope, "suppression", |selected| async move {
            let found = campaigns_analytics::suppressing_events(scope, selected).await?;
            let (contacts, events): (Vec<_>, Vec<_>) = found.into_iter().unzip();
            Ok(contacts.into_iter().zip(rows::from_models::<event::Entity>(events)).collect())
        })
        .await?;
    events.get(&row.id()).map(Suppression::of).transpose()
}
