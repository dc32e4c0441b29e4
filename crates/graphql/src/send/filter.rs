//! Which sends.

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
    /// By how far the delivery of a send has come.
    SendStatusFilter of send::SendStatus as SendStatus
}

/// Sends that fulfil every field that is given; none: all of them.
#[derive(Clone, Debug, Default, InputObject)]
pub(crate) struct SendFilter {
    /// All of these; [] is everything.
    and: Option<Vec<SendFilter>>,
    /// At least one of these; [] is nothing.
    or: Option<Vec<SendFilter>>,
    /// Exactly those that this does not select.
    not: Option<Box<SendFilter>>,
    /// By id.
    id: Option<IdFilter>,
    /// By the campaign's id.
    campaign_id: Option<IdFilter>,
    /// By the contact's id.
    contact_id: Option<IdFilter>,
    /// By how far its delivery has come.
    status: Option<SendStatusFilter>,
    /// By the time it was sent.
    sent_at: Option<DateTimeFilter>,
    /// By the time its delivery was confirmed.
    delivered_at: Option<DateTimeFilter>,
    /// By the time it was queued.
    created_at: Option<DateTimeFilter>,
    /// Whether it was ever opened.
    opened: Option<bool>,
    /// Whether a link in it was ever clicked.
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
            all.whether(path.field(name), wanted, |scope| send_had(scope, event_type))?;
        }
        Ok(())
    }
}
