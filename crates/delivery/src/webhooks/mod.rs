//! What providers report by webhooks: from reports to events and statuses of sends.
//!
//! A request is a call of the intake: it is written in one transaction, which small requests of an organization
//! share. Its steps:
//!
//! 1. Tokens that count once are remembered. A request whose token came with other events before is refused.
//! 2. Sends are looked up (`find`), in two statements at most unless addresses have to be compared.
//! 3. Sends are locked in the order of their IDs. Events are inserted, as `recordEvents` inserts them, and
//!    reports that are no events are noted by their ID. What is new sets the status of its send, as `updateSends`
//!    does (`apply`).
//! 4. Events without a send wait (`waiting`), until a message ID is stored or their send comes.
//! 5. The figures of the webhook get a part (`campaigns_scope::WebhookPart`).
//!
//! Requests that only add opens, complaints or unsubscribes of known sends to one webhook lock nothing, and do all this in
//! two statements (`take_opens`).
//!
//! **Invariants.**
//! - Each event of a request ends as exactly one of recorded, repeated, ignored, unmatched, unreadable. A repeat
//!   of an event changes nothing, in any order and in any request.
//! - An event counts for a send only if the recipient that it names is the send's, as far as both are known.
//! - Clicks of a send are compared while its row is locked, so a burst is found however its clicks are spread
//!   over requests.

mod apply;
mod bursts;
mod change;
mod find;
mod keeper;
mod refusals;
mod take;
mod waiting;

pub use keeper::WebhookKeeper;
pub(crate) use refusals::Refusals;
pub(crate) use take::Requests;
pub(crate) use waiting::match_messages;

use campaigns_providers::Outcome;
use campaigns_scope::{Error, OnceToken, Scope};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{Intake, RecordError};
use refusals::Refusal;
use take::{Begin, Done, Row};

/// A request of a webhook whose signature holds.
#[derive(Clone, Debug)]
pub struct WebhookRequest {
    /// The webhook.
    pub webhook: Uuid,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// A token that counts once, if the provider does not sign its events.
    pub once: Option<OnceToken>,
    /// What became of its events so far.
    pub outcomes: Vec<Outcome>,
}

/// What became of the events of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebhookOutcome {
    /// Whether the request was refused, because its token came with other events before.
    pub is_token_seen: bool,
    /// New events.
    pub recorded: usize,
    /// Events that were recorded before, or wait already.
    pub repeated: usize,
    /// Events about which there is nothing to record.
    pub ignored: usize,
    /// Events whose send is not known yet.
    pub unmatched: usize,
    /// Events that lack a required value.
    pub unreadable: usize,
}

impl Intake {
    /// Records what a request reports.
    ///
    /// # Errors
    /// [`RecordError::SendNotFound`] if a send was deleted meanwhile. Nothing is recorded then, and the same request
    /// can succeed.
    pub async fn take_webhook(
        &self,
        scope: &Scope,
        request: WebhookRequest,
    ) -> Result<WebhookOutcome, RecordError> {
        let WebhookRequest { webhook, received_at, once, outcomes } = request;
        let mut outcome = WebhookOutcome::default();
        let mut rows = vec![Row::Begin(Begin::default())];
        for of_event in outcomes {
            match of_event {
                Outcome::Ignored(_) => outcome.ignored += 1,
                Outcome::Unreadable(_) => outcome.unreadable += 1,
                Outcome::Report(report) => rows.push(Row::event(webhook, &report, received_at)),
            }
        }
        rows[0] = Row::Begin(Begin {
            webhook,
            received_at,
            once,
            ignored: outcome.ignored,
            unreadable: outcome.unreadable,
        });
        for done in self.webhooks.write(scope, rows).await? {
            match done {
                Done::Begun => {}
                Done::TokenSeen => {
                    return Ok(WebhookOutcome { is_token_seen: true, ..<_>::default() });
                }
                Done::Recorded => outcome.recorded += 1,
                Done::Repeated => outcome.repeated += 1,
                Done::Unmatched => outcome.unmatched += 1,
            }
        }
        Ok(outcome)
    }

    /// Counts a request that was refused.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn refuse_webhook(
        &self,
        scope: &Scope,
        webhook: Uuid,
        reason: &str,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        let refusal = Refusal { webhook, reason: reason.to_owned(), at };
        self.refusals.write(scope, vec![refusal]).await.map(|_| ())
    }
}
