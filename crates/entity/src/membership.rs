//! `memberships`.

use sea_orm::entity::prelude::*;

use crate::{StoredJson, StoredTime};

/// The role of a user in an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "membership_role")]
pub enum MembershipRole {
    /// Owns the organization.
    #[sea_orm(string_value = "owner")]
    Owner,
    /// Can also delete.
    #[sea_orm(string_value = "admin")]
    Admin,
    /// Can read and write.
    #[sea_orm(string_value = "member")]
    Member,
    /// A guest from another organization.
    #[sea_orm(string_value = "guest")]
    Guest,
}

/// The status of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "membership_status")]
pub enum MembershipStatus {
    /// The membership is in effect.
    #[sea_orm(string_value = "active")]
    Active,
    /// The user has not accepted the invitation yet.
    #[sea_orm(string_value = "invited")]
    Invited,
    /// The membership is no longer in effect.
    #[sea_orm(string_value = "suspended")]
    Suspended,
}

/// The membership of a user in an organization.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "memberships")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub org_id: Uuid,
    pub user_id: Uuid,
    pub role: Option<MembershipRole>,
    pub status: Option<MembershipStatus>,
    pub created_at: StoredTime,
    pub updated_at: StoredTime,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<StoredJson>,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: HasOne<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
