//! The tables whose rows belong to an organization, and their references.

use campaigns_entity::{
    campaign, company, contact, contact_company, event, list_entry, membership, message_id,
    organization, provider_key, provider_path, provider_webhook, segment, send, user,
};
use sea_orm::{ActiveModelTrait, EntityTrait, IdenStatic, IntoActiveModel, Iterable};

use crate::{Dialect, counts};

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
    /// The column with the ID that the organization sees, for rows whose key is another.
    const CHOSEN_ID: Option<Self::Column> = None;
    /// The dependent rows that can be too many for one statement, in the order of their deletion.
    const DEPENDENTS: &'static [Dependent] = &[];
}

/// Rows that depend on another row.
#[derive(Clone, Copy, Debug)]
pub enum Dependent {
    /// They are deleted with it.
    Deleted(ReferencingColumn),
    /// Their reference to it is set to null.
    Cleared(ReferencingColumn),
}

impl Dependent {
    /// The column by which they refer to it.
    pub(crate) fn column(&self) -> &ReferencingColumn {
        match self {
            Self::Deleted(column) | Self::Cleared(column) => column,
        }
    }
}

/// The column by which dependent rows refer to another row.
#[derive(Clone, Copy, Debug)]
pub struct ReferencingColumn {
    /// The table.
    pub table: &'static str,
    /// The column with the other row's ID.
    pub column: &'static str,
}

const fn referencing(table: &'static str, column: &'static str) -> ReferencingColumn {
    ReferencingColumn { table, column }
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
            Dependent::Deleted(referencing("campaign_events", "send_campaign_id")),
            Dependent::Deleted(referencing("campaign_sends", "campaign_id")),
            Dependent::Deleted(referencing("campaign_lists", "campaign_id")),
        ];
    ]
    segment {} [
        const DEPENDENTS: &'static [Dependent] =
            &[Dependent::Cleared(referencing("campaign_lists", "segment_id"))];
    ]
    list_entry { CampaignId -> "campaigns", SegmentId -> "campaign_segments", ContactId -> "contacts" }
    send { CampaignId -> "campaigns", ContactId -> "contacts" }
    event { SendId -> "campaign_sends" } [
        const FEED_POSITION: Option<Self::Column> = Some(event::Column::FeedPosition);
        const CHOSEN_ID: Option<Self::Column> = Some(event::Column::ChosenId);
    ]
    provider_webhook {} [
        const DEPENDENTS: &'static [Dependent] = &[
            Dependent::Deleted(referencing("campaign_provider_paths", "id")),
            Dependent::Deleted(referencing("campaign_provider_keys", "webhook_id")),
            Dependent::Deleted(referencing("campaign_awaited_messages", "webhook_id")),
            Dependent::Deleted(referencing("campaign_unmatched_events", "webhook_id")),
            Dependent::Deleted(referencing("campaign_provider_stats", "webhook_id")),
        ];
    ]
    provider_path {}
    provider_key { WebhookId -> "campaign_provider_webhooks" }
}

/// A send has one row.
impl OrganizationOwned for message_id::Entity {
    const ID: Self::Column = message_id::Column::SendId;
    const ORGANIZATION: Self::Column = message_id::Column::OrgId;
    const REFERENCES: &'static [(Self::Column, &'static str)] = &[];
}

/// An organization owns itself: a scope sees one row of this table.
impl OrganizationOwned for organization::Entity {
    const ID: Self::Column = organization::Column::Id;
    const ORGANIZATION: Self::Column = organization::Column::Id;
    const REFERENCES: &'static [(Self::Column, &'static str)] = &[];
}

/// A table: its name, the column that holds the organization, and the list of its columns.
type Table = (&'static str, &'static str, fn(&str, Dialect) -> String);

/// All tables that SQL text can name. Tables of counts have no entity, since only SQL text reads
/// them.
pub(crate) const TABLES: [Table; 23] = [
    ("organizations", "id", listed::<organization::Entity>),
    ("users", "org_id", listed::<user::Entity>),
    ("memberships", "org_id", listed::<membership::Entity>),
    ("contacts", "org_id", listed::<contact::Entity>),
    ("companies", "org_id", listed::<company::Entity>),
    ("contact_companies", "org_id", listed::<contact_company::Entity>),
    ("campaigns", "org_id", listed::<campaign::Entity>),
    ("campaign_segments", "org_id", listed::<segment::Entity>),
    ("campaign_lists", "org_id", listed::<list_entry::Entity>),
    ("campaign_sends", "org_id", listed::<send::Entity>),
    ("campaign_events", "org_id", event_columns),
    ("campaign_provider_webhooks", "org_id", listed::<provider_webhook::Entity>),
    ("campaign_provider_paths", "org_id", listed::<provider_path::Entity>),
    ("campaign_provider_keys", "org_id", listed::<provider_key::Entity>),
    ("campaign_message_ids", "org_id", listed::<message_id::Entity>),
    ("campaign_counts", "org_id", counts::columns),
    ("campaign_send_counts", "org_id", counts::columns),
    ("campaign_contact_counts", "org_id", counts::columns),
    ("campaign_hour_counts", "org_id", counts::columns),
    ("campaign_link_counts", "org_id", counts::columns),
    ("campaign_send_link_counts", "org_id", counts::columns),
    ("campaign_send_changes", "org_id", |_, _| "campaign_id, status, number".to_owned()),
    ("campaign_event_changes", "org_id", |_, _| {
        "campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, number, machine"
            .to_owned()
    }),
];

/// The columns of a table, as a list for SELECT. Columns are always named: after the table is altered,
/// `*` would return other columns, and PostgreSQL would reject the plans that it has cached.
pub(crate) fn columns<E: EntityTrait>(of: &str) -> String {
    let names = E::Column::iter().map(|column| format!("{of}.{}", column.as_str()));
    names.collect::<Vec<_>>().join(", ")
}

/// The columns of events, and whether each is a machine's. Metadata that is not JSON, which SQLite can be
/// made to store, is null, as functions of JSON fail for it.
fn event_columns(of: &str, dialect: Dialect) -> String {
    let mut columns = columns::<event::Entity>(of);
    if dialect == Dialect::Sqlite {
        let metadata = format!("{of}.metadata");
        let valid = format!("CASE WHEN json_valid({metadata}) THEN {metadata} END AS metadata");
        columns = columns.replace(&metadata, &valid);
    }
    format!("{columns}, {} AS machine", dialect.is_machine())
}

fn listed<E: EntityTrait>(of: &str, _: Dialect) -> String {
    columns::<E>(of)
}
