//! A subscriber: executes the selection of its subscription, for one response at a time.
//!
//! **Invariants.**
//! - If a response fails because the database did not respond, it is tried again until the database
//!   does, so an event never counts as delivered in the form of such an error.
//! - Data that belongs to an event is loaded for all events that were read with it, but not before
//!   the subscriber came, and shortly before it is shown: later subscribers get the data of their
//!   own time.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_graphql::{Data, Response};
use campaigns_entity::{campaign, event};
use campaigns_feed::Event;
use campaigns_operation::{error::code_of, text};
use campaigns_scope::{Place, Scope, Viewer};
use chrono::{DateTime, Utc};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::rate::Rates;
use crate::{
    context::Now,
    error::{self, Code, Error},
    rows::{self, FieldKeys, Row},
    schema::SubscriptionExecutor,
    subscriptions::{Execution, GroupKey, Payload, RenderOutcome},
};

/// How long to wait before a response is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(250);
/// The number of attempts for a response that takes too long.
const SLOW_ATTEMPTS: usize = 3;

/// A subscription's operation, and the viewer that it is executed for.
pub(super) struct Subscriber {
    pub(super) selection: SubscriptionExecutor,
    pub(super) scope: Arc<Scope>,
    pub(super) viewer: Viewer,
    pub(super) now: DateTime<Utc>,
    pub(super) timeout: Duration,
    /// The place in the feed to continue after, instead of the one in the operation's arguments.
    pub(super) after: Option<Place>,
    /// The rate that each response draws its cost from.
    pub(super) rates: Rates,
    /// Whether opening it has paid for the next response.
    pub(super) is_prepaid: AtomicBool,
}

impl Subscriber {
    /// Renders an event as of this time or later: its row with the data that depends on it, loaded
    /// for all events that were read with it.
    pub(super) async fn render_event(
        &self,
        event: Event,
        place: Place,
        since: Instant,
    ) -> RenderOutcome {
        let row = loop {
            match self.load_row(&event, since).await {
                Ok(Some(row)) => break row,
                Ok(None) => return RenderOutcome::Gone,
                Err(Error::Client { .. } | Error::TooMany(_)) => tokio::time::sleep(RETRY).await,
                // shown as it was read
                Err(error) => {
                    tracing::warn!(?error, "events could not be looked up again");
                    break rows::from_model::<event::Entity>((*event).clone());
                }
            }
        };
        let alone = rows::from_model::<event::Entity>((*event).clone());
        // data that failed to load for others that share the row is tried once more for this one
        if let Some(response) = self.execute(&Arc::new(Execution::Event(row, place.clone()))).await
            && response.errors.is_empty()
        {
            return RenderOutcome::Whole(json(&response));
        }
        event.detach();
        let response = self.render(Execution::Event(alone, place)).await;
        if response.errors.is_empty() {
            return RenderOutcome::Whole(json(&response));
        }
        if has_error(&response, Code::NotFound) {
            let scope = self.execution_scope();
            let existing = scope.existing::<event::Entity>([event.id]).await;
            if existing.is_ok_and(|existing| existing.is_empty()) {
                return RenderOutcome::Gone;
            }
        }
        RenderOutcome::Failed(json(&response))
    }

    /// Renders a campaign as it is now. `None` if it is deleted.
    pub(super) async fn render_campaign(&self, campaign: Uuid) -> Option<Response> {
        let response = self.render(Execution::Campaign(campaign)).await;
        if has_error(&response, Code::NotFound) {
            let existing = self.execution_scope().existing::<campaign::Entity>([campaign]).await;
            if existing.is_ok_and(|existing| existing.is_empty()) {
                return None;
            }
        }
        Some(response)
    }

    /// Loads the row of an event, with the events that were read with it as siblings. `None` if it
    /// is deleted.
    async fn load_row(
        &self,
        event: &Event,
        since: Instant,
    ) -> Result<Option<Row<event::Entity>>, Error> {
        let batch = event.attached::<OnceCell<HashMap<Uuid, Row<event::Entity>>>>(since);
        let rows = batch.get_or_try_init(async || {
            let read = event.together();
            let models = if event.is_of(since) {
                read.to_vec()
            } else {
                let ids = read.iter().map(|event| event.id);
                self.execution_scope().events_again(ids).await?
            };
            Ok::<_, Error>(rows::by_id(rows::from_models::<event::Entity>(models)))
        });
        Ok(rows.await?.get(&event.id).cloned())
    }

    /// The scope for one execution.
    fn execution_scope(&self) -> Scope {
        self.scope.operation(Instant::now() + self.timeout, None)
    }

    /// Renders a response. Tries until the database responds.
    pub(super) async fn render(&self, execution: Execution) -> Response {
        let execution = Arc::new(execution);
        let mut slow = 0;
        loop {
            let Some(response) = self.execute(&execution).await else { return Response::default() };
            let too_slow = has_error(&response, Code::Timeout);
            slow += usize::from(too_slow);
            let is_retried = error::is_passing(&response) || too_slow && slow < SLOW_ATTEMPTS;
            if !is_retried {
                return response;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Executes the selection once. If that is for a response, it waits for the organization's rate.
    pub(super) async fn execute(&self, execution: &Arc<Execution>) -> Option<Response> {
        if !matches!(**execution, Execution::Opening(_))
            && !self.is_prepaid.swap(false, Ordering::Relaxed)
        {
            let cost = self.selection.prepared().cost();
            self.rates.wait(self.scope.organization(), cost).await;
        }
        let mut data = Data::default();
        data.insert(Arc::new(self.execution_scope()));
        data.insert(self.viewer.clone());
        data.insert(Now(self.now));
        data.insert(FieldKeys::default());
        data.insert(Arc::clone(execution));
        let permit = self.scope.subscription_permit(Instant::now() + self.timeout).await;
        let _permit = match permit {
            Ok(permit) => permit,
            Err(error) => return Some(Error::from(error).into_response()),
        };
        let answer = self.selection.answer(data, Uuid::new_v4());
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(response) => response,
            Err(_) => Some(error::timeout().into_response()),
        }
    }

    /// The key of the group of subscribers that see the same: everything except the cursor that they
    /// start after, if that is a variable that is used nowhere else.
    pub(super) fn group_key(&self) -> GroupKey {
        GroupKey {
            visibility: self.scope.visibility(),
            operation: self.selection.prepared().hash_without("after"),
        }
    }
}

/// Whether a response has an error with this code.
fn has_error(response: &Response, code: Code) -> bool {
    response.errors.iter().any(|error| code_of(error) == Some(code.as_str()))
}

/// A response as JSON.
pub(super) fn json(response: &Response) -> Payload {
    text(response).into()
}
