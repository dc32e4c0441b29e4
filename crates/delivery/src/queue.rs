//! Queues sends: one for each eligible contact on a campaign's list.

use campaigns_analytics::contact_is_suppressed;
use campaigns_entity::{
    campaign::{self, CampaignStatus},
    send,
};
use campaigns_scope::{Error, Scope, Sql};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

/// Unicode whitespace. An address that consists only of whitespace counts as missing.
macro_rules! whitespace {
    () => {
        "\t\n\u{b}\u{c}\r \u{85}\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\
         \u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}"
    };
}

const ALREADY_QUEUED: i64 = 1;
const SUPPRESSED: i64 = 2;
const WITHOUT_ADDRESS: i64 = 3;

/// The contacts on the list of the selected campaign, each with its outcome.
const ENTRIES: Sql = Sql::new(concat!(
    "SELECT contacts.id AS id, CASE
       WHEN EXISTS (SELECT 1 FROM campaign_sends
         WHERE campaign_id = campaigns.id AND contact_id = contacts.id) THEN 1
       WHEN ",
    contact_is_suppressed!(),
    " THEN 2
       WHEN campaigns.channel = 'email' AND trim(coalesce(contacts.email, ''), '",
    whitespace!(),
    "') = '' THEN 3
       ELSE 0 END AS kind
     FROM {campaign_lists BY campaign_id}
     JOIN campaigns ON campaigns.id = campaign_lists.campaign_id
     JOIN contacts ON contacts.id = campaign_lists.contact_id"
));

/// The outcome for the entries of a campaign's list. Each entry counts once, in the first field that
/// applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueOutcome {
    /// The number of contacts that already had a send of the campaign.
    pub already_queued: u64,
    /// The number of suppressed contacts.
    pub suppressed: u64,
    /// The number of contacts without an e-mail address, if the channel is e-mail.
    pub without_address: u64,
    /// The number of new queued sends.
    pub queued: u64,
}

/// The reason why no sends were queued.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The campaign does not exist in the organization.
    #[error("the campaign does not exist")]
    NotFound,
    /// The campaign is sent or canceled.
    #[error("the campaign is {0:?}")]
    Final(CampaignStatus),
    /// An error of the scope.
    #[error(transparent)]
    Scope(#[from] Error),
}

/// Queues a send for every eligible contact on a campaign's list without a send of the campaign, in one
/// transaction. Of two concurrent calls, the second sees the sends of the first.
///
/// # Errors
/// See [`QueueError`]. Nothing is queued then.
pub async fn queue_sends(
    scope: &Scope,
    id: Uuid,
) -> Result<(campaign::Model, QueueOutcome), QueueError> {
    scope
        .transaction(async |scope| {
            let campaign = scope.lock::<campaign::Entity>(id).await?.ok_or(QueueError::NotFound)?;
            if campaign.status.is_final() {
                return Err(QueueError::Final(campaign.status));
            }
            let queued = insert(scope, campaign.id).await?;
            Ok((campaign, queued))
        })
        .await
}

/// Inserts the sends of a locked campaign. The lock is needed because no constraint prevents two sends of
/// a campaign to the same contact.
pub(crate) async fn insert(scope: &Scope, campaign: Uuid) -> Result<QueueOutcome, Error> {
    let row = send::ActiveModel { campaign_id: Set(campaign), ..Default::default() };
    let selected = scope.find::<campaign::Entity>().id(campaign);
    let column = send::Column::ContactId;
    let inserted =
        scope.insert_selected::<send::Entity, _>(row, column, ENTRIES, selected, None).await?;
    Ok(QueueOutcome {
        already_queued: inserted.of(ALREADY_QUEUED) + inserted.taken,
        suppressed: inserted.of(SUPPRESSED),
        without_address: inserted.of(WITHOUT_ADDRESS),
        queued: inserted.inserted,
    })
}
