//! `node` and `nodes`: any object by its ID alone, as in Relay.

use std::collections::HashMap;

use async_graphql::{Context, ID, Interface, Object};
use campaigns_entity::{
    campaign, company, contact, event, list_entry, organization, provider_webhook, segment, send,
    user,
};
use campaigns_scope::{OrganizationOwned, Scope};
use uuid::Uuid;

use crate::{
    campaign::Campaign,
    company::Company,
    contact::Contact,
    context::RequestContext,
    error::Error,
    event::EngagementEvent,
    input::{self, Path},
    list::ListEntry,
    provider_webhook::ProviderWebhook,
    rows::{self, Row},
    segment::Segment,
    send::Send,
    viewer::{Organization, User},
};

/// The maximum number of IDs of `nodes`.
const MAX_NODES: usize = 500;

/// An object with an ID. IDs are UUIDs, unique across all types.
#[derive(Interface, Clone)]
#[graphql(field(name = "id", ty = "ID", desc = "The object's UUID."))]
pub(crate) enum Node {
    Campaign(Campaign),
    Company(Company),
    Contact(Contact),
    EngagementEvent(EngagementEvent),
    ListEntry(ListEntry),
    Organization(Organization),
    ProviderWebhook(ProviderWebhook),
    Segment(Segment),
    Send(Send),
    User(User),
}

#[derive(Default)]
pub(crate) struct NodeQueries;

#[Object]
impl NodeQueries {
    /// The object with this ID. Null if your organization has no such object.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the object.")] id: ID,
    ) -> Result<Option<Node>, Error> {
        let id = input::id(&id, Path::argument("id"))?;
        Ok(find(ctx.scope(), &[id]).await?.remove(&id))
    }

    /// The objects with these IDs, up to 500, in the same order. Null for each ID that your
    /// organization does not have.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The IDs of the objects, up to 500.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>, Error> {
        let path = Path::argument("ids");
        if ids.len() > MAX_NODES {
            return Err(Error::limit(path, format!("This can have at most {MAX_NODES} elements.")));
        }
        let ids = ids
            .iter()
            .enumerate()
            .map(|(index, id)| input::id(id, path.index(index)))
            .collect::<Result<Vec<_>, _>>()?;
        let found = find(ctx.scope(), &ids).await?;
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }
}

/// The objects with these IDs, with one statement for each table until all are found.
async fn find(scope: &Scope, ids: &[Uuid]) -> Result<HashMap<Uuid, Node>, Error> {
    let mut search = Search { scope, missing: ids.to_vec(), found: HashMap::new() };
    search.look_in::<campaign::Entity>(|row| Node::Campaign(Campaign(row))).await?;
    search.look_in::<send::Entity>(|row| Node::Send(Send(row))).await?;
    search.look_in::<contact::Entity>(|row| Node::Contact(Contact(row))).await?;
    search.look_in::<event::Entity>(|row| Node::EngagementEvent(EngagementEvent(row))).await?;
    search.look_in::<segment::Entity>(|row| Node::Segment(Segment(row))).await?;
    search.look_in::<list_entry::Entity>(|row| Node::ListEntry(ListEntry(row))).await?;
    search.look_in::<company::Entity>(|row| Node::Company(Company(row))).await?;
    search.look_in::<user::Entity>(|row| Node::User(User(row))).await?;
    let webhook = |row| Node::ProviderWebhook(ProviderWebhook(row));
    search.look_in::<provider_webhook::Entity>(webhook).await?;
    search.look_in::<organization::Entity>(|row| Node::Organization(Organization(row))).await?;
    Ok(search.found)
}

/// A search for objects of any type.
struct Search<'a> {
    scope: &'a Scope,
    missing: Vec<Uuid>,
    found: HashMap<Uuid, Node>,
}

impl Search<'_> {
    /// Looks for missing objects in a table.
    async fn look_in<E: OrganizationOwned>(
        &mut self,
        node: fn(Row<E>) -> Node,
    ) -> Result<(), Error> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let models = self.scope.by_shown_ids::<E>(self.missing.iter().copied()).await?;
        for (id, row) in rows::by_shown_id(rows::from_models::<E>(models))? {
            self.found.insert(id, node(row));
        }
        self.missing.retain(|id| !self.found.contains_key(id));
        Ok(())
    }
}
