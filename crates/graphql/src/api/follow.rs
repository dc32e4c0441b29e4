//! An open subscription: an operation that responds repeatedly.
//!
//! async-graphql would execute the selection of a subscription for each subscriber and each event,
//! and would drop an event if its fields could not be loaded. Here, a subscription is opened once,
//! which checks its arguments and determines its [`Subject`]. From then on, each response is a
//! separate execution over one event, one set of figures or one campaign (a [`Execution`]).
//!
//! **Invariants.**
//! - If a response fails because the database did not respond, it is tried again until the database
//!   does, so an event never counts as delivered in the form of such an error.
//! - Data that belongs to an event is loaded for all events that were read with it, but not before
//!   the subscriber came, and shortly before it is shown: later subscribers get the data of their
//!   own time.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use async_graphql::{Data, Response};
use campaigns_analytics::State;
use campaigns_entity::{campaign, event};
use campaigns_feed::{Event, EventSelection, FollowError, Follower};
use campaigns_operation::{error::code_of, text};
use campaigns_scope::{Place, Scope, Viewer};
use chrono::{DateTime, Utc};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::{
    context::Now,
    error::{self, Code, Error},
    event::cursor as event_cursor,
    live::{CampaignWatch, Execution, Key, Live, Member, Payload, RenderOutcome, Shows, Subject},
    rows::{self, Row},
    schema::SubscriptionExecutor,
};

/// How long to wait before a response is tried again.
const RETRY: Duration = Duration::from_millis(250);
/// The minimum time between two responses about a campaign.
const PACE: Duration = Duration::from_millis(250);
/// The number of attempts for a response that takes too long.
const SLOW_ATTEMPTS: usize = 3;

/// An operation that is executed repeatedly.
pub(super) struct Subscriber {
    pub(super) selection: SubscriptionExecutor,
    pub(super) scope: Arc<Scope>,
    pub(super) viewer: Viewer,
    pub(super) now: DateTime<Utc>,
    pub(super) timeout: Duration,
    /// The place to follow the feed after, instead of the one that the operation names.
    pub(super) after: Option<Place>,
}

/// An open subscription. Call `next` until it returns `None`.
pub struct Subscription {
    operation: Subscriber,
    source: Source,
    /// The place of the last event that was returned.
    last: Option<Place>,
}

enum Source {
    /// One response, and no more.
    Once(Option<Response>),
    Events(Box<Follower>, Member),
    Campaign(FollowedCampaign),
}

/// A campaign as a subscriber has seen it.
struct FollowedCampaign {
    shows: Shows,
    campaign: Uuid,
    last: State,
    /// When this was counted, and when it was sent, if at all.
    counted: Instant,
    sent: Option<Instant>,
    watched: CampaignWatch,
}

impl Subscription {
    /// Checks a subscription's arguments and opens it. Waits while the database does not respond,
    /// since an error would be final for the client.
    ///
    /// # Errors
    /// A response with the reason why it was not opened.
    pub(super) async fn open(live: &Live, mut operation: Subscriber) -> Result<Self, Response> {
        loop {
            match Source::open(live, &operation).await {
                Ok(source) => {
                    // the source has all of them, and each response would read them again
                    operation.selection.drop_arguments();
                    return Ok(Self { operation, source, last: None });
                }
                Err(refused) if error::is_passing(&refused) => {
                    tokio::time::sleep(RETRY).await;
                }
                Err(refused) => return Err(refused),
            }
        }
    }

    /// The cursor of the last event that was returned, to continue the feed after it.
    #[must_use]
    pub fn cursor(&self) -> Option<String> {
        event_cursor::encode(&self.operation.scope, self.last.as_ref()?).ok()
    }

    /// The next response, or `None` at the end. Can be dropped while it waits, but not while it
    /// renders.
    pub async fn next(&mut self) -> Option<Payload> {
        let Self { operation, source, last } = self;
        match source {
            Source::Once(response) => response.take().map(|response| json(&response)),
            Source::Events(follower, group) => loop {
                let event = match follower.next().await {
                    Ok(event) => event,
                    Err(error) => {
                        let response = refusal(error).into_response();
                        *source = Source::Once(None);
                        return Some(json(&campaigns_operation::error::seal(
                            response,
                            Uuid::new_v4(),
                        )));
                    }
                };
                let place = follower.place(&event);
                let position = place.position;
                let since = follower.since();
                let shown = place.clone();
                // on the heap, since most of the time a subscriber waits, or another one renders
                let show = async || Box::pin(operation.show(event, shown, since)).await;
                let payload = group.payload(position, since, show).await;
                *last = Some(place);
                // one that is deleted is left out
                if payload.is_some() {
                    return payload;
                }
            },
            Source::Campaign(shown) => {
                let changed = shown.next().await;
                if shown.shows == Shows::Figures {
                    changed?;
                    let execution = Execution::Figures(shown.last.figures.clone());
                    return Some(json(&Box::pin(operation.render(execution)).await));
                }
                if changed.is_some()
                    && let Some(response) = Box::pin(operation.campaign(shown.campaign)).await
                {
                    return Some(json(&response));
                }
                *source = Source::Once(None);
                let response = Error::not_found("campaign", "id").into_response();
                Some(json(&campaigns_operation::error::seal(response, Uuid::new_v4())))
            }
        }
    }
}

impl Source {
    async fn open(live: &Live, operation: &Subscriber) -> Result<Self, Response> {
        let execution = Arc::new(Execution::Opening(<_>::default()));
        let response = operation.run(&execution).await;
        let subject = match &*execution {
            Execution::Opening(subject) => {
                subject.lock().unwrap_or_else(PoisonError::into_inner).take()
            }
            _ => None,
        };
        let source = match (response, subject) {
            (Some(response), _) if !response.errors.is_empty() => return Err(response),
            (response, None) => Source::Once(response),
            (_, Some(Subject::Events { after, condition, test, name })) => {
                let wanted = EventSelection { condition, selects: test, name };
                let scope = Arc::clone(&operation.scope);
                let after = operation.after.clone().or(after);
                let budget = scope.budget();
                let follower = live.feed.follow(scope, after.as_ref(), wanted).await;
                let follower = follower.map_err(|error| refusal(error).into_response())?;
                Source::Events(Box::new(follower), live.groups.join(operation.key(), budget))
            }
            (_, Some(Subject::Campaign { shows, campaign, now, at })) => {
                let scope = &operation.scope;
                let watched = live.watches.watch(&live.feed, scope, campaign, &now, at);
                let (last, counted) = (now, at);
                Source::Campaign(FollowedCampaign {
                    shows,
                    campaign,
                    last,
                    counted,
                    sent: None,
                    watched,
                })
            }
        };
        Ok(source)
    }
}

impl FollowedCampaign {
    /// The first state, and then changed ones, at a limited rate. `None` if the campaign is
    /// deleted.
    async fn next(&mut self) -> Option<()> {
        if let Some(sent) = self.sent {
            while !self.take()? {
                self.watched.changed().await?;
            }
            tokio::time::sleep_until((sent + PACE).into()).await;
            // with its current values
            self.take()?;
        }
        self.sent = Some(Instant::now());
        Some(())
    }

    /// Takes the state if it is later and different. `None` if the campaign is deleted.
    fn take(&mut self) -> Option<bool> {
        let (state, counted) = self.watched.latest();
        let state = state?;
        let differs = match self.shows {
            Shows::Figures => state.figures != self.last.figures,
            Shows::Campaign => state != self.last,
        };
        let changed = counted > self.counted && differs;
        if changed {
            self.last = state;
            self.counted = counted;
        }
        Some(changed)
    }
}

impl Subscriber {
    /// Renders an event as of this time or later: its row with the data that depends on it, loaded
    /// for all events that were read with it.
    async fn show(&self, event: Event, place: Place, since: Instant) -> RenderOutcome {
        let row = loop {
            match self.row(&event, since).await {
                Ok(Some(row)) => break row,
                Ok(None) => return RenderOutcome::Gone,
                Err(Error::Client { .. } | Error::TooMany(_)) => tokio::time::sleep(RETRY).await,
                // as it was read
                Err(error) => {
                    tracing::warn!(?error, "events could not be looked up again");
                    break rows::alone::<event::Entity>((*event).clone());
                }
            }
        };
        let alone = rows::alone::<event::Entity>((*event).clone());
        // data that failed to load for others that share the row is tried once more for this one
        if let Some(response) = self.run(&Arc::new(Execution::Event(row, place.clone()))).await
            && response.errors.is_empty()
        {
            return RenderOutcome::Whole(json(&response));
        }
        event.detach();
        let response = self.render(Execution::Event(alone, place)).await;
        if response.errors.is_empty() {
            return RenderOutcome::Whole(json(&response));
        }
        if failed_for(&response, Code::NotFound) {
            let scope = self.operation();
            let there = scope.existing::<event::Entity>([event.id]).await;
            if there.is_ok_and(|there| there.is_empty()) {
                return RenderOutcome::Gone;
            }
        }
        RenderOutcome::Failed(json(&response))
    }

    /// Renders a campaign as it is now. `None` if it is deleted.
    async fn campaign(&self, campaign: Uuid) -> Option<Response> {
        let response = self.render(Execution::Campaign(campaign)).await;
        if failed_for(&response, Code::NotFound) {
            let there = self.operation().existing::<campaign::Entity>([campaign]).await;
            if there.is_ok_and(|there| there.is_empty()) {
                return None;
            }
        }
        Some(response)
    }

    /// The row of an event, with the events that were read with it as siblings. `None` if it is
    /// deleted.
    async fn row(
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
                self.operation().events_again(ids).await?
            };
            Ok::<_, Error>(rows::by_id(rows::together::<event::Entity>(models)))
        });
        Ok(rows.await?.get(&event.id).cloned())
    }

    /// The scope, for one execution.
    fn operation(&self) -> Scope {
        self.scope.operation(Instant::now() + self.timeout, None)
    }

    /// A response, tried until the database responds.
    async fn render(&self, execution: Execution) -> Response {
        let execution = Arc::new(execution);
        let mut slow = 0;
        loop {
            let Some(response) = self.run(&execution).await else { return Response::default() };
            let too_slow = failed_for(&response, Code::Timeout);
            slow += usize::from(too_slow);
            let again = error::is_passing(&response) || too_slow && slow < SLOW_ATTEMPTS;
            if !again {
                return response;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Executes the selection once.
    async fn run(&self, execution: &Arc<Execution>) -> Option<Response> {
        let mut data = Data::default();
        data.insert(Arc::new(self.operation()));
        data.insert(self.viewer.clone());
        data.insert(Now(self.now));
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

    /// The key that subscribers that see the same share: everything except the cursor that they
    /// start after, if that is a variable that is used nowhere else.
    fn key(&self) -> Key {
        Key {
            visibility: self.scope.visibility(),
            operation: self.selection.prepared().hash_without("after"),
        }
    }
}

/// The reason why following ended, for the client.
fn refusal(error: FollowError) -> Error {
    match error {
        FollowError::WentBack => event_cursor::went_back("after"),
        FollowError::Scope(error) => error.into(),
    }
}

/// Whether something in a response failed for this reason.
fn failed_for(response: &Response, code: Code) -> bool {
    response.errors.iter().any(|error| code_of(error) == Some(code.as_str()))
}

fn json(response: &Response) -> Payload {
    text(response).into()
}
