//! The fields of rules.

use campaigns_analytics::{ContactCampaign, ContactNumber, ContactTime};
use campaigns_entity::contact::{Column, ContactType};
use sea_orm::{ActiveEnum, Iterable};

use crate::operators::Kind;

/// A field of rules.
#[derive(Debug)]
pub struct Field {
    /// Its name in rules. `metadata.KEY` represents any key.
    pub name: &'static str,
    /// Its display name.
    pub label: &'static str,
    pub(crate) kind: Kind,
    pub(crate) source: Source,
}

/// The source of a field's value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Column(Column),
    /// A key of the contact's metadata.
    Metadata,
    /// A column of the contact's companies.
    Company(Company),
    Number(ContactNumber),
    Time(ContactTime),
    /// Whether a number is positive.
    Any(ContactNumber),
    Campaign(ContactCampaign),
    ClickedUrl,
}

/// A column of companies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Company {
    Name,
    Domain,
    Industry,
    Size,
}

const fn field(name: &'static str, label: &'static str, kind: Kind, source: Source) -> Field {
    Field { name, label, kind, source }
}

const fn text(name: &'static str, label: &'static str, column: Column) -> Field {
    field(name, label, Kind::Text, Source::Column(column))
}

const fn company(name: &'static str, label: &'static str, column: Company) -> Field {
    field(name, label, Kind::Text, Source::Company(column))
}

const fn number(name: &'static str, label: &'static str, number: ContactNumber) -> Field {
    field(name, label, Kind::Number, Source::Number(number))
}

const fn time(name: &'static str, label: &'static str, time: ContactTime) -> Field {
    field(name, label, Kind::Time, Source::Time(time))
}

const fn any(name: &'static str, label: &'static str, number: ContactNumber) -> Field {
    field(name, label, Kind::Boolean, Source::Any(number))
}

const fn campaign(name: &'static str, label: &'static str, relation: ContactCampaign) -> Field {
    field(name, label, Kind::Campaign, Source::Campaign(relation))
}

/// All fields.
pub static FIELDS: &[Field] = &[
    text("first_name", "First name", Column::FirstName),
    text("last_name", "Last name", Column::LastName),
    text("email", "E-mail address", Column::Email),
    text("phone", "Phone number", Column::Phone),
    text("title", "Job title", Column::Title),
    text("source", "Source", Column::Source),
    text("city", "City", Column::City),
    text("state", "State", Column::State),
    text("postal_code", "Postal code", Column::PostalCode),
    text("country", "Country", Column::Country),
    text("address_line1", "Address, line 1", Column::AddressLine1),
    text("address_line2", "Address, line 2", Column::AddressLine2),
    field("type", "Type", Kind::ContactType, Source::Column(Column::Type)),
    field("owner_id", "Owner", Kind::Id, Source::Column(Column::OwnerId)),
    field("id", "Contact", Kind::Id, Source::Column(Column::Id)),
    field("created_at", "Created at", Kind::Time, Source::Column(Column::CreatedAt)),
    field("updated_at", "Updated at", Kind::Time, Source::Column(Column::UpdatedAt)),
    field("metadata.KEY", "Metadata", Kind::Json, Source::Metadata),
    company("company.name", "Company name", Company::Name),
    company("company.domain", "Company domain", Company::Domain),
    company("company.industry", "Company industry", Company::Industry),
    company("industry", "Industry", Company::Industry),
    company("company.size", "Company size", Company::Size),
    number("sends", "Sends", ContactNumber::Sends),
    number("opens", "Opens", ContactNumber::Opens),
    number("clicks", "Clicks", ContactNumber::Clicks),
    time("last_sent_at", "Last sent at", ContactTime::LastSent),
    time("last_opened_at", "Last opened at", ContactTime::LastOpened),
    time("last_clicked_at", "Last clicked at", ContactTime::LastClicked),
    any("opened", "Opened", ContactNumber::Opens),
    any("clicked", "Clicked", ContactNumber::Clicks),
    any("unsubscribed", "Unsubscribed", ContactNumber::Unsubscribes),
    any("complained", "Complained", ContactNumber::Complaints),
    any("bounced", "Bounce reported", ContactNumber::Bounces),
    any("suppressed", "Suppressed", ContactNumber::Suppressing),
    campaign("received_campaign", "Received campaign", ContactCampaign::Received),
    campaign("opened_campaign", "Opened campaign", ContactCampaign::Opened),
    campaign("clicked_campaign", "Clicked campaign", ContactCampaign::Clicked),
    field("clicked_url", "Clicked URL", Kind::Text, Source::ClickedUrl),
];

/// The prefix of the names of metadata fields.
const METADATA: &str = "metadata.";

impl Field {
    /// The field with this name, and its keys in the metadata, if any.
    pub(crate) fn find(name: &str) -> Option<(&'static Self, Vec<String>)> {
        let (name, keys) = match name.strip_prefix(METADATA) {
            None => (name, Vec::new()),
            Some(path) => ("metadata.KEY", path.split('.').map(ToOwned::to_owned).collect()),
        };
        if keys.len() > 2 || keys.iter().any(|key| key.is_empty() || key.contains('\0')) {
            return None;
        }
        FIELDS.iter().find(|field| field.name == name).map(|field| (field, keys))
    }

    /// Whether a rule on the field with this name reads more than the contact's own row.
    #[must_use]
    pub fn reads_other_tables(name: &str) -> bool {
        let field = FIELDS.iter().find(|field| field.name == name);
        field.is_some_and(|field| !matches!(field.source, Source::Column(_) | Source::Metadata))
    }

    /// The type of its values: `text`, `enum`, `id`, `time`, `json`, `number` or `boolean`.
    #[must_use]
    pub fn value_type(&self) -> &'static str {
        match self.kind {
            Kind::Text => "text",
            Kind::ContactType => "enum",
            Kind::Id | Kind::Campaign => "id",
            Kind::Time => "time",
            Kind::Json => "json",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
        }
    }

    /// The names of the operators that it supports.
    pub fn operators(&self) -> impl Iterator<Item = &'static str> {
        self.kind.operators().map(|operator| operator.name)
    }

    /// Its possible values, if they are a fixed set.
    #[must_use]
    pub fn values(&self) -> Option<Vec<String>> {
        (self.kind == Kind::ContactType)
            .then(|| ContactType::iter().map(|value| value.to_value()).collect())
    }
}
