//! `Contact`.

use async_graphql::{Enum, ID, Object};
use campaigns_entity::contact;

use crate::{
    rows::objects,
    scalars::{DateTime, Json},
};

objects! {
    /// A row of `contacts`.
    Contact of contact;
}

/// What a contact is to the organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "contact::ContactType")]
pub(crate) enum ContactType {
    /// Somebody who may become a customer.
    Lead,
    /// A lead that looks promising.
    Prospect,
    /// Somebody who buys.
    Customer,
    /// Somebody to work with.
    Partner,
    /// Anything else.
    Other,
}

/// A person whom campaigns are sent to.
#[Object]
impl Contact {
    /// The contact's UUID.
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// The first name.
    async fn first_name(&self) -> &str {
        &self.0.first_name
    }

    /// The last name.
    async fn last_name(&self) -> Option<&str> {
        self.0.last_name.as_deref()
    }

    /// The e-mail address.
    async fn email(&self) -> Option<&str> {
        self.0.email.as_deref()
    }

    /// The telephone number.
    async fn phone(&self) -> Option<&str> {
        self.0.phone.as_deref()
    }

    /// What the contact is to you.
    async fn r#type(&self) -> ContactType {
        self.0.r#type.into()
    }

    /// The title at work.
    async fn title(&self) -> Option<&str> {
        self.0.title.as_deref()
    }

    /// Where the contact came from.
    async fn source(&self) -> Option<&str> {
        self.0.source.as_deref()
    }

    /// The city of the address.
    async fn city(&self) -> Option<&str> {
        self.0.city.as_deref()
    }

    /// The state of the address.
    async fn state(&self) -> Option<&str> {
        self.0.state.as_deref()
    }

    /// The country of the address.
    async fn country(&self) -> Option<&str> {
        self.0.country.as_deref()
    }

    /// When the contact was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When anything of it last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }

    /// Whatever is kept with it.
    async fn metadata(&self) -> Json {
        Json::metadata(self.0.metadata.as_ref())
    }
}
