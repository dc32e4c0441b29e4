//! The definitions of a version of the counts: the SQL files next to this one, with each `{…}` replaced.

use super::list::{COUNTS, Count, FACTS, FIRST, Fact, Of};

const FUNCTIONS_POSTGRES: &str = include_str!("functions_postgres.sql");
const EVENTS_VIEW_POSTGRES: &str = include_str!("events_view_postgres.sql");
const VIEWS: &str = include_str!("views.sql");
const SQLITE: &str = include_str!("sqlite.sql");

/// The nil UUID, in PostgreSQL.
const NONE: &str = "00000000-0000-0000-0000-000000000000";
/// The types of events that count.
const TYPES: &str = "'open', 'click', 'unsubscribe', 'complaint', 'bounce'";

/// The counts up to a migration, with the definitions that keep them.
#[derive(Clone, Copy)]
pub(super) struct Definitions {
    /// The name of the migration.
    pub(super) version: &'static str,
    /// Whether they are for PostgreSQL.
    pub(super) is_postgres: bool,
}

impl Definitions {
    /// The functions of PostgreSQL.
    pub(super) fn functions(self) -> String {
        self.filled(FUNCTIONS_POSTGRES, "")
    }

    /// The views of PostgreSQL, with the keywords that create one.
    pub(super) fn views(self, create: &str) -> String {
        self.filled(EVENTS_VIEW_POSTGRES, create) + &self.filled(VIEWS, create)
    }

    /// The views, triggers and tables of `SQLite`.
    pub(super) fn of_sqlite(self) -> String {
        self.filled(SQLITE, "") + &self.filled(VIEWS, "CREATE VIEW")
    }

    /// The columns of these counts, separated by commas.
    pub(super) fn names(self, set: &str) -> String {
        self.each(set, ", ", |count| count.name.to_owned())
    }

    /// The counts of a set, in their order.
    fn set(self, set: &str) -> impl Iterator<Item = &'static Count> {
        let counts = COUNTS.iter().filter(move |count| count.since <= self.version);
        let is_in: fn(Of) -> bool = match set {
            "statuses" => |of| matches!(of, Of::Sends(_)),
            "events" => |of| matches!(of, Of::Events(_)),
            "contacts" => |of| matches!(of, Of::Events(_) | Of::ContactEvents(_)),
            // the counts of events of a campaign
            "engagement" => |of| matches!(of, Of::Events(_) | Of::SendsWith(..)),
            // if these are 0, so are all other counts
            "kept" => |of| matches!(of, Of::Sends(_) | Of::Events(_)),
            _ => |of| !matches!(of, Of::ContactEvents(_)),
        };
        counts.filter(move |count| is_in(count.of))
    }

    fn each(self, set: &str, separator: &str, show: impl Fn(&Count) -> String) -> String {
        self.set(set).map(show).collect::<Vec<_>>().join(separator)
    }

    /// A comma and each fact.
    fn facts(self, show: impl Fn(&Fact) -> String) -> String {
        let facts = FACTS.iter().filter(|fact| fact.since <= self.version);
        facts.map(|fact| format!(", {}", show(fact))).collect::<Vec<_>>().concat()
    }

    fn fact(self, fact: &Fact, row: &str) -> String {
        let value = if self.is_postgres { fact.in_postgres } else { fact.in_sqlite };
        value.replace("{row}", row)
    }

    /// A text with each `{word}` and `{word: argument}` replaced.
    pub(super) fn filled(self, text: &str, create: &str) -> String {
        let text = text.replace("{create view}", create).replace("{replaced events}", REPLACED);
        let mut parts = text.split('{');
        let mut all = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (brace, rest) = part.split_once('}').unwrap_or((part, ""));
            let (word, argument) = brace.split_once(": ").unwrap_or((brace, ""));
            all += &self.stands_for(word, argument);
            all += rest;
        }
        all
    }

    fn stands_for(self, word: &str, of: &str) -> String {
        match word {
            "names" => self.names(of),
            "sums" => self.each(of, ", ", sum),
            "named sums" => {
                self.each(of, ", ", |count| format!("{} AS {}", sum(count), count.name))
            }
            "cast sums" => self.each(of, ", ", |Count { name, .. }| {
                format!("CAST(sum({name}) AS bigint) AS {name}")
            }),
            "added" => {
                let (set, table) = of.split_once(" to ").unwrap_or((of, ""));
                let stored = if table.is_empty() { String::new() } else { format!("{table}.") };
                self.each(set, ", ", |Count { name, .. }| {
                    format!("{name} = {stored}{name} + EXCLUDED.{name}")
                })
            }
            "zeros" => self.each(of, ", ", |count| format!("{} = 0", count.name)),
            "are zero" => self.each(of, " AND ", |count| format!("{} = 0", count.name)),
            "are not zero" => self.each(of, " OR ", |count| format!("{} <> 0", count.name)),
            "amount" => self.each(of, " + ", |count| format!("sum(abs({}))", count.name)),
            "changes" => self.each(of, ", ", change),
            "of sends now" => self.each(of, ", ", of_sends_now),
            "of send now" => self.each(of, ", ", |count| self.of_send_now(count)),
            "parts of sends" => self.each(of, ", ", part_of_sends),
            "parts of events" => self.each(of, ", ", part_of_events),
            "facts" if of.is_empty() => self.facts(|fact| fact.name.to_owned()),
            "facts" => self.facts(|fact| self.fact(fact, of)),
            "named facts" => self.facts(|fact| format!("{} AS {}", self.fact(fact, of), fact.name)),
            "no facts" => self.facts(|fact| format!("0 AS {}", fact.name)),
            "typed facts" => self.facts(|fact| format!("{} {}", fact.name, fact.sqlite_type)),
            "is counted" => self.is_counted(of),
            "event" => self.event(of),
            "noted event" => format!(
                "rowid, id, org_id, send_campaign_id, send_contact_id, send_id, event_type, {}, {}, {}",
                self.suppresses(of),
                url(of),
                hour(of)
            ),
            "suppresses" => self.suppresses(of),
            "url" => url(of),
            "hour" => hour(of),
            "types" => TYPES.to_owned(),
            "none" => NONE.to_owned(),
            _ => format!("{{{word}}}"),
        }
    }

    /// The condition that an event counts.
    fn is_counted(self, row: &str) -> String {
        if self.is_postgres {
            format!(
                "{row}.feed_position IS NOT NULL AND {row}.send_campaign_id <> '{NONE}' \
                 AND {row}.event_type IN ({TYPES})"
            )
        } else {
            format!(
                "{row}.send_campaign_id <> x'00000000000000000000000000000000' \
                 AND {row}.event_type IN ({TYPES})"
            )
        }
    }

    /// The columns of an event that determine its counts.
    fn event(self, row: &str) -> String {
        let known = format!(
            "{row}.org_id, {row}.send_campaign_id, {row}.send_contact_id, {row}.send_id, {row}.event_type"
        );
        if self.is_postgres {
            format!(
                "{known}, campaign_event_suppresses({row}.event_type, {row}.metadata), \
                 campaign_event_url({row}.event_type, {row}.url), \
                 campaign_event_link(campaign_event_url({row}.event_type, {row}.url)), \
                 campaign_event_hour({row}.occurred_at)"
            )
        } else {
            format!(
                "{known}, {}, {url}, {url}, {}",
                self.suppresses(row),
                hour(row),
                url = url(row)
            )
        }
    }

    /// The condition that an event suppresses its contact, in SQLite. The first version refused metadata that is
    /// not JSON.
    fn suppresses(self, row: &str) -> String {
        let bounce_type = if self.version == FIRST {
            format!("{row}.metadata ->> 'bounce_type'")
        } else {
            format!(
                "CASE WHEN json_valid({row}.metadata) THEN {row}.metadata ->> 'bounce_type' END"
            )
        };
        format!(
            "({row}.event_type IN ('unsubscribe', 'complaint') OR {row}.event_type = 'bounce' \
             AND coalesce({bounce_type}, 'hard') <> 'soft')"
        )
    }

    /// The difference that a change of a send makes to a count of its campaign, in SQLite, after the counts of the
    /// send have changed.
    fn of_send_now(self, count: &Count) -> String {
        let Of::SendsWith(with, without) = count.of else { return change(count) };
        let change_of = |name: &str| {
            self.set("events").find(|of| of.name == name).map(change).unwrap_or_default()
        };
        let now = without.map_or_else(|| "0".to_owned(), str::to_owned);
        let before = without.map_or_else(
            || "0".to_owned(),
            |without| format!("{without} - {}", change_of(without)),
        );
        format!("({with} > {now}) - ({with} - {} > {before})", change_of(with))
    }
}

/// The events that an insert or an update has replaced, in SQLite.
const REPLACED: &str = "INSERT INTO campaign_event_changes
        SELECT org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, url, hour, -1{facts}
        FROM campaign_events_replaced WHERE (id = NEW.id OR number = NEW.rowid OR NOT EXISTS
            (SELECT 1 FROM campaign_events AS stored
            WHERE stored.rowid = number AND stored.id = campaign_events_replaced.id));
    DELETE FROM campaign_events_replaced WHERE (id = NEW.id OR number = NEW.rowid OR NOT EXISTS
        (SELECT 1 FROM campaign_events AS stored
        WHERE stored.rowid = number AND stored.id = campaign_events_replaced.id));";

/// The columns of a change that must be true for a count.
fn conditions(count: &Count) -> &'static [&'static str] {
    match count.of {
        Of::Sends(conditions) | Of::Events(conditions) | Of::ContactEvents(conditions) => {
            conditions
        }
        Of::SendsWith(..) => &[],
    }
}

/// A count over changes.
fn sum(count: &Count) -> String {
    match conditions(count) {
        [] => "sum(number)".to_owned(),
        conditions => {
            format!("coalesce(sum(number) FILTER (WHERE {}), 0)", conditions.join(" AND "))
        }
    }
}

/// The difference that a change makes to a count, in SQLite.
fn change(count: &Count) -> String {
    let conditions: Vec<String> =
        conditions(count).iter().map(|condition| format!("NEW.{condition}")).collect();
    match &conditions[..] {
        [] => "NEW.number".to_owned(),
        [flag] if !flag.contains(' ') => format!("NEW.number * {flag}"),
        conditions => format!("NEW.number * ({})", conditions.join(" AND ")),
    }
}

/// The difference that changes of sends make to a count of their campaign, in PostgreSQL.
fn of_sends_now(count: &Count) -> String {
    let Of::SendsWith(with, without) = count.of else { return format!("sum(now.{})", count.name) };
    let had = |name: &str| format!("coalesce(had.{name}, 0)");
    let now = |name: &str| format!("{} + now.{name}", had(name));
    let none = || "0".to_owned();
    format!(
        "sum(({} > {})::integer - ({} > {})::integer)",
        now(with),
        without.map_or_else(none, now),
        had(with),
        without.map_or_else(none, had)
    )
}

/// The changes of a count by sends, and then by their events.
fn part_of_sends(count: &Count) -> String {
    match count.of {
        Of::Sends(_) => format!("{} AS {}", sum(count), count.name),
        _ => format!("0 AS {}", count.name),
    }
}

fn part_of_events(count: &Count) -> String {
    match count.of {
        Of::Sends(_) => "0".to_owned(),
        Of::SendsWith(with, without) => {
            format!("sum(CASE WHEN {with} > {} THEN 1 ELSE 0 END)", without.unwrap_or("0"))
        }
        _ => format!("sum({})", count.name),
    }
}

fn url(row: &str) -> String {
    format!("CASE WHEN {row}.event_type = 'click' THEN {row}.url END")
}

fn hour(row: &str) -> String {
    format!("substr({row}.occurred_at, 1, 13) || ':00:00+00:00'")
}
