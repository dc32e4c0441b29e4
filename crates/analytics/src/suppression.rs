//! Suppression: contacts that do not get any more sends.
//!
//! **Invariant.** The suppressing events are defined once, in `suppresses!`: an unsubscribe, a complaint,
//! or a bounce that is not marked as soft.

use std::collections::HashMap;

use campaigns_entity::{contact, event};
use campaigns_scope::{Error, Scope, Scoped, Sql};
use sea_orm::{DbErr, sea_query::Expr};
use uuid::Uuid;

use crate::{
    contacts::{ContactNumber, has_any},
    engagement::{Scan, of_contacts},
};

/// The condition that an event suppresses its contact.
macro_rules! suppresses {
    () => {
        "(event_type IN ('unsubscribe', 'complaint') OR event_type = 'bounce'
          AND coalesce(campaign_events.metadata ->> 'bounce_type', 'hard') <> 'soft')"
    };
}

/// The condition that a row of `contacts` is suppressed, for an [`Sql`] that tests many rows.
#[macro_export]
macro_rules! contact_is_suppressed {
    () => {
        concat!(
            "contacts.id IN (SELECT id FROM (",
            $crate::settled!("suppressing", "suppresses"),
            " UNION ALL ",
            $crate::changed!("suppressing", "suppresses"),
            ") AS counted WHERE value > 0)"
        )
    };
}

const IS_SUPPRESSED: Sql = Sql::new(concat!("SELECT ", of_contacts!("suppressing", "suppresses")));

const LATEST: Sql = Sql::new(concat!(
    "SELECT contact, event FROM
     (SELECT send_contact_id AS contact, id AS event,
      row_number() OVER (PARTITION BY send_contact_id ORDER BY occurred_at DESC, id DESC) AS place
      FROM campaign_events
      WHERE send_contact_id IN (SELECT id FROM (SELECT id FROM selected) AS contacts WHERE ",
    of_contacts!("suppressing", "suppresses"),
    ") AND ",
    suppresses!(),
    ") AS suppressing WHERE place = 1"
));

/// The condition that a row of `contacts` is suppressed.
#[must_use]
pub fn is_suppressed(scope: &Scope, scan: Scan) -> Expr {
    match scan {
        Scan::Partial => scope.expression(IS_SUPPRESSED),
        Scan::Full => has_any(scope, ContactNumber::Suppressing),
    }
}

/// The latest suppressing event of each selected contact, by the contact's ID. Contacts that are not
/// suppressed are omitted.
///
/// # Errors
/// Any error of the database.
pub async fn suppressing_events(
    scope: &Scope,
    selected: Scoped<contact::Entity>,
) -> Result<HashMap<Uuid, event::Model>, Error> {
    let rows = scope.rows(LATEST, selected.with_custom_plan()).await?;
    let pairs = rows
        .iter()
        .map(|row| Ok((row.try_get("", "event")?, row.try_get("", "contact")?)))
        .collect::<Result<HashMap<Uuid, Uuid>, DbErr>>()?;
    let events = scope.by_ids::<event::Entity>(pairs.keys().copied()).await?;
    Ok(events.into_iter().filter_map(|event| Some((*pairs.get(&event.id)?, event))).collect())
}
