//! Inconsistent rows.

use sea_orm::{DbBackend, IdenStatic};

use super::check::{Check, Rows};
use crate::OrganizationOwned;

pub(super) fn checks(backend: DbBackend) -> Vec<Check> {
    let mut checks = references();
    checks.extend(of_events(backend));
    checks.extend(json(backend));
    checks.extend(statuses());
    checks.extend(clocks());
    checks
}

/// A column that refers to a table.
struct Reference {
    table: &'static str,
    column: &'static str,
    to: &'static str,
}

fn references_of<E: OrganizationOwned>() -> impl Iterator<Item = Reference> {
    let table = E::default().table_name();
    E::REFERENCES.iter().map(move |(column, to)| Reference { table, column: column.as_str(), to })
}

fn references() -> Vec<Check> {
    use campaigns_entity::{
        campaign, company, contact, contact_company, event, list_entry, membership, segment, send,
        user,
    };
    let owned = [
        "users",
        "memberships",
        "contacts",
        "companies",
        "contact_companies",
        "campaigns",
        "campaign_segments",
        "campaign_lists",
        "campaign_sends",
        "campaign_events",
    ];
    let mut checks: Vec<Check> = owned
        .into_iter()
        .map(|table| {
            let condition =
                "NOT EXISTS (SELECT 1 FROM organizations WHERE organizations.id = t.org_id)";
            Rows::of(table, condition).check(
                format!("{table}.org_id refers to an organization that does not exist"),
                format!("Insert the organization, or delete the rows of {table}."),
            )
        })
        .collect();
    let references = references_of::<user::Entity>()
        .chain(references_of::<membership::Entity>())
        .chain(references_of::<contact::Entity>())
        .chain(references_of::<company::Entity>())
        .chain(references_of::<contact_company::Entity>())
        .chain(references_of::<campaign::Entity>())
        .chain(references_of::<segment::Entity>())
        .chain(references_of::<list_entry::Entity>())
        .chain(references_of::<send::Entity>())
        .chain(references_of::<event::Entity>());
    for Reference { table, column, to } in references {
        let same = format!("{to} AS r ON r.id = t.{column}");
        // a user has one row and can belong to several organizations
        if table != "memberships" {
            let elsewhere = Rows {
                join: format!("JOIN {same}"),
                other: Some(column),
                ..Rows::of(table, "r.org_id <> t.org_id")
            };
            checks.push(elsewhere.check(
                format!("{table}.{column} refers to a row of another organization"),
                format!(
                    "The service does not show the other organization's row. Set {column} to a row of {to} that belongs \
                     to the same organization, or delete these rows."
                ),
            ));
        }
        let nowhere = Rows {
            join: format!("LEFT JOIN {same}"),
            other: Some(column),
            ..Rows::of(table, format!("r.id IS NULL AND t.{column} IS NOT NULL"))
        };
        checks.push(nowhere.check(
            format!("{table}.{column} refers to a row that does not exist"),
            format!(
                "Restore the row in {to}, or delete these rows. Then add or validate the foreign key."
            ),
        ));
    }
    checks
}

/// The columns of events that triggers of the service fill.
fn of_events(backend: DbBackend) -> [Check; 2] {
    let has_no_place = match backend {
        DbBackend::Postgres => "coalesce(t.feed_position, 0) <= 0",
        _ => "t.feed_position <= 0",
    };
    let is_other = match backend {
        DbBackend::Postgres => "IS DISTINCT FROM",
        _ => "IS NOT",
    };
    let misfiled = Rows {
        join: "JOIN campaign_sends AS r ON r.id = t.send_id AND r.org_id = t.org_id".to_owned(),
        other: Some("send_id"),
        ..Rows::of(
            "campaign_events",
            format!(
                "{has_no_place} OR t.send_campaign_id {is_other} r.campaign_id \
                 OR t.send_contact_id {is_other} r.contact_id"
            ),
        )
    };
    let repeated = Rows {
        join: "JOIN (SELECT id AS repeated_id, row_number() OVER (PARTITION BY org_id, feed_position ORDER BY id) AS number \
               FROM campaign_events WHERE feed_position > 0) AS r ON r.repeated_id = t.id"
            .to_owned(),
        ..Rows::of("campaign_events", "r.number > 1")
    };
    let remedy = "They were written while triggers were off. Run `campaigns repair`.";
    [
        misfiled.check(
            "campaign_events are not in the feed, or not filed under the campaign and the contact of their send",
            remedy,
        ),
        repeated.check("campaign_events have the place of another event in the feed", remedy),
    ]
}

fn json(backend: DbBackend) -> Vec<Check> {
    let is_no_object = |column: &str| match backend {
        DbBackend::Postgres => format!("jsonb_typeof(t.{column}) <> 'object'"),
        _ => format!(
            "CASE WHEN t.{column} IS NULL THEN false WHEN json_valid(t.{column}) \
             THEN json_type(t.{column}) <> 'object' ELSE true END"
        ),
    };
    let mut checks: Vec<Check> = [
        "contacts",
        "campaigns",
        "campaign_segments",
        "campaign_lists",
        "campaign_sends",
        "campaign_events",
    ]
    .into_iter()
    .map(|table| {
        Rows::of(table, is_no_object("metadata")).check(
            format!("{table}.metadata is not a JSON object"),
            "Filters and rules never match it. Wrap the value in an object.",
        )
    })
    .collect();
    checks.push(Rows::of("campaign_segments", is_no_object("filter_rules")).check(
        "campaign_segments.filter_rules is not a JSON object",
        "The segment cannot be used. Replace its rules; {} selects all contacts.",
    ));
    checks
}

fn statuses() -> Vec<Check> {
    let event = |which: &str| {
        format!(
            "EXISTS (SELECT 1 FROM campaign_events AS e WHERE e.send_id = t.id AND e.org_id = t.org_id AND {which})"
        )
    };
    let bounced = event(
        "e.event_type = 'bounce' AND coalesce(e.metadata ->> 'bounce_type', 'hard') <> 'soft'",
    );
    let engaged = event("e.event_type IN ('open', 'click', 'unsubscribe', 'complaint')");
    vec![
        Rows::of("campaign_sends", format!("t.status <> 'bounced' AND {bounced}")).check(
            "campaign_sends have a hard bounce but a status other than bounced",
            "Bounce rates do not count them. Run UPDATE campaign_sends SET status = 'bounced' WHERE id IN (…).",
        ),
        Rows::of("campaign_sends", format!("t.status IN ('queued', 'failed') AND {engaged}")).check(
            "campaign_sends have opens or clicks but are queued or failed",
            "They were delivered. Set their status to delivered, or delete the events if they belong to another send.",
        ),
        Rows::of(
            "campaigns",
            "t.status = 'sent' AND EXISTS (SELECT 1 FROM campaign_sends AS s \
             WHERE s.campaign_id = t.id AND s.org_id = t.org_id AND s.status = 'queued')",
        )
        .check(
            "campaigns are sent but have queued sends",
            "Report the status of the sends with updateSends, or set the campaign's status to sending.",
        ),
        Rows::of("campaigns", "t.status = 'scheduled' AND t.scheduled_at IS NULL").check(
            "campaigns are scheduled without a time",
            "They never start. Set scheduled_at, or the status to draft.",
        ),
    ]
}

fn clocks() -> Vec<Check> {
    [
        ("campaign_events", "occurred_at"),
        ("campaign_events", "created_at"),
        ("campaign_sends", "sent_at"),
        ("campaign_sends", "delivered_at"),
        ("campaigns", "sent_at"),
        ("campaigns", "created_at"),
        ("contacts", "created_at"),
    ]
    .into_iter()
    .map(|(table, column)| {
        Rows::of(table, format!("t.{column} > $1")).check(
            format!("{table}.{column} is in the future"),
            "Correct the clock of the program that wrote these rows, and the times.",
        )
    })
    .collect()
}
