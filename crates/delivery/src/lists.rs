//! Adds contacts to campaigns' lists, and removes them.

use std::collections::{BTreeSet, HashSet};

use campaigns_entity::{campaign, contact, list_entry, segment};
use campaigns_scope::{Admin, Error, Scope, Sql, ValuesTable};
use campaigns_segments::{RuleError, Rules};
use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

const ALREADY_ON_LIST: i64 = 1;

/// The selected contacts. The kind of each is whether it is already on the target's list.
const CONTACTS: Sql = Sql::new(
    "SELECT selected.id AS id, CASE
       WHEN EXISTS (SELECT 1 FROM campaign_lists
         WHERE campaign_id = (SELECT campaign FROM target) AND contact_id = selected.id) THEN 1
       ELSE 0 END AS kind
     FROM selected",
);

/// The result of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct ListOutcome {
    /// The campaign.
    pub campaign: campaign::Model,
    /// The number of contacts that were added.
    pub added: u64,
    /// The number of contacts that were removed.
    pub removed: u64,
    /// The number of contacts that were already on the list.
    pub already_on_list: u64,
}

/// The reason why a list was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The campaign does not exist in the organization.
    #[error("the campaign does not exist")]
    CampaignNotFound,
    /// A contact does not exist in the organization.
    #[error("contact {index} does not exist")]
    ContactNotFound {
        /// Its index.
        index: usize,
    },
    /// The segment does not exist in the organization.
    #[error("the segment does not exist")]
    SegmentNotFound,
    /// The segment's rules cannot be used.
    #[error(transparent)]
    Rules(#[from] RuleError),
    /// An error of the scope.
    #[error(transparent)]
    Scope(#[from] Error),
}

async fn find_campaign(scope: &Scope, id: Uuid) -> Result<campaign::Model, ListError> {
    let campaign = scope.one(scope.find::<campaign::Entity>().id(id)).await?;
    campaign.ok_or(ListError::CampaignNotFound)
}

/// Adds contacts to a campaign's list, each once. Existing entries do not change.
///
/// # Errors
/// See [`ListError`]. Nothing is added then.
pub async fn add_contacts(
    scope: &Scope,
    campaign: Uuid,
    contacts: &[Uuid],
) -> Result<ListOutcome, ListError> {
    scope
        .transaction(async |scope| {
            let campaign = find_campaign(scope, campaign).await?;
            // the IDs of entries are ascending, so entries are inserted in the order of their contacts,
            // and two calls with common contacts do not deadlock
            let contacts_once: BTreeSet<Uuid> = contacts.iter().copied().collect();
            let rows: Vec<_> = contacts_once
                .iter()
                .map(|contact| list_entry::ActiveModel {
                    id: Set(Uuid::now_v7()),
                    campaign_id: Set(campaign.id),
                    segment_id: Set(None),
                    contact_id: Set(*contact),
                    ..Default::default()
                })
                .collect();
            let added = if rows.is_empty() {
                0
            } else {
                match scope.insert_missing::<list_entry::Entity>(&rows).await {
                    Err(Error::ReferenceNotFound { column: "contact_id", missing }) => {
                        return Err(not_found(contacts, |id| missing.contains(&id)));
                    }
                    inserted => inserted?.len(),
                }
            };
            let already_on_list = (rows.len() - added) as u64;
            Ok(ListOutcome { campaign, added: added as u64, removed: 0, already_on_list })
        })
        .await
}

/// Adds the contacts that a segment currently selects to a campaign's list. Existing entries do not
/// change.
///
/// # Errors
/// See [`ListError`]. Nothing is added then.
pub async fn add_segment(
    scope: &Scope,
    campaign: Uuid,
    segment: Uuid,
    now: DateTime<Utc>,
) -> Result<ListOutcome, ListError> {
    scope
        .transaction(async |scope| {
            let campaign = find_campaign(scope, campaign).await?;
            let segment = scope.one(scope.find::<segment::Entity>().id(segment)).await?;
            let segment = segment.ok_or(ListError::SegmentNotFound)?;
            let rules = Rules::parse(&segment.filter_rules.0)?;
            let row = list_entry::ActiveModel {
                campaign_id: Set(campaign.id),
                segment_id: Set(Some(segment.id)),
                ..Default::default()
            };
            let selected = rules.select(scope, now).map_err(campaigns_scope::Error::from)?;
            let target =
                ValuesTable { table: "target (campaign)", rows: vec![vec![campaign.id.into()]] };
            let column = list_entry::Column::ContactId;
            let inserted = scope
                .insert_selected::<list_entry::Entity, _>(
                    row,
                    column,
                    CONTACTS,
                    selected,
                    Some(target),
                )
                .await?;
            // another call may have added some in the meantime
            let already_on_list = inserted.of(ALREADY_ON_LIST) + inserted.taken;
            Ok(ListOutcome { campaign, added: inserted.inserted, removed: 0, already_on_list })
        })
        .await
}

/// Removes contacts from a campaign's list. Contacts that are not on it are ignored.
///
/// # Errors
/// See [`ListError`]. Nothing is removed then.
pub async fn remove_contacts(
    admin: &Admin<'_>,
    campaign: Uuid,
    contacts: &[Uuid],
) -> Result<ListOutcome, ListError> {
    admin
        .transaction(async |admin| {
            let scope = admin.scope();
            let campaign = find_campaign(scope, campaign).await?;
            let found: HashSet<Uuid> =
                scope.existing::<contact::Entity>(contacts.iter().copied()).await?;
            if contacts.iter().any(|id| !found.contains(id)) {
                return Err(not_found(contacts, |id| !found.contains(&id)));
            }
            let of = (list_entry::Column::CampaignId, campaign.id);
            let column = list_entry::Column::ContactId;
            let removed = admin.delete_of::<list_entry::Entity>(of, column, found).await?;
            Ok(ListOutcome { campaign, added: 0, removed, already_on_list: 0 })
        })
        .await
}

/// The error for the first missing contact.
fn not_found(contacts: &[Uuid], is_missing: impl Fn(Uuid) -> bool) -> ListError {
    match contacts.iter().position(|id| is_missing(*id)) {
        Some(index) => ListError::ContactNotFound { index },
        None => Error::ReferenceNotFound { column: "contact_id", missing: Vec::new() }.into(),
    }
}
