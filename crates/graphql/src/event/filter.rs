//! The filter of events.

use async_graphql::InputObject;
use campaigns_entity::event::{self, Column};
use sea_orm::sea_query::Expr;

use super::object::EngagementEventType;
use crate::{
    error::Error,
    filter::{
        All, DateTimeFilter, Filter, IdFilter, StringFilter, enum_filter, logical,
        memory::{self, Test, TestedRow},
    },
    input::Path,
};

enum_filter! {
    /// Filters by the type of an event. All given operators must match.
    EngagementEventTypeFilter of event::EventType as EngagementEventType
}

/// Filters events. All given fields must match. An empty filter matches all events.
#[derive(Clone, Debug, Default, InputObject)]
pub(crate) struct EngagementEventFilter {
    /// Matches if all of these filters match. An empty list matches everything.
    and: Option<Vec<EngagementEventFilter>>,
    /// Matches if at least one of these filters matches. An empty list matches nothing.
    or: Option<Vec<EngagementEventFilter>>,
    /// Matches everything that this filter does not match, including null values.
    not: Option<Box<EngagementEventFilter>>,
    /// Filters by ID.
    id: Option<IdFilter>,
    /// Filters by the type of the event.
    r#type: Option<EngagementEventTypeFilter>,
    /// Filters by the ID of the campaign.
    campaign_id: Option<IdFilter>,
    /// Filters by the ID of the contact.
    contact_id: Option<IdFilter>,
    /// Filters by the ID of the send.
    send_id: Option<IdFilter>,
    /// Filters by the URL of the clicked link.
    url: Option<StringFilter>,
    /// Filters by the time the event happened.
    occurred_at: Option<DateTimeFilter>,
    /// Matches the events of machines if true, and all others if false.
    machine: Option<bool>,
}

impl Filter for EngagementEventFilter {
    logical!();

    fn fields(&self, all: &mut All<'_>, path: Path<'_>) -> Result<(), Error> {
        all.ids(path.field("id"), self.id.as_ref(), |scope, ids| match ids {
            Some(ids) => scope.is_shown_as::<event::Entity>(&ids),
            None => Expr::val(true),
        })?;
        let of_type = self.r#type.as_ref().map(EngagementEventTypeFilter::operators);
        all.choice(path.field("type"), of_type, Column::EventType)?;
        all.id(path.field("campaignId"), self.campaign_id.as_ref(), Column::SendCampaignId)?;
        all.id(path.field("contactId"), self.contact_id.as_ref(), Column::SendContactId)?;
        all.id(path.field("sendId"), self.send_id.as_ref(), Column::SendId)?;
        all.text(path.field("url"), self.url.as_ref(), Column::Url)?;
        all.time(path.field("occurredAt"), self.occurred_at.as_ref(), Column::OccurredAt)?;
        all.boolean(path.field("machine"), self.machine, |scope| {
            scope.dialect().event_is_machines()
        })
    }
}

impl EngagementEventFilter {
    /// The same, for an event in memory.
    pub(crate) fn test(&self) -> impl Fn(&event::Model) -> bool + Send + Sync + 'static {
        let test = self.tests();
        move |event| test(&TestedRow::of(event))
    }

    fn tests(&self) -> Test<event::Model> {
        memory::test(self, &|filter: &Self| {
            let of_type = filter.r#type.as_ref().map(EngagementEventTypeFilter::operators);
            [
                memory::id(filter.id.as_ref(), event::Model::shown_id),
                memory::choice(of_type, |event| event.event_type),
                memory::id(filter.campaign_id.as_ref(), |event| event.send_campaign_id),
                memory::id(filter.contact_id.as_ref(), |event| event.send_contact_id),
                memory::id(filter.send_id.as_ref(), |event| event.send_id),
                memory::text(filter.url.as_ref(), "url", |event| event.url.as_deref()),
                memory::time(filter.occurred_at.as_ref(), |event| event.occurred_at.clone()),
                memory::boolean(filter.machine, event::Model::is_machine),
            ]
            .into_iter()
            .flatten()
            .collect()
        })
    }
}
