//! What the operations of a process share: the feed, the intake and the watched campaigns.
//!
//! A mutation that changes something notifies the others through them.

mod watch;

use campaigns_delivery::Intake;
use campaigns_encryption::Keyring;
use campaigns_feed::Feed;
use uuid::Uuid;

pub(crate) use watch::CampaignWatch;
use watch::CampaignWatches;

/// The state that operations of a process share. Clones share it.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) feed: Feed,
    pub(crate) intake: Intake,
    /// The keys that encrypt secrets in the database.
    pub(crate) keyring: Keyring,
    pub(crate) watches: CampaignWatches,
}

impl Live {
    /// The state with the feed, the intake and the keys of this process.
    pub(crate) fn new(feed: Feed, intake: Intake, keyring: Keyring) -> Self {
        Self { feed, intake, keyring, watches: CampaignWatches::default() }
    }

    /// Notifies watchers that this process has changed data of an organization.
    pub(crate) fn notify_changed(&self, organization: Uuid) {
        self.watches.notify_changed(organization);
    }
}
