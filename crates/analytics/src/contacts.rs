//! Conditions on the engagement of contacts: numbers of sends and events, times of the last ones, and
//! campaigns.
//!
//! **Invariant.** Each condition is a set of contacts (`Scope::among`), from counts or from a range of an
//! index, that the database can read as a whole or look up by contact.

use campaigns_entity::contact;
use campaigns_scope::{Scope, Sql};
use sea_orm::sea_query::{Expr, ExprTrait};

/// A number of each contact, over all campaigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactNumber {
    /// Its sends, in any status.
    Sends,
    /// Its opens.
    Opens,
    /// Its clicks.
    Clicks,
    /// Its unsubscribes.
    Unsubscribes,
    /// Its complaints.
    Complaints,
    /// Its bounces.
    Bounces,
    /// Its suppressing events.
    Suppressing,
}

/// A time of each contact, over all campaigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactTime {
    /// When the last message was sent to it.
    LastSent,
    /// When it last opened a message.
    LastOpened,
    /// When it last clicked a link.
    LastClicked,
}

/// The relation of a contact to a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactCampaign {
    /// It has a send, in any status.
    Received,
    /// It opened a send.
    Opened,
    /// It clicked a link in a send.
    Clicked,
}

/// The stored counts of contacts without pending changes, the common case.
#[macro_export]
#[doc(hidden)]
macro_rules! settled {
    ($count:literal, $changes:literal) => {
        concat!(
            "SELECT contact_id AS id, ",
            $count,
            " AS value FROM campaign_contact_counts WHERE contact_id NOT IN
               (SELECT contact_id FROM campaign_event_changes WHERE ",
            $changes,
            ")"
        )
    };
}

/// Counts of contacts with pending changes, including these changes.
#[macro_export]
#[doc(hidden)]
macro_rules! changed {
    ($count:literal, $changes:literal) => {
        concat!(
            "SELECT changed.contact_id AS id, CAST(coalesce(counts.",
            $count,
            ", 0) + changed.number AS bigint) AS value FROM
               (SELECT contact_id, sum(number) AS number FROM campaign_event_changes
                WHERE ",
            $changes,
            " GROUP BY contact_id) AS changed
             LEFT JOIN campaign_contact_counts AS counts ON counts.contact_id = changed.contact_id"
        )
    };
}

/// A number of all contacts, as two disjoint sets. PostgreSQL cannot estimate the size of their union, and
/// would look up each contact.
macro_rules! counted {
    ($count:literal, $changes:literal) => {
        [Sql::new(settled!($count, $changes)), Sql::new(changed!($count, $changes))]
    };
}

/// The events of a type, each with a column.
macro_rules! events {
    ($event:literal, $value:literal) => {
        Sql::new(concat!(
            "SELECT send_contact_id AS id, ",
            $value,
            " AS value FROM campaign_events WHERE event_type = '",
            $event,
            "'"
        ))
    };
}

/// The last event of a type of each contact.
macro_rules! last_event {
    ($event:literal) => {
        Sql::new(concat!(
            "SELECT send_contact_id AS id, max(occurred_at) AS value FROM campaign_events
             WHERE event_type = '",
            $event,
            "' GROUP BY send_contact_id"
        ))
    };
}

const SENDS: Sql =
    Sql::new("SELECT contact_id AS id, count(*) AS value FROM campaign_sends GROUP BY contact_id");
const OPENS: [Sql; 2] = counted!("opens", "event_type = 'open'");
const CLICKS: [Sql; 2] = counted!("clicks", "event_type = 'click'");
const UNSUBSCRIBES: [Sql; 2] = counted!("unsubscribes", "event_type = 'unsubscribe'");
const COMPLAINTS: [Sql; 2] = counted!("complaints", "event_type = 'complaint'");
const BOUNCES: [Sql; 2] = counted!("bounces", "event_type = 'bounce'");
const SUPPRESSING: [Sql; 2] = counted!("suppressing", "suppresses");

const SENT_AT: Sql = Sql::new("SELECT contact_id AS id, sent_at AS value FROM campaign_sends");
const LAST_SENT: Sql = Sql::new(
    "SELECT contact_id AS id, max(sent_at) AS value FROM campaign_sends GROUP BY contact_id",
);
const OPENED_AT: Sql = events!("open", "occurred_at");
const LAST_OPENED: Sql = last_event!("open");
const CLICKED_AT: Sql = events!("click", "occurred_at");
const LAST_CLICKED: Sql = last_event!("click");

const RECEIVED: Sql = Sql::new("SELECT contact_id AS id, campaign_id AS value FROM campaign_sends");
const OPENED: Sql = events!("open", "send_campaign_id");
const CLICKED: Sql = events!("click", "send_campaign_id");
const CLICKED_URL: Sql = events!("click", "url");

/// The condition that a contact's number matches. Contacts without counts never match, so the
/// condition must reject 0.
pub fn with_number(scope: &Scope, number: ContactNumber, condition: impl Fn(Expr) -> Expr) -> Expr {
    let sets: &[Sql] = match number {
        ContactNumber::Sends => &[SENDS],
        ContactNumber::Opens => &OPENS,
        ContactNumber::Clicks => &CLICKS,
        ContactNumber::Unsubscribes => &UNSUBSCRIBES,
        ContactNumber::Complaints => &COMPLAINTS,
        ContactNumber::Bounces => &BOUNCES,
        ContactNumber::Suppressing => &SUPPRESSING,
    };
    let among = |sql: &Sql| scope.among(contact::Column::Id, *sql, &condition);
    sets.iter().map(among).reduce(ExprTrait::or).unwrap_or_else(|| Expr::val(false))
}

/// The condition that a number of a row of `contacts` is positive.
#[must_use]
pub fn has_any(scope: &Scope, number: ContactNumber) -> Expr {
    with_number(scope, number, |own| own.gt(0))
}

/// The condition that a row of `contacts` has such a time, and that it satisfies `condition`. This
/// computes the times of all contacts; [`with_time_after`] reads an index.
pub fn with_time(scope: &Scope, time: ContactTime, condition: impl FnOnce(Expr) -> Expr) -> Expr {
    let sql = match time {
        ContactTime::LastSent => LAST_SENT,
        ContactTime::LastOpened => LAST_OPENED,
        ContactTime::LastClicked => LAST_CLICKED,
    };
    scope.among(contact::Column::Id, sql, condition)
}

/// The condition that a row of `contacts` has such a time, and that it satisfies `condition`. If a time
/// satisfies the condition, every later time has to satisfy it as well.
pub fn with_time_after(
    scope: &Scope,
    time: ContactTime,
    condition: impl FnOnce(Expr) -> Expr,
) -> Expr {
    let sql = match time {
        ContactTime::LastSent => SENT_AT,
        ContactTime::LastOpened => OPENED_AT,
        ContactTime::LastClicked => CLICKED_AT,
    };
    scope.among(contact::Column::Id, sql, condition)
}

/// The condition that a row of `contacts` has such a time.
#[must_use]
pub fn has_time(scope: &Scope, time: ContactTime) -> Expr {
    match time {
        ContactTime::LastSent => scope.among(contact::Column::Id, SENT_AT, Expr::is_not_null),
        ContactTime::LastOpened => has_any(scope, ContactNumber::Opens),
        ContactTime::LastClicked => has_any(scope, ContactNumber::Clicks),
    }
}

/// The condition that a row of `contacts` has this relation to a campaign whose ID satisfies `condition`.
pub fn with_campaign(
    scope: &Scope,
    relation: ContactCampaign,
    condition: impl FnOnce(Expr) -> Expr,
) -> Expr {
    let sql = match relation {
        ContactCampaign::Received => RECEIVED,
        ContactCampaign::Opened => OPENED,
        ContactCampaign::Clicked => CLICKED,
    };
    scope.among(contact::Column::Id, sql, condition)
}

/// The condition that a row of `contacts` clicked a link whose URL satisfies `condition`.
pub fn with_clicked_link(scope: &Scope, condition: impl FnOnce(Expr) -> Expr) -> Expr {
    scope.among(contact::Column::Id, CLICKED_URL, condition)
}
