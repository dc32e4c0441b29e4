//! `Viewer`, `Organization` and `User`.

use async_graphql::{Context, Enum, ID, Object};
use campaigns_entity::{organization, user};
use campaigns_operation::object::Nothing;
use campaigns_scope::{Role as ClaimedRole, Viewer as Claims};

use super::user_of;
use crate::{context::RequestContext, error::Error, object::object, rows, scalars::DateTime};

/// A role: what a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "ClaimedRole")]
pub(crate) enum Role {
    /// Read and write.
    Member,
    /// Read, write and delete.
    Admin,
}

object! {
    /// An organization. You see the data of your own.
    Organization of organization, waits Nothing
    /// The organization's UUID.
    "id": ID = Id;
    /// The organization's name.
    "name": String = Name;
    /// The organization's short name, as used in URLs.
    "slug": String = Slug;
}

object! {
    /// A user: a person who works for your organization.
    User of user, waits Nothing
    /// The user's UUID.
    "id": ID = Id;
    /// The e-mail address.
    "email": String = Email;
    /// The first and last name.
    "fullName": Option<String> = FullName;
}

/// Who asks, as the token says.
pub(crate) struct Viewer(pub(crate) Claims);

/// The authenticated user, as described by your token.
#[Object]
impl Viewer {
    /// The token's subject.
    async fn subject(&self) -> &str {
        self.0.subject()
    }

    /// Your role.
    async fn role(&self) -> Role {
        self.0.role().into()
    }

    /// Whether you are an admin, and may delete.
    async fn is_admin(&self) -> bool {
        self.0.role() == ClaimedRole::Admin
    }

    /// Your organization, whose data you see.
    async fn organization(&self, ctx: &Context<'_>) -> Result<Organization, Error> {
        let scope = ctx.scope();
        let found = scope.one(scope.find::<organization::Entity>()).await?;
        let found = found.ok_or_else(|| Error::not_found("organization", "organization"))?;
        Ok(Organization(rows::alone(found)))
    }

    /// The user that the token's subject identifies. Null if there is none.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        let found = user_of(ctx.scope(), &self.0).await?;
        Ok(found.map(|user| User(rows::alone(user))))
    }

    /// When your token expires.
    async fn expires_at(&self) -> DateTime {
        self.0.expires_at().into()
    }
}
