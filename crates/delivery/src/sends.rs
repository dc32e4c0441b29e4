//! Applies delivery reports.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use campaigns_entity::send::{self, SendStatus};
use campaigns_providers::message_id;
use campaigns_scope::{Error, MessageId, Scope};
use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use crate::{Intake, RecordError, batcher::BatchWork, webhooks::match_messages};

/// A report of a send's delivery status.
#[derive(Clone, Debug)]
pub struct Report {
    /// The send.
    pub id: Uuid,
    /// The new status.
    pub status: SendStatus,
    /// The time of the status. Stored if the status is sent or delivered.
    pub at: DateTime<Utc>,
    /// The reason. Stored if the status is bounced or failed.
    pub error: Option<String>,
    /// The provider's ID of the message, in the form that clients may give. Stored whatever the status.
    pub message_id: Option<String>,
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateOutcome {
    /// The number of reports that changed their send.
    pub updated: usize,
    /// The number of late or repeated reports.
    pub unchanged: usize,
}

/// The reason why no send was updated.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The send of a report does not exist in the organization.
    #[error("report {index}: the send does not exist")]
    SendNotFound {
        /// Its index.
        index: usize,
    },
    /// An error of the scope.
    #[error(transparent)]
    Scope(#[from] Error),
}

impl Intake {
    /// Applies reports, in order.
    ///
    /// # Errors
    /// See [`ReportError`]. Nothing is updated then.
    pub async fn update_sends(
        &self,
        scope: &Scope,
        reports: Vec<Report>,
    ) -> Result<UpdateOutcome, ReportError> {
        let done = self.reports.write(scope, reports).await?;
        let (updated, unchanged): (Vec<bool>, Vec<bool>) =
            done.into_iter().partition(|is_changed| *is_changed);
        Ok(UpdateOutcome { updated: updated.len(), unchanged: unchanged.len() })
    }
}

/// Reports.
pub(crate) struct Reports;

impl BatchWork for Reports {
    type Row = Report;
    /// Whether it changed its send.
    type Done = bool;
    type Error = ReportError;

    async fn write(scope: &Scope, reports: &[Report]) -> Result<Vec<bool>, ReportError> {
        scope.repeat(|| update(scope, reports)).await
    }

    fn in_doubt(error: &ReportError) -> Option<&Error> {
        match error {
            ReportError::Scope(error @ Error::InDoubt(_)) => Some(error),
            _ => None,
        }
    }
}

/// Applies the reports in one transaction, and returns for each whether it changed its send.
async fn update(scope: &Scope, reports: &[Report]) -> Result<Vec<bool>, ReportError> {
    scope
        .transaction(async |scope| {
            let mut sends: HashMap<Uuid, Option<send::Model>> =
                scope.lock_all::<send::Entity>(reports.iter().map(|report| report.id)).await?;
            let (mut changed, mut message_ids) = (BTreeSet::new(), BTreeMap::new());
            let mut done = Vec::with_capacity(reports.len());
            for (index, report) in reports.iter().enumerate() {
                let send = sends.get_mut(&report.id).ok_or(ReportError::SendNotFound { index })?;
                if let Some(id) = message_id_of(report) {
                    message_ids.insert(report.id, (index, id));
                }
                // a send with a status that only a newer version knows does not change
                let send = send.as_mut().filter(|send| send.status.may_become(report.status));
                done.push(send.is_some());
                if let Some(send) = send {
                    apply(report, send);
                    changed.insert(report.id);
                }
            }
            let rows: Vec<_> = changed
                .iter()
                .filter_map(|id| sends.remove(id).flatten())
                .map(|send| send::ActiveModel {
                    id: Set(send.id),
                    status: Set(send.status),
                    sent_at: Set(send.sent_at),
                    delivered_at: Set(send.delivered_at),
                    error: Set(send.error),
                    ..Default::default()
                })
                .collect();
            if !rows.is_empty() {
                scope.update_all::<send::Entity>(&rows).await?;
            }
            if !message_ids.is_empty() {
                let (indices, ids): (Vec<usize>, Vec<MessageId>) =
                    message_ids.into_values().unzip();
                let changed = scope.set_message_ids(&ids).await?;
                let compared: Vec<String> = ids.iter().map(|id| id.compared.clone()).collect();
                match_messages(scope, &compared, Utc::now()).await.map_err(of_waiting)?;
                for (index, id) in indices.into_iter().zip(&ids) {
                    done[index] |= changed.contains(&id.send_id);
                }
            }
            Ok(done)
        })
        .await
}

/// The error of events that waited for a message ID.
fn of_waiting(error: RecordError) -> ReportError {
    match error {
        RecordError::Scope(error) => ReportError::Scope(error),
        // a send was deleted meanwhile; the same call can succeed
        RecordError::Invalid { .. } | RecordError::SendNotFound { .. } => {
            ReportError::Scope(Error::Busy)
        }
    }
}

/// The message ID that a report brings.
fn message_id_of(report: &Report) -> Option<MessageId> {
    let given = report.message_id.as_deref()?;
    let compared = message_id(given)?.to_owned();
    Some(MessageId { send_id: report.id, given: given.to_owned(), compared })
}

fn apply(report: &Report, send: &mut send::Model) {
    send.status = report.status;
    match report.status {
        SendStatus::Sent => send.sent_at = Some(report.at.into()),
        SendStatus::Delivered => send.delivered_at = Some(report.at.into()),
        SendStatus::Bounced | SendStatus::Failed => {
            send.error = report.error.clone().map(Into::into);
        }
        SendStatus::Queued => {}
    }
}
