//! `campaigns`.

use sea_orm::entity::prelude::*;

use crate::{StoredJson, StoredText, StoredTime};

/// The status of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "campaign_status")]
pub enum CampaignStatus {
    /// It is being composed.
    #[sea_orm(string_value = "draft")]
    Draft,
    /// It is scheduled for a time.
    #[sea_orm(string_value = "scheduled")]
    Scheduled,
    /// It is being sent.
    #[sea_orm(string_value = "sending")]
    Sending,
    /// It has been sent. Final.
    #[sea_orm(string_value = "sent")]
    Sent,
    /// Its sending is paused.
    #[sea_orm(string_value = "paused")]
    Paused,
    /// It has been canceled. Final.
    #[sea_orm(string_value = "canceled")]
    Canceled,
}

/// A campaign: one message to many contacts.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "campaigns")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub org_id: Uuid,
    pub creator_id: Option<Uuid>,
    pub name: StoredText,
    pub subject: Option<StoredText>,
    pub body: Option<StoredText>,
    pub channel: StoredText,
    pub status: CampaignStatus,
    pub scheduled_at: Option<StoredTime>,
    pub sent_at: Option<StoredTime>,
    pub created_at: StoredTime,
    pub updated_at: StoredTime,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<StoredJson>,
    #[sea_orm(belongs_to, from = "creator_id", to = "id")]
    pub creator: HasOne<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

/// The statuses that can follow each status. A status without any is final.
pub const NEXT: [(CampaignStatus, &[CampaignStatus]); 6] = {
    use CampaignStatus::{Canceled, Draft, Paused, Scheduled, Sending, Sent};
    [
        (Draft, &[Scheduled, Sending, Canceled]),
        (Scheduled, &[Draft, Sending, Paused, Canceled]),
        (Sending, &[Sent, Paused, Canceled]),
        (Paused, &[Scheduled, Sending, Canceled]),
        (Sent, &[]),
        (Canceled, &[]),
    ]
};

impl CampaignStatus {
    /// The statuses that can come next, according to [`NEXT`].
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        NEXT.iter().find(|(from, _)| *from == self).map_or(&[], |(_, next)| next)
    }

    /// Whether a campaign can change from this status to the other.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        self.next().contains(&next)
    }

    /// Whether no other status comes after this one.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.next().is_empty()
    }

    /// Whether subject, body and channel can no longer be changed, because sending has started or the
    /// campaign is final.
    #[must_use]
    pub fn fixes_content(self) -> bool {
        matches!(self, Self::Sending | Self::Sent | Self::Canceled)
    }
}
