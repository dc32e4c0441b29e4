//! An open subscription: follows its [`Subject`], and responds for each event or change.
//!
//! The module `subscriptions` explains how the resolver takes part.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_graphql::Response;
use campaigns_analytics::State;
use campaigns_feed::{EventSelection, FollowError, Follower};
use campaigns_scope::Place;
use uuid::Uuid;

use super::subscriber::{RETRY, Subscriber, json};
use crate::{
    error::{self, Error},
    event::feed_cursor,
    live::{CampaignWatch, Live},
    subscriptions::{CampaignView, Execution, GroupMember, Groups, Payload, Subject},
};

/// The minimum time between two responses about a campaign.
const PACE: Duration = Duration::from_millis(250);

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
    Events(Box<Follower>, GroupMember),
    Campaign(FollowedCampaign),
}

/// A campaign as a subscriber has seen it.
struct FollowedCampaign {
    view: CampaignView,
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
    pub(super) async fn open(
        live: &Live,
        groups: &Groups,
        mut operation: Subscriber,
    ) -> Result<Self, Response> {
        loop {
            match Source::open(live, groups, &operation).await {
                Ok(source) => {
                    // the source has all of them, and each response would read them again
                    operation.selection.drop_arguments();
                    return Ok(Self { operation, source, last: None });
                }
                Err(failed) if error::is_passing(&failed) => {
                    tokio::time::sleep(RETRY).await;
                }
                Err(failed) => return Err(failed),
            }
        }
    }

    /// The cursor of the last event that was returned, to continue the feed after it.
    #[must_use]
    pub fn cursor(&self) -> Option<String> {
        feed_cursor::encode(&self.operation.scope, self.last.as_ref()?).ok()
    }

    /// The next response, or `None` at the end. The future can be dropped while it waits, but not
    /// while it renders.
    pub async fn next(&mut self) -> Option<Payload> {
        let Self { operation, source, last } = self;
        match source {
            Source::Once(response) => response.take().map(|response| json(&response)),
            Source::Events(follower, group) => loop {
                let event = match follower.next().await {
                    Ok(event) => event,
                    Err(error) => {
                        let response = feed_error(error).into_response();
                        *source = Source::Once(None);
                        return Some(json(&response));
                    }
                };
                let place = follower.place(&event);
                let position = place.position;
                let since = follower.since();
                let at = place.clone();
                // on the heap: most of the time, a subscriber waits or another one renders
                let render = async || Box::pin(operation.render_event(event, at, since)).await;
                let payload = group.payload(position, since, render).await;
                *last = Some(place);
                // a deleted event is skipped
                if payload.is_some() {
                    return payload;
                }
            },
            Source::Campaign(followed) => {
                let changed = followed.next().await;
                if followed.view == CampaignView::Figures {
                    changed?;
                    let execution = Execution::Figures(followed.last.figures.clone());
                    return Some(json(&Box::pin(operation.render(execution)).await));
                }
                if changed.is_some()
                    && let Some(response) =
                        Box::pin(operation.render_campaign(followed.campaign)).await
                {
                    return Some(json(&response));
                }
                *source = Source::Once(None);
                let response = Error::not_found("campaign", "id").into_response();
                Some(json(&response))
            }
        }
    }
}

impl Source {
    async fn open(live: &Live, groups: &Groups, operation: &Subscriber) -> Result<Self, Response> {
        let execution = Arc::new(Execution::Opening(<_>::default()));
        let response = operation.execute(&execution).await;
        let subject = match &*execution {
            Execution::Opening(slot) => slot.take(),
            _ => None,
        };
        let source = match (response, subject) {
            (Some(response), _) if !response.errors.is_empty() => return Err(response),
            (response, None) => Source::Once(response),
            (_, Some(Subject::Events { after, condition, test, name })) => {
                let selection = EventSelection { condition, selects: test, name };
                let scope = Arc::clone(&operation.scope);
                let after = operation.after.clone().or(after);
                let budget = scope.budget();
                let follower = live.feed.follow(scope, after.as_ref(), selection).await;
                let follower = follower.map_err(|error| feed_error(error).into_response())?;
                Source::Events(Box::new(follower), groups.join(operation.group_key(), budget))
            }
            (_, Some(Subject::Campaign { view, campaign, now, at })) => {
                let scope = &operation.scope;
                let watched = live.watches.watch(&live.feed, scope, campaign, &now, at);
                let (last, counted) = (now, at);
                Source::Campaign(FollowedCampaign {
                    view,
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
        let differs = match self.view {
            CampaignView::Figures => state.figures != self.last.figures,
            CampaignView::Campaign => state != self.last,
        };
        let changed = counted > self.counted && differs;
        if changed {
            self.last = state;
            self.counted = counted;
        }
        Some(changed)
    }
}

/// The reason why following ended, for the client.
fn feed_error(error: FollowError) -> Error {
    match error {
        FollowError::WentBack => Error::went_back("after"),
        FollowError::Scope(error) => error.into(),
    }
}
