//! `viewer`.

use async_graphql::{Context, Object};

use super::object::Viewer;
use crate::context::RequestContext;

#[derive(Default)]
pub(crate) struct ViewerQueries;

#[Object]
impl ViewerQueries {
    /// The authenticated user, as described by the token.
    async fn viewer(&self, ctx: &Context<'_>) -> Viewer {
        Viewer(ctx.viewer().clone())
    }
}
