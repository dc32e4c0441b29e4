//! The counts, and what each of them counts.
//!
//! **Invariant.** A line is never changed once the migration that it names is released, and a new one is added at
//! the end: a migration creates what the lines up to its own say.

use Of::{ContactEvents, Events, Sends, SendsWith};

/// The first migration that creates counts, by text of its own.
pub(super) const FIRST: &str = "m0008_counts";

/// Counts opens and clicks of machines apart: of mail programs that load images in advance, and of scanners of links.
///
/// An event is a machine's if and only if `metadata.machine` is the JSON value true, whoever wrote it, and whenever. A
/// send was opened by a human if it has more opens than opens of machines. Other counts include machines, as before.
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

/// What is counted. Each condition begins with a column of the changes, and all have to hold.
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

/// Something that a change of events says about them, beyond what it said in the first version.
pub(super) struct Fact {
    /// Its column.
    pub(super) name: &'static str,
    /// Its type in PostgreSQL, and its value before anything is known.
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
    // text that is not JSON is no machine's; the last of duplicate keys counts, as in PostgreSQL
    in_sqlite: "CASE WHEN json_valid({row}.metadata) THEN \
        CASE WHEN json_type({row}.metadata, '$.machine') IS NULL THEN FALSE ELSE \
        (SELECT marks.type = 'true' FROM json_each({row}.metadata) AS marks WHERE marks.key = 'machine' \
         ORDER BY marks.id DESC LIMIT 1) END ELSE FALSE END",
    since: MACHINES,
}];
