//! The filter of contacts.

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
    /// Filters by a contact's relation to your organization. All given operators must match.
    ContactTypeFilter of contact::ContactType as ContactType
}

/// Filters contacts. All given fields must match. An empty filter matches all contacts.
#[derive(Clone, Debug, Default, InputObject)]
pub(crate) struct ContactFilter {
    /// Matches if all of these filters match. An empty list matches everything.
    and: Option<Vec<ContactFilter>>,
    /// Matches if at least one of these filters matches. An empty list matches nothing.
    or: Option<Vec<ContactFilter>>,
    /// Matches everything that this filter does not match, including null values.
    not: Option<Box<ContactFilter>>,
    /// Filters by ID.
    id: Option<IdFilter>,
    /// Filters by first name.
    first_name: Option<StringFilter>,
    /// Filters by last name.
    last_name: Option<StringFilter>,
    /// Filters by e-mail address.
    email: Option<StringFilter>,
    /// Filters by the contact's relation to your organization.
    r#type: Option<ContactTypeFilter>,
    /// Filters by the contact's source.
    source: Option<StringFilter>,
    /// Filters by the city of the address.
    city: Option<StringFilter>,
    /// Filters by the state of the address.
    state: Option<StringFilter>,
    /// Filters by the country of the address.
    country: Option<StringFilter>,
    /// Filters by creation time.
    created_at: Option<DateTimeFilter>,
    /// Filters by custom data.
    metadata: Option<JsonFilter>,
    /// Filters by whether the contact opened any send, of any campaign.
    opened: Option<bool>,
    /// Filters by whether the contact clicked a link in any send, of any campaign.
    clicked: Option<bool>,
    /// Filters by whether the contact ever unsubscribed.
    unsubscribed: Option<bool>,
    /// Filters by whether the contact ever reported a message as spam.
    complained: Option<bool>,
    /// Filters by whether any send to the contact ever had a bounce, hard or soft.
    bounced: Option<bool>,
    /// Filters by whether the contact is suppressed: it unsubscribed, reported a message as spam, or
    /// had a hard bounce. Suppressed contacts get no more sends.
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
            all.boolean(path.field(name), wanted, |scope| contact_had(scope, event_type, scan))?;
        }
        all.boolean(path.field("suppressed"), self.suppressed, |scope| is_suppressed(scope, scan))
    }
}
