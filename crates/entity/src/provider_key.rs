//! `campaign_provider_keys`.

use sea_orm::entity::prelude::*;

use crate::StoredTime;

/// A key of a webhook.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "campaign_provider_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub org_id: Uuid,
    pub webhook_id: Uuid,
    /// Its place among the keys of the webhook.
    pub place: i32,
    /// The key, encrypted with the row's ID.
    #[sea_orm(column_type = "Blob")]
    pub sealed: Vec<u8>,
    #[sea_orm(column_type = "Text")]
    pub hint: String,
    pub created_at: StoredTime,
}

impl ActiveModelBehavior for ActiveModel {}
