//! `Viewer`, `Organization` and `User`.

use async_graphql::{Context, Enum, ID, Object};
use campaigns_entity::{organization, user};
use campaigns_scope::{Role as ClaimedRole, Viewer as Claims};

use super::user_of;
use crate::{
    context::RequestContext,
    error::Error,
    rows::{self, objects},
    scalars::DateTime,
    shown::Text,
};

/// What you may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "ClaimedRole")]
pub(crate) enum Role {
    /// Read and write.
    Member,
    /// Read, write and delete.
    Admin,
}

objects! {
    /// A row of `organizations`.
    Organization of organization;
    /// A row of `users`.
    User of user;
}

/// Who asks, as the token says.
pub(crate) struct Viewer(pub(crate) Claims);

/// Who you are, as your token says.
#[Object]
impl Viewer {
    /// The token's subject.
    async fn subject(&self) -> &str {
        self.0.subject()
    }

    /// What you may do.
    async fn role(&self) -> Role {
        self.0.role().into()
    }

    /// Whether you may delete.
    async fn is_admin(&self) -> bool {
        self.0.role() == ClaimedRole::Admin
    }

    /// The organization that you see.
    async fn organization(&self, ctx: &Context<'_>) -> Result<Organization, Error> {
        let scope = ctx.scope();
        let found = scope.one(scope.find::<organization::Entity>()).await?;
        let found = found.ok_or_else(|| Error::not_found("organization", "organization"))?;
        Ok(Organization(rows::alone(found)))
    }

    /// The organization's user that you are; null where the subject is nobody's id.
    async fn user(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        let found = user_of(ctx.scope(), &self.0).await?;
        Ok(found.map(|user| User(rows::alone(user))))
    }

    /// When your token expires.
    async fn expires_at(&self) -> DateTime {
        self.0.expires_at().into()
    }
}

/// An organization: whose everything is that you see.
#[Object]
impl Organization {
    /// The organization's UUID.
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// What people call it.
    async fn name(&self) -> Text<&str> {
        Text(&self.0.name)
    }

    /// Its name in addresses.
    async fn slug(&self) -> Text<&str> {
        Text(&self.0.slug)
    }
}

/// A person who works for your organization.
#[Object]
impl User {
    /// The user's UUID.
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// The e-mail address.
    async fn email(&self) -> Text<&str> {
        Text(&self.0.email)
    }

    /// First and last name.
    async fn full_name(&self) -> Option<Text<&str>> {
        self.0.full_name.as_deref().map(Text)
    }
}
