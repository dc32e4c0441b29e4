//! Recipient lists: the contacts that a campaign is for.

mod contacts;
mod mutations;
mod object;

pub(crate) use mutations::ListMutations;
pub(crate) use object::ListEntry;

use async_graphql::SimpleObject;
use campaigns_delivery::ListOutcome;

use crate::{campaign::Campaign, rows};

/// The result of changing a campaign's list.
#[derive(SimpleObject)]
pub(crate) struct ListPayload {
    /// The campaign.
    campaign: Campaign,
    /// The number of contacts that were added to the list.
    added: u64,
    /// The number of contacts that were removed from the list.
    removed: u64,
    /// The number of contacts to add that were already on the list.
    already_on_list: u64,
}

impl From<ListOutcome> for ListPayload {
    fn from(listed: ListOutcome) -> Self {
        Self {
            campaign: Campaign(rows::from_model(listed.campaign)),
            added: listed.added,
            removed: listed.removed,
            already_on_list: listed.already_on_list,
        }
    }
}
