//! The viewer, the organization and its users.

mod object;
mod queries;

use campaigns_entity::user;
use campaigns_scope::{Error, Scope, Viewer as Claims};
use sea_orm::{ColumnTrait, Condition};
use uuid::Uuid;

pub(crate) use object::{Organization, User};
pub(crate) use queries::ViewerQueries;

/// The organization's user with the token's subject as `auth_id` or ID.
pub(crate) async fn user_of(scope: &Scope, viewer: &Claims) -> Result<Option<user::Model>, Error> {
    let Ok(subject) = Uuid::try_parse(viewer.subject()) else { return Ok(None) };
    let users = scope.find::<user::Entity>().filter(
        Condition::any().add(user::Column::AuthId.eq(subject)).add(user::Column::Id.eq(subject)),
    );
    let mut users = scope.all(users).await?;
    // another user's ID may equal an auth_id; the user with the auth_id comes first
    users.sort_by_key(|user| user.auth_id != Some(subject));
    Ok(users.into_iter().next())
}
