//! What one client can take, and what it cannot: each attack is made to happen.

mod altered_tables;
mod arguments;
mod bytes;
mod deadlocks;
mod deletions;
mod engine;
mod failing_tasks;
mod failures;
mod fairness;
mod followers;
mod hang_ups;
mod json_numbers;
mod late;
mod migrations;
mod overload;
mod peers;
mod places;
mod pooler;
mod replaced;
mod restarts;
mod restored;
mod stored_rules;
mod tasks;
mod times;
mod versions;
