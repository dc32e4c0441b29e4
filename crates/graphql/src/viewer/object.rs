//! `Viewer`, `Organization` and `User`.

use async_graphql::{Context, Enum, ID, Object};
use campaigns_entity::{organization, user};
use campaigns_operation::object::NoFields;
use campaigns_scope::{Role as ClaimedRole, Viewer as Claims};

use super::user_of;
use crate::{context::RequestContext, error::Error, object::object, rows, scalars::DateTime};

/// The role of a user, which decides what the user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "ClaimedRole")]
pub(crate) enum Role {
    /// Can read and write.
    Member,
    /// Can read, write and delete, and configure webhooks.
    Admin,
}

object! {
    /// An organization. You can see the data of your own organization only.
    Organization of organization, async NoFields
    /// The organization's UUID.
    "id": ID = Id;
    /// The organization's name.
    "name": String = Name;
    /// The organization's short name, as used in URLs.
    "slug": String = Slug;
}

object! {
    /// A user: a person who works for your organization.
    User of user, async NoFields
    /// The user's UUID.
    "id": ID = Id;
    /// The user's e-mail address.
    "email": String = Email;
    /// The user's full name.
    "fullName": Option<String> = FullName;
}

/// The viewer, as described by the token.
pub(crate) struct Viewer(pub(crate) Claims);

/// The authenticated user, as described by the token.
#[Object]
impl Viewer {
    /// The subject of your token.
    async fn subject(&self) -> &str {
        self.0.subject()
    }

    /// Your role.
    async fn role(&self) -> Role {
        self.0.role().into()
    }

    /// Whether you are an admin. Only admins can delete, and configure webhooks.
    async fn is_admin(&self) -> bool {
        self.0.role() == ClaimedRole::Admin
    }

    /// Your organization. All results come from its data.
    async fn organization(&self, ctx: &Context<'_>) -> Result<Organization, Error> {
        let scope = ctx.scope();
        let found = scope.one(scope.find::<organization::Entity>()).await?;
        let found = found.ok_or_else(|| Error::not_found("organization", "organization"))?;
        Ok(Organization(rows::from_model(found)))
    }

    /// The user that the token's subject identifies. Null if there is none.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        let found = user_of(ctx.scope(), &self.0).await?;
        Ok(found.map(|user| User(rows::from_model(user))))
    }

    /// When your token expires. Requests fail with `UNAUTHENTICATED`, and sockets are closed, shortly
    /// after that.
    async fn expires_at(&self) -> DateTime {
        self.0.expires_at().into()
    }
}
