//! `contact_companies`.

use sea_orm::entity::prelude::*;

use crate::{StoredDate, StoredJson, StoredText, StoredTime};

/// The employment of a contact by a company.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "contact_companies")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub org_id: Uuid,
    pub contact_id: Uuid,
    pub company_id: Uuid,
    pub title: Option<StoredText>,
    pub is_primary: bool,
    pub started_at: Option<StoredDate>,
    pub ended_at: Option<StoredDate>,
    pub created_at: StoredTime,
    pub updated_at: StoredTime,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<StoredJson>,
    #[sea_orm(belongs_to, from = "contact_id", to = "id")]
    pub contact: HasOne<super::contact::Entity>,
    #[sea_orm(belongs_to, from = "company_id", to = "id")]
    pub company: HasOne<super::company::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
