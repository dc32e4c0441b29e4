//! `contacts`.

use sea_orm::entity::prelude::*;

use crate::{StoredJson, StoredText, StoredTime};

/// The relation of a contact to the organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "contact_type")]
pub enum ContactType {
    /// A person who may become a customer.
    #[sea_orm(string_value = "lead")]
    Lead,
    /// A promising lead.
    #[sea_orm(string_value = "prospect")]
    Prospect,
    /// A customer.
    #[sea_orm(string_value = "customer")]
    Customer,
    /// A business partner.
    #[sea_orm(string_value = "partner")]
    Partner,
    /// Any other relation.
    #[sea_orm(string_value = "other")]
    Other,
}

/// A person to whom campaigns are sent.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "contacts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub org_id: Uuid,
    pub owner_id: Option<Uuid>,
    pub first_name: StoredText,
    pub last_name: Option<StoredText>,
    pub email: Option<StoredText>,
    pub phone: Option<StoredText>,
    pub r#type: ContactType,
    pub title: Option<StoredText>,
    pub source: Option<StoredText>,
    pub avatar_url: Option<StoredText>,
    pub address_line1: Option<StoredText>,
    pub address_line2: Option<StoredText>,
    pub city: Option<StoredText>,
    pub state: Option<StoredText>,
    pub postal_code: Option<StoredText>,
    pub country: Option<StoredText>,
    pub created_at: StoredTime,
    pub updated_at: StoredTime,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<StoredJson>,
}

impl ActiveModelBehavior for ActiveModel {}
