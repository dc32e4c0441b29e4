//! The fields of `Subscription`, and how their resolvers are run.
//!
//! async-graphql would execute the selection of a subscription for each subscriber and each event,
//! and would drop an event if its fields could not be loaded. Here, each response is a separate
//! execution, which can be tried again, and shared. So the resolver of a field runs many times. The
//! [`Execution`] in its context says what for:
//!
//! 1. [`Execution::Opening`], once: the resolver checks the arguments, leaves the [`Subject`] of the
//!    subscription in the execution, and returns an empty stream.
//! 2. For each response, one of the other executions, which has the event, figures or campaign to
//!    show. The resolver ignores its arguments and returns a stream of this one item. The engine
//!    executes the selection over it.
//!
//! Between executions, no resolver runs: `api/follow.rs` follows the subject, and
//! `api/subscriber.rs` executes the selection.
//!
//! **Invariant.** Subscribers of one organization with the same document and variables get the same
//! bytes for an event that they reach within a few seconds, rendered once ([`group`]): nothing that
//! the event leads to depends on the viewer.

mod execution;
mod group;

use std::{fmt::Write, sync::Arc, time::Instant};

use async_graphql::{
    Context, ID, Subscription,
    futures_util::stream::{self, BoxStream, StreamExt},
};
use campaigns_analytics::Scan;
use campaigns_entity::campaign;
use campaigns_scope::Scope;

use crate::{
    campaign::Campaign,
    connection::{self, Edge},
    context::RequestContext,
    digest::Digest,
    error::Error,
    event::{EngagementEvent, EngagementEventFilter, feed_cursor},
    filter,
    input::{self, Path},
    json_columns::Text,
    stats::CampaignStats,
};
use execution::SubjectSlot;

pub(crate) use execution::{CampaignView, Execution, Subject};
pub use group::Payload;
pub(crate) use group::{GroupKey, GroupMember, Groups, RenderOutcome};

/// The subscriptions.
#[derive(Default)]
pub(crate) struct Subscriptions;

/// The execution that a resolver runs in.
fn execution<'a>(ctx: &'a Context<'_>) -> &'a Execution {
    ctx.data_unchecked::<Arc<Execution>>()
}

/// The result of an opening execution.
fn opened<T: Send + 'static>(slot: &SubjectSlot, subject: Subject) -> BoxStream<'static, T> {
    slot.set(subject);
    stream::empty().boxed()
}

/// The result of any other execution.
fn show<T: Send + 'static>(item: T) -> BoxStream<'static, T> {
    stream::once(async { item }).boxed()
}

/// A text that identifies a filter, however large the filter is.
fn hash_of(filter: &EngagementEventFilter) -> String {
    let digest = Digest::of(|digest| write!(digest, "{filter:?}"));
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all text");
        text
    })
}

/// The subject of a subscription to a campaign.
async fn campaign(
    ctx: &Context<'_>,
    view: CampaignView,
    id: &ID,
    path: Path<'_>,
) -> Result<Subject, Error> {
    let campaign = input::id(id, path)?;
    let (scope, at) = (ctx.scope(), Instant::now());
    let selected = scope.find::<campaign::Entity>().id(campaign);
    let now = campaigns_analytics::states(scope, selected).await?.remove(&campaign);
    let now = now.ok_or_else(|| Error::not_found("campaign", path))?;
    Ok(Subject::Campaign { view, campaign, now, at })
}

/// The subscriptions of the API, over `graphql-transport-ws`.
#[Subscription(name = "Subscription")]
impl Subscriptions {
    /// Delivers every event of your organization that matches the filter, exactly once and in the order
    /// of the feed, whichever program wrote it. With `after`, stored events come first and live ones
    /// follow, without gaps or repeats. Without `after`, delivery starts now. Keep the cursor of the
    /// last event, and continue after it when you reconnect.
    async fn engagement_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Filters the events. All given fields must match.")] filter: Option<
            EngagementEventFilter,
        >,
        #[graphql(
            desc = "Continues after this cursor, from `feedCursor`, `events` or this subscription."
        )]
        after: Option<String>,
    ) -> Result<BoxStream<'static, Edge<EngagementEvent>>, Error> {
        let scope = ctx.scope();
        match execution(ctx) {
            Execution::Opening(slot) => {
                filter::condition(scope, filter.as_ref(), "filter", Scan::Full)?;
                let after =
                    after.map(|after| feed_cursor::place(scope, "after", &after)).transpose()?;
                let filter = filter.unwrap_or_default();
                let name = hash_of(&filter).into();
                let test = Box::new(filter.test());
                let condition = Box::new(move |scope: &Scope| {
                    let compiled = filter::condition(scope, Some(&filter), "filter", Scan::Full);
                    compiled.unwrap_or_else(|_| unreachable!("it was compiled before"))
                });
                Ok(opened(slot, Subject::Events { after, condition, test, name }))
            }
            Execution::Event(row, place) => {
                let cursor = Text(feed_cursor::encode(scope, place)?);
                Ok(show(Edge { cursor, node: EngagementEvent(row.clone()) }))
            }
            _ => Ok(stream::empty().boxed()),
        }
    }

    /// Delivers the current figures of a campaign, and again whenever they change, up to four times a
    /// second. `NOT_FOUND` if the campaign does not exist. Ends when the campaign is deleted.
    async fn campaign_stats(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] campaign_id: ID,
    ) -> Result<BoxStream<'static, CampaignStats>, Error> {
        match execution(ctx) {
            Execution::Opening(slot) => {
                let path = Path::argument("campaignId");
                Ok(opened(slot, campaign(ctx, CampaignView::Figures, &campaign_id, path).await?))
            }
            Execution::Figures(figures) => Ok(show(figures.clone().into())),
            _ => Ok(stream::empty().boxed()),
        }
    }

    /// Delivers a campaign, and again whenever the campaign itself or its figures change, up to four
    /// times a second. `NOT_FOUND` if the campaign does not exist, and as the last result once it is
    /// deleted.
    async fn campaign_changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] id: ID,
    ) -> Result<BoxStream<'static, Campaign>, Error> {
        let path = Path::argument("id");
        match execution(ctx) {
            Execution::Opening(slot) => {
                Ok(opened(slot, campaign(ctx, CampaignView::Campaign, &id, path).await?))
            }
            Execution::Campaign(id) => {
                let found = connection::with_id(ctx, *id).await?;
                Ok(show(found.ok_or_else(|| Error::not_found("campaign", path))?))
            }
            _ => Ok(stream::empty().boxed()),
        }
    }
}
