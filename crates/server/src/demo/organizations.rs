//! The organizations of the demo data.

use sea_orm::sea_query::prelude::Uuid;

use super::plans;

/// An organization of the demo data.
pub struct Organization {
    /// Its ID.
    pub id: Uuid,
    /// Its name.
    pub name: &'static str,
    /// Its name in addresses.
    pub slug: &'static str,
    pub(super) contacts: usize,
    pub(super) companies: usize,
    pub(super) campaigns: &'static [plans::Plan],
}

/// The organizations of the demo data.
pub const ORGANIZATIONS: [Organization; 2] = [
    Organization {
        id: Uuid::from_u128(0x0a11_ce00_0000_4000_8000_0000_0000_0001),
        name: "Alder & Pine Outfitters",
        slug: "alder-pine",
        contacts: 2_000,
        companies: 150,
        campaigns: plans::PLANS,
    },
    Organization {
        id: Uuid::from_u128(0x0b0b_0000_0000_4000_8000_0000_0000_0002),
        name: "Tiny Harbor Tea",
        slug: "tiny-harbor",
        contacts: 60,
        companies: 8,
        campaigns: plans::SMALL_PLANS,
    },
];

/// The subject of an admin of the first organization.
pub const ADMIN: Uuid = Uuid::from_u128(0x0ad0_1100_0000_4000_8000_0000_0000_0001);

/// The subject of a member of the first organization.
pub const MEMBER: Uuid = Uuid::from_u128(0x03e0_be00_0000_4000_8000_0000_0000_0002);
