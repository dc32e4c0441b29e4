//! `companies`.

use sea_orm::entity::prelude::*;

use crate::{StoredJson, StoredNumber, StoredText, StoredTime};

/// A company that contacts work for.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "companies")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub org_id: Uuid,
    pub owner_id: Option<Uuid>,
    pub name: StoredText,
    pub domain: Option<StoredText>,
    pub industry: Option<StoredText>,
    pub size: Option<StoredText>,
    pub website: Option<StoredText>,
    pub phone: Option<StoredText>,
    pub address_line1: Option<StoredText>,
    pub address_line2: Option<StoredText>,
    pub city: Option<StoredText>,
    pub state: Option<StoredText>,
    pub postal_code: Option<StoredText>,
    pub country: Option<StoredText>,
    #[sea_orm(column_type = "Decimal(None)", nullable)]
    pub annual_revenue: Option<StoredNumber>,
    pub created_at: StoredTime,
    pub updated_at: StoredTime,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<StoredJson>,
}

impl ActiveModelBehavior for ActiveModel {}
