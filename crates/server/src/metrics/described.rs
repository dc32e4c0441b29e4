//! What each metric means.

use campaigns_providers::Provider;
use metrics::{
    Unit::{self, Bytes, Count, Seconds},
    counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

/// Counters without labels, which exist from the start.
const COUNTERS: [(&str, &str); 8] = [
    (
        "campaigns_counted_changes_total",
        "Changes that this process has added to the running counts.",
    ),
    ("campaigns_events_recorded_total", "Events that recordEvents has stored."),
    ("campaigns_events_repeated_total", "Events of recordEvents that were stored already."),
    ("campaigns_feed_events_total", "Events that the feed's reader has read."),
    (
        "campaigns_log_lines_dropped_total",
        "Log lines that were dropped because standard error was not read.",
    ),
    ("campaigns_statements_failed_total", "Statements that failed or were canceled."),
    ("campaigns_subscription_messages_total", "Messages that subscriptions have sent."),
    ("campaigns_panics_total", "Requests, operations and tasks that ended in a panic."),
];

/// Counters with labels.
const LABELED_COUNTERS: [(&str, &str); 9] = [
    ("campaigns_operations_total", "Operations that have ended, by type, name and code."),
    ("campaigns_key_fetches_total", "Fetches of the key set, by outcome."),
    ("campaigns_sockets_closed_total", "Sockets that the service has closed, by close code."),
    (
        "campaigns_unreadable_rows_total",
        "Rows that were left out because they cannot be read, by table.",
    ),
    (
        "campaigns_task_panics_total",
        "Panics of tasks, by task. Tasks of the process are restarted.",
    ),
    (
        "campaigns_unreadable_values_total",
        "Values that cannot be shown as they are stored, by kind.",
    ),
    (
        "campaigns_webhook_requests_total",
        "Requests to webhooks of mail providers, by provider and outcome.",
    ),
    ("campaigns_webhook_events_total", "Events in accepted requests to webhooks, by outcome."),
    (
        "campaigns_worker_steps_total",
        "Campaigns that this process's worker has started or completed.",
    ),
];

/// Gauges without labels.
const GAUGES: [(&str, Unit, &str); 22] = [
    (
        "campaigns_broken_triggers",
        Count,
        "Triggers in the database that do not fire when they have to.",
    ),
    (
        "campaigns_database_connections_idle",
        Count,
        "Open database connections that are not in use.",
    ),
    ("campaigns_database_connections_limit", Count, "Maximum number of database connections."),
    ("campaigns_database_connections_used", Count, "Database connections in use."),
    (
        "campaigns_database_connections_waiting",
        Count,
        "Statements and transactions that wait for a connection.",
    ),
    (
        "campaigns_feed_lag_seconds",
        Seconds,
        "Time since the feed's reader last had every settled event.",
    ),
    ("campaigns_feed_log_bytes", Bytes, "Memory of the events that the feed keeps."),
    ("campaigns_feed_log_events", Count, "Events that the feed keeps in memory."),
    ("campaigns_feed_organizations", Count, "Organizations with an open event subscription."),
    (
        "campaigns_feed_stalled_seconds",
        Seconds,
        "Age of the open transaction that holds up the feed, or time for which its reader has been failing.",
    ),
    ("campaigns_held_bytes", Bytes, "Memory drawn from the budget of the process."),
    ("campaigns_held_bytes_limit", Bytes, "Budget of the process."),
    (
        "campaigns_memory_bytes",
        Bytes,
        "Anonymous memory of the process: allocations and stacks. Compare it with \
         campaigns_held_bytes and campaigns_operation_cache_bytes. Linux only.",
    ),
    ("campaigns_operation_cache_bytes", Bytes, "Memory of operations that are kept prepared."),
    ("campaigns_peers", Count, "Open TCP connections."),
    ("campaigns_sockets", Count, "Open sockets with a valid token."),
    ("campaigns_sockets_unknown", Count, "Open sockets without a token yet."),
    ("campaigns_subscriptions", Count, "Open subscriptions."),
    ("campaigns_tasks", Count, "Asynchronous tasks of the HTTP threads."),
    ("campaigns_uptime_seconds", Seconds, "Time since the process started."),
    (
        "campaigns_waiting_changes",
        Count,
        "Changes in the database that wait to be added to the running counts, counted up to 100,000. NaN while they are not counted.",
    ),
    ("campaigns_build_info", Count, "Always 1; the label has the version."),
];

/// Gauges with labels.
const LABELED_GAUGES: [(&str, &str); 4] = [
    ("campaigns_operations_executing", "Operations that are being executed."),
    (
        "campaigns_operations_executing_limit",
        "Maximum number of operations that are executed at once.",
    ),
    ("campaigns_operations_waiting", "Operations that wait to be executed."),
    (
        "campaigns_webhook_accepted_at_seconds",
        "When a request to a webhook of a mail provider was last accepted, by provider, as Unix time. NaN before the first.",
    ),
];

/// Durations.
const HISTOGRAMS: [(&str, &str); 2] = [
    ("campaigns_operation_seconds", "Time of queries and mutations, by type and name."),
    ("campaigns_statement_seconds", "Time of SQL statements."),
];

/// The description of a metric.
pub(crate) struct Described {
    pub(crate) name: &'static str,
    /// The type, with the unit of its values if they are no plain counts.
    pub(crate) kind: &'static str,
    pub(crate) meaning: &'static str,
}

/// The descriptions of all metrics.
pub(crate) fn described() -> impl Iterator<Item = Described> {
    let counters = COUNTERS.into_iter().chain(LABELED_COUNTERS);
    let counters = counters.map(|(name, meaning)| Described { name, kind: "counter", meaning });
    let gauges = GAUGES.into_iter().map(|(name, unit, meaning)| {
        let kind = match unit {
            Bytes => "gauge, bytes",
            Seconds => "gauge, seconds",
            _ => "gauge",
        };
        Described { name, kind, meaning }
    });
    let labeled = LABELED_GAUGES.into_iter();
    let labeled = labeled.map(|(name, meaning)| Described { name, kind: "gauge", meaning });
    let histograms = HISTOGRAMS.into_iter().map(|(name, meaning)| Described {
        name,
        kind: "histogram, seconds",
        meaning,
    });
    counters.chain(gauges).chain(labeled).chain(histograms)
}

/// Tables with rows that a newer version may write in a new form.
const TABLES: [&str; 5] =
    ["campaigns", "campaign_sends", "campaign_events", "contacts", "memberships"];

/// Describes each metric to the recorder, and starts those without labels at zero.
pub(super) fn describe() {
    for (name, means) in COUNTERS {
        describe_counter!(name, means);
        counter!(name).increment(0);
    }
    for (name, means) in LABELED_COUNTERS {
        describe_counter!(name, means);
    }
    for (name, unit, means) in GAUGES {
        describe_gauge!(name, unit, means);
    }
    for (name, means) in LABELED_GAUGES {
        describe_gauge!(name, means);
    }
    for (name, means) in HISTOGRAMS {
        describe_histogram!(name, Seconds, means);
    }
    for name in [
        "campaigns_broken_triggers",
        "campaigns_subscriptions",
        "campaigns_waiting_changes",
        "campaigns_feed_organizations",
        "campaigns_feed_stalled_seconds",
    ] {
        gauge!(name).increment(0.0);
    }
    // an alert sees a counter grow from zero
    for outcome in ["fetched", "failed"] {
        counter!("campaigns_key_fetches_total", "outcome" => outcome).increment(0);
    }
    for step in ["start", "complete"] {
        counter!("campaigns_worker_steps_total", "step" => step).increment(0);
    }
    for kind in ["date", "number", "text", "time"] {
        counter!("campaigns_unreadable_values_total", "kind" => kind).increment(0);
    }
    for table in TABLES {
        counter!("campaigns_unreadable_rows_total", "table" => table).increment(0);
    }
    for provider in Provider::ALL.iter().map(|provider| provider.name()) {
        for outcome in ["accepted", "refused", "unavailable", "probe"] {
            let labels = [("provider", provider), ("outcome", outcome)];
            counter!("campaigns_webhook_requests_total", &labels).increment(0);
        }
        // none was accepted yet
        gauge!("campaigns_webhook_accepted_at_seconds", "provider" => provider).set(f64::NAN);
    }
    for outcome in ["recorded", "repeated", "ignored", "unmatched", "unreadable", "dropped"] {
        counter!("campaigns_webhook_events_total", "outcome" => outcome).increment(0);
    }
    drop(histogram!("campaigns_statement_seconds"));
    gauge!("campaigns_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}
