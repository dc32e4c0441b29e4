//! The schema: what the features add up to.

use async_graphql::{EmptySubscription, ID, MergedObject, SimpleObject};

use crate::{
    campaign::{CampaignMutations, CampaignQueries},
    node::NodeQueries,
    send::SendQueries,
    stats::StatsQueries,
    viewer::ViewerQueries,
};

/// What a deletion leaves behind.
#[derive(SimpleObject)]
pub(crate) struct DeletePayload {
    /// The id of what is gone.
    pub(crate) id: ID,
}

/// What can be asked.
#[derive(MergedObject, Default)]
pub(crate) struct Query(NodeQueries, ViewerQueries, CampaignQueries, SendQueries, StatsQueries);

/// What can be done. One field is one transaction: all of it or none.
#[derive(MergedObject, Default)]
pub(crate) struct Mutation(CampaignMutations);

pub(crate) type Schema = async_graphql::Schema<Query, Mutation, EmptySubscription>;

pub(crate) fn build(introspection: bool) -> Schema {
    let schema = Schema::build(Query::default(), Mutation::default(), EmptySubscription);
    // `request::measure` has a word of its own for it
    let schema = schema.limit_recursive_depth(crate::request::MAX_DEPTH);
    if introspection { schema.finish() } else { schema.disable_introspection().finish() }
}
