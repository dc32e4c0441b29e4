//! `campaign_lists`.

use sea_orm::entity::prelude::*;

use crate::{StoredJson, StoredTime};

/// An entry of a campaign's list: a contact on it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "campaign_lists")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub org_id: Uuid,
    pub campaign_id: Uuid,
    pub segment_id: Option<Uuid>,
    pub contact_id: Uuid,
    pub created_at: StoredTime,
    pub updated_at: StoredTime,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<StoredJson>,
    #[sea_orm(belongs_to, from = "campaign_id", to = "id")]
    pub campaign: HasOne<super::campaign::Entity>,
    #[sea_orm(belongs_to, from = "segment_id", to = "id")]
    pub segment: HasOne<super::segment::Entity>,
    #[sea_orm(belongs_to, from = "contact_id", to = "id")]
    pub contact: HasOne<super::contact::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
