//! Subscriptions: an operation that answers again and again.
//!
//! async-graphql would execute the selection of a subscription for each subscriber and each event,
//! and would be done with an event whose fields could not be loaded. Here a subscription is opened
//! once, which checks its arguments and says what it is about (a [`Subject`]); from then on each
//! answer is an execution of its own, over one event or one set of figures (a [`Turn`]).
//!
//! **Invariants.**
//! - An answer that failed because the database did not answer is tried again until it does, so an
//!   event is never taken as delivered in the form of such an error.
//! - Subscribers of one organization with the same document and variables are given the same bytes of
//!   an event that they come to within a few seconds, rendered once ([`group`]): nothing that it
//!   leads to depends on the viewer.
//! - What hangs on an event is loaded for all events that were read with it, but not before the
//!   subscriber came, nor long before it is shown: whoever comes later is given what is there then.

mod group;
mod schema;
mod single_root;
mod subscription;
mod watch;

pub(crate) use schema::Subscriptions;
pub(crate) use single_root::single_root;
pub(crate) use subscription::Followed;
pub use subscription::{Payload, Subscription};

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use campaigns_analytics::Figures;
use campaigns_delivery::Intake;
use campaigns_entity::event;
use campaigns_feed::Feed;
use campaigns_scope::Place;
use sea_orm::sea_query::Expr;
use uuid::Uuid;

use crate::{filter::memory::Test, rows::Row};
use group::Groups;
use watch::Watches;

/// What operations of a process share. Cloning shares it.
#[derive(Clone)]
pub struct Live {
    pub(crate) feed: Feed,
    pub(crate) intake: Intake,
    watches: Watches,
    groups: Groups,
}

impl Live {
    /// On the feed of this process.
    #[must_use]
    pub fn new(feed: Feed) -> Self {
        Self {
            feed,
            intake: Intake::default(),
            watches: Watches::default(),
            groups: Groups::default(),
        }
    }

    /// Notes that this process has changed something of an organization.
    pub(crate) fn has_changed(&self, organization: Uuid) {
        self.watches.has_changed(organization);
    }
}

/// What a subscription is about.
pub(crate) enum Subject {
    /// Events after a place, or from now on, that both of these select; with what tells the filter
    /// from others.
    Events { after: Option<Place>, condition: Expr, test: Test<event::Model>, name: Arc<str> },
    /// The figures of a campaign, which were these when they were counted, from then on.
    Figures { campaign: Uuid, now: Figures, at: Instant },
}

/// What an execution of a subscription's selection is for.
pub(crate) enum Turn {
    /// To check the arguments and say what it is about.
    Opening(Mutex<Option<Subject>>),
    /// To show an event, at its place.
    Event(Row<event::Entity>, Place),
    /// To show figures.
    Figures(Figures),
}
