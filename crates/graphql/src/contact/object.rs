//! `Contact`.

use std::collections::HashMap;

use async_graphql::{Context, Enum, ID, Object};
use campaigns_entity::{StoredText, company, contact, contact_company, event, send};
use campaigns_operation::object::Objects;
use uuid::Uuid;

use super::suppression::{self, Suppression};
use crate::{
    company::Company,
    connection::{Connection, ConnectionNode, PageArguments},
    context::RequestContext,
    error::Error,
    event::{EngagementEvent, EngagementEventFilter, EngagementEventOrder},
    json_columns::EnumColumn,
    object::{async_fields, object},
    rows,
    scalars::{DateTime, Json},
    send::{Send, SendFilter, SendOrder},
};

object! {
    /// A person who campaigns are sent to.
    Contact of contact, async ContactFields
    /// The contact's UUID.
    "id": ID = Id;
    /// The contact's first name.
    "firstName": String = FirstName;
    /// The contact's last name.
    "lastName": Option<String> = LastName;
    /// The contact's e-mail address.
    "email": Option<String> = Email;
    /// The contact's phone number.
    "phone": Option<String> = Phone;
    /// The contact's relation to your organization.
    "type": EnumColumn<ContactType, contact::ContactType> = Type;
    /// The contact's job title.
    "title": Option<String> = Title;
    /// Where the contact came from.
    "source": Option<String> = Source;
    /// The city of the contact's address.
    "city": Option<String> = City;
    /// The state of the contact's address.
    "state": Option<String> = State;
    /// The country of the contact's address.
    "country": Option<String> = Country;
    /// When the contact was created.
    "createdAt": DateTime = CreatedAt;
    /// When the contact was last updated.
    "updatedAt": DateTime = UpdatedAt;
    /// Custom data stored with the contact, as a JSON object.
    "metadata": Json = Metadata;
}

async_fields!(ContactFields of contact);

impl ConnectionNode for Contact {
    const NAME: &'static str = "contact";
}

/// A contact's relation to your organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "contact::ContactType")]
pub(crate) enum ContactType {
    /// A person who may become a customer.
    Lead,
    /// A promising lead.
    Prospect,
    /// A person who buys from you.
    Customer,
    /// A person who works with you.
    Partner,
    /// Any other relation.
    Other,
}

#[Object]
impl ContactFields {
    /// The companies that the contact works for: the primary one first, the others by name.
    async fn companies(&self, ctx: &Context<'_>) -> Result<Objects<Company>, Error> {
        let scope = ctx.scope();
        let companies = self
            .0
            .load_for_all("companies", async |contacts| {
                let of = contact_company::Column::ContactId;
                let mut employments =
                    scope.by_column::<contact_company::Entity>(of, contacts).await?;
                let ids = employments.iter().map(|employment| employment.company_id);
                let found = scope.by_ids::<company::Entity>(ids).await?;
                let names: HashMap<Uuid, StoredText> =
                    found.iter().map(|company| (company.id, company.name.clone())).collect();
                let found = rows::by_id(rows::from_models::<company::Entity>(found));
                employments.sort_by_key(|employment| {
                    let name = names.get(&employment.company_id).cloned();
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
        Ok(Objects(companies.get(&self.0.id()).cloned().unwrap_or_default()))
    }

    /// Why the contact gets no more sends. Null if the contact is not suppressed.
    async fn suppression(&self, ctx: &Context<'_>) -> Result<Option<Suppression>, Error> {
        suppression::of(ctx, &self.0).await
    }

    /// The sends to this contact, from all campaigns.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn sends(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Filters the list. All given fields must match.")] filter: Option<
            SendFilter,
        >,
        #[graphql(desc = "The order of the list. The default is by ID.")] order_by: Option<
            Vec<SendOrder>,
        >,
        #[graphql(desc = "Returns the first _n_ elements, up to 500.")] first: Option<i32>,
        #[graphql(desc = "Returns the elements after this cursor. Use with `first`.")]
        after: Option<String>,
        #[graphql(desc = "Returns the last _n_ elements, up to 500.")] last: Option<i32>,
        #[graphql(desc = "Returns the elements before this cursor. Use with `last`.")]
        before: Option<String>,
    ) -> Result<Connection<Send>, Error> {
        let page = PageArguments { first, after, last, before };
        let of = send::Column::ContactId;
        Connection::children(ctx, &self.0, of, filter.as_ref(), order_by.as_deref(), page)
    }

    /// The engagement events of the contact, from all campaigns.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Filters the list. All given fields must match.")] filter: Option<
            EngagementEventFilter,
        >,
        #[graphql(desc = "The order of the list. The default is latest first.")] order_by: Option<
            Vec<EngagementEventOrder>,
        >,
        #[graphql(desc = "Returns the first _n_ elements, up to 500.")] first: Option<i32>,
        #[graphql(desc = "Returns the elements after this cursor. Use with `first`.")]
        after: Option<String>,
        #[graphql(desc = "Returns the last _n_ elements, up to 500.")] last: Option<i32>,
        #[graphql(desc = "Returns the elements before this cursor. Use with `last`.")]
        before: Option<String>,
    ) -> Result<Connection<EngagementEvent>, Error> {
        let page = PageArguments { first, after, last, before };
        let of = event::Column::SendContactId;
        let order_by = EngagementEventOrder::or(order_by, EngagementEventOrder::LATEST);
        Connection::children(ctx, &self.0, of, filter.as_ref(), Some(&order_by), page)
    }
}
