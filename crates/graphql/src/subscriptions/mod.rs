//! The fields of `Subscription`.

use std::{
    fmt::{self, Write},
    sync::{Arc, PoisonError},
    time::Instant,
};

use async_graphql::{
    Context, ID, Subscription,
    futures_util::stream::{self, BoxStream, StreamExt},
};
use campaigns_analytics::Scan;
use campaigns_entity::campaign;
use campaigns_scope::Scope;
use sha2::{Digest, Sha256};

use crate::{
    campaign::Campaign,
    connection::{self, Edge},
    context::RequestContext,
    error::Error,
    event::{EngagementEvent, EngagementEventFilter, cursor},
    filter,
    input::{self, Path},
    json_columns::Text,
    live::{Execution, Shows, Subject},
    stats::CampaignStats,
};

/// The subscriptions.
#[derive(Default)]
pub(crate) struct Subscriptions;

/// The purpose of this execution.
enum Phase<'a> {
    Opening(&'a Execution),
    Execution(&'a Execution),
}

fn phase<'a>(ctx: &'a Context<'_>) -> Phase<'a> {
    let phase: &Arc<Execution> = ctx.data_unchecked();
    match **phase {
        Execution::Opening(_) => Phase::Opening(phase),
        _ => Phase::Execution(phase),
    }
}

fn open<T: Send + 'static>(phase: &Execution, subject: Subject) -> BoxStream<'static, T> {
    if let Execution::Opening(slot) = phase {
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(subject);
    }
    stream::empty().boxed()
}

fn show<T: Send + 'static>(item: T) -> BoxStream<'static, T> {
    stream::once(async { item }).boxed()
}

/// A text that identifies a filter, however large the filter is.
fn hash_of(filter: &EngagementEventFilter) -> String {
    struct Hash(Sha256);
    impl Write for Hash {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.update(text);
            Ok(())
        }
    }
    let mut hash = Hash(Sha256::new());
    write!(hash, "{filter:?}").expect("a hash takes all text");
    hash.0.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all text");
        text
    })
}

/// The subject of a subscription to a campaign.
async fn campaign(
    ctx: &Context<'_>,
    shows: Shows,
    id: &ID,
    path: Path<'_>,
) -> Result<Subject, Error> {
    let campaign = input::id(id, path)?;
    let (scope, at) = (ctx.scope(), Instant::now());
    let selected = scope.find::<campaign::Entity>().id(campaign);
    let now = campaigns_analytics::states(scope, selected).await?.remove(&campaign);
    let now = now.ok_or_else(|| Error::not_found("campaign", path))?;
    Ok(Subject::Campaign { shows, campaign, now, at })
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
        match phase(ctx) {
            Phase::Opening(phase) => {
                filter::condition(scope, filter.as_ref(), "filter", Scan::Full)?;
                let after = after.map(|after| cursor::place(scope, "after", &after)).transpose()?;
                let filter = filter.unwrap_or_default();
                let name = hash_of(&filter).into();
                let test = Box::new(filter.test());
                let condition = Box::new(move |scope: &Scope| {
                    let compiled = filter::condition(scope, Some(&filter), "filter", Scan::Full);
                    compiled.unwrap_or_else(|_| unreachable!("it was compiled before"))
                });
                Ok(open(phase, Subject::Events { after, condition, test, name }))
            }
            Phase::Execution(Execution::Event(row, place)) => {
                let cursor = Text(cursor::encode(scope, place)?);
                Ok(show(Edge { cursor, node: EngagementEvent(row.clone()) }))
            }
            Phase::Execution(_) => Ok(stream::empty().boxed()),
        }
    }

    /// Delivers the current figures of a campaign, and again whenever they change, up to four times a
    /// second. `NOT_FOUND` if the campaign does not exist. Ends when the campaign is deleted.
    async fn campaign_stats(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] campaign_id: ID,
    ) -> Result<BoxStream<'static, CampaignStats>, Error> {
        match phase(ctx) {
            Phase::Opening(phase) => {
                let path = Path::argument("campaignId");
                Ok(open(phase, campaign(ctx, Shows::Figures, &campaign_id, path).await?))
            }
            Phase::Execution(Execution::Figures(figures)) => Ok(show(figures.clone().into())),
            Phase::Execution(_) => Ok(stream::empty().boxed()),
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
        match phase(ctx) {
            Phase::Opening(phase) => {
                Ok(open(phase, campaign(ctx, Shows::Campaign, &id, path).await?))
            }
            Phase::Execution(Execution::Campaign(id)) => {
                let found = connection::with_id(ctx, *id).await?;
                Ok(show(found.ok_or_else(|| Error::not_found("campaign", path))?))
            }
            Phase::Execution(_) => Ok(stream::empty().boxed()),
        }
    }
}
