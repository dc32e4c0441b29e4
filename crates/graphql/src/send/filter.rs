//! The filter of sends.

use async_graphql::InputObject;
use campaigns_analytics::send_had;
use campaigns_entity::{
    event::EventType,
    send::{self, Column},
};

use super::object::SendStatus;
use crate::{
    error::Error,
    filter::{All, DateTimeFilter, Filter, IdFilter, enum_filter, logical},
    input::Path,
};

enum_filter! {
    /// Filters by the delivery status of a send. All given operators must match.
    SendStatusFilter of send::SendStatus as SendStatus
}

/// Filters sends. All given fields must match. An empty filter matches all sends.
#[derive(Clone, Debug, Default, InputObject)]
pub(crate) struct SendFilter {
    /// Matches if all of these filters match. An empty list matches everything.
    and: Option<Vec<SendFilter>>,
    /// Matches if at least one of these filters matches. An empty list matches nothing.
    or: Option<Vec<SendFilter>>,
    /// Matches everything that this filter does not match, including null values.
    not: Option<Box<SendFilter>>,
    /// Filters by ID.
    id: Option<IdFilter>,
    /// Filters by the ID of the campaign.
    campaign_id: Option<IdFilter>,
    /// Filters by the ID of the contact.
    contact_id: Option<IdFilter>,
    /// Filters by delivery status.
    status: Option<SendStatusFilter>,
    /// Filters by the time the message was sent.
    sent_at: Option<DateTimeFilter>,
    /// Filters by the time the delivery was confirmed.
    delivered_at: Option<DateTimeFilter>,
    /// Filters by the time the send was queued.
    created_at: Option<DateTimeFilter>,
    /// Filters by whether the send was ever opened.
    opened: Option<bool>,
    /// Filters by whether a link in the send was ever clicked.
    clicked: Option<bool>,
}

impl Filter for SendFilter {
    logical!();

    fn fields(&self, all: &mut All<'_>, path: Path<'_>) -> Result<(), Error> {
        all.id(path.field("id"), self.id.as_ref(), Column::Id)?;
        all.id(path.field("campaignId"), self.campaign_id.as_ref(), Column::CampaignId)?;
        all.id(path.field("contactId"), self.contact_id.as_ref(), Column::ContactId)?;
        let status = self.status.as_ref().map(SendStatusFilter::operators);
        all.choice(path.field("status"), status, Column::Status)?;
        all.time(path.field("sentAt"), self.sent_at.as_ref(), Column::SentAt)?;
        all.time(path.field("deliveredAt"), self.delivered_at.as_ref(), Column::DeliveredAt)?;
        all.time(path.field("createdAt"), self.created_at.as_ref(), Column::CreatedAt)?;
        for (name, wanted, event_type) in
            [("opened", self.opened, EventType::Open), ("clicked", self.clicked, EventType::Click)]
        {
            all.boolean(path.field(name), wanted, |scope| send_had(scope, event_type))?;
        }
        Ok(())
    }
}
