//! `campaign_provider_webhooks`.

use sea_orm::entity::prelude::*;

use crate::{StoredJson, StoredTime};

/// A webhook of a mail provider.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "campaign_provider_webhooks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub org_id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub provider: String,
    pub is_enabled: bool,
    #[sea_orm(column_type = "JsonBinary")]
    pub topic_arns: StoredJson,
    pub created_at: StoredTime,
    pub updated_at: StoredTime,
}

impl ActiveModelBehavior for ActiveModel {}
