//! `Segment`.

use async_graphql::{Context, ID, Object};
use campaigns_entity::segment;

use crate::{
    connection::Listed,
    context::RequestContext,
    error::Error,
    object::{object, waiting},
    scalars::{DateTime, Json},
};

object! {
    /// A segment: named rules that select contacts.
    Segment of segment, waits SegmentFields
    /// The segment's UUID.
    "id": ID = Id;
    /// The segment's name.
    "name": String = Name;
    /// What the segment is for.
    "description": Option<String> = Description;
    /// The rules, as JSON.
    "filterRules": Json = FilterRules;
    /// How many contacts the segment selected when it was last counted.
    "contactCount": i32 = ContactCount;
    /// When the segment was created.
    "createdAt": DateTime = CreatedAt;
    /// When the segment was last updated.
    "updatedAt": DateTime = UpdatedAt;
    /// Custom data stored with the segment, as a JSON object.
    "metadata": Json = Metadata;
}

waiting!(SegmentFields of segment);

impl Listed for Segment {
    const NAME: &'static str = "segment";
}

#[Object]
impl SegmentFields {
    /// The number of campaigns whose lists have entries from this segment.
    async fn campaigns_used_in(&self, ctx: &Context<'_>) -> Result<i64, Error> {
        let scope = ctx.scope();
        let used_in = self
            .0
            .gather(scope, "campaigns_used_in", |selected| async move {
                Ok(campaigns_analytics::campaigns_used_in(scope, selected).await?)
            })
            .await?;
        Ok(used_in.get(&self.0.id()).copied().unwrap_or(0))
    }
}
