//! `campaign_segments`.

use sea_orm::entity::prelude::*;

use crate::{StoredJson, StoredText, StoredTime};

/// A segment: named rules that select contacts.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "campaign_segments")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub org_id: Uuid,
    pub name: StoredText,
    pub description: Option<StoredText>,
    #[sea_orm(column_type = "JsonBinary")]
    pub filter_rules: StoredJson,
    pub contact_count: Option<i32>,
    pub created_at: StoredTime,
    pub updated_at: StoredTime,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<StoredJson>,
}

impl ActiveModelBehavior for ActiveModel {}
