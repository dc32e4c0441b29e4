//! `viewer`.

use async_graphql::{Context, Object};

use super::object::Viewer;
use crate::context::RequestContext;

#[derive(Default)]
pub(crate) struct ViewerQueries;

#[Object]
impl ViewerQueries {
    /// Who your token says that you are.
    async fn viewer(&self, ctx: &Context<'_>) -> Viewer {
        Viewer(ctx.viewer().clone())
    }
}
