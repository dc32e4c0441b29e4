//! The schema: the features combined.

use async_graphql::MergedObject;

use crate::{
    campaign::{CampaignMutations, CampaignQueries},
    contact::ContactQueries,
    event::{EventMutations, EventQueries},
    list::ListMutations,
    node::NodeQueries,
    provider_webhook::{ProviderWebhookMutations, ProviderWebhookQueries},
    segment::{SegmentMutations, SegmentQueries},
    send::{SendMutations, SendQueries},
    stats::StatsQueries,
    subscriptions::Subscriptions,
    timeline::TimelineQueries,
    viewer::ViewerQueries,
};

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
    ProviderWebhookQueries,
);

/// The mutations of the API. Each field is one transaction: it is stored completely or not at all.
#[derive(MergedObject, Default)]
pub(crate) struct Mutation(
    CampaignMutations,
    SegmentMutations,
    ListMutations,
    SendMutations,
    EventMutations,
    ProviderWebhookMutations,
);

/// The engine that executes operations of the schema.
pub(crate) type Engine = campaigns_operation::Engine<Query, Mutation, Subscriptions>;
/// A subscription of the schema.
pub(crate) type SubscriptionExecutor =
    campaigns_operation::SubscriptionExecutor<Query, Mutation, Subscriptions>;
