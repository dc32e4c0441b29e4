//! Which campaigns.

use async_graphql::InputObject;
use campaigns_entity::{
    campaign::{self, Column},
    list_entry,
};
use sea_orm::{ColumnTrait, Condition};

use super::object::CampaignStatus;
use crate::{
    error::Error,
    filter::{
        All, DateTimeFilter, Filter, IdFilter, JsonFilter, StringFilter, enum_filter, logical,
        one_of,
    },
    input::Path,
};

enum_filter! {
    /// By the state of a campaign.
    CampaignStatusFilter of campaign::CampaignStatus as CampaignStatus
}

/// Campaigns that fulfil every field that is given; none: all of them.
#[derive(Clone, Debug, Default, InputObject)]
pub(crate) struct CampaignFilter {
    /// All of these; [] is everything.
    and: Option<Vec<CampaignFilter>>,
    /// At least one of these; [] is nothing.
    or: Option<Vec<CampaignFilter>>,
    /// Exactly those that this does not select.
    not: Option<Box<CampaignFilter>>,
    /// By id.
    id: Option<IdFilter>,
    /// By name.
    name: Option<StringFilter>,
    /// By subject.
    subject: Option<StringFilter>,
    /// By channel.
    channel: Option<StringFilter>,
    /// By state.
    status: Option<CampaignStatusFilter>,
    /// By the id of the user who made it.
    creator_id: Option<IdFilter>,
    /// By the time it is scheduled for.
    scheduled_at: Option<DateTimeFilter>,
    /// By the time it was sent.
    sent_at: Option<DateTimeFilter>,
    /// By the time it was made.
    created_at: Option<DateTimeFilter>,
    /// By the time it last changed.
    updated_at: Option<DateTimeFilter>,
    /// By what you keep with it.
    metadata: Option<JsonFilter>,
    /// Campaigns whose list has an entry from one of these segments; ne and notIn: has none;
    /// isNull: true: no entry came from a segment.
    segment_id: Option<IdFilter>,
}

impl Filter for CampaignFilter {
    logical!();

    fn fields(&self, all: &mut All<'_>, path: Path<'_>) -> Result<(), Error> {
        all.id(path.field("id"), self.id.as_ref(), Column::Id)?;
        all.text(path.field("name"), self.name.as_ref(), Column::Name)?;
        all.text(path.field("subject"), self.subject.as_ref(), Column::Subject)?;
        all.text(path.field("channel"), self.channel.as_ref(), Column::Channel)?;
        let status = self.status.as_ref().map(CampaignStatusFilter::operators);
        all.choice(path.field("status"), status, Column::Status)?;
        all.id(path.field("creatorId"), self.creator_id.as_ref(), Column::CreatorId)?;
        all.time(path.field("scheduledAt"), self.scheduled_at.as_ref(), Column::ScheduledAt)?;
        all.time(path.field("sentAt"), self.sent_at.as_ref(), Column::SentAt)?;
        all.time(path.field("createdAt"), self.created_at.as_ref(), Column::CreatedAt)?;
        all.time(path.field("updatedAt"), self.updated_at.as_ref(), Column::UpdatedAt)?;
        all.json(path.field("metadata"), self.metadata.as_ref(), "campaigns.metadata")?;
        all.ids(path.field("segmentId"), self.segment_id.as_ref(), |scope, segments| {
            let segment = list_entry::Column::SegmentId;
            let from = match segments {
                Some(segments) => one_of(segment, segments),
                None => segment.is_not_null(),
            };
            scope.has::<list_entry::Entity>(
                list_entry::Column::CampaignId,
                Column::Id,
                Condition::all().add(from),
            )
        })
    }
}
