//! Which contacts.

use async_graphql::InputObject;
use campaigns_analytics::{contact_had, is_suppressed};
use campaigns_entity::{
    contact::{self, Column},
    event::EventType,
};

use super::object::ContactType;
use crate::{
    error::Error,
    filter::{
        All, DateTimeFilter, Filter, IdFilter, JsonFilter, StringFilter, enum_filter, logical,
    },
    input::Path,
};

enum_filter! {
    /// By what a contact is to you.
    ContactTypeFilter of contact::ContactType as ContactType
}

/// Contacts that fulfil every field that is given; none: all of them.
#[derive(Clone, Debug, Default, InputObject)]
pub(crate) struct ContactFilter {
    /// All of these; [] is everything.
    and: Option<Vec<ContactFilter>>,
    /// At least one of these; [] is nothing.
    or: Option<Vec<ContactFilter>>,
    /// Exactly those that this does not select.
    not: Option<Box<ContactFilter>>,
    /// By id.
    id: Option<IdFilter>,
    /// By first name.
    first_name: Option<StringFilter>,
    /// By last name.
    last_name: Option<StringFilter>,
    /// By e-mail address.
    email: Option<StringFilter>,
    /// By what the contact is to you.
    r#type: Option<ContactTypeFilter>,
    /// By where the contact came from.
    source: Option<StringFilter>,
    /// By the city of the address.
    city: Option<StringFilter>,
    /// By the state of the address.
    state: Option<StringFilter>,
    /// By the country of the address.
    country: Option<StringFilter>,
    /// By the time the contact was made.
    created_at: Option<DateTimeFilter>,
    /// By what you keep with it.
    metadata: Option<JsonFilter>,
    /// Whether any send to the contact, in any campaign, was ever opened.
    opened: Option<bool>,
    /// Whether a link in any send to the contact was ever clicked.
    clicked: Option<bool>,
    /// Whether the contact ever unsubscribed.
    unsubscribed: Option<bool>,
    /// Whether the contact ever reported spam.
    complained: Option<bool>,
    /// Whether any send to the contact ever bounced.
    bounced: Option<bool>,
    /// Whether nothing more is to be sent to the contact: it unsubscribed, complained, or bounced
    /// hard.
    suppressed: Option<bool>,
}

impl Filter for ContactFilter {
    logical!();

    fn fields(&self, all: &mut All<'_>, path: Path<'_>) -> Result<(), Error> {
        all.id(path.field("id"), self.id.as_ref(), Column::Id)?;
        for (name, filter, column) in [
            ("firstName", &self.first_name, Column::FirstName),
            ("lastName", &self.last_name, Column::LastName),
            ("email", &self.email, Column::Email),
            ("source", &self.source, Column::Source),
            ("city", &self.city, Column::City),
            ("state", &self.state, Column::State),
            ("country", &self.country, Column::Country),
        ] {
            all.text(path.field(name), filter.as_ref(), column)?;
        }
        let of_type = self.r#type.as_ref().map(ContactTypeFilter::operators);
        all.choice(path.field("type"), of_type, Column::Type)?;
        all.time(path.field("createdAt"), self.created_at.as_ref(), Column::CreatedAt)?;
        all.json(path.field("metadata"), self.metadata.as_ref(), "contacts.metadata")?;
        let scan = all.scan;
        for (name, wanted, event_type) in [
            ("opened", self.opened, EventType::Open),
            ("clicked", self.clicked, EventType::Click),
            ("unsubscribed", self.unsubscribed, EventType::Unsubscribe),
            ("complained", self.complained, EventType::Complaint),
            ("bounced", self.bounced, EventType::Bounce),
        ] {
            all.whether(path.field(name), wanted, |scope| contact_had(scope, event_type, scan))?;
        }
        all.whether(path.field("suppressed"), self.suppressed, |scope| is_suppressed(scope, scan))
    }
}
