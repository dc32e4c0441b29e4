//! What is kept of providers' webhooks beside their configuration: figures, message IDs, and events that wait for
//! their send. The migration `m0016_webhooks` describes the tables.
//!
//! **Invariants.** A provider's request enters the organization of the webhook in its path, and no other. Every
//! statement of that scope contains the organization, like those of viewers. No address is stored: a recipient is
//! kept as a hash under the key of the database.

mod door;
mod message_ids;
mod sends;
mod stats;
mod tokens;
mod upkeep;
mod waiting;

pub(crate) use door::REUSED;
pub use door::Webhook;
pub use message_ids::MessageId;
pub use sends::FoundSend;
pub use stats::{WebhookPart, WebhookStats};
pub(crate) use stats::{part_of_events, row_of_part};
pub use tokens::OnceToken;
pub use upkeep::WebhookUpkeep;
pub use waiting::{WaitingEvent, WaitingKey};

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use rand::RngExt;

use crate::{Dialect, Error, Scope};

/// A new token of a path, with 160 random bits.
#[must_use]
pub fn new_path_token() -> String {
    hex(&rand::rng().random::<[u8; 20]>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text can be written to");
        text
    })
}

impl Scope {
    /// A hash of an address under the key of the database, to compare addresses that are not stored.
    ///
    /// # Errors
    /// If the database has no such key.
    pub fn address_hash(&self, address: &str) -> Result<String, Error> {
        let order = format!("address of {}", self.organization());
        let hash = digest(&SHA256, address.as_bytes());
        Ok(hex(&self.cursor_key()?.seal(&order, hash.as_ref().to_vec())))
    }
}

/// The condition that a text is in the JSON array in `$2`. PostgreSQL looks up each element of an array, while it could
/// read the whole table for those of a subquery.
fn is_given_text(dialect: Dialect, text: &str) -> String {
    match dialect {
        Dialect::Postgres => {
            format!("{text} = ANY (ARRAY(SELECT json_array_elements_text(CAST($2 AS json))))")
        }
        Dialect::Sqlite => format!("{text} IN (SELECT value FROM json_each($2))"),
    }
}

/// The rows of a JSON array in `$2` with IDs in these columns, as an item of FROM.
fn given_ids(dialect: Dialect, columns: &[&str]) -> String {
    let columns = columns.iter().map(|name| match dialect {
        Dialect::Postgres => format!("{name} uuid"),
        Dialect::Sqlite => format!("unhex(replace(value ->> '{name}', '-', '')) AS {name}"),
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    match dialect {
        Dialect::Postgres => format!("json_to_recordset(CAST($2 AS json)) AS given({columns})"),
        Dialect::Sqlite => format!("(SELECT {columns} FROM json_each($2)) AS given"),
    }
}
