//! `campaigns schema`.

use campaigns_graphql::Api;

use super::output;

pub(super) fn run() -> anyhow::Result<()> {
    Ok(output::text(Api::sdl())?)
}
