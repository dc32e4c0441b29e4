//! `previewSegment`.

use async_graphql::{Context, Object};
use campaigns_entity::contact;
use campaigns_operation::object::Objects;
use campaigns_scope::{Scoped, Window};

use super::rules;
use crate::{
    connection::Ordering,
    contact::{Contact, ContactOrder},
    context::RequestContext,
    error::Error,
    input::Path,
    rows::{self, RowObject},
    scalars::Json,
};

/// The maximum number of contacts in a preview.
const MAX_CONTACTS: u64 = 500;

/// The contacts that rules select.
pub(crate) struct SegmentPreview(Scoped<contact::Entity>);

pub(super) fn preview(ctx: &Context<'_>, Json(value): Json) -> Result<SegmentPreview, Error> {
    let (_, rules) = rules::parse(value, Path::argument("rules"))?;
    Ok(SegmentPreview(rules.select(ctx.scope(), ctx.now())?))
}

/// A preview of the contacts that match segment rules.
#[Object]
impl SegmentPreview {
    /// The number of contacts that match. Counted only if you select it.
    async fn count(&self, ctx: &Context<'_>) -> Result<u64, Error> {
        Ok(ctx.scope().count(self.0.clone()).await?)
    }

    /// The contacts that match, ordered by last name, first name and ID.
    async fn contacts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first _n_ contacts, up to 500.", default = 20)] first: i32,
    ) -> Result<Objects<Contact>, Error> {
        let limit = match u64::try_from(first) {
            Ok(limit) if limit <= MAX_CONTACTS => limit,
            _ => {
                return Err(Error::bad_input(
                    "first",
                    format!("This must be 0 to {MAX_CONTACTS}."),
                ));
            }
        };
        let scope = ctx.scope();
        let columns = Contact::columns(ctx).all();
        let order = Ordering::of::<Contact>(scope, Some(&ContactOrder::BY_NAME))?.order;
        let window = Window { limit, from_end: false, cursor: None };
        let page = scope.page(self.0.clone(), None, &columns, &order, &window).await?;
        Ok(Objects(rows::from_results(page.rows, columns).map(Contact::from).collect()))
    }
}
