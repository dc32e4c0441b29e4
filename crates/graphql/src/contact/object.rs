//! `Contact`.

use std::collections::HashMap;

use async_graphql::{Context, Enum, ID, Object};
use campaigns_entity::{company, contact, contact_company, event, send};
use uuid::Uuid;

use super::suppression::{self, Suppression};
use crate::{
    company::Company,
    connection::{Connection, Listed, PageArguments},
    context::RequestContext,
    error::Error,
    event::{EngagementEvent, EngagementEventFilter, EngagementEventOrder},
    rows::{self, objects},
    scalars::DateTime,
    send::{Send, SendFilter, SendOrder},
    shown::{Json, Text},
};

objects! {
    /// A row of `contacts`.
    Contact of contact;
}

impl Listed for Contact {
    type Entity = contact::Entity;
    const NAME: &'static str = "contact";
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
    async fn first_name(&self) -> Text<&str> {
        Text(&self.0.first_name)
    }

    /// The last name.
    async fn last_name(&self) -> Option<Text<&str>> {
        self.0.last_name.as_deref().map(Text)
    }

    /// The e-mail address.
    async fn email(&self) -> Option<Text<&str>> {
        self.0.email.as_deref().map(Text)
    }

    /// The telephone number.
    async fn phone(&self) -> Option<Text<&str>> {
        self.0.phone.as_deref().map(Text)
    }

    /// What the contact is to you.
    async fn r#type(&self) -> ContactType {
        self.0.r#type.into()
    }

    /// The title at work.
    async fn title(&self) -> Option<Text<&str>> {
        self.0.title.as_deref().map(Text)
    }

    /// Where the contact came from.
    async fn source(&self) -> Option<Text<&str>> {
        self.0.source.as_deref().map(Text)
    }

    /// The city of the address.
    async fn city(&self) -> Option<Text<&str>> {
        self.0.city.as_deref().map(Text)
    }

    /// The state of the address.
    async fn state(&self) -> Option<Text<&str>> {
        self.0.state.as_deref().map(Text)
    }

    /// The country of the address.
    async fn country(&self) -> Option<Text<&str>> {
        self.0.country.as_deref().map(Text)
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
    async fn metadata(&self) -> Json<'_> {
        Json(self.0.metadata.as_ref())
    }

    /// The companies that the contact works for, the main one first, then by name.
    async fn companies(&self, ctx: &Context<'_>) -> Result<Vec<Company>, Error> {
        let scope = ctx.scope();
        let companies = self
            .0
            .load("companies", async |siblings| {
                let contacts = siblings.iter().map(|contact| contact.id);
                let of = contact_company::Column::ContactId;
                let mut employments =
                    scope.by_column::<contact_company::Entity>(of, contacts).await?;
                let ids = employments.iter().map(|employment| employment.company_id);
                let found = scope.by_ids::<company::Entity>(ids).await?;
                let found = rows::by_id(rows::together::<company::Entity>(found));
                employments.sort_by_key(|employment| {
                    let name =
                        found.get(&employment.company_id).map(|company| company.name.clone());
                    (!employment.is_primary, name, employment.company_id)
                });
                let mut of_contacts: HashMap<Uuid, Vec<Company>> = HashMap::new();
                for employment in employments {
                    let company = found.get(&employment.company_id).cloned().map(Company);
                    of_contacts.entry(employment.contact_id).or_default().extend(company);
                }
                Ok(of_contacts)
            })
            .await?;
        Ok(companies.get(&self.0.id).cloned().unwrap_or_default())
    }

    /// Why nothing more is to be sent to the contact; null where it may be.
    async fn suppression(&self, ctx: &Context<'_>) -> Result<Option<Suppression>, Error> {
        suppression::of(ctx, &self.0).await
    }

    /// The messages to this contact, of every campaign.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn sends(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those that fulfil all of this.")] filter: Option<SendFilter>,
        #[graphql(desc = "In this order; by id without it.")] order_by: Option<Vec<SendOrder>>,
        #[graphql(desc = "So many from the start, 500 at most.")] first: Option<i32>,
        #[graphql(desc = "Those behind this cursor; with first.")] after: Option<String>,
        #[graphql(desc = "So many from the end, 500 at most.")] last: Option<i32>,
        #[graphql(desc = "Those before this cursor; with last.")] before: Option<String>,
    ) -> Result<Connection<Send>, Error> {
        let page = PageArguments { first, after, last, before };
        let of = send::Column::ContactId;
        Connection::children(ctx.scope(), &self.0, of, filter.as_ref(), order_by.as_deref(), page)
    }
    /// What became of the messages to this contact, of every campaign.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those that fulfil all of this.")] filter: Option<
            EngagementEventFilter,
        >,
        #[graphql(desc = "In this order; the latest first without it.")] order_by: Option<
            Vec<EngagementEventOrder>,
        >,
        #[graphql(desc = "So many from the start, 500 at most.")] first: Option<i32>,
        #[graphql(desc = "Those behind this cursor; with first.")] after: Option<String>,
        #[graphql(desc = "So many from the end, 500 at most.")] last: Option<i32>,
        #[graphql(desc = "Those before this cursor; with last.")] before: Option<String>,
    ) -> Result<Connection<EngagementEvent>, Error> {
        let page = PageArguments { first, after, last, before };
        let of = event::Column::SendContactId;
        let order_by = EngagementEventOrder::or(order_by, EngagementEventOrder::LATEST);
        Connection::children(ctx.scope(), &self.0, of, filter.as_ref(), Some(&order_by), page)
    }
}
