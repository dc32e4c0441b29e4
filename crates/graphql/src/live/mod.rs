//! What the operations of a process share: the feed, calls that arrive together, watched campaigns,
//! and subscribers that ask for the same.
//!
//! **Invariant.** Subscribers of one organization with the same document and variables get the same
//! bytes for an event that they reach within a few seconds, rendered once ([`group`]): nothing that
//! the event leads to depends on the viewer.

mod group;
mod watch;

pub use group::Payload;
pub(crate) use group::{Key, Member, RenderOutcome};
pub(crate) use watch::CampaignWatch;

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use campaigns_analytics::{Figures, State};
use campaigns_delivery::Intake;
use campaigns_entity::event;
use campaigns_feed::Feed;
use campaigns_scope::{Place, Scope};
use uuid::Uuid;

use crate::rows::Row;
use group::Groups;
use watch::CampaignWatches;

/// The state that operations of a process share. Clones share it.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) feed: Feed,
    pub(crate) intake: Intake,
    pub(crate) watches: CampaignWatches,
    pub(crate) groups: Groups,
}

impl Live {
    /// The state with the feed and the intake of this process.
    pub(crate) fn new(feed: Feed, intake: Intake) -> Self {
        Self { feed, intake, watches: CampaignWatches::default(), groups: Groups::default() }
    }

    /// Notifies watchers that this process has changed data of an organization.
    pub(crate) fn notify_changed(&self, organization: Uuid) {
        self.watches.notify_changed(organization);
    }
}

/// Makes the condition of selected events in SQL.
pub(crate) type Condition = Box<dyn Fn(&Scope) -> sea_orm::Condition + Send + Sync>;

/// A test of whether an event in memory is selected.
pub(crate) type EventTest = Box<dyn Fn(&event::Model) -> bool + Send + Sync>;

/// What a subscription is about.
pub(crate) enum Subject {
    /// Events after a place, or from now on, that the condition and the test select, with a name
    /// that identifies the filter.
    Events { after: Option<Place>, condition: Condition, test: EventTest, name: Arc<str> },
    /// A campaign or its figures, starting with the state that was counted at `at`.
    Campaign { shows: Shows, campaign: Uuid, now: State, at: Instant },
}

/// What a subscription shows of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// Its figures. Ends with the campaign.
    Figures,
    /// The campaign with everything that belongs to it. Ends with an error when it is deleted.
    Campaign,
}

/// The purpose of one execution of a subscription's selection.
pub(crate) enum Execution {
    /// To check the arguments and determine the subject.
    Opening(Mutex<Option<Subject>>),
    /// To show an event, at its place.
    Event(Row<event::Entity>, Place),
    /// To show figures.
    Figures(Figures),
    /// To show the campaign with this ID as it is now.
    Campaign(Uuid),
}
