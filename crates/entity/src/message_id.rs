//! `campaign_message_ids`.

use sea_orm::entity::prelude::*;

/// The provider's ID of a send's message.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "campaign_message_ids")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub send_id: Uuid,
    pub org_id: Uuid,
    /// The ID as it was given.
    #[sea_orm(column_type = "Text")]
    pub message_id: String,
    /// The ID in the form to compare.
    #[sea_orm(column_type = "Text")]
    pub compared: String,
}

impl ActiveModelBehavior for ActiveModel {}
