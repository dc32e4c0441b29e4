//! The people of the demo data: users, companies, contacts and segments.

use campaigns_entity::{
    StoredText, company,
    contact::{self, ContactType},
    contact_company,
    membership::{self, MembershipRole, MembershipStatus},
    segment, user,
};
use campaigns_scope::{Error, Scope};
use chrono::{DateTime, TimeDelta, Utc};
use fake::{
    Fake,
    faker::{
        address::en::{CityName, StateName},
        company::en::CompanyName,
        job::en::Title,
        name::en::{FirstName, LastName},
        phone_number::en::PhoneNumber,
    },
};
use rand::{RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use sea_orm::ActiveValue::Set;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::organizations::{ADMIN, MEMBER, Organization};

const INDUSTRIES: &[&str] =
    &["Technology", "Retail", "Hospitality", "Education", "Healthcare", "Logistics", "Media"];
const SIZES: &[&str] = &["1-10", "11-50", "51-200", "201-1000", "1000+"];
const SOURCES: &[&str] = &["website", "referral", "trade show", "newsletter", "import"];
const COUNTRIES: &[&str] = &["US", "US", "US", "CA", "GB", "DE", "NL", "AU"];
const TYPES: &[(ContactType, u32)] = &[
    (ContactType::Lead, 40),
    (ContactType::Prospect, 20),
    (ContactType::Customer, 30),
    (ContactType::Partner, 6),
    (ContactType::Other, 4),
];

/// A contact, as needed for campaigns.
pub(super) struct Person {
    pub(super) id: Uuid,
    pub(super) segments: Vec<Uuid>,
    /// How likely the person is to open mail, around 1.
    pub(super) interest: f64,
}

/// All people who campaigns can be sent to.
pub(super) struct Audience {
    pub(super) creator: Option<Uuid>,
    pub(super) people: Vec<Person>,
    /// The IDs of the segments, in the order of [`segments`].
    pub(super) segments: Vec<Uuid>,
}

struct Segment {
    name: &'static str,
    description: &'static str,
    rules: Json,
    selects: fn(&contact::ActiveModel, &str) -> bool,
}

fn segments() -> Vec<Segment> {
    vec![
        Segment {
            name: "Customers",
            description: "Everybody who buys.",
            rules: json!({ "type": "customer" }),
            selects: |contact, _| *contact.r#type.as_ref() == ContactType::Customer,
        },
        Segment {
            name: "Leads from the website",
            description: "People who left their address on a page.",
            rules: json!({ "combinator": "and", "rules": [
                { "field": "type", "operator": "=", "value": "lead" },
                { "field": "source", "operator": "=", "value": "website" },
            ] }),
            selects: |contact, _| {
                *contact.r#type.as_ref() == ContactType::Lead
                    && contact.source.as_ref().as_deref() == Some("website")
            },
        },
        Segment {
            name: "Technology companies",
            description: "Contacts at companies of the industry.",
            rules: json!({ "industry": "Technology" }),
            selects: |_, industry| industry == "Technology",
        },
        Segment {
            name: "Europe",
            description: "Contacts in the countries that are shipped to from Rotterdam.",
            rules: json!({ "combinator": "and", "rules": [
                { "field": "country", "operator": "in", "value": "GB,DE,NL" },
            ] }),
            selects: |contact, _| {
                matches!(contact.country.as_ref().as_deref(), Some("GB" | "DE" | "NL"))
            },
        },
        Segment {
            name: "Everybody with an address",
            description: "All contacts that have an e-mail address.",
            rules: json!({ "combinator": "and", "rules": [
                { "field": "email", "operator": "notNull" },
            ] }),
            selects: |contact, _| contact.email.as_ref().is_some(),
        },
    ]
}

/// Writes all of them. `viewers` turns the subjects of the development tokens into users.
pub(super) async fn load(
    scope: &Scope,
    rng: &mut ChaCha8Rng,
    organization: &Organization,
    viewers: bool,
    now: DateTime<Utc>,
) -> Result<Audience, Error> {
    let long_ago = now - TimeDelta::days(400);
    let creator = load_users(scope, rng, organization, viewers, long_ago).await?;

    let companies: Vec<company::ActiveModel> =
        (0..organization.companies).map(|_| company(rng, long_ago)).collect();
    let employers: Vec<(Uuid, &'static str, String)> = companies
        .iter()
        .map(|company| {
            let industry = company.industry.as_ref().as_deref().unwrap_or("");
            let industry = INDUSTRIES.iter().find(|known| **known == industry);
            let domain = company.domain.as_ref().as_deref().unwrap_or("example.com").to_owned();
            (*company.id.as_ref(), *industry.unwrap_or(&""), domain)
        })
        .collect();
    scope.insert_all::<company::Entity>(companies).await?;

    let segments = segments();
    let segment_ids: Vec<Uuid> = segments.iter().map(|_| id(rng)).collect();
    let mut counts = vec![0_i32; segments.len()];
    let mut people = Vec::with_capacity(organization.contacts);
    let mut contacts = Vec::with_capacity(organization.contacts);
    let mut employments = Vec::with_capacity(organization.contacts);
    for number in 0..organization.contacts {
        let Some((company, industry, domain)) = employers.choose(rng) else { break };
        let contact = contact(rng, number, domain, creator, now);
        let mut of = Vec::new();
        for (index, segment) in segments.iter().enumerate() {
            if (segment.selects)(&contact, industry) {
                of.push(segment_ids[index]);
                counts[index] += 1;
            }
        }
        let person = *contact.id.as_ref();
        people.push(Person { id: person, segments: of, interest: rng.random_range(0.4..1.6) });
        employments.push(contact_company::ActiveModel {
            id: Set(id(rng)),
            contact_id: Set(person),
            company_id: Set(*company),
            title: Set(contact.title.as_ref().clone()),
            is_primary: Set(true),
            created_at: Set(contact.created_at.as_ref().clone()),
            updated_at: Set(contact.created_at.as_ref().clone()),
            ..Default::default()
        });
        contacts.push(contact);
    }
    scope.insert_all::<contact::Entity>(contacts).await?;
    scope.insert_all::<contact_company::Entity>(employments).await?;

    let rows = segments.into_iter().zip(&segment_ids).zip(counts).map(|((segment, id), count)| {
        segment::ActiveModel {
            id: Set(*id),
            name: Set(segment.name.into()),
            description: Set(Some(segment.description.into())),
            filter_rules: Set(segment.rules.into()),
            contact_count: Set(Some(count)),
            created_at: Set((now - TimeDelta::days(120)).into()),
            updated_at: Set((now - TimeDelta::days(3)).into()),
            ..Default::default()
        }
    });
    scope.insert_all::<segment::Entity>(rows.collect()).await?;
    Ok(Audience { creator, people, segments: segment_ids })
}

async fn load_users(
    scope: &Scope,
    rng: &mut ChaCha8Rng,
    organization: &Organization,
    viewers: bool,
    at: DateTime<Utc>,
) -> Result<Option<Uuid>, Error> {
    let subjects = if viewers { [Some(ADMIN), Some(MEMBER)] } else { [None, None] };
    let roles = [MembershipRole::Admin, MembershipRole::Member];
    let mut creator = None;
    for (subject, role) in subjects.into_iter().zip(roles) {
        let (first, last): (String, String) =
            (FirstName().fake_with_rng(rng), LastName().fake_with_rng(rng));
        let user = scope
            .insert::<user::Entity>(user::ActiveModel {
                id: Set(id(rng)),
                auth_id: Set(subject),
                email: Set(address(&first, &last, organization.slug).into()),
                full_name: Set(Some(format!("{first} {last}").into())),
                is_active: Set(true),
                created_at: Set(at.into()),
                updated_at: Set(at.into()),
                ..Default::default()
            })
            .await?;
        scope
            .insert::<membership::Entity>(membership::ActiveModel {
                id: Set(id(rng)),
                user_id: Set(user.id),
                role: Set(Some(role)),
                status: Set(Some(MembershipStatus::Active)),
                created_at: Set(at.into()),
                updated_at: Set(at.into()),
                ..Default::default()
            })
            .await?;
        creator.get_or_insert(user.id);
    }
    Ok(creator)
}

fn company(rng: &mut ChaCha8Rng, at: DateTime<Utc>) -> company::ActiveModel {
    let name: String = CompanyName().fake_with_rng(rng);
    let domain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    company::ActiveModel {
        id: Set(id(rng)),
        domain: Set(Some(format!("{}.example", domain.to_lowercase()).into())),
        name: Set(name.into()),
        industry: Set(pick(rng, INDUSTRIES)),
        size: Set(pick(rng, SIZES)),
        city: Set(Some(CityName().fake_with_rng::<String, _>(rng).into())),
        country: Set(pick(rng, COUNTRIES)),
        created_at: Set(at.into()),
        updated_at: Set(at.into()),
        ..Default::default()
    }
}

fn contact(
    rng: &mut ChaCha8Rng,
    number: usize,
    domain: &str,
    owner: Option<Uuid>,
    now: DateTime<Utc>,
) -> contact::ActiveModel {
    let (first, last): (String, String) =
        (FirstName().fake_with_rng(rng), LastName().fake_with_rng(rng));
    let created_at = now - TimeDelta::minutes(rng.random_range(60 * 24 * 95..60 * 24 * 390));
    // people do not always leave their address or their last name
    let email = rng.random_bool(0.97).then(|| {
        format!("{}.{}{number}@{domain}", first.to_lowercase(), last.to_lowercase())
            .replace(['\'', ' '], "")
    });
    contact::ActiveModel {
        id: Set(id(rng)),
        owner_id: Set(owner.filter(|_| rng.random_bool(0.6))),
        first_name: Set(first.into()),
        last_name: Set(Some(last).filter(|_| rng.random_bool(0.98)).map(Into::into)),
        email: Set(email.map(Into::into)),
        phone: Set(rng
            .random_bool(0.5)
            .then(|| PhoneNumber().fake_with_rng::<String, _>(rng).into())),
        r#type: Set(weighted(rng)),
        title: Set(Some(Title().fake_with_rng::<String, _>(rng).into())),
        source: Set(pick(rng, SOURCES)),
        city: Set(Some(CityName().fake_with_rng::<String, _>(rng).into())),
        state: Set(Some(StateName().fake_with_rng::<String, _>(rng).into())),
        country: Set(pick(rng, COUNTRIES)),
        created_at: Set(created_at.into()),
        updated_at: Set(created_at.into()),
        ..Default::default()
    }
}

fn address(first: &str, last: &str, slug: &str) -> String {
    format!("{}.{}@{slug}.example", first.to_lowercase(), last.to_lowercase()).replace('\'', "")
}

fn pick(rng: &mut ChaCha8Rng, from: &[&str]) -> Option<StoredText> {
    from.choose(rng).map(|&value| value.into())
}

fn weighted(rng: &mut ChaCha8Rng) -> ContactType {
    TYPES.choose_weighted(rng, |(_, weight)| *weight).map_or(ContactType::Other, |(kind, _)| *kind)
}

/// A version 4 UUID that the generator draws.
pub(super) fn id(rng: &mut ChaCha8Rng) -> Uuid {
    let bytes: [u8; 16] = rand::RngExt::random(rng);
    // what RFC 9562 sets: the version's four bits and the variant's two
    let number = u128::from_be_bytes(bytes);
    let version = 0xf000_u128 << 64;
    let variant = 0xc000_u128 << 48;
    Uuid::from_u128((number & !version & !variant) | 0x4000 << 64 | 0x8000 << 48)
}
