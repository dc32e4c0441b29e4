//! `Segment`.

use async_graphql::{Context, ID, Object};
use campaigns_entity::{StoredJson, segment};

use super::rules::{self, SegmentContacts};
use crate::{
    connection::{Connection, ConnectionNode, PageArguments},
    contact::{Contact, ContactOrder},
    context::RequestContext,
    error::Error,
    object::{async_fields, object},
    rows::Row,
    scalars::{DateTime, Json},
};

object! {
    /// A segment: named rules that select contacts.
    Segment of segment, async SegmentFields {
        "contacts" needs FilterRules;
    }
    /// The segment's UUID.
    "id": ID = Id;
    /// The segment's name.
    "name": String = Name;
    /// What the segment is for.
    "description": Option<String> = Description;
    /// The segment's rules, as JSON.
    "filterRules": Json = FilterRules;
    /// The number of contacts that matched the rules when `refreshSegment` last counted them. 0 if they
    /// have never been counted.
    "contactCount": i32 = ContactCount;
    /// When the segment was created.
    "createdAt": DateTime = CreatedAt;
    /// When the segment was last updated.
    "updatedAt": DateTime = UpdatedAt;
    /// Custom data stored with the segment, as a JSON object.
    "metadata": Json = Metadata;
}

async_fields!(SegmentFields of segment);

impl ConnectionNode for Segment {
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

    /// The contacts that match the segment's rules now. `CONFLICT` if another program has stored rules
    /// that cannot be read.
    async fn contacts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order of the list. The default is by ID.")] order_by: Option<
            Vec<ContactOrder>,
        >,
        #[graphql(desc = "Returns the first _n_ elements, up to 500.")] first: Option<i32>,
        #[graphql(desc = "Returns the elements after this cursor. Use with `first`.")]
        after: Option<String>,
        #[graphql(desc = "Returns the last _n_ elements, up to 500.")] last: Option<i32>,
        #[graphql(desc = "Returns the elements before this cursor. Use with `last`.")]
        before: Option<String>,
    ) -> Result<Connection<Contact>, Error> {
        let (scope, now) = (ctx.scope(), ctx.now());
        let rules = |row: &Row<segment::Entity>| {
            let stored = row.get::<Option<StoredJson>>(segment::Column::FilterRules)?;
            rules::stored_rules(&stored.map(|StoredJson(rules)| rules).unwrap_or_default())
        };
        rules(&self.0)?;
        let page = PageArguments { first, after, last, before };
        // a sibling with unreadable rules reports its own error
        let of_siblings = || {
            let stored = self.0.siblings().map(|row| (row.id(), rules(&row)));
            let contacts = SegmentContacts::of(scope, stored, now)?;
            ctx.charge(contacts.surcharge)?;
            Ok(Box::new(contacts) as _)
        };
        Connection::each(ctx, &self.0, of_siblings, order_by.as_deref(), page)
    }
}
