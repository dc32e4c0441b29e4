//! `campaign_sends`.

use sea_orm::entity::prelude::*;

use crate::{StoredJson, StoredText, StoredTime};

/// The delivery status of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "send_status")]
pub enum SendStatus {
    /// It has not been sent yet.
    #[sea_orm(string_value = "queued")]
    Queued,
    /// The provider has accepted it.
    #[sea_orm(string_value = "sent")]
    Sent,
    /// The provider has confirmed its delivery.
    #[sea_orm(string_value = "delivered")]
    Delivered,
    /// It bounced.
    #[sea_orm(string_value = "bounced")]
    Bounced,
    /// It could not be sent.
    #[sea_orm(string_value = "failed")]
    Failed,
}

impl SendStatus {
    /// Whether a report of the other status changes a send in this status. A status only moves forward, and
    /// a bounce or a failure is final.
    #[must_use]
    pub fn may_become(self, reported: Self) -> bool {
        match self {
            Self::Queued => reported != Self::Queued,
            Self::Sent => matches!(reported, Self::Delivered | Self::Bounced | Self::Failed),
            Self::Delivered => reported == Self::Bounced,
            Self::Bounced | Self::Failed => false,
        }
    }
}

/// A send: the message of a campaign to one contact.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "campaign_sends")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub org_id: Uuid,
    pub campaign_id: Uuid,
    pub contact_id: Uuid,
    pub status: SendStatus,
    pub sent_at: Option<StoredTime>,
    pub delivered_at: Option<StoredTime>,
    pub error: Option<StoredText>,
    pub created_at: StoredTime,
    pub updated_at: StoredTime,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<StoredJson>,
    #[sea_orm(belongs_to, from = "campaign_id", to = "id")]
    pub campaign: HasOne<super::campaign::Entity>,
    #[sea_orm(belongs_to, from = "contact_id", to = "id")]
    pub contact: HasOne<super::contact::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
