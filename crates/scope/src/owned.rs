//! The tables that belong to an organization, and what their rows can refer to.

use campaigns_entity::{
    campaign, company, contact, contact_company, event, list_entry, membership, organization,
    segment, send, user,
};
use sea_orm::{ActiveModelTrait, EntityTrait, IdenStatic, IntoActiveModel, Iterable};

use crate::counts;

/// A table in which every row belongs to one organization.
pub trait OrganizationOwned:
    EntityTrait<
        Model: IntoActiveModel<Self::ActiveModel> + Clone + Send + Sync,
        ActiveModel: ActiveModelTrait<Entity = Self> + Send,
    >
{
    /// The column with the row's ID.
    const ID: Self::Column;
    /// The column with the organization's ID.
    const ORGANIZATION: Self::Column;
    /// The columns that refer to other rows of the organization, and their tables.
    const REFERENCES: &'static [(Self::Column, &'static str)];
    /// The column with the row's place in the feed, if it has one.
    const FEED_POSITION: Option<Self::Column> = None;
    /// The column with the ID by which the organization knows a row, where that is not its key.
    const CHOSEN_ID: Option<Self::Column> = None;
    /// The rows that depend on a row and can be too many for one statement, in the order in which
    /// they are deleted with it.
    const DEPENDENTS: &'static [Dependent] = &[];
}

/// Rows that depend on another row.
#[derive(Clone, Copy, Debug)]
pub enum Dependent {
    /// They are deleted with it.
    Deleted(Hanging),
    /// They no longer name it.
    Cleared(Hanging),
}

/// The location of rows that depend on another row.
#[derive(Clone, Copy, Debug)]
pub struct Hanging {
    /// The table.
    pub table: &'static str,
    /// Its column with the other row's ID.
    pub column: &'static str,
}

const fn hanging(table: &'static str, column: &'static str) -> Hanging {
    Hanging { table, column }
}

macro_rules! organization_owned {
    ($($module:ident { $($column:ident -> $table:literal),* } $([ $($extra:tt)* ])?)*) => { $(
        impl OrganizationOwned for $module::Entity {
            const ID: Self::Column = $module::Column::Id;
            const ORGANIZATION: Self::Column = $module::Column::OrgId;
            const REFERENCES: &'static [(Self::Column, &'static str)] =
                &[$(($module::Column::$column, $table)),*];
            $($($extra)*)?
        }
    )* };
}

organization_owned! {
    user {}
    membership { UserId -> "users" }
    contact { OwnerId -> "users" }
    company { OwnerId -> "users" }
    contact_company { ContactId -> "contacts", CompanyId -> "companies" }
    campaign { CreatorId -> "users" } [
        const DEPENDENTS: &'static [Dependent] = &[
            Dependent::Deleted(hanging("campaign_events", "send_campaign_id")),
            Dependent::Deleted(hanging("campaign_sends", "campaign_id")),
            Dependent::Deleted(hanging("campaign_lists", "campaign_id")),
        ];
    ]
    segment {} [
        const DEPENDENTS: &'static [Dependent] =
            &[Dependent::Cleared(hanging("campaign_lists", "segment_id"))];
    ]
    list_entry { CampaignId -> "campaigns", SegmentId -> "campaign_segments", ContactId -> "contacts" }
    send { CampaignId -> "campaigns", ContactId -> "contacts" }
    event { SendId -> "campaign_sends" } [
        const FEED_POSITION: Option<Self::Column> = Some(event::Column::FeedPosition);
        const CHOSEN_ID: Option<Self::Column> = Some(event::Column::ChosenId);
    ]
}

/// An organization owns itself: a scope sees one row of this table.
impl OrganizationOwned for organization::Entity {
    const ID: Self::Column = organization::Column::Id;
    const ORGANIZATION: Self::Column = organization::Column::Id;
    const REFERENCES: &'static [(Self::Column, &'static str)] = &[];
}

/// A table: its name, the column that holds the organization, and the list of its columns.
type Table = (&'static str, &'static str, fn(&str) -> String);

/// All tables that text can name. Those of counts have no entity, since only text reads them.
pub(crate) const TABLES: [Table; 19] = [
    ("organizations", "id", columns::<organization::Entity>),
    ("users", "org_id", columns::<user::Entity>),
    ("memberships", "org_id", columns::<membership::Entity>),
    ("contacts", "org_id", columns::<contact::Entity>),
    ("companies", "org_id", columns::<company::Entity>),
    ("contact_companies", "org_id", columns::<contact_company::Entity>),
    ("campaigns", "org_id", columns::<campaign::Entity>),
    ("campaign_segments", "org_id", columns::<segment::Entity>),
    ("campaign_lists", "org_id", columns::<list_entry::Entity>),
    ("campaign_sends", "org_id", columns::<send::Entity>),
    ("campaign_events", "org_id", columns::<event::Entity>),
    ("campaign_counts", "org_id", counts::columns),
    ("campaign_send_counts", "org_id", counts::columns),
    ("campaign_contact_counts", "org_id", counts::columns),
    ("campaign_hour_counts", "org_id", counts::columns),
    ("campaign_link_counts", "org_id", counts::columns),
    ("campaign_send_link_counts", "org_id", counts::columns),
    ("campaign_send_changes", "org_id", |_| "campaign_id, status, number".to_owned()),
    ("campaign_event_changes", "org_id", |_| {
        "campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number"
            .to_owned()
    }),
];

/// The columns of a table, as a list for SELECT. Columns are always named: `*` would return other
/// columns after the table is altered, and PostgreSQL rejects plans that were made before.
pub(crate) fn columns<E: EntityTrait>(of: &str) -> String {
    let names = E::Column::iter().map(|column| format!("{of}.{}", column.as_str()));
    names.collect::<Vec<_>>().join(", ")
}
