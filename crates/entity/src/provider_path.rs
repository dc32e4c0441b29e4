//! `campaign_provider_paths`.

use sea_orm::entity::prelude::*;

/// The path of a webhook, by the webhook's ID. Only admins see it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "campaign_provider_paths")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub org_id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub token: String,
}

impl ActiveModelBehavior for ActiveModel {}
