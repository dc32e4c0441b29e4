//! The filter of campaigns.

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
    },
    input::Path,
};

enum_filter! {
    /// Filters by the status of a campaign. All given operators must match.
    CampaignStatusFilter of campaign::CampaignStatus as CampaignStatus
}

/// Filters campaigns. All given fields must match. An empty filter matches all campaigns.
#[derive(Clone, Debug, Default, InputObject)]
pub(crate) struct CampaignFilter {
    /// Matches if all of these filters match. An empty list matches everything.
    and: Option<Vec<CampaignFilter>>,
    /// Matches if at least one of these filters matches. An empty list matches nothing.
    or: Option<Vec<CampaignFilter>>,
    /// Matches everything that this filter does not match, including null values.
    not: Option<Box<CampaignFilter>>,
    /// Filters by ID.
    id: Option<IdFilter>,
    /// Filters by name.
    name: Option<StringFilter>,
    /// Filters by subject.
    subject: Option<StringFilter>,
    /// Filters by channel.
    channel: Option<StringFilter>,
    /// Filters by status.
    status: Option<CampaignStatusFilter>,
    /// Filters by the ID of the user who created the campaign.
    creator_id: Option<IdFilter>,
    /// Filters by the time the campaign is scheduled for.
    scheduled_at: Option<DateTimeFilter>,
    /// Filters by the time the campaign was sent.
    sent_at: Option<DateTimeFilter>,
    /// Filters by creation time.
    created_at: Option<DateTimeFilter>,
    /// Filters by the time of the last update.
    updated_at: Option<DateTimeFilter>,
    /// Filters by custom data.
    metadata: Option<JsonFilter>,
    /// Filters by the segments that the entries of the campaign's list came from. `eq` and `in` match
    /// campaigns with an entry from one of these segments, `ne` and `notIn` those without one, and
    /// `isNull: true` those without an entry from any segment.
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
                Some(segments) => scope.dialect().is_one_of(segment, segments),
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
