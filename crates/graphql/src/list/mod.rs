//! Recipient lists: which contacts a campaign is meant for.

mod contacts;
mod mutations;
mod object;

pub(crate) use mutations::ListMutations;
pub(crate) use object::ListEntry;

use async_graphql::SimpleObject;
use campaigns_delivery::Listed;

use crate::{campaign::Campaign, rows};

/// What a change of a campaign's list leaves behind.
#[derive(SimpleObject)]
pub(crate) struct ListPayload {
    /// The campaign.
    campaign: Campaign,
    /// How many contacts were added to the list.
    added: u64,
    /// How many contacts were removed from the list.
    removed: u64,
    /// How many of the contacts to add were on the list before.
    already_on_list: u64,
}

impl From<Listed> for ListPayload {
    fn from(listed: Listed) -> Self {
        Self {
            campaign: Campaign(rows::alone(listed.campaign)),
            added: listed.added,
            removed: listed.removed,
            already_on_list: listed.already_on_list,
        }
    }
}
