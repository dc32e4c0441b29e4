//! The schema: the features combined.

use async_graphql::{Context, ID, MergedObject, SimpleObject};
use campaigns_scope::OrganizationOwned;

use crate::{
    campaign::{CampaignMutations, CampaignQueries},
    contact::ContactQueries,
    context::RequestContext,
    error::Error,
    event::{EventMutations, EventQueries},
    input::{self, Path},
    list::ListMutations,
    node::NodeQueries,
    segment::{SegmentMutations, SegmentQueries},
    send::{SendMutations, SendQueries},
    stats::StatsQueries,
    subscriptions::Subscriptions,
    timeline::TimelineQueries,
    viewer::ViewerQueries,
};

/// The result of a deletion.
#[derive(SimpleObject)]
pub(crate) struct DeletePayload {
    /// The ID of the deleted object.
    pub(crate) id: ID,
}

impl DeletePayload {
    /// Deletes the row with the ID, for an admin. First checks whether the viewer is one.
    pub(crate) async fn delete<E: OrganizationOwned>(
        ctx: &Context<'_>,
        id: &ID,
        what: &str,
    ) -> Result<Self, Error> {
        let admin = ctx.admin()?;
        let path = Path::argument("id");
        let id = input::id(id, path)?;
        if ctx.change(|| admin.delete::<E>(id, ctx.limits().deletion)).await? {
            Ok(Self { id: id.into() })
        } else {
            Err(Error::not_found(what, path))
        }
    }
}

/// The queries of the API. They return the data of your organization only.
#[derive(MergedObject, Default)]
pub(crate) struct Query(
    NodeQueries,
    ViewerQueries,
    CampaignQueries,
    SegmentQueries,
    ContactQueries,
    SendQueries,
    EventQueries,
    StatsQueries,
    TimelineQueries,
);

/// The mutations of the API. Each field is one transaction: it is stored completely or not at all.
#[derive(MergedObject, Default)]
pub(crate) struct Mutation(
    CampaignMutations,
    SegmentMutations,
    ListMutations,
    SendMutations,
    EventMutations,
);

/// The engine that executes operations of the schema.
pub(crate) type Engine = campaigns_operation::Engine<Query, Mutation, Subscriptions>;
/// A subscription of the schema.
pub(crate) type SubscriptionExecutor =
    campaigns_operation::SubscriptionExecutor<Query, Mutation, Subscriptions>;
