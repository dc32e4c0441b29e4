//! `users`.

use sea_orm::entity::prelude::*;

use crate::{StoredJson, StoredText, StoredTime};

/// A person who works for an organization.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub org_id: Uuid,
    #[sea_orm(unique)]
    pub auth_id: Option<Uuid>,
    pub email: StoredText,
    pub full_name: Option<StoredText>,
    pub avatar_url: Option<StoredText>,
    pub phone: Option<StoredText>,
    pub timezone: Option<StoredText>,
    pub is_active: bool,
    pub last_sign_in_at: Option<StoredTime>,
    pub created_at: StoredTime,
    pub updated_at: StoredTime,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<StoredJson>,
}

impl ActiveModelBehavior for ActiveModel {}
