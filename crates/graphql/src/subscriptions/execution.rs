//! The executions of a subscription's selection, and what each is for.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use campaigns_analytics::{Figures, State};
use campaigns_entity::event;
use campaigns_scope::{Place, Scope};
use uuid::Uuid;

use crate::rows::Row;

/// The purpose of one execution of a subscription's selection. It is in the context of the
/// execution.
pub(crate) enum Execution {
    /// To check the arguments and determine the subject.
    Opening(SubjectSlot),
    /// To show an event, at its place.
    Event(Row<event::Entity>, Place),
    /// To show figures.
    Figures(Figures),
    /// To show the campaign with this ID as it is now.
    Campaign(Uuid),
}

/// The place where the resolver of an opening execution puts the subject.
#[derive(Default)]
pub(crate) struct SubjectSlot(Mutex<Option<Subject>>);

impl SubjectSlot {
    /// Stores the subject.
    pub(crate) fn set(&self, subject: Subject) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(subject);
    }

    /// Takes the subject, if there is one.
    pub(crate) fn take(&self) -> Option<Subject> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What a subscription is about.
pub(crate) enum Subject {
    /// Events after a place, or from now on, that the condition and the test select, with a name
    /// that identifies the filter.
    Events { after: Option<Place>, condition: Condition, test: EventTest, name: Arc<str> },
    /// A campaign or its figures, starting with the state that was counted at `at`.
    Campaign { view: CampaignView, campaign: Uuid, now: State, at: Instant },
}

/// Makes the SQL condition of the selected events.
pub(crate) type Condition = Box<dyn Fn(&Scope) -> sea_orm::Condition + Send + Sync>;

/// A test of whether an event in memory is selected.
pub(crate) type EventTest = Box<dyn Fn(&event::Model) -> bool + Send + Sync>;

/// What a subscription shows of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CampaignView {
    /// Its figures. Ends with the campaign.
    Figures,
    /// The campaign with everything that belongs to it. Ends with an error when it is deleted.
    Campaign,
}
