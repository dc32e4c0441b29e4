//! The list of counts.
//!
//! **Invariant.** A line never changes once its migration is released, and new lines are added at the end: a
//! migration creates the counts of the lines up to its own.

use Of::{ContactEvents, Events, Sends, SendsWith};

/// The first migration that creates counts, with its own SQL.
pub(super) const FIRST: &str = "m0008_counts";

/// Counts opens and clicks of machines separately: mail programs that load images in advance, and link scanners.
///
/// An event is a machine's if and only if `metadata.machine` is the JSON value true, regardless of its writer and
/// its time. A send was opened by a human if it has more opens than opens of machines. Other counts include
/// machines, as before.
pub(crate) const MACHINES: &str = "m0015_machines";

/// A count.
pub(super) struct Count {
    /// Its column.
    pub(super) name: &'static str,
    /// What it counts.
    pub(super) of: Of,
    /// The migration that creates it.
    pub(super) since: &'static str,
}

/// What is counted. Each condition starts with a column of the changes, and all must hold.
#[derive(Clone, Copy)]
pub(super) enum Of {
    /// The sends of a campaign.
    Sends(&'static [&'static str]),
    /// Events: of a campaign, of a send, of a contact, of an hour.
    Events(&'static [&'static str]),
    /// Events of a contact.
    ContactEvents(&'static [&'static str]),
    /// The sends of a campaign with such an event: of the first count, but not of the second.
    SendsWith(&'static str, Option<&'static str>),
}

const fn count(name: &'static str, of: Of, since: &'static str) -> Count {
    Count { name, of, since }
}

/// A property of events in their pending changes, beyond those of the first version.
pub(super) struct Fact {
    /// Its column.
    pub(super) name: &'static str,
    /// Its type in PostgreSQL, with its default.
    pub(super) postgres_type: &'static str,
    /// Its type in SQLite.
    pub(super) sqlite_type: &'static str,
    /// Its value for an event, whose name is `{row}`, in PostgreSQL.
    pub(super) in_postgres: &'static str,
    /// Its value for an event in SQLite.
    pub(super) in_sqlite: &'static str,
    /// The migration that creates it.
    pub(super) since: &'static str,
}

/// All counts, in the order of their columns.
pub(super) const COUNTS: &[Count] = &[
    count("sends", Sends(&[]), FIRST),
    count("queued", Sends(&["status = 'queued'"]), FIRST),
    count("sent", Sends(&["status = 'sent'"]), FIRST),
    count("delivered", Sends(&["status = 'delivered'"]), FIRST),
    count("bounced", Sends(&["status = 'bounced'"]), FIRST),
    count("failed", Sends(&["status = 'failed'"]), FIRST),
    count("opens", Events(&["event_type = 'open'"]), FIRST),
    count("clicks", Events(&["event_type = 'click'"]), FIRST),
    count("unsubscribes", Events(&["event_type = 'unsubscribe'"]), FIRST),
    count("complaints", Events(&["event_type = 'complaint'"]), FIRST),
    count("bounces", Events(&["event_type = 'bounce'"]), FIRST),
    count("suppressing", ContactEvents(&["suppresses"]), FIRST),
    count("unique_opens", SendsWith("opens", None), FIRST),
    count("unique_clicks", SendsWith("clicks", None), FIRST),
    count("unique_unsubscribes", SendsWith("unsubscribes", None), FIRST),
    count("unique_complaints", SendsWith("complaints", None), FIRST),
    count("machine_opens", Events(&["event_type = 'open'", "machine"]), MACHINES),
    count("machine_clicks", Events(&["event_type = 'click'", "machine"]), MACHINES),
    count("unique_human_opens", SendsWith("opens", Some("machine_opens")), MACHINES),
    count("unique_human_clicks", SendsWith("clicks", Some("machine_clicks")), MACHINES),
];

/// All facts, in the order of their columns.
pub(super) const FACTS: &[Fact] = &[Fact {
    name: "machine",
    postgres_type: "boolean NOT NULL DEFAULT FALSE",
    sqlite_type: "INTEGER NOT NULL",
    in_postgres: "coalesce({row}.metadata -> 'machine' = 'true', FALSE)",
    // metadata that is not JSON is not a machine's; the last of duplicate keys counts, as in PostgreSQL
    in_sqlite: "CASE WHEN json_valid({row}.metadata) THEN \
        CASE WHEN json_type({row}.metadata, '$.machine') IS NULL THEN FALSE ELSE \
        (SELECT marks.type = 'true' FROM json_each({row}.metadata) AS marks WHERE marks.key = 'machine' \
         ORDER BY marks.id DESC LIMIT 1) END ELSE FALSE END",
    since: MACHINES,
}];
