//! The engagement of a send or a contact, from counts and pending changes.

use std::collections::HashMap;

use campaigns_entity::{event::EventType, send};
use campaigns_scope::{Error, Scope, Scoped, Sql};
use sea_orm::{DbErr, sea_query::Expr};
use uuid::Uuid;

use crate::contacts::{ContactNumber, has_any};

/// The condition that a row of `contacts` has such an event, looked up for each row.
macro_rules! of_contacts {
    ($count:literal, $changes:literal) => {
        concat!(
            "CASE WHEN contacts.id IN (SELECT contact_id FROM campaign_event_changes WHERE ",
            $changes,
            ") THEN coalesce((SELECT ",
            $count,
            " FROM campaign_contact_counts WHERE contact_id = contacts.id), 0)
               + (SELECT sum(number) FROM campaign_event_changes WHERE contact_id = contacts.id AND ",
            $changes,
            ") > 0
             ELSE EXISTS (SELECT 1 FROM campaign_contact_counts WHERE contact_id = contacts.id AND ",
            $count,
            " > 0) END"
        )
    };
}
pub(crate) use of_contacts;

/// The same condition as a query.
macro_rules! contacts_that {
    ($count:literal, $changes:literal) => {
        Sql::new(concat!("SELECT ", of_contacts!($count, $changes)))
    };
}

/// The condition that a row of `campaign_sends` has such an event.
macro_rules! send_had {
    ($count:literal, $event:literal) => {
        Sql::new(concat!(
            "SELECT coalesce((SELECT ",
            $count,
            " FROM campaign_send_counts
               WHERE send_id = campaign_sends.id AND campaign_id = campaign_sends.campaign_id), 0)
             + coalesce((SELECT sum(number) FROM campaign_event_changes
               WHERE campaign_id = campaign_sends.campaign_id AND send_id = campaign_sends.id
               AND event_type = '",
            $event,
            "'), 0) > 0"
        ))
    };
}

const CONTACT_OPENED: Sql = contacts_that!("opens", "event_type = 'open'");
const CONTACT_CLICKED: Sql = contacts_that!("clicks", "event_type = 'click'");
const CONTACT_UNSUBSCRIBED: Sql = contacts_that!("unsubscribes", "event_type = 'unsubscribe'");
const CONTACT_COMPLAINED: Sql = contacts_that!("complaints", "event_type = 'complaint'");
const CONTACT_BOUNCED: Sql = contacts_that!("bounces", "event_type = 'bounce'");

const SEND_OPENED: Sql = send_had!("opens", "open");
const SEND_CLICKED: Sql = send_had!("clicks", "click");
const SEND_UNSUBSCRIBED: Sql = send_had!("unsubscribes", "unsubscribe");
const SEND_COMPLAINED: Sql = send_had!("complaints", "complaint");
const SEND_BOUNCED: Sql = send_had!("bounces", "bounce");

const OF_SENDS: Sql = Sql::new(
    "SELECT send, CAST(sum(opens) AS bigint) AS opens, CAST(sum(clicks) AS bigint) AS clicks FROM
     (SELECT sends.id AS send, counts.opens, counts.clicks
      FROM (SELECT id, campaign_id FROM {campaign_sends BY id}) AS sends
      JOIN campaign_send_counts AS counts
      ON counts.send_id = sends.id AND counts.campaign_id = sends.campaign_id
      UNION ALL
      SELECT sends.id, CASE event_type WHEN 'open' THEN number ELSE 0 END,
        CASE event_type WHEN 'click' THEN number ELSE 0 END
      FROM (SELECT id, campaign_id FROM {campaign_sends BY id}) AS sends
      JOIN campaign_event_changes AS changes
      ON changes.send_id = sends.id AND changes.campaign_id = sends.campaign_id) AS parts
     GROUP BY send",
);

/// The number of rows that a statement tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// A few rows, in the order of an index or by key. The condition is looked up for each.
    Partial,
    /// All rows of the organization, for sorting or counting.
    Full,
}

/// The engagement of a send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Engagement {
    /// The number of opens.
    pub opens: i64,
    /// The number of clicks on its links.
    pub clicks: i64,
}

/// The engagement of each selected send. Sends without engagement are omitted.
///
/// # Errors
/// Any error of the database.
pub async fn of_sends(
    scope: &Scope,
    selected: Scoped<send::Entity>,
) -> Result<HashMap<Uuid, Engagement>, Error> {
    let rows = scope.rows(OF_SENDS, selected).await?;
    let read = |row: &sea_orm::QueryResult| {
        let engagement =
            Engagement { opens: row.try_get("", "opens")?, clicks: row.try_get("", "clicks")? };
        Ok((row.try_get("", "send")?, engagement))
    };
    Ok(rows.iter().map(read).collect::<Result<_, DbErr>>()?)
}

/// The condition that a row of `contacts` has an event of this type, in any campaign.
#[must_use]
pub fn contact_had(scope: &Scope, event: EventType, scan: Scan) -> Expr {
    let (looked_up, number) = match event {
        EventType::Open => (CONTACT_OPENED, ContactNumber::Opens),
        EventType::Click => (CONTACT_CLICKED, ContactNumber::Clicks),
        EventType::Unsubscribe => (CONTACT_UNSUBSCRIBED, ContactNumber::Unsubscribes),
        EventType::Complaint => (CONTACT_COMPLAINED, ContactNumber::Complaints),
        EventType::Bounce => (CONTACT_BOUNCED, ContactNumber::Bounces),
    };
    match scan {
        Scan::Partial => scope.expression(looked_up),
        Scan::Full => has_any(scope, number),
    }
}

/// The condition that a row of `campaign_sends` has an event of this type.
#[must_use]
pub fn send_had(scope: &Scope, event: EventType) -> Expr {
    scope.expression(match event {
        EventType::Open => SEND_OPENED,
        EventType::Click => SEND_CLICKED,
        EventType::Unsubscribe => SEND_UNSUBSCRIBED,
        EventType::Complaint => SEND_COMPLAINED,
        EventType::Bounce => SEND_BOUNCED,
    })
}
