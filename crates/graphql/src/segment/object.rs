//! `Segment`.

use async_graphql::{Context, ID, Object};
use campaigns_entity::segment;

use crate::{
    connection::Listed,
    context::RequestContext,
    error::Error,
    rows::objects,
    scalars::DateTime,
    shown::{Json, Text},
};

objects! {
    /// A row of `campaign_segments`.
    Segment of segment;
}

impl Listed for Segment {
    type Entity = segment::Entity;
    const NAME: &'static str = "segment";
}

/// A segment: named rules that select contacts.
#[Object]
impl Segment {
    /// The segment's UUID.
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// What people call it.
    async fn name(&self) -> Text<&str> {
        Text(&self.0.name)
    }

    /// Whom it is meant to select.
    async fn description(&self) -> Option<Text<&str>> {
        self.0.description.as_deref().map(Text)
    }

    /// The rules, as JSON.
    async fn filter_rules(&self) -> Json<'_> {
        Json(Some(&self.0.filter_rules))
    }

    /// How many contacts it selected when that was last counted.
    async fn contact_count(&self) -> i32 {
        self.0.contact_count.unwrap_or(0)
    }

    /// On the lists of how many campaigns it put somebody.
    async fn campaigns_used_in(&self, ctx: &Context<'_>) -> Result<i64, Error> {
        let scope = ctx.scope();
        let used_in = self
            .0
            .gather(scope, "campaigns_used_in", |selected| async move {
                Ok(campaigns_analytics::campaigns_used_in(scope, selected).await?)
            })
            .await?;
        Ok(used_in.get(&self.0.id).copied().unwrap_or(0))
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When anything of it last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }

    /// Whatever you keep with it.
    async fn metadata(&self) -> Json<'_> {
        Json(self.0.metadata.as_ref())
    }
}
