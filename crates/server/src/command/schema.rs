//! `campaigns schema`.

use campaigns_graphql::Api;

#[expect(clippy::unnecessary_wraps, reason = "as every command")]
pub(super) fn run() -> anyhow::Result<()> {
    print!("{}", Api::sdl());
    Ok(())
}
