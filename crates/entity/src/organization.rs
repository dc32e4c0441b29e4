//! `organizations`.

use sea_orm::entity::prelude::*;

use crate::{StoredJson, StoredText, StoredTime};

/// An organization: the tenant that every other row belongs to.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "organizations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: StoredText,
    #[sea_orm(unique)]
    pub slug: StoredText,
    pub logo_url: Option<StoredText>,
    pub domain: Option<StoredText>,
    pub created_at: StoredTime,
    pub updated_at: StoredTime,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<StoredJson>,
}

impl ActiveModelBehavior for ActiveModel {}
