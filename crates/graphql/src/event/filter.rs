//! Which events.

use async_graphql::InputObject;
use campaigns_entity::event::{self, Column};

use super::object::EngagementEventType;
use crate::{
    error::Error,
    filter::{
        All, DateTimeFilter, Filter, IdFilter, StringFilter, enum_filter, logical,
        memory::{self, Test},
    },
    input::Path,
};

enum_filter! {
    /// By what happened.
    EngagementEventTypeFilter of event::EventType as EngagementEventType
}

/// Events that fulfil every field that is given; none: all of them.
#[derive(Clone, Debug, Default, InputObject)]
pub(crate) struct EngagementEventFilter {
    /// All of these; [] is everything.
    and: Option<Vec<EngagementEventFilter>>,
    /// At least one of these; [] is nothing.
    or: Option<Vec<EngagementEventFilter>>,
    /// Exactly those that this does not select.
    not: Option<Box<EngagementEventFilter>>,
    /// By id.
    id: Option<IdFilter>,
    /// By what happened.
    r#type: Option<EngagementEventTypeFilter>,
    /// By the campaign's id.
    campaign_id: Option<IdFilter>,
    /// By the contact's id.
    contact_id: Option<IdFilter>,
    /// By the send's id.
    send_id: Option<IdFilter>,
    /// By the link that was clicked.
    url: Option<StringFilter>,
    /// By the time it happened.
    occurred_at: Option<DateTimeFilter>,
}

impl Filter for EngagementEventFilter {
    logical!();

    fn fields(&self, all: &mut All<'_>, path: Path<'_>) -> Result<(), Error> {
        all.id(path.field("id"), self.id.as_ref(), Column::Id)?;
        let of_type = self.r#type.as_ref().map(EngagementEventTypeFilter::operators);
        all.choice(path.field("type"), of_type, Column::EventType)?;
        all.id(path.field("campaignId"), self.campaign_id.as_ref(), Column::SendCampaignId)?;
        all.id(path.field("contactId"), self.contact_id.as_ref(), Column::SendContactId)?;
        all.id(path.field("sendId"), self.send_id.as_ref(), Column::SendId)?;
        all.text(path.field("url"), self.url.as_ref(), Column::Url)?;
        all.time(path.field("occurredAt"), self.occurred_at.as_ref(), Column::OccurredAt)
    }
}

impl EngagementEventFilter {
    /// The same, for an event in memory.
    pub(crate) fn test(&self) -> Test<event::Model> {
        memory::test(self, &|filter: &Self| {
            let of_type = filter.r#type.as_ref().map(EngagementEventTypeFilter::operators);
            [
                memory::id(filter.id.as_ref(), |event: &event::Model| event.id),
                memory::choice(of_type, |event| event.event_type),
                memory::id(filter.campaign_id.as_ref(), |event| event.send_campaign_id),
                memory::id(filter.contact_id.as_ref(), |event| event.send_contact_id),
                memory::id(filter.send_id.as_ref(), |event| event.send_id),
                memory::text(filter.url.as_ref(), |event| event.url.clone()),
                memory::time(filter.occurred_at.as_ref(), |event| event.occurred_at),
            ]
            .into_iter()
            .flatten()
            .collect()
        })
    }
}
