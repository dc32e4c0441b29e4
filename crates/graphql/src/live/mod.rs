//! What the operations of a process share: the feed, the intake and the watched campaigns.
//!
//! A mutation that changes something notifies the others through them.

mod watch;

use campaigns_delivery::Intake;
use campaigns_feed::Feed;
use uuid::Uuid;

pub(crate) use watch::CampaignWatch;
use watch::CampaignWatches;

/// The state that operations of a process share. Clones share it.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) feed: Feed,
    pub(crate) intake: Intake,
    pub(crate) watches: CampaignWatches,
}

impl Live {
    /// The state with the feed and the intake of this process.
    pub(crate) fn new(feed: Feed, intake: Intake) -> Self {
        Self { feed, intake, watches: CampaignWatches::default() }
    }

    /// Notifies watchers that this process has changed data of an organization.
    pub(crate) fn notify_changed(&self, organization: Uuid) {
        self.watches.notify_changed(organization);
    }
}
