//! Requests that were refused: counted together, as many as arrive while a transaction is in progress.

use std::collections::BTreeMap;

use campaigns_scope::{Error, Scope, WebhookPart, WebhookStats};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::batcher::BatchWork;

/// Refusals.
pub(crate) struct Refusals;

/// A request that was refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(super) webhook: Uuid,
    pub(super) reason: String,
    pub(super) at: DateTime<Utc>,
}

impl BatchWork for Refusals {
    type Row = Refusal;
    type Done = ();
    type Error = Error;

    async fn write(scope: &Scope, refusals: &[Refusal]) -> Result<Vec<()>, Error> {
        let mut of_webhooks: BTreeMap<Uuid, WebhookStats> = BTreeMap::new();
        for Refusal { webhook, reason, at } in refusals {
            of_webhooks.entry(*webhook).or_default().add(&WebhookStats {
                refused: 1,
                last_refused_at: Some(*at),
                last_refusal: Some(reason.clone()),
                ..Default::default()
            });
        }
        let parts = of_webhooks.into_iter().map(|(webhook, stats)| WebhookPart { webhook, stats });
        let parts: Vec<WebhookPart> = parts.collect();
        scope.repeat(|| scope.add_webhook_parts(&parts)).await?;
        Ok(vec![(); refusals.len()])
    }

    fn in_doubt(error: &Error) -> Option<&Error> {
        matches!(error, Error::InDoubt(_)).then_some(error)
    }
}
